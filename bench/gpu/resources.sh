#!/usr/bin/env bash
# Registers, shared memory and spills of every CUDA kernel as nvcc reports them, as a Markdown table: docs/kernels.md holds its output.
#   bench/gpu/resources.sh [SM ...]      80 and 90 unless others are named; takes minutes
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../native/src/backend/cuda"
[ $# -gt 0 ] || set -- 80 90
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
echo '| file | kernel | sm | registers | static shared, bytes | stack, bytes | spilled, bytes |'
echo '|---|---|---|---|---|---|---|'
for file in *.cu; do
  for sm in "$@"; do
    nvcc -std=c++17 -O3 -arch="sm_$sm" -I ../../../src -I ../../../include -Xptxas=-v -cubin -o "$out/cubin" "$file" 2>&1 | c++filt |
      awk -v file="$file" -v sm="$sm" '
        # Compiling entry function "NAME" (demangled) for "sm_80"; then the frame; then the registers.
        /Compiling entry function/ {
          name = $0
          sub(/.*Compiling entry function .?/, "", name)
          sub(/.? for .sm_.*/, "", name)
          gsub(/\(anonymous namespace\)::|lngd::cuda::|^void /, "", name)
          gsub(/\([A-Za-z_:]+\)/, "", name) # of template arguments: (Precision)1
          sub(/\(.*/, "", name)
        }
        /bytes stack frame/ { stack = $1; spilled = $5 + $9 }
        /Used [0-9]+ registers/ {
          registers = $0; sub(/.*Used /, "", registers); sub(/ .*/, "", registers)
          shared = 0
          if ($0 ~ /bytes smem/) { shared = $0; sub(/ bytes smem.*/, "", shared); sub(/.* /, "", shared) }
          gsub(/\|/, "/", name)
          printf "| `%s` | `%s` | %s | %s | %s | %s | %s |\n", file, name, sm, registers, shared, stack, spilled
        }'
  done
done
