#!/usr/bin/env bash
# Registers, shared memory and spills of every CUDA kernel as nvcc reports them, as a Markdown table: docs/kernels.md holds its output.
#   bench/gpu/resources.sh [SM ...]      80, 86, 89 and 90, as the build makes them, unless others are named; takes minutes
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../native/src/backend/cuda"
[ $# -gt 0 ] || set -- 80 86 89 90
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
sms=$*
echo "| file | kernel | registers, sm ${sms// / \/ } | static shared, bytes | stack, bytes | spilled, bytes |"
echo '|---|---|---|---|---|---|'
for file in apply_update.cu orthogonal_direction.cu factor_inverse.cu factor_inverse_large.cu dense_precondition.cu; do
  for sm in "$@"; do
    # sm_86 and sm_89 are assembled from the PTX of compute_80 (cmake/Cuda.cmake).
    compute=$sm
    case $sm in 86 | 89) compute=80 ;; esac
    nvcc -std=c++17 -O3 -gencode "arch=compute_$compute,code=sm_$sm" -I ../../../src -I ../../../include -Xptxas=-v -cubin -o "$out/cubin" "$file" 2>&1 | c++filt
  done | awk -v file="$file" '
    # Compiling entry function "NAME" (demangled) for "sm_80"; then the frame; then the registers.
    /Compiling entry function/ {
      name = $0
      sub(/.*Compiling entry function .?/, "", name)
      sub(/.? for .sm_.*/, "", name)
      gsub(/\(anonymous namespace\)::|lngd::cuda::|^void /, "", name)
      gsub(/\([A-Za-z_:]+\)/, "", name) # of template arguments: (Precision)1
      sub(/\(.*/, "", name)
      gsub(/\|/, "/", name)
    }
    /bytes stack frame/ { stack = $1; spilled = $5 + $9 }
    /Used [0-9]+ registers/ {
      used = $0; sub(/.*Used /, "", used); sub(/ .*/, "", used)
      bytes = 0
      if ($0 ~ /bytes smem/) { bytes = $0; sub(/ bytes smem.*/, "", bytes); sub(/.* /, "", bytes) }
      if (name in registers) {
        registers[name] = registers[name] " / " used
      } else {
        registers[name] = used
        order[++count] = name
      }
      if (bytes + 0 > shared[name] + 0) shared[name] = bytes
      if (stack + 0 > stacks[name] + 0) stacks[name] = stack
      if (spilled + 0 > spills[name] + 0) spills[name] = spilled
    }
    END {
      for (i = 1; i <= count; ++i) {
        name = order[i]
        printf "| `%s` | `%s` | %s | %d | %d | %d |\n", file, name, registers[name], shared[name], stacks[name], spills[name]
      }
    }'
done
