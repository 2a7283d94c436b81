#!/usr/bin/env bash
# Measures DL4J's own training on Spark, by averaging of parameters, on executors of one thread on this machine.
#   bench/scaling/averaging.sh 784-2048-2048-10 1024 40 1,2,4   # widths, batch, steps, workers
set -euo pipefail
[ $# = 4 ] || {
  sed -n '2,3s/^# //p' "$0" >&2
  exit 2
}
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/averaging"
mvn -q -B -ntp compile >&2
export SPARK_HOME=$PWD/target/spark-home SPARK_SCALA_VERSION=2.12 SPARK_LOCAL_IP=127.0.0.1
rm -rf "$SPARK_HOME" # jars of an earlier build
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
opens=()
for package in java.lang java.lang.invoke java.lang.reflect java.io java.net java.nio java.util java.util.concurrent \
  java.util.concurrent.atomic sun.nio.ch sun.nio.cs sun.security.action sun.util.calendar; do
  opens+=("--add-opens=java.base/$package=ALL-UNNAMED")
done
export AVERAGING_JVM="${opens[*]}"
exec java -Xmx4g "${opens[@]}" -cp "target/classes:$(<target/classpath.txt)" Averaging "$@"
