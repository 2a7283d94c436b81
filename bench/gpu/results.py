# SPDX-License-Identifier: Apache-2.0
"""What the calls of bench/gpu/run.sh measured: rows.jsonl and cifar10.jsonl of one call or of several, read and joined."""
import json
import pathlib
import sys

import convergence

INTERVALS = {"default": (20, 100), "full": (100, 100)}  # statistics, inverses
STEP = ["precondition", "layer_rate", "apply_update"]  # in every step


def lines(path):
    """Rows of a file of JSON lines. A run that was cut off leaves half a line: the rest is still worth reading."""
    if not path or not pathlib.Path(path).exists():
        return []
    rows = []
    for text in pathlib.Path(path).read_text(errors="replace").splitlines():
        try:
            row = json.loads(text)
        except json.JSONDecodeError:
            row = None
        if isinstance(row, dict) and "suite" in row:
            rows.append(row)
        elif text.strip():
            print(f"table.py: {path}: no row: {text[:80]}", file=sys.stderr)
    return rows


def usable(row):
    return row.get("us", 0) > 0 and "error" not in row and row.get("correct") is not False


def calls(rows):
    """One entry a call of run.sh: its facts, and each stage of its plan with what became of it."""
    found = []
    for row in rows:
        if row["suite"] == "fact":
            if row["name"] == "plan" or not found:
                found.append({"facts": {}, "stages": {}})
            found[-1]["facts"][row["name"]] = row["value"]
        elif row["suite"] in ("plan", "stage") and not found:
            found.append({"facts": {}, "stages": {}})
        if row["suite"] == "plan":
            found[-1]["stages"] = {name: {"state": "not reached"} for name in row["stages"]}
        if row["suite"] == "stage":
            found[-1]["stages"].setdefault(row["stage"], {}).update(stage(row))
    return found


def stage(row):
    if "skipped" in row:
        return {"state": f"not run: {row['skipped']}"}
    if "exit" not in row:
        return {"state": "begun, and cut off", "limit": row["limit"]}
    code = row["exit"]
    state = {0: "done", 124: "stopped at its limit", 137: "stopped at its limit", 143: "stopped by a signal"}.get(code, f"failed, exit {code}")
    return {"state": state, "exit": code, "seconds": row["seconds"]}


def latest(rows, *names):
    """Of rows about the same thing the last that holds a time, or else the last: a call may repeat what another could not do."""
    kept = {}
    for row in rows:
        key = tuple(row.get(name) for name in names)
        if key not in kept or usable(row) or not usable(kept[key]):
            kept[key] = row
    return list(kept.values())


def lost(rows):
    """Cases that were begun and left no row."""
    case, open_cases = ("kernel", "set", "case", "preset", "precision"), {}
    for row in rows:
        if row["suite"] in ("begun", "lngd", "step"):
            key = tuple(row.get(name) for name in case)
            open_cases.pop(key, None)
            if row["suite"] == "begun":
                open_cases[key] = {**row, "error": "no result: it hung, crashed or was cut off"}
    return list(open_cases.values())


class Run:
    def __init__(self, rows):
        def suite(name):
            return [row for row in rows if row["suite"] == name]

        self.calls = calls(rows)
        self.devices = list(dict.fromkeys(row["device"] for row in suite("machine")))
        self.peer_versions = (suite("peers") or [{}])[-1]
        self.ceilings = {r["name"]: r["value"] for r in suite("ceiling") if isinstance(r["value"], (int, float))}
        self.emulated = any("emulator" in device for device in self.devices)
        case = ("kernel", "set", "case", "preset")
        self.peers = latest(suite("peer"), *case, "by")
        self.results = [self.enriched(r) for r in latest(suite("lngd"), *case, "precision")]
        self.steps = latest(suite("step"), *case)
        self.lost = lost(rows)
        self.convergence = convergence.Convergence(suite("cifar10"))

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
        return [r for r in self.results + self.steps if "error" in r or r.get("correct") is False] + self.lost


def best_peer(row, precisions, part=False):
    """The fastest that does the same work (or, with part, less) at one of these precisions."""
    found = [p for p in row.get("peers", []) if p["part"] == part and p["precision"] in precisions]
    return min(found, key=lambda p: p["us"], default=None)


def amortised(run, set_name, preset):
    """Microseconds a step of each kernel, launches one after another, and their sum: no overlap with the backward pass is assumed.
    (None, what is missing) where some of it was not measured."""
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
    return sum(1 for line in path.read_text().splitlines()[1:] if line) if path.exists() else 0
