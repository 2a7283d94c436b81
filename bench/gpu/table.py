#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes results.json and a readable table.md of what bench/gpu/run.sh measured, and says of each target whether it was met.

  python3 bench/gpu/table.py [--json OUT] [--table OUT] FILE.jsonl ...     files of one call, or of several one after another

Needs nothing but Python. The exit code is 1 where a result was wrong or a case failed: neither a missed target nor a missing row is a
failure of the run. Without --table it prints the table.
"""
import argparse
import json
import os
import pathlib
import sys

import convergence
from results import INTERVALS, Run, amortised, best_peer, lines
from targets import targets


def number(x, digits=3):
    if x is None or isinstance(x, str):
        return x or "-"
    return f"{x:.{digits}g}" if abs(x) < 1e4 else f"{x:,.0f}"


def markdown(run):
    device = ", ".join(run.devices) or run.convergence.header.get("gpu") or "no device"
    out = [f"# GPU results: {device}"]
    if run.emulated:
        out += ["", "**From the emulator on a CPU: everything here was run, the times mean nothing.**"]
    for call in run.calls:
        out += ["", "| | |", "|---|---|"]
        out += [f"| {cell(k)} | {cell(v)} |" for k, v in call["facts"].items()]
        out += ["", "| stage | | seconds |", "|---|---|---|"]
        out += [f"| {cell(name)} | {cell(s['state'])} | {number(s.get('seconds'))} |" for name, s in call["stages"].items()]
    out += ["", "## Targets", "", "| target | limit | measured | verdict | |", "|---|---|---|---|---|"]
    out += [
        f"| {t['target']} | {number(t['limit'])} | {number(t['value'])} | {cell(t['verdict'])} | {cell(t['detail'])} |" for t in targets(run)
    ]
    out += trainings(run.convergence)
    if run.ceilings:
        out += ["", "## Ceilings of this card, measured in the same run", "", "| | |", "|---|---|"]
        units = {"copy": "GB/s"}
        out += [f"| {k} | {number(v, 4)} {units.get(k, 'TFLOP/s')} |" for k, v in run.ceilings.items()]
    versions = ", ".join(f"{k} {v}" for k, v in run.peer_versions.items() if k != "suite")
    if versions:
        out += ["", f"Peers: {versions}."]
    wrong = run.wrong()
    out += ["", f"Wrong results or failed cases: {len(wrong)}."]
    out += [
        f"- {r['kernel']} {r['set']} {r['case']} {r['preset']} {r.get('precision', '')}: "
        f"{r.get('error') or 'residual ' + number(r.get('residual'))}"
        for r in wrong
    ]
    for set_name in dict.fromkeys(r["set"] for r in run.results + run.steps):
        for preset in INTERVALS:
            rows = [r for r in run.results if (r["set"], r["preset"]) == (set_name, preset)]
            steps = [r for r in run.steps if (r["set"], r["preset"]) == (set_name, preset)]
            if rows or steps:
                out += section(run, set_name, preset, rows, steps)
    return "\n".join(out) + "\n"


def cell(text):
    return str(text).replace("|", "/").replace("\n", " ")


def trainings(found):
    """Seconds and epochs are those of training: evaluations do not count."""
    if not found.trainings and not found.failures:
        return []
    levels = " | ".join(f"s to {level} % | epochs" for level in convergence.LEVELS)
    out = ["", "## CIFAR-10, ResNet-18: seconds of training to a test accuracy", ""]
    if not found.on_gpu:
        out += ["**Not on a GPU: the times mean nothing.**", ""]
    out += [f"| optimizer | seed | epochs | s an epoch | {levels} | last accuracy | best | |"]
    out += ["|---" * (7 + 2 * len(convergence.LEVELS)) + "|"]
    for t in found.trainings:
        hits = [t.to(level) for level in convergence.LEVELS]
        cells = [t.optimizer, t.seed, f"{len(t.evaluations) and t.evaluations[-1]['epoch']} of {t.epochs}", number(t.seconds_epoch())]
        cells += [c for hit in hits for c in ((f"{hit[0]:.1f}", hit[1]) if hit else ("-", "-"))]
        cells += [f"{100 * t.final():.2f} %" if t.evaluations else "-", f"{100 * t.best():.2f} %" if t.evaluations else "-", t.end]
        out.append("| " + " | ".join(cell(c) for c in cells) + " |")
    out += [f"- {cell(r.get('optimizer') or 'the run')} failed: {cell(r['error'])}" for r in found.failures]
    return out


def section(run, set_name, preset, rows, steps):
    out = [
        "",
        f"## {set_name}, {preset}",
        "",
        "| kernel | case | precision | us | spread | TFLOP/s | GB/s | of ceiling | limit | best peer | ratio | best part of it | ratio | residual / bound |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        case = r["case"] + (f" x{r['count']}" if r["count"] > 1 else "")
        if not r.get("us"):
            out.append(f"| {r['kernel']} | {case} | {r['precision']} | - | {r.get('error', r.get('note', ''))} |" + " |" * 9)
            continue
        whole, part = best_peer(r, ("tf32", "fp32")), best_peer(r, ("tf32", "fp32"), True)
        cells = [
            r["kernel"],
            case,
            r["precision"],
            number(r["us"], 4),
            f"{100 * (r['us_high'] - r['us_low']) / r['us']:.0f} %",
            number(r.get("tflops")),
            number(r.get("gb_s")),
            f"{100 * r['fraction']:.0f} %" if "fraction" in r else "-",
            r.get("limit", "-"),
            f"{whole['by']}: {number(whole['us'], 4)} us" if whole else "-",
            number(whole["ratio"]) if whole else "-",
            f"{part['by']}: {number(part['us'], 4)} us" if part else "-",
            number(part["ratio"]) if part else "-",
            f"{number(r['residual'], 2)} / {number(r['bound'], 2)}" if "bound" in r else "-",
        ]
        out.append("| " + " | ".join(str(c) for c in cells) + " |")
    parts, missing = amortised(run, set_name, preset)
    if parts:
        out += ["", "A step, amortised, us: " + ", ".join(f"{k} {number(v, 4)}" for k, v in parts.items()) + "."]
    else:
        out += ["", f"A step, amortised: not measured, {missing}."]
    for r in steps:
        if not r.get("us"):
            out += ["", f"Whole steps through lngd.h, {r['case']}: {r.get('error', 'not measured')}."]
            continue
        out += [
            "",
            f"Whole steps through lngd.h, {r['case']}: {number(r['us'], 4)} us ({number(r['us_low'], 4)} to {number(r['us_high'], 4)}), of which the "
            f"host enqueues for {number(r['host_us'], 4)}; residual {number(r['residual'], 2)} / {number(r['bound'], 2)}.",
        ]
    return out


def write(path, text):
    """By a rename: whoever is killed here leaves the old file or the new one."""
    draft = pathlib.Path(f"{path}.new")
    draft.write_text(text)
    os.replace(draft, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", help="rows.jsonl and cifar10.jsonl; what does not exist counts as empty")
    parser.add_argument("--json")
    parser.add_argument("--table")
    args = parser.parse_args()
    run = Run([row for path in args.files for row in lines(path)])
    text = markdown(run)
    if args.json:
        data = {k: getattr(run, k) for k in ("calls", "devices", "peer_versions", "ceilings", "results", "steps", "peers")}
        data["targets"] = targets(run)
        data["trainings"] = [vars(t) for t in run.convergence.trainings]
        data["training_header"] = run.convergence.header
        write(args.json, json.dumps(data, indent=1) + "\n")
    if args.table:
        write(args.table, text)
    else:
        print(text)
    return 1 if run.wrong() else 0


if __name__ == "__main__":
    sys.exit(main())
