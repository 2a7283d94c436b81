# SPDX-License-Identifier: Apache-2.0
# The first call: is it right, and how fast are the kernels. The most decisive number comes first.
plan='
# stage        least most  needs
build             40  110  wrappers backend library step kernels
self-test          3   15  wrappers
step              12   45  backend library step
kernels           35   90  kernels
peers             40   85
build-tests       12   60  conformance
conformance       25   60  conformance backend
memcheck           0   60  kernels
racecheck          0   60  kernels
synccheck          0   30  kernels
other-kernels      0  600  kernels
other-peers        0  600
ncu                -    -  kernels
'
# A JRE and the JNI tests, where pack-jvm.sh packed them.
[ ! -d .gpu-jvm ] || plan+='jni 0 60 library backend
'
others=()
for name in resnet50-imagenet transformer-big mlp lenet; do others+=("bench/layers/$name.csv"); done
[ -z "$dry" ] || others=("${sets[@]}")

command_of() {
  case $1 in
    self-test)
      command=("${file[wrappers]}")
      [ -z "$dry" ] || command+=(wrapper) # a part of all tests of the emulator
      ;;
    step) restarted "${file[step]}" --device "$device" "${smoke[@]}" "${sets[@]}" ;;
    kernels) restarted "${file[kernels]}" "${smoke[@]}" "${sets[@]}" ;;
    other-kernels) restarted "${file[kernels]}" --no-ceilings "${smoke[@]}" "${others[@]}" ;;
    peers) peers_command "${sets[@]}" ;;
    other-peers) peers_command --no-training "${others[@]}" ;;
    conformance)
      openblas
      command=("${file[conformance]}" --quick --device "$device")
      [ -z "$dry" ] || command+=(step_presets) # a ctest runs the others
      ;;
    memcheck | racecheck | synccheck) # on tiny layers; what these runs measure is nothing
      command=(compute-sanitizer --tool "$1" --error-exitcode 9 "${file[kernels]}" --smoke --out "$work/$1.jsonl" bench/gpu/smoke.csv)
      command -v compute-sanitizer >/dev/null || missing="no compute-sanitizer"
      ;;
    jni) command=(bench/gpu/jvm-tests.sh .gpu-jvm "$build") ;;
    ncu) ncu_command ;;
  esac
}
