#!/usr/bin/env python3
"""Medians over the repeats of engines.sh, as a table: milliseconds a step of the training clock, without evaluation.

usage: engines.py OUT
"""
import json
import pathlib
import statistics
import sys


def main() -> None:
    root = pathlib.Path(sys.argv[1])
    print("| task | engine, optimizer | ms a step | ms of it in LNGD's kernels | of the first row | runs, ms |")
    print("|---|---|---|---|---|---|")
    for task in sorted(p for p in root.iterdir() if p.is_dir()):
        first = None
        rows = sorted(p for p in task.iterdir() if p.is_dir())
        for row in rows:
            steps, kernels = [], []
            for summary in sorted(row.glob("*/summary.json")):
                seconds = json.loads(summary.read_text())["seconds"]
                inside = sum(seconds[k] or 0 for k in ("statistics", "inverse", "precondition", "rate", "update"))
                steps.append(1e3 * seconds["training"] / seconds["steps"])
                kernels.append(1e3 * inside / seconds["steps"])
            if not steps:
                continue
            median = statistics.median(steps)
            first = first or median
            runs = ", ".join(f"{s:.2f}" for s in steps)
            print(
                f"| {task.name} | {row.name} | {median:.2f} | {statistics.median(kernels):.2f} |"
                f" {median / first:.2f} | {runs} |"
            )


main()
