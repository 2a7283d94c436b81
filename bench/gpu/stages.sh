# SPDX-License-Identifier: Apache-2.0
# The stages of bench/gpu/run.sh, which sources this file: each gets the time that is left, writes its row when it ends, and the
# table is made again after it. README.md says what a plan is.

# row NAME JSON ...: one line of the results.
row() {
  local line=
  while [ $# -gt 1 ]; do
    line+="${line:+,}\"$1\":$2"
    shift 2
  done
  # A program that was killed may have left half a line: it must not swallow this one.
  [ ! -s "$rows" ] || [ -z "$(tail -c 1 "$rows")" ] || echo >>"$rows"
  echo "{$line}" >>"$rows"
}

# A JSON string.
quoted() {
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "${text//[[:cntrl:]]/ }"
}

# fact NAME COMMAND...: the first line of the command's output.
fact() {
  local name=$1 value
  shift
  value=$("$@" 2>/dev/null | head -n 1) || true
  row suite '"fact"' name "$(quoted "$name")" value "$(quoted "${value:-unknown}")"
  printf '%-22s %s\n' "$name" "${value:-unknown}"
}

left() { echo $((budget - reserve - SECONDS)); }

# ended NAME EXIT SECONDS
ended() {
  local meaning="exit $2"
  case $2 in
    0) meaning="done" ;;
    124 | 137) meaning="stopped at its limit" ;;
  esac
  row suite '"stage"' stage "$(quoted "$1")" exit "$2" seconds "$3" left "$(left)"
  printf '%-16s %-22s %4d s, %4d s left\n' "$1" "$meaning" "$3" "$(left)"
}

# skipped NAME REASON
skipped() {
  row suite '"stage"' stage "$(quoted "$1")" skipped "$(quoted "$2")"
  printf '%-16s not run: %s\n' "$1" "$2"
}

# Made anew each time, and put there by one rename: a run that is killed leaves a whole table.
table() { "$python" bench/gpu/table.py --json "$OUT/results.json" --table "$OUT/table.md" "$rows" "$curves" >>"$log" 2>&1; }

# trim_log OFFSET: of what was written after it, the head and the tail. With 16 stages the log stays below 16 MiB.
trim_log() {
  local size most=$((480 * 1024))
  size=$(($(stat -c %s "$log") - $1))
  ((size > 2 * most)) || return 0
  tail -c +$(($1 + 1)) "$log" >"$work/stage.log"
  truncate -s "$1" "$log"
  {
    head -c $most "$work/stage.log"
    printf '\n[... %d bytes left out ...]\n' $((size - 2 * most))
    tail -c $most "$work/stage.log"
  } >>"$log"
  rm -f "$work/stage.log"
}

# run_stage NAME LEAST MOST LATER NEEDS...: LATER are the seconds that the stages behind it are kept. It gets what is left without
# them, at least LEAST and at most MOST: one that hangs takes what the others can spare and no more.
run_stage() {
  local name=$1 least=$2 most=$3 later=$4 limit code at
  needs=("${@:5}")
  limit=$(($(left) - later))
  ((limit >= least)) || limit=$least
  ((limit <= most)) || limit=$most
  ((limit <= $(left))) || limit=$(left)
  if ((limit < 2)); then
    skipped "$name" "no time left"
    return
  fi
  # For a program that watches the clock itself: it looks between two cases, so it is told to end some seconds earlier.
  soft=$((limit - limit / 12 - 3))
  ((soft > 0)) || soft=1
  command=() missing=
  case $name in
    build*) build_command "${needs[@]}" ;;
    *)
      missing=$(not_built "${needs[@]}")
      [ -n "$missing" ] || command_of "$name"
      ;;
  esac
  if [ -n "$missing" ]; then
    [ -n "$dry" ] || failed=1 # a rehearsal may lack PyTorch; a measurement may not
    skipped "$name" "$missing"
    table
    return
  fi
  at=$(stat -c %s "$log")
  printf '\n=== %s, at %d s, at most %d s: %s\n' "$name" "$SECONDS" "$limit" "${command[*]}" >>"$log"
  row suite '"stage"' stage "$(quoted "$name")" started "$SECONDS" limit "$limit"
  current=$name started=$SECONDS
  # In the background, so that a signal to this script is answered at once. timeout makes a process group and stops all of it.
  timeout --kill-after=3 "$limit" "${command[@]}" >>"$log" 2>&1 </dev/null &
  child=$!
  wait "$child"
  code=$?
  child=
  if ((code != 0)); then
    failed=1
    tail -c +$((at + 1)) "$log" | tail -n 12 | cut -c -200 | sed 's/^/    /'
  fi
  trim_log "$at"
  ended "$name" "$code" $((SECONDS - started))
  table
}

# The lines of the plan that are to run: all, or with --only the one asked for and the build that it needs.
chosen() {
  if [ -z "$only" ]; then
    awk 'NF && $1 !~ /^#/ && $2 != "-"' <<<"$plan"
    return
  fi
  local line name needs
  line=$(awk -v only="$only" '$1 == only' <<<"$plan")
  if [ -z "$line" ]; then
    echo "run.sh: --only $only: the stages of $plan_name are $(awk 'NF && $1 !~ /^#/ { printf sep $1; sep = ", " }' <<<"$plan")" >&2
    return 1
  fi
  read -r name _ _ needs <<<"$line"
  case $name in build*) ;; *) [ -z "$needs" ] || echo "build 0 $budget $needs" ;; esac
  echo "$name 0 $budget $needs"
}

run_plan() {
  local stages name least most needs later=0 names=
  stages=$(chosen)
  while read -r name least _; do
    names+="${names:+,}$(quoted "$name")"
    later=$((later + least))
  done <<<"$stages"
  row suite '"plan"' plan "$(quoted "$plan_name")" seconds "$budget" stages "[$names]"
  table
  while read -r name least most needs <&3; do
    later=$((later - least))
    # shellcheck disable=SC2086 # words
    run_stage "$name" "$least" "$most" "$later" $needs
  done 3<<<"$stages"
}

# A signal: the stage ends, the table is made, the rows stay.
stop() {
  trap '' TERM INT HUP
  failed=1
  echo "stopped by a signal after $SECONDS s"
  if [ -n "$child" ]; then
    kill -TERM "$child" 2>/dev/null # timeout hands it on
    wait "$child" 2>/dev/null
    ended "$current" 143 $((SECONDS - started))
  fi
  finish
}

# The table, the limits of what may come back, the last words.
finish() {
  table || failed=1
  "$python" bench/gpu/limits.py "$OUT" || failed=1
  [ ! -f "$OUT/table.md" ] || sed -n '/^## Targets/,/^Wrong results/p' "$OUT/table.md"
  echo "$OUT: $(cd "$OUT" && echo *) after $SECONDS of $budget s"
  exit "$failed"
}
