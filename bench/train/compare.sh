#!/usr/bin/env bash
# The comparisons of the project's claims, each `lngd compare` with three seeds (translation: two): what is done is kept in OUT, so a broken run goes on.
#
#   bench/train/compare.sh OUT [TASK...]      tasks: mlp lenet curves cifar batches judge judge-batches translation (default: all,
#                                             in this order)
#
# Whole runs go one at a time, since their seconds count; the short runs that tune are judged by what they reach, and go TUNE_JOBS at a time
# (default: one a core). CIFAR10=DIR names a folder with the binary files, MULTI30K=DIR one with the sentences. Nothing else may run on the
# machine. The results are OUT/TASK/report.html and OUT/TASK/table.md.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(mkdir -p "${1:?usage: compare.sh OUT [TASK...]}" && cd "$1" && pwd)
shift
tasks=("$@")
[ ${#tasks[@]} -gt 0 ] || tasks=(mlp lenet curves cifar batches judge judge-batches translation)
first_order=sgd,adam,adamw,lars,lamb,muon,muon-decay,soap
rivals=$first_order,kfac,kfac-trust-decay,ngplus

compare() { # folder, options...
  local folder=$1
  shift
  "$here/../../lngd" compare --out "$out/$folder" --tune-jobs "${TUNE_JOBS:-$(nproc)}" "$@"
}

for task in "${tasks[@]}"; do
  case $task in
    mlp)
      compare mlp --optimizers "$rivals,tkfac,ekfac,lngd,lngd/block-kronecker,paper,adamw/raw,muon-decay/raw,soap/raw,kfac-trust-decay/raw" \
        --target acc=0.88
      ;;
    # DL4J's own convolutions would drown every difference between optimizers.
    lenet)
      LNGD_ONEDNN=1 compare lenet --model lenet --train-samples 12000 --epochs 5 --tune-runs 4 --optimizers "$rivals,lngd,lngd/recommended,paper" --target acc=0.87
      ;;
    # Judged by the training loss, as the benchmark is. Eight trials: KFAC's defaults are far off here.
    curves)
      compare curves --data curves --model ae --batch 250 --epochs 10 --tune-runs 8 --optimizers "$rivals,lngd/recipe-fit,lngd/block-kronecker-fit,paper" \
        --target train-loss=65
      ;;
    # What trains in an hour: an epoch of 10,000 images takes 40 s on one core.
    cifar)
      LNGD_ONEDNN=1 compare cifar --data "${CIFAR10:-cifar10}" --model resnet8 --train-samples 10000 --batch 64 --epochs 3 --tune-runs 4 --tune-epochs 1 \
        --optimizers "$rivals,lngd,lngd/recommended,paper"
      ;;
    # The MLP again in the same number of epochs, so ever fewer steps.
    batches)
      for size in 1024 4096; do
        compare "batch-$size" --batch "$size" --optimizers "$rivals,lngd,lngd/recommended,paper"
      done
      ;;
    # Data and networks that no setting was chosen on, everything at its defaults.
    judge)
      compare judge --data glyphs --model mlp:300-300-100 --tune-runs 1 --optimizers "$rivals,lngd,lngd/recommended" --target acc=0.75
      LNGD_ONEDNN=1 compare judge-lenet --data glyphs --model lenet --train-samples 12000 --epochs 5 --tune-runs 1 \
        --optimizers "$rivals,lngd,lngd/recommended" --target acc=0.75
      ;;
    # The judge again in fewer steps, where recommended orthogonalises; all tuned, on held-out images.
    judge-batches)
      for size in 1024 4096; do
        compare "glyphs-$size" --data glyphs --model mlp:300-300-100 --batch "$size" --target acc=0.75 \
          --optimizers sgd,adam,muon-decay,soap,kfac,kfac-trust-decay,ngplus,lngd,lngd/recommended,lngd/block-kronecker
      done
      ;;
    # The seed paper's third experiment, on PyTorch, in half an hour: a third of the sentences, a small Transformer. A second thread gains nothing
    # at this size, so short runs go side by side.
    translation)
      compare translation --data "${MULTI30K:-multi30k}" --model transformer:2-128-4-256 --vocabulary 2000 --train-samples 10000 --batch 64 --epochs 4 \
        --eval-every 0.5 --seeds 2 --tune-runs 5 --tune-epochs 1 --optimizers sgd,adamw,muon-decay,soap,lngd/recipe,lngd/recommended
      ;;
    *)
      echo "compare.sh: no task $task" >&2
      exit 2
      ;;
  esac
done
