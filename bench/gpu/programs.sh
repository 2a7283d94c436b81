# SPDX-License-Identifier: Apache-2.0
# What the stages of bench/gpu/run.sh run, which sources this file: where each program is, what builds it, and what else it wants.

# By the names that the plans use: the target that builds it, and the file that is there then.
declare -A target=([library]=lngd [conformance]=lngd_conformance)
declare -A file=([library]=native/liblngd.so [conformance]=native/test/lngd_conformance)
if [ -n "$dry" ]; then
  jobs=2 architectures=90-real device=emulated smoke=(--smoke) sets=(bench/gpu/smoke.csv)
  target+=([wrappers]=simt_fast [backend]=lngd_cuda_emulated [step]=lngd_step_bench_emulated [kernels]=lngd_gpu_bench_emulated)
  file+=([wrappers]=native/test/simt/simt_fast [backend]=native/liblngd_cuda_emulated.so
    [step]=bench/gpu/emulated/lngd_step_bench_emulated [kernels]=bench/gpu/emulated/lngd_gpu_bench_emulated)
else
  jobs=$(nproc) device=cuda smoke=() sets=(bench/layers/resnet18-cifar.csv)
  # One architecture, the card's: each more would take as long again.
  architectures=$(card 3 | tr -d .)
  [ -n "$architectures" ] || echo "nvidia-smi tells no compute capability: built for sm_90"
  architectures=${architectures:-90}-real
  target+=([wrappers]=simt_wrappers_gpu [backend]=lngd_cuda [step]=lngd_step_bench [kernels]=lngd_gpu_bench)
  file+=([wrappers]=native/simt_wrappers_gpu [backend]=native/liblngd_cuda.so [step]=bench/gpu/lngd_step_bench
    [kernels]=bench/gpu/lngd_gpu_bench)
fi
if [ -n "${LNGD_GPU_BUILD:-}" ]; then
  build=$LNGD_GPU_BUILD
  architectures=as-it-is
fi
for need in "${!file[@]}"; do file[$need]=$build/${file[$need]}; done
export LNGD_CUDA_LIBRARY=$build/native/liblngd_cuda.so LNGD_CUDA_EMULATED_LIBRARY=$build/native/liblngd_cuda_emulated.so

# What of these was not built, or nothing.
not_built() {
  local need
  for need in "$@"; do
    [ -e "${file[$need]}" ] || {
      echo "${target[$need]} was not built"
      return
    }
  done
}

# build_command NEED...
build_command() {
  local need targets=()
  if [ -z "$dry" ] && ! command -v nvcc >/dev/null; then
    missing="no nvcc, neither on the PATH nor in ${CUDA_HOME:-/usr/local/cuda}/bin"
    return
  fi
  for need in "$@"; do targets+=("${target[$need]}"); done
  if [ "$architectures" != as-it-is ]; then
    # Where the build breaks, an old program must not be taken for the new one.
    for need in "$@"; do rm -f "${file[$need]}"; done
    # Rehearsed where it can be: that nvcc takes the kernels.
    [ -z "$dry" ] || ! command -v nvcc >/dev/null || targets+=(lngd_cuda lngd_gpu_bench lngd_step_bench simt_wrappers_gpu)
  fi
  command=(bench/gpu/build.sh "$build" "$architectures" "$jobs" "${targets[@]}")
}

# restarted PROGRAM ARGUMENT...: it survives a case that hangs or breaks the device.
restarted() { command=("$python" bench/gpu/restart.py --rows "$rows" --seconds "$soft" -- "$@"); }

# Whether Python has PyTorch, without importing it, which takes seconds.
torch() { "$python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)' 2>/dev/null; }

# peers_command [--no-training] SET...
peers_command() {
  local cpu=()
  [ -z "$dry" ] || cpu=(--device cpu)
  command=("$python" bench/gpu/peers.py "${cpu[@]}" --seconds "$soft" "${smoke[@]}" --out "$rows" "$@")
  torch || missing="no PyTorch in $python"
}

# Counters of the launches of one case: --only ncu [KERNEL [CASE [NAME OF THE CUDA KERNEL]]].
ncu_command() {
  command=(ncu --clock-control none --set full --page details --log-file "$OUT/ncu.txt" --kernel-name "regex:${words[2]:-.}" --launch-count 6
    "${file[kernels]}" --no-ceilings --kernel "${words[0]:-conv_statistics}" --case "${words[1]:-layer4.0.conv2}" --smoke
    --out "$work/ncu.jsonl" "${sets[@]}")
  command -v ncu >/dev/null || missing="no ncu"
}

# Conformance compares with the CPU's optimizer in some tests, and that needs OpenBLAS: the system's, or one that was carried along.
openblas() {
  [ -n "${LNGD_OPENBLAS:-}" ] || [ ! -f .gpu-data/libopenblas.so.0 ] || export LNGD_OPENBLAS=$PWD/.gpu-data/libopenblas.so.0
}
