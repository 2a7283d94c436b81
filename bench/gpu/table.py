#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Joins what a run of bench/gpu/run.sh measured into results.json and a readable table.md, and says of each target whether it was met.

  python3 bench/gpu/table.py --ours ours.jsonl --steps steps.jsonl --peers peers.jsonl --machine machine.tsv --stages stages.tsv --json OUT --table OUT

Needs nothing but Python. The exit code is 1 where a result was wrong or a case failed: a missed target is not a failure of the run.
"""
import argparse
import json
import pathlib
import sys

INTERVALS = {"default": (20, 100), "full": (100, 100)}  # statistics, inverses
STEP = ["precondition", "layer_rate", "apply_update"]  # in every step


def lines(path):
    """Rows of a file of JSON lines. A run that was cut off leaves half a line: the rest is still worth reading."""
    if not path or not pathlib.Path(path).exists():
        return []
    rows = []
    for text in pathlib.Path(path).read_text().splitlines():
        try:
            rows.append(json.loads(text))
        except json.JSONDecodeError:
            print(f"table.py: {path}: not JSON: {text[:80]}", file=sys.stderr)
    return rows


def pairs(path):
    if not path or not pathlib.Path(path).exists():
        return []
    return [line.split("\t") for line in pathlib.Path(path).read_text().splitlines() if "\t" in line]


class Run:
    def __init__(self, ours, peers, machine, stages):
        self.machine = {"run": dict(machine)}
        self.machine["device"] = next((r for r in ours if r["suite"] == "machine"), {})
        self.machine["peers"] = next((r for r in peers if r["suite"] == "peers"), {})
        self.stages = [{"stage": s[0], "exit": int(s[1]), "seconds": float(s[2])} for s in stages]
        self.ceilings = {r["name"]: r["value"] for r in ours if r["suite"] == "ceiling" and isinstance(r["value"], (int, float))}
        self.emulated = "emulator" in self.machine["device"].get("device", "")
        self.peers = [r for r in peers if r["suite"] == "peer"]
        self.results = [self.enriched(r) for r in ours if r["suite"] == "lngd"]
        self.steps = [r for r in ours if r["suite"] == "step"]
        self.targets = targets(self)

    def enriched(self, row):
        """Adds rates, the fraction of what the card can do, and the ratio to each peer."""
        us = row.get("us")
        if not us or "error" in row:
            return row
        row = dict(row)
        row["tflops"] = row["operations"] / us / 1e6
        row["gb_s"] = row["bytes"] / us / 1e3
        ceiling = self.ceilings.get("mma_bf16" if row["precision"] == "bf16" else "mma_tf32")
        floors = {}
        if ceiling and row["tensor_operations"]:
            floors["tensor cores"] = row["tensor_operations"] / ceiling / 1e6
            row["tensor_fraction"] = floors["tensor cores"] / us
        if self.ceilings.get("fp32"):
            floors["fp32"] = row["fp32_operations"] / self.ceilings["fp32"] / 1e6
        if self.ceilings.get("copy"):
            floors["memory"] = row["bytes"] / self.ceilings["copy"] / 1e3
        if floors:
            row["limit"], row["floor_us"] = max(floors.items(), key=lambda f: f[1])
            row["fraction"] = row["floor_us"] / us
        row["peers"] = [
            {"by": p["by"], "us": p["us"], "ratio": p["us"] / us, "precision": p.get("precision"), "part": p.get("part", False)}
            for p in self.peers_of(row)
        ]
        return row

    def peers_of(self, row):
        case = row["case"].removesuffix(" nhwc")
        key = (row["kernel"], row["set"], case, row["preset"])
        return [p for p in self.peers if (p["kernel"], p["set"], p["case"], p["preset"]) == key and p.get("us")]

    def find(self, kernel, set_name, preset, precision=None):
        return [
            r
            for r in self.results
            if (r["kernel"], r["set"], r["preset"]) == (kernel, set_name, preset)
            and precision in (None, r["precision"])
            and not r["case"].endswith(" nhwc")
        ]

    def whole_step(self, set_name, preset):
        """The better way to take a step through the ABI, or None."""
        rows = [r for r in self.steps if (r["set"], r["preset"]) == (set_name, preset) and usable(r)]
        return min(rows, key=lambda r: r["us"], default=None)

    def wrong(self):
        return [r for r in self.results + self.steps if "error" in r or r.get("correct") is False]


def best_peer(row, precisions, part=False):
    """The fastest that does the same work (or, with part, less) at one of these precisions."""
    found = [p for p in row.get("peers", []) if p["part"] == part and p["precision"] in precisions]
    return min(found, key=lambda p: p["us"], default=None)


def usable(row):
    return row.get("us", 0) > 0 and "error" not in row and row.get("correct") is not False


def target(name, limit, value, missing, less=False, detail=""):
    """`less`: the value must not be above the limit. A value of None was not measured."""
    if value is None:
        verdict = "not measured" + (f": {missing}" if missing else "")
    elif (value <= limit) if less else (value >= limit):
        verdict = "met"
    else:
        verdict = f"missed by a factor of {(value / limit if less else limit / value):.2f}"
    return {"target": name, "limit": limit, "value": value, "verdict": verdict, "detail": detail}


def targets(run):
    """Issue 3, "What it must show"."""
    if run.emulated:
        return [{"target": "all", "limit": None, "value": None, "verdict": "not measured: an emulator has no times", "detail": ""}]
    found = []
    kernels = ("layer_statistics", "conv_statistics")
    for precision, same in (("3xtf32", ("fp32",)), ("tf32", ("tf32",))):
        for kernel in kernels:
            rows = [
                r
                for r in run.results
                if r["kernel"] == kernel and r["precision"] == precision and r["preset"] == "full" and r.get("d", 0) >= 1024
            ]
            rows = [r for r in rows if not r["case"].endswith(" nhwc")]
            bad = [r for r in rows if not usable(r)]
            good = [r for r in rows if usable(r) and "tensor_fraction" in r]
            why = "no row" if not rows else f"{len(bad)} of {len(rows)} rows failed or were skipped"
            worst = min(good, key=lambda r: r["tensor_fraction"], default=None) if not bad else None
            found.append(
                target(
                    f"{kernel}, {precision}, d >= 1024: fraction of the mma.sync TF32 ceiling (the worst layer)",
                    0.6,
                    worst and worst["tensor_fraction"],
                    why,
                    detail=f"{worst['set']} {worst['case']}, {len(good)} layers" if worst else "",
                )
            )
            ratios = [(p["ratio"], r) for r in good for p in [best_peer(r, same)] if p]
            low = min(ratios, key=lambda x: x[0], default=None) if not bad and len(ratios) == len(good) else None
            found.append(
                target(
                    f"{kernel}, {precision}, d >= 1024: times faster than PyTorch's best at {same[0]} (the worst layer)",
                    2.0,
                    low and low[0],
                    why if bad or not good else f"{len(good) - len(ratios)} layers have no peer",
                    detail=f"{low[1]['set']} {low[1]['case']}, {len(ratios)} layers" if low else "",
                )
            )
    for preset, limit, what in (("default", 2.5, "blocks of 128"), ("full", 1.5, "full factors")):
        for set_name in ("resnet18-cifar", "resnet50-imagenet"):
            rows = [r for r in run.find("factor_inverse", set_name, preset) if usable(r)]
            torch_only = [p for p in (rows[0]["peers"] if rows else []) if p["by"].startswith("torch") and not p["part"]]
            peer = min(torch_only, key=lambda p: p["us"], default=None)
            found.append(
                target(
                    f"factor_inverse, {what}, {set_name}: times faster than PyTorch's best",
                    limit,
                    peer and peer["ratio"],
                    "no time of ours" if not rows else "no peer",
                    detail=peer["by"] if peer else "",
                )
            )
    trained = [p for p in run.peers if p["kernel"] == "forward_backward" and p.get("us")]
    fastest = min(trained, key=lambda p: p["us"], default=None)
    for preset, limit in (("default", 3.0), ("full", 10.0)):
        # As a caller sees it, the host's part included; the sum of the launches stands beside it.
        whole = run.whole_step("resnet18-cifar", preset)
        parts, _ = amortised(run, "resnet18-cifar", preset)
        missing = "no whole step" if not whole else "no forward and backward pass"
        value = 100 * whole["us"] / fastest["us"] if whole and fastest else None
        detail = f"{whole['us']:.1f} us ({whole['case']}) of {fastest['us']:.1f} us ({fastest['by']})" if value is not None else ""
        if detail and parts:
            detail += f"; its launches one after another {parts['sum']:.1f} us"
        found.append(
            target(f"whole LNGD step, ResNet-18, batch 256, {preset}: per cent of forward and backward", limit, value, missing, True, detail)
        )
    return found


def amortised(run, set_name, preset):
    """Microseconds a step of each kernel, launches one after another, and their sum: no overlap with the backward pass is assumed.
    ({}, what is missing) where a part was not measured."""
    every_statistics, every_inverse = INTERVALS[preset]
    parts = {}
    for kernel, every in [(k, 1) for k in STEP] + [("running_average", every_statistics), ("factor_inverse", every_inverse)]:
        rows = [r for r in run.find(kernel, set_name, preset) if usable(r)]
        if not rows:
            return None, f"{kernel} is missing"
        parts[kernel] = rows[0]["us"] / every
    statistics = [r for k in ("layer_statistics", "conv_statistics") for r in run.find(k, set_name, preset, "3xtf32")]
    if not statistics or not all(usable(r) for r in statistics):
        return None, "statistics of some layer are missing"
    layers = sum(r["count"] for r in statistics)
    if layers != expected_layers(set_name):
        return None, f"statistics of {layers} layers, {expected_layers(set_name)} expected"
    parts["statistics"] = sum(r["count"] * r["us"] for r in statistics) / every_statistics
    parts["sum"] = sum(parts.values())
    return parts, ""


def expected_layers(set_name):
    path = pathlib.Path(__file__).resolve().parent.parent / "layers" / f"{set_name}.csv"
    return sum(1 for line in path.read_text().splitlines()[1:] if line)


# ---- the table


def number(x, digits=3):
    if x is None or isinstance(x, str):
        return x or "-"
    return f"{x:.{digits}g}" if abs(x) < 1e4 else f"{x:,.0f}"


def markdown(run):
    out = [f"# GPU results: {run.machine['device'].get('device', 'no device')}", ""]
    if run.emulated:
        out += ["**From the emulator on a CPU: everything here was run, the times mean nothing.**", ""]
    out += ["| | |", "|---|---|"]
    out += [f"| {k} | {v} |" for k, v in run.machine["run"].items()]
    out += [f"| {k} | {v} |" for k, v in run.machine["peers"].items() if k != "suite"]
    out += ["", "| stage | exit | seconds |", "|---|---|---|"]
    out += [f"| {s['stage']} | {s['exit']} | {s['seconds']:.0f} |" for s in run.stages]
    out += ["", "## Targets", "", "| target | limit | measured | verdict | |", "|---|---|---|---|---|"]
    out += [f"| {t['target']} | {number(t['limit'])} | {number(t['value'])} | {t['verdict']} | {t['detail']} |" for t in run.targets]
    out += ["", "## Ceilings of this card, measured in the same run", "", "| | |", "|---|---|"]
    units = {"copy": "GB/s"}
    out += [f"| {k} | {number(v, 4)} {units.get(k, 'TFLOP/s')} |" for k, v in run.ceilings.items()]
    wrong = run.wrong()
    out += ["", f"Wrong results or failed cases: {len(wrong)}."]
    out += [f"- {r['kernel']} {r['set']} {r['case']} {r['preset']} {r['precision']}: {r.get('error', 'residual ' + number(r.get('residual')))}" for r in wrong]
    for set_name in dict.fromkeys(r["set"] for r in run.results):
        for preset in INTERVALS:
            rows = [r for r in run.results if r["set"] == set_name and r["preset"] == preset]
            if rows:
                out += section(run, set_name, preset, rows)
    return "\n".join(out) + "\n"


def section(run, set_name, preset, rows):
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
    for r in run.steps:
        if (r["set"], r["preset"]) == (set_name, preset):
            out += [
                "",
                f"Whole steps through lngd.h, {r['case']}: {number(r['us'], 4)} us ({number(r['us_low'], 4)} to {number(r['us_high'], 4)}), of which the "
                f"host enqueues for {number(r['host_us'], 4)}; residual {number(r['residual'], 2)} / {number(r['bound'], 2)}.",
            ]
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("ours", "steps", "peers", "machine", "stages", "json", "table"):
        parser.add_argument(f"--{name}")
    args = parser.parse_args()
    run = Run(lines(args.ours) + lines(args.steps), lines(args.peers), pairs(args.machine), pairs(args.stages))
    if args.json:
        data = {k: getattr(run, k) for k in ("machine", "stages", "ceilings", "targets", "results", "steps", "peers")}
        pathlib.Path(args.json).write_text(json.dumps(data, indent=1) + "\n")
    text = markdown(run)
    if args.table:
        pathlib.Path(args.table).write_text(text)
    else:
        print(text)
    for t in run.targets:
        print(f"{t['verdict']:32} {t['target']}: {number(t['value'])} (limit {number(t['limit'])}) {t['detail']}", file=sys.stderr)
    return 1 if run.wrong() or not run.results else 0


if __name__ == "__main__":
    sys.exit(main())
