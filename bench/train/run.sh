#!/usr/bin/env bash
# The comparison of README.md: Fashion-MNIST, MLP 784-256-128-10, batch 256, 6 epochs, evaluated twice an epoch.
# LNGD with its defaults; Adam and SGD with (Nesterov) momentum 0.9, each with five learning rates on seed 1, with and
# without averaged weights, and on two seeds more the rate with the best final accuracy and the one first at 88 %. The schedule is the same for all: cosine to 0.
#
#   bench/train/run.sh THREADS OUT            every run has a folder in OUT; those that are there are not run again
#   java bench/train/Table.java OUT           the table
#
# About 10 minutes. Nothing else may run on the machine.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
threads=${1:?usage: run.sh THREADS OUT}
out=${2:?usage: run.sh THREADS OUT}
mkdir -p "$out"

train() { # name, options...
  local name=$1
  shift
  [ -f "$out/$name/summary.json" ] && return
  rm -rf "${out:?}/$name"
  "$here/../../lngd" train --epochs 6 --threads "$threads" --out "$out/$name" "$@" | tail -n 1 >/dev/null
  echo "$name: $(tail -n 1 "$out/$name/metrics.csv")"
}

# The best rates of seed 1: the one with the highest final accuracy, and the one that reached 88 % first.
best() { # optimizer, suffix
  local rate metrics
  for rate in $rates; do
    metrics=$out/$1-$rate$2-seed1/metrics.csv
    echo "$(tail -n 1 "$metrics" | cut -d, -f6) $rate"
  done | sort -rn | head -n 1 | cut -d' ' -f2
  for rate in $rates; do
    metrics=$out/$1-$rate$2-seed1/metrics.csv
    awk -F, -v rate="$rate" 'NR > 1 && $6 >= 0.88 { print $2, 1 - $6, rate; exit }' "$metrics"
  done | sort -n | head -n 1 | cut -d' ' -f3
}

for seed in 1 2 3; do
  train "lngd-seed$seed" --optimizer lngd --seed "$seed"
done
for optimizer in adam sgd; do
  case $optimizer in
    adam) rates="0.0003 0.001 0.003 0.006 0.01" ;;
    sgd) rates="0.01 0.03 0.1 0.2 0.4" ;;
  esac
  for average in "" -averaged; do
    flag=--no-averaged-weights
    [ -z "$average" ] || flag=--averaged-weights
    for rate in $rates; do
      train "$optimizer-$rate$average-seed1" --optimizer "$optimizer" --learning-rate "$rate" "$flag" --seed 1
    done
    for rate in $(best "$optimizer" "$average" | sort -u); do
      for seed in 2 3; do
        train "$optimizer-$rate$average-seed$seed" --optimizer "$optimizer" --learning-rate "$rate" "$flag" --seed "$seed"
      done
    done
  done
done
