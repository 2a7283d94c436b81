#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Configures and builds some targets, for run.sh:
#   bench/gpu/build.sh FOLDER ARCHITECTURES JOBS TARGET ...
# ARCHITECTURES as CMake wants them (90-real); `as-it-is`: FOLDER was configured by somebody else and stays as it is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=$1 architectures=$2 jobs=$3
shift 3
cmake=${LNGD_CMAKE:-cmake}
if [ "$architectures" != as-it-is ]; then
  generator=() # a folder keeps the one that it has
  [ -f "$folder/CMakeCache.txt" ] || ! command -v ninja >/dev/null || generator=(-G Ninja)
  # Other compilers know other warnings: none of them may cost a call.
  "$cmake" "${generator[@]}" -S . -B "$folder" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CUDA_ARCHITECTURES="$architectures" -DLNGD_WERROR=OFF
  echo "configured after $SECONDS s"
fi
# One broken kernel must not cost the programs that do not need it.
go_on=(-k)
[ ! -f "$folder/build.ninja" ] || go_on=(-k 0)
code=0
"$cmake" --build "$folder" --parallel "$jobs" --target "$@" -- "${go_on[@]}" || code=$?
if [ -f "$folder/.ninja_log" ]; then
  echo "The files that took longest, in ms:"
  awk -F '\t' 'NF == 5 { took[$4] = $2 - $1 } END { for (f in took) print took[f] "\t" f }' "$folder/.ninja_log" | sort -rn | sed -n 1,8p
fi
exit "$code"
