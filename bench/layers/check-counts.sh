#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fails unless docs/kernels.md holds every line that Counts.java prints.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
{
  java bench/layers/Counts.java bench/layers resnet18-cifar resnet50-imagenet transformer-big
  java bench/layers/Counts.java bench/layers --kfac resnet18-cifar
} | grep -v '^$' |
  while IFS= read -r line; do
    grep -qxF -e "$line" docs/kernels.md || {
      echo "not in docs/kernels.md: $line"
      exit 1
    }
  done
