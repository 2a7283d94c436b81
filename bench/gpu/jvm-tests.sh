#!/usr/bin/env bash
# The JNI tests of a folder that pack-jvm.sh made, with its own JRE:
#   bench/gpu/jvm-tests.sh FOLDER [BUILD]
# BUILD: a build folder of this machine. Its liblngd.so and liblngd_cuda.so are then used, and the tests with the tag
# `device` run on the GPU; without it everything comes from FOLDER, and all tests run on the CPU.
set -euo pipefail
folder=$(cd "${1:?usage: jvm-tests.sh FOLDER [BUILD]}" && pwd)
build=${2:+$(cd "$2" && pwd)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -C "$work" -xzf "$folder/jre.tar.gz"
cp -r "$folder/natives" "$work/natives"

device=cpu tags=()
if [ -n "$build" ]; then
  # Natives that were built here, against this machine's driver; the JNI glue is the packed one.
  cp "$build/native/liblngd.so" "$work/natives/org/lngd4j/nativelib/global/linux-x86_64/"
  LNGD_CUDA_LIBRARY=$(find "$build" -name liblngd_cuda.so -print -quit)
  [ -n "$LNGD_CUDA_LIBRARY" ] || { echo "jvm-tests.sh: $build holds no liblngd_cuda.so" >&2; exit 1; }
  export LNGD_CUDA_LIBRARY
  device=cuda tags=(--include-tag device)
fi

classes=$folder/classes:$folder/test-classes:$work/natives
for jar in "$folder"/lib/*.jar; do classes=$classes:$jar; done
# The tests start JVMs of their own with this class path; natives are extracted to a cache that is ours.
export OPENBLAS_NUM_THREADS=1
"$work/jre/bin/java" -Dorg.bytedeco.javacpp.cachedir="$work/cache" -Dlngd.test.device="$device" -cp "$folder/console.jar:$classes" \
  org.junit.platform.console.ConsoleLauncher execute --disable-banner --details=summary --fail-if-no-tests \
  --scan-classpath "$folder/test-classes" "${tags[@]}"
