#!/usr/bin/env bash
# Measures what it gives to add gradients during the backward pass: two ranks of one thread in two network namespaces
# of this machine, with a cable of a given speed between them. Needs root and ip; nothing else may run beside it.
#   bench/scaling/overlap.sh 784-2048-2048-10 512 10 1000,10000,0 FILE.json   # widths, batch of a rank, steps, Mbit/s
set -euo pipefail
[ $# = 5 ] || {
  sed -n '2,4s/^# //p' "$0" >&2
  exit 2
}
out=$(readlink -m "$5")
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."

# With the reactor's own classes: nothing of it is in a repository.
mvn -q -B -ntp test -Dlngd.native.tests.skip=true -Dsurefire.failIfNoSpecifiedTests=false -pl java/lngd4j-pytorch -am \
  -Dtest=OverlapMeasurementTest -Dlngd.overlap="$1 $2 $3 $4 $out"
cat "$out"
