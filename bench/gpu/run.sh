#!/usr/bin/env bash
# Everything that a GPU is needed for, in one call of less than nine minutes on a machine with CUDA 13 (nvcc, CMake, Ninja), Python
# with PyTorch and nothing else; no network. See README.md beside this file.
#   bench/gpu/run.sh          writes log.txt, results.json and table.md to $OUT, or to bench/gpu/out
#   bench/gpu/run.sh --dry    without a GPU: builds, emulated run of the benchmark, checks of the Python parts
# Every stage has a time limit of its own; one that fails is recorded and the next one still runs. Exit code 0: all went well.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

dry=
case "${1:-}" in
  '') ;;
  --dry) dry=1 ;;
  *)
    echo "usage: bench/gpu/run.sh [--dry]" >&2
    exit 2
    ;;
esac

budget=${LNGD_GPU_SECONDS:-530} # of the whole call
reserve=15                      # of them for the table
OUT=${OUT:-bench/gpu/out}
work=target/gpu-bench${dry:+-dry} # ignored by git; kept between calls
build=$work/build
mkdir -p "$OUT" "$work"
log=$OUT/log.txt
machine=$work/machine.tsv stages=$work/stages.tsv ours=$work/ours.jsonl steps=$work/steps.jsonl peers=$work/peers.jsonl
rm -f "$log" "$machine" "$stages" "$ours" "$steps" "$peers" "$OUT/results.json" "$OUT/table.md"
: >"$log"
: >"$machine"
: >"$stages"
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
failed=0

# stage NAME SECONDS COMMAND...
stage() {
  local name=$1 limit=$2 left=$((budget - reserve - SECONDS)) start=$SECONDS code
  shift 2
  ((limit <= left)) || limit=$left
  printf '\n=== %s: %s (at most %s s)\n' "$name" "$*" "$limit" >>"$log"
  if ((limit < 3)); then
    echo "no time left" >>"$log"
    code=124
  else
    timeout --kill-after=5 "$limit" "$@" >>"$log" 2>&1
    code=$?
  fi
  printf '%s\t%d\t%d\n' "$name" "$code" $((SECONDS - start)) >>"$stages"
  printf '%-28s exit %-3d %4d s\n' "$name" "$code" $((SECONDS - start))
  if ((code != 0)); then
    failed=1
    tail -n 12 "$log" | cut -c -200 | sed 's/^/    /'
  fi
  return "$code"
}

# fact KEY COMMAND...: the first line of its output, into the results.
fact() {
  local key=$1 value
  shift
  value=$("$@" 2>/dev/null | head -n 1) || true
  printf '%s\t%s\n' "$key" "${value:-unknown}" >>"$machine"
}

smi() { nvidia-smi --query-gpu="$1" --format=csv,noheader; }
nvcc_release() { nvcc --version | sed -n 's/.*release \([0-9.]*\).*/\1/p'; }
# A copy of the tree that travelled without .git cannot tell its commit: LNGD_COMMIT does.
commit() { git rev-parse HEAD 2>/dev/null || echo "${LNGD_COMMIT:-}"; }
changes() { git status --porcelain --untracked-files=no 2>/dev/null | wc -l; }

command -v nvcc >/dev/null || PATH=$PATH:/usr/local/cuda/bin
# The CUDA backend where a build has it; the library would look beside its own file only.
cuda_library() { find "$PWD/$build" -name liblngd_cuda.so -print -quit; }

fact date date -u +%Y-%m-%dT%H:%MZ
fact commit commit
fact 'changed files' changes
fact gpu smi name
fact driver smi driver_version
fact 'compute capability' smi compute_cap
fact memory smi memory.total
fact 'power limit' smi power.limit
fact 'highest SM clock' smi clocks.max.sm
fact nvcc nvcc_release
fact compiler g++ -dumpfullversion
fact cores nproc
cat "$machine" | tee -a "$log" | column -t -s $'\t' 2>/dev/null || cat "$machine"

jobs=(nice -n 10 ninja -C "$build")
if [ -n "$dry" ]; then
  architectures=90-real
  jobs+=(-j2)
  targets=(lngd_gpu_bench_emulated lngd_step_bench_emulated)
  command -v nvcc >/dev/null && targets+=(lngd_gpu_bench lngd_step_bench simt_wrappers_gpu)
else
  architectures=$(smi compute_cap | head -n 1 | tr -d .)-real
  targets=(simt_wrappers_gpu lngd_conformance lngd_gpu_bench lngd_step_bench)
  [ ! -d .gpu-jvm ] || targets+=(lngd)
fi
# Other compilers know other warnings: none of them may cost a call.
stage configure 60 cmake -G Ninja -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CUDA_ARCHITECTURES="$architectures" -DLNGD_WERROR=OFF
[ -f "$build/build.ninja" ] && grep -q '^build lngd_cuda:' "$build/build.ninja" && targets+=(lngd_cuda)

sets=()
for name in resnet18-cifar resnet50-imagenet transformer-big mlp lenet; do sets+=("bench/layers/$name.csv"); done
bench=$build/bench/gpu/lngd_gpu_bench

if [ -n "$dry" ]; then
  budget=3600
  stage build 3000 "${jobs[@]}" "${targets[@]}"
  stage 'layer sets' 60 java bench/layers/Layers.java check bench/layers
  # docs/kernels.md holds what the counts print.
  stage 'counts of docs/kernels.md' 60 bash -c 'set -o pipefail
    java bench/layers/Counts.java bench/layers resnet18-cifar resnet50-imagenet transformer-big | grep -v "^$" |
      while IFS= read -r line; do grep -qxF -e "$line" docs/kernels.md || { echo "not in docs/kernels.md: $line"; exit 1; }; done'
  stage 'python syntax' 30 python3 -c 'import ast, sys; [ast.parse(open(f).read(), f) for f in sys.argv[1:]]' bench/gpu/*.py
  stage 'table tests' 30 python3 bench/gpu/test_table.py
  stage 'emulated benchmark' 120 "$build/bench/gpu/emulated/lngd_gpu_bench_emulated" --smoke --out "$ours" bench/gpu/smoke.csv
  stage 'emulated steps' 120 "$build/bench/gpu/emulated/lngd_step_bench_emulated" --device emulated --smoke --out "$steps" bench/gpu/smoke.csv
  if python3 -c 'import torch' 2>/dev/null; then
    stage 'peer tests' 120 python3 bench/gpu/test_peers.py
    stage 'peers on the CPU' 300 python3 bench/gpu/peers.py --device cpu --smoke --out "$peers" bench/gpu/smoke.csv
  else
    echo "peers.py not run: this python3 has no PyTorch"
  fi
else
  # One target after another where the build breaks: a broken kernel must not cost the ones that compile.
  stage build 130 "${jobs[@]}" -k 0 "${targets[@]}"
  stage 'wrapper self-test' 15 "$build/native/simt_wrappers_gpu"
  stage 'conformance' 50 env LNGD_TEST_DEVICE=cuda LNGD_CUDA_LIBRARY="$(cuda_library)" "$build/native/test/lngd_conformance" --quick
  stage 'memcheck' 40 compute-sanitizer --tool memcheck --error-exitcode 9 "$bench" --smoke --out "$work/memcheck.jsonl" bench/gpu/smoke.csv
  stage 'racecheck' 40 compute-sanitizer --tool racecheck --error-exitcode 9 "$bench" --smoke --out "$work/racecheck.jsonl" bench/gpu/smoke.csv
  stage 'whole steps' 45 env LNGD_CUDA_LIBRARY="$(cuda_library)" "$build/bench/gpu/lngd_step_bench" --seconds 25 --out "$steps" "${sets[0]}" bench/layers/mlp.csv
  stage 'benchmark' 140 "$bench" --seconds 120 --out "$ours" "${sets[@]}"
  stage 'peers' 165 python3 bench/gpu/peers.py --seconds 140 --out "$peers" "${sets[@]}"
  [ ! -d .gpu-jvm ] || stage 'JNI tests' 40 bench/gpu/jvm-tests.sh .gpu-jvm "$build"
fi

reserve=0
stage table 30 python3 bench/gpu/table.py --ours "$ours" --steps "$steps" --peers "$peers" --machine "$machine" --stages "$stages" \
  --json "$OUT/results.json" --table "$OUT/table.md"
[ ! -f "$OUT/table.md" ] || sed -n '/^## Targets/,/^Wrong results/p' "$OUT/table.md"
echo "$OUT: $(ls "$OUT" | tr '\n' ' ')in $SECONDS s"
exit "$failed"
