#!/usr/bin/env bash
# Checks (check) or repairs (fix) the format of all C and C++ sources with clang-format 14.
# Versions of clang-format disagree with each other, so any other one is not used.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tool=
for candidate in clang-format-14 clang-format; do
  if command -v "$candidate" >/dev/null && "$candidate" --version | grep -q 'version 14\.'; then
    tool=$candidate
    break
  fi
done
if [ -z "$tool" ]; then
  if [ "${LNGD_REQUIRE_CLANG_FORMAT:-}" = 1 ]; then
    echo "native/format.sh: clang-format 14 is required here and was not found" >&2
    exit 1
  fi
  echo "native/format.sh: clang-format 14 not found, C++ format not checked (apt-get install clang-format-14)"
  exit 0
fi

mapfile -d '' files < <(find native bench -path '*/target/*' -prune -o -path '*/build/*' -prune -o \
  -type f \( -name '*.h' -o -name '*.hpp' -o -name '*.c' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' \) -print0)
[ ${#files[@]} -gt 0 ] || exit 0
case "${1:-check}" in
  check)
    if ! "$tool" --dry-run -Werror "${files[@]}"; then
      echo "native/format.sh: run 'native/format.sh fix'" >&2
      exit 1
    fi
    ;;
  fix) "$tool" -i "${files[@]}" ;;
  *)
    echo "usage: native/format.sh check | fix" >&2
    exit 2
    ;;
esac
