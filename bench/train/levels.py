#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Epochs and seconds to several levels, from the results.json of a comparison, as Markdown.

    bench/train/levels.py OUT/mlp/results.json acc 0.88 0.89 0.895
    bench/train/levels.py OUT/curves/results.json train-loss 80 70

The first evaluation at or above an accuracy, at or below a loss; means over the seeds, only where all of them reached it.
"""
import json
import sys
from statistics import mean

MEASURES = {"acc": ("testAccuracy", 1), "bleu": ("testBleu", 1), "loss": ("testLoss", -1), "train-loss": ("trainLoss", -1)}


def first(evaluations, key, sign, level):
    for row in evaluations:
        if row[key] is not None and sign * row[key] >= sign * level:
            return row
    return None


def cells(run, key, sign, level):
    firsts = [first(seed["evaluations"], key, sign, level) for seed in run["seeds"] if not seed["diverged"]]
    reached = [row for row in firsts if row]
    if len(reached) < len(run["seeds"]):
        return [f"- ({len(reached)} of {len(run['seeds'])})", "-"]
    return [f"{mean(r['epoch'] for r in reached):.2f}", f"{mean(r['seconds'] for r in reached):.2f}"]


def main(arguments):
    if len(arguments) < 3 or arguments[1] not in MEASURES:
        sys.exit("usage: levels.py RESULTS.json acc|bleu|loss|train-loss LEVEL...")
    with open(arguments[0], encoding="utf-8") as file:
        runs = json.load(file)["runs"]
    key, sign = MEASURES[arguments[1]]
    levels = [float(level) for level in arguments[2:]]
    titles = ["optimizer"]
    for level in levels:
        titles += [f"{100 * level:g} %: epochs" if key == "testAccuracy" else f"{level:g}: epochs", "seconds"]
    print("| " + " | ".join(titles) + " |\n|" + "---|" * len(titles))
    for run in runs:
        line = [run["optimizer"]]
        for level in levels:
            line += cells(run, key, sign, level)
        print("| " + " | ".join(line) + " |")


main(sys.argv[1:])
