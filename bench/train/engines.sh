#!/usr/bin/env bash
# Time of a training step on both engines, LNGD and Adam: what the PyTorch engine gains, and what LNGD costs on it.
#
#   bench/train/engines.sh OUT [TASK...]      tasks: mlp resnet8 resnet18 (default: all). CIFAR10=DIR names a folder with the
#                                             binary files. REPEATS (default 3)
#
# Repeats go round: every contender once, then again, so that a machine that slows down slows all alike. Nothing else may run on the
# machine. What is done is kept in OUT; the table is printed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(mkdir -p "${1:?usage: engines.sh OUT [TASK...]}" && cd "$1" && pwd)
shift
tasks=("$@")
[ ${#tasks[@]} -gt 0 ] || tasks=(mlp resnet8 resnet18)
export LNGD_ONEDNN=1 # DL4J's convolutions at their best

run() { # task, name of the row, engine, threads, options...
  local folder=$out/$1/$2/$repeat
  [ -f "$folder/summary.json" ] && return
  rm -rf "$folder"
  mkdir -p "$(dirname "$folder")"
  if ! LNGD_ND4J_THREADS=$4 "$here/../../lngd" train --engine "$3" --threads "$4" --out "$folder" "${@:5}" >"$folder.log" 2>&1; then
    tail -n 3 "$folder.log" >&2
    exit 1
  fi
}

for task in "${tasks[@]}"; do
  for repeat in $(seq "${REPEATS:-3}"); do
    case $task in
      mlp)
        for engine in dl4j pytorch; do
          run mlp "$engine, Adam" $engine 1 --epochs 2 --optimizer adam
          run mlp "$engine, LNGD recipe" $engine 1 --epochs 2
          run mlp "$engine, LNGD recommended" $engine 1 --epochs 2 --preset recommended
        done
        ;;
      resnet8)
        common=(--data "${CIFAR10:-cifar10}" --model resnet8 --train-samples 10000 --batch 64 --epochs 1 --eval-every 1)
        for threads in 1 2; do
          for engine in dl4j pytorch; do
            run resnet8 "$engine, LNGD recommended, $threads threads" $engine $threads "${common[@]}" --preset recommended
          done
        done
        run resnet8 "pytorch, Adam, 1 threads" pytorch 1 "${common[@]}" --optimizer adam
        ;;
      resnet18)
        common=(--data "${CIFAR10:-cifar10}" --model resnet18-cifar --train-samples 1920 --validation 200 --batch 64 --epochs 1 --eval-every 1)
        run resnet18 "pytorch, Adam" pytorch 2 "${common[@]}" --optimizer adam
        # The intervals of a run of 500 steps and more: by itself the preset would take statistics in each of these few.
        run resnet18 "pytorch, LNGD recommended" pytorch 2 "${common[@]}" --preset recommended --statistics-interval 6 --inverse-interval 25
        ;;
      *)
        echo "engines.sh: no task $task" >&2
        exit 2
        ;;
    esac
  done
done
python3 "$here/engines.py" "$out"
