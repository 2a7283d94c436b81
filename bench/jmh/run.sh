#!/usr/bin/env bash
# Runs the JMH benchmarks with the threads of ND4J, OpenBLAS and LNGD alike, after a build (mvn -DskipTests package).
#
#   bench/jmh/run.sh [--json FILE] THREADS [JMH OPTION ...]      e.g. bench/jmh/run.sh 1 TrainStep; bench/jmh/run.sh 2 StepOverhead -prof gc
#
# --json: one object with `machine` and `results`, JMH's own records.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
usage() { echo "usage: run.sh [--json FILE] THREADS [JMH OPTION ...]" >&2; exit 2; }
json=
if [ "${1:-}" = --json ]; then
  [ $# -ge 2 ] || usage
  json=$(realpath -m "$2")
  shift 2
fi
threads=${1:-}
[[ $threads =~ ^[1-9][0-9]*$ ]] || usage
shift
cd "$here"
[ -f target/classpath.txt ] || { echo "run.sh: build first: mvn -DskipTests package" >&2; exit 1; }
unset OPENBLAS_CORETYPE # a stale one would time another processor's kernels
export OMP_NUM_THREADS=$threads OPENBLAS_NUM_THREADS=$threads OMP_WAIT_POLICY=PASSIVE
options=()
if [ -n "$json" ]; then
  records=$(mktemp)
  trap 'rm -f "$records"' EXIT
  options=(-rf json -rff "$records")
fi
# ojAlgo takes all cores that it sees: a JVM that sees no more than it may use is the only limit.
cores=()
if command -v taskset >/dev/null; then cores=(taskset -c "0-$((threads - 1))"); fi
"${cores[@]}" java -Dorg.bytedeco.javacpp.logger=slf4j -cp "target/classes:$(<target/classpath.txt)" org.openjdk.jmh.Main \
  -jvmArgsAppend "-XX:+UseSerialGC -Dorg.bytedeco.javacpp.logger=slf4j" -p threads="$threads" "${options[@]}" "$@"
[ -n "$json" ] || exit 0
python3 - "$records" "$json" "$threads" <<'PYTHON'
import datetime, json, os, pathlib, subprocess, sys

records, out, threads = sys.argv[1:]
info = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
model = next((line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")), "unknown")
java = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr.splitlines()[0]
commit = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"], capture_output=True, text=True, check=False).stdout.strip()
machine = {"processor": model, "cores": os.cpu_count(), "threads": int(threads), "java": java, "commit": commit or "unknown",
           "date": datetime.date.today().isoformat()}
results = json.loads(pathlib.Path(records).read_text(encoding="utf-8"))
for result in results:  # these name paths of this machine
    result.pop("jvm", None)
    result.pop("jvmArgs", None)
pathlib.Path(out).write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n", encoding="utf-8")
PYTHON
