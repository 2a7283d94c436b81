#!/usr/bin/env bash
# Measures data-parallel training of a perceptron on Spark executors of one thread on this machine, and writes what
# scaling.py check reads. Nothing else may run beside it.
#   bench/scaling/measure.sh 784-2048-2048-10 1024 200 1,2,4 FILE.json   # widths, batch, steps of a run, ranks
set -euo pipefail
[ $# = 5 ] || {
  sed -n '2,4s/^# //p' "$0" >&2
  exit 2
}
out=$(readlink -m "$5")
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."

# With the reactor's own classes: nothing of it is in a repository.
mvn -q -B -ntp test -Dlngd.native.tests.skip=true -Dsurefire.failIfNoSpecifiedTests=false -pl java/lngd4j-spark -am \
  -Dtest=ScalingMeasurementTest -Dlngd.scaling="$1 $2 $3 $4 $out"
cat "$out"
