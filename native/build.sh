#!/usr/bin/env bash
# Builds liblngd and runs its tests, on machines that may lack cmake and make.
#
#   native/build.sh build DIR [TARGET]   configure and build in DIR, and put the libraries into the folder TARGET too
#   native/build.sh test DIR             run the C++ tests built there
#   native/build.sh bench DIR            build the benchmarks of the CPU kernels in DIR, and print where the program is
#   native/build.sh has-cmake            print true if the system's cmake will do, else false
#
# Environment
#   LNGD_CMAKE_HOME   folder with bin/cmake and bin/ctest, used where the system has no cmake >= 3.20
#   LNGD_BUILD_TYPE   Release (default), RelWithDebInfo or Debug
#   LNGD_SKIP_TESTS   true: the tests are not built
#   LNGD_QUICK_TESTS  true: of the tests, the quick part of the conformance suite on the CPU; nothing of CUDA is built
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
  echo "native/build.sh: $*" >&2
  exit 1
}

system_cmake_is_new() {
  command -v cmake >/dev/null && command -v ctest >/dev/null || return 1
  local version major minor
  version=$(cmake --version | sed -n '1s/.*version \([0-9]*\.[0-9]*\).*/\1/p')
  major=${version%%.*}
  minor=${version#*.}
  [ -n "$version" ] && { [ "$major" -gt 3 ] || { [ "$major" -eq 3 ] && [ "$minor" -ge 20 ]; }; }
}

# Sets $cmake and $ctest.
find_cmake() {
  if system_cmake_is_new; then
    cmake=cmake ctest=ctest
  elif [ -n "${LNGD_CMAKE_HOME:-}" ] && [ -f "$LNGD_CMAKE_HOME/bin/cmake" ]; then
    # Maven's unpacking drops the executable bit.
    chmod +x "$LNGD_CMAKE_HOME/bin/cmake" "$LNGD_CMAKE_HOME/bin/ctest"
    cmake=$LNGD_CMAKE_HOME/bin/cmake ctest=$LNGD_CMAKE_HOME/bin/ctest
  else
    fail "no cmake >= 3.20 found: install one (apt-get install cmake) or build with 'mvn verify', which brings one"
  fi
}

# fetch DIR PACKAGE...: Debian packages, unpacked in DIR without root. The lists of a fresh container may be empty: then they
# are fetched too.
fetch() {
  local dir=$1
  shift
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
  mkdir -p "$dir"
  (
    cd "$dir"
    if ! apt-get -q download "$@"; then
      mkdir -p lists/partial cache/archives/partial
      local own=(-o "Dir::State::Lists=$PWD/lists" -o "Dir::Cache=$PWD/cache" -o Debug::NoLocking=1)
      apt-get -q "${own[@]}" update && apt-get -q "${own[@]}" download "$@"
    fi
    local package
    for package in "$@"; do dpkg -x "$package"_*.deb .; done
  ) >"$dir/fetch.log" 2>&1
}

# Sets $generator.
find_generator() {
  local tools=$1/tools
  if command -v ninja >/dev/null; then
    generator=(-G Ninja)
  elif command -v make >/dev/null; then
    generator=(-G 'Unix Makefiles')
  else
    if [ ! -x "$tools/usr/bin/make" ]; then
      echo "native/build.sh: neither ninja nor make found; fetching Debian's make into $tools"
      mkdir -p "$tools"
      fetch "$tools" make ||
        fail "could not fetch make ($(tail -n 1 "$tools/fetch.log" 2>/dev/null || echo 'no apt-get here')): install ninja or make"
    fi
    generator=(-G 'Unix Makefiles' "-DCMAKE_MAKE_PROGRAM=$tools/usr/bin/make")
  fi
}

# Runs a command with its output kept in $log, which is shown if the command fails.
logged() {
  "$@" >>"$log" 2>&1 || {
    cat "$log" >&2
    fail "failed: $*"
  }
}

# Puts the libraries that folder $1 has into folder $2, and takes out those that this build has not got any more.
publish() {
  local library from to
  mkdir -p "$2"
  for library in liblngd.so liblngd_cuda.so liblngd_cuda_emulated.so; do
    from=$1/native/$library to=$2/$library
    if [ ! -f "$from" ]; then
      rm -f "$to"
    elif ! cmp -s "$from" "$to"; then
      # Not written over: a running program may have the old one mapped.
      cp "$from" "$to.new"
      mv "$to.new" "$to"
    fi
  done
}

build() {
  local dir=$1 target=$2 tests=ON start=$SECONDS
  [ "${LNGD_SKIP_TESTS:-false}" = true ] && tests=OFF
  command -v "${CXX:-g++}" >/dev/null || fail "no C++ compiler found: install g++ (apt-get install g++)"
  find_cmake
  mkdir -p "$dir"
  log=$dir/build.log
  : >"$log"
  # A build folder belongs to one cmake, one generator and one place in the file system: a changed one starts anew.
  find_generator "$dir"
  local identity
  identity="$("$cmake" --version | sed -n 1p) ${generator[*]} $root $dir"
  if [ "$(cat "$dir/identity" 2>/dev/null || true)" != "$identity" ]; then
    rm -rf "$dir/CMakeCache.txt" "$dir/CMakeFiles" "$dir/build.ninja" "$dir/Makefile"
    echo "$identity" >"$dir/identity"
  fi
  logged "$cmake" -S "$root" -B "$dir" "${generator[@]}" -DCMAKE_BUILD_TYPE="${LNGD_BUILD_TYPE:-Release}" \
    -DLNGD_BUILD_TESTS=$tests
  sed -n 's/^-- \(LNGD: \)/\1/p' "$log"
  local targets=()
  [ "${LNGD_QUICK_TESTS:-false}" = true ] && [ $tests = ON ] && targets=(--target lngd lngd_conformance)
  logged "$cmake" --build "$dir" --parallel "$(nproc)" "${targets[@]}"
  [ -z "$target" ] || publish "$dir" "$target"
  echo "LNGD: liblngd.so is up to date ($((SECONDS - start)) s)"
}

# Google Benchmark from the system, or Debian's packages without root.
bench() {
  local dir=$1 found=()
  find_cmake
  mkdir -p "$dir"
  log=$dir/build.log
  : >"$log"
  find_generator "$dir"
  if [ ! -f /usr/include/benchmark/benchmark.h ] && [ ! -f /usr/local/include/benchmark/benchmark.h ]; then
    local tools=$dir/google-benchmark
    if [ ! -f "$tools/usr/include/benchmark/benchmark.h" ]; then
      echo "native/build.sh: Google Benchmark not found; fetching Debian's into $tools" >&2
      fetch "$tools" libbenchmark-dev libbenchmark1debian ||
        fail "could not fetch it ($(tail -n 1 "$tools/fetch.log" 2>/dev/null || echo 'no apt-get here')): install libbenchmark-dev"
    fi
    found=("-DCMAKE_PREFIX_PATH=$tools/usr" -DCMAKE_FIND_ROOT_PATH= "-DCMAKE_LIBRARY_ARCHITECTURE=$(gcc -dumpmachine)")
  fi
  # Without nvcc, which takes minutes and has no part in this.
  logged "$cmake" -S "$root" -B "$dir" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DLNGD_CUDA=OFF "${found[@]}" >&2
  logged "$cmake" --build "$dir" --parallel "$(nproc)" --target lngd_bench >&2
  echo "$dir/bench/native/lngd_bench"
}

case "${1:-}" in
  bench)
    [ $# -eq 2 ] || fail "usage: bench DIR"
    bench "$2"
    ;;
  has-cmake)
    if system_cmake_is_new; then echo true; else echo false; fi
    ;;
  build)
    [ $# -eq 2 ] || [ $# -eq 3 ] || fail "usage: build DIR [TARGET]"
    build "$2" "${3:-}"
    ;;
  test)
    [ $# -eq 2 ] || fail "usage: test DIR"
    find_cmake
    only=()
    [ "${LNGD_QUICK_TESTS:-false}" = true ] && only=(-C quick -R '^conformance_quick$')
    # Most of them have one thread; none is timed.
    "$ctest" --test-dir "$2" --parallel "$(nproc)" --output-on-failure --no-tests=error "${only[@]}"
    ;;
  *)
    fail "usage: build DIR [TARGET] | test DIR | bench DIR | has-cmake"
    ;;
esac
