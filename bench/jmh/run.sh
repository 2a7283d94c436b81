#!/usr/bin/env bash
# Runs the JMH benchmarks with the threads of ND4J, OpenBLAS and LNGD alike, after a build (mvn -DskipTests package).
#
#   bench/jmh/run.sh THREADS [JMH OPTION ...]      e.g. bench/jmh/run.sh 1 TrainStep; bench/jmh/run.sh 2 StepOverhead -prof gc
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
threads=${1:?usage: run.sh THREADS [JMH OPTION ...]}
shift
[ -f target/classpath.txt ] || { echo "run.sh: build first: mvn -DskipTests package" >&2; exit 1; }
unset OPENBLAS_CORETYPE # a stale one would time another processor's kernels
export OMP_NUM_THREADS=$threads OPENBLAS_NUM_THREADS=$threads OMP_WAIT_POLICY=PASSIVE
exec java -Dorg.bytedeco.javacpp.logger=slf4j -cp "target/classes:$(<target/classpath.txt)" org.openjdk.jmh.Main \
  -jvmArgsAppend "-XX:+UseSerialGC -Dorg.bytedeco.javacpp.logger=slf4j" -p threads="$threads" "$@"
