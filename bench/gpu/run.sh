#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything that a GPU is needed for, in two calls of four and a half minutes each; README.md beside this file says how.
#   bench/gpu/run.sh first                         build, self-test, a whole step, kernels, PyTorch on the same shapes, tests
#   bench/gpu/run.sh paper                         CIFAR-10 with LNGD and its rivals
#   bench/gpu/run.sh PLAN --only STAGE [WORD ...]  one stage, with the build that it needs; words that begin with - behind --
#   bench/gpu/run.sh PLAN --dry                    a rehearsal without a GPU, with the emulated build
# Exit code: 0 all went well, 1 a stage failed or a result was wrong, 2 it was called wrongly.
set -uo pipefail
[ -z "${OUT:-}" ] || OUT=$(realpath -m "$OUT")
[ -z "${LNGD_GPU_BUILD:-}" ] || LNGD_GPU_BUILD=$(realpath -e "$LNGD_GPU_BUILD") || exit 2
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2

usage() {
  sed -n '4,7s/^# *//p' bench/gpu/run.sh >&2
  exit 2
}
dry='' only='' words=()
case "${1:-}" in '' | -*) usage ;; esac
plan_name=$1
shift
while [ $# -gt 0 ]; do
  case $1 in
    --dry) dry=1 ;;
    --only)
      [ $# -gt 1 ] || usage
      only=$2
      shift
      ;;
    --)
      shift
      words+=("$@")
      break
      ;;
    -*) usage ;;
    *) [ -n "$only" ] && words+=("$1") || usage ;;
  esac
  shift
done
case $only in
  ncu | cifar10) ;; # hand them on
  *) [ ${#words[@]} = 0 ] || usage ;;
esac
plan_file=bench/gpu/plans/$plan_name.sh
[[ $plan_name != */* ]] || plan_file=$plan_name # somebody's own
[ -f "$plan_file" ] || {
  echo "run.sh: no plan $plan_name: $(cd bench/gpu/plans && echo *.sh)" >&2
  exit 2
}

budget=${LNGD_GPU_SECONDS:-270} # of the whole call
reserve=8                       # of them for the last table
OUT=${OUT:-bench/gpu/out}
work=target/gpu-bench${dry:+-dry} # ignored by git; a second call on the same machine finds its build there
build=$PWD/$work/build
python=${LNGD_PYTHON:-python3}
failed=0 child='' current='' started=0
mkdir -p "$OUT" "$work"
log=$OUT/log.txt rows=$OUT/rows.jsonl curves=$OUT/cifar10.jsonl
rm -f "$log" "$rows" "$curves" "$OUT"/{results.json,table.md,ncu.txt}
: >"$log"
: >"$rows"
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

# Asked once: each time can take a second.
card_facts=(gpu driver 'compute capability' memory 'power limit' 'highest SM clock')
card_line=$(nvidia-smi --query-gpu=name,driver_version,compute_cap,memory.total,power.limit,clocks.max.sm --format=csv,noheader 2>/dev/null |
  head -n 1)
card() { cut -d , -f "$1" <<<"$card_line" | sed 's/^ *//'; }
nvcc_release() { nvcc --version | sed -n 's/.*release \([0-9.]*\).*/\1/p'; }
# A copy of the tree that travelled without .git cannot tell its commit: LNGD_COMMIT does.
commit() { git rev-parse HEAD 2>/dev/null || echo "${LNGD_COMMIT:-}"; }
changes() { git rev-parse HEAD >/dev/null && git status --porcelain --untracked-files=no | wc -l; }

command -v nvcc >/dev/null || PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin

. bench/gpu/programs.sh
. bench/gpu/stages.sh
# shellcheck source=/dev/null
. "$plan_file"
chosen >/dev/null || exit 2
trap stop TERM INT HUP

fact plan echo "$plan_name${dry:+ --dry}${only:+ --only $only}"
fact date date -u +%Y-%m-%dT%H:%MZ
fact commit commit
fact 'changed files' changes
for i in "${!card_facts[@]}"; do fact "${card_facts[i]}" card $((i + 1)); done
fact nvcc nvcc_release
fact compiler g++ -dumpfullversion
fact cores nproc
if [ -n "$dry" ] && [ "$architectures" != as-it-is ]; then
  # Here, where there may be two cores, building from nothing takes minutes: not a part of the rehearsal's time.
  echo "building in $build, as long as it takes: $log"
  mapfile -t needs < <(chosen | awk '{ for (i = 4; i <= NF; ++i) print $i }' | sort -u)
  build_command "${needs[@]}"
  [ ${#needs[@]} = 0 ] || "${command[@]}" >>"$log" 2>&1 </dev/null || tail -n 12 "$log"
  SECONDS=0
fi
run_plan
finish
