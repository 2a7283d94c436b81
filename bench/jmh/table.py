#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Markdown of what bench/jmh/run.sh --json wrote, one file or several: a table for each benchmark class.

  python3 bench/jmh/table.py FILE.json ... > TABLE.md

Nothing but Python is needed. Times are means of JMH's iterations with the least and the greatest of them.
"""
import json
import pathlib
import sys

UNITS = {"ns/op": 1e-3, "us/op": 1.0, "ms/op": 1e3, "s/op": 1e6}  # in microseconds


class Score:
    def __init__(self, record, threads):
        metric = record["primaryMetric"]
        if metric["scoreUnit"] not in UNITS:
            raise ValueError(f"scoreUnit is {metric['scoreUnit']}, allowed is one of {', '.join(UNITS)}")
        name = record["benchmark"].split(".")
        self.group, self.method = name[-2], name[-1]
        self.params = {k: v for k, v in record.get("params", {}).items() if k != "threads"}
        self.threads = int(record.get("params", {}).get("threads", threads))
        unit = UNITS[metric["scoreUnit"]]
        samples = [unit * x for fork in metric["rawData"] for x in fork]
        self.us, self.low, self.high = unit * metric["score"], min(samples), max(samples)
        self.secondary = {k: v["score"] for k, v in record.get("secondaryMetrics", {}).items()}

    def others(self, name):
        """The parameters besides this one, and the threads: what two scores must share to be compared."""
        return tuple(sorted((k, v) for k, v in self.params.items() if k != name)) + (self.threads,)

    def bytes(self):
        """Of the gc profiler, for an operation."""
        return next((v for k, v in self.secondary.items() if k.endswith("gc.alloc.rate.norm")), None)


def time(us):
    if us < 1:
        return f"{1e3 * us:.1f} ns"
    return f"{us:.1f} us" if us < 1e4 else f"{us / 1e3:.1f} ms"


def ours(score):
    """LNGD's time beside a peer's: of InversePeer the inverse alone, without the step around it."""
    count = score.secondary.get("inverses", 0)
    return score.secondary["inverseMicros"] / count if count else score.us


def remarks(score, scores):
    """What the row says beside its time."""
    found = []
    if score.params.get("by", "").startswith("lngd"):
        peers = [s for s in scores if s.group == score.group and s.others("by") == score.others("by")]
        mine = ours(score)
        if mine != score.us:
            found.append(f"the inverse alone {time(mine)}")
        found += [f"{peer.us / mine:.1f}x faster than {peer.params['by']}" for peer in peers if not peer.params["by"].startswith("lngd")]
    if score.params.get("optimizer") == "lngd" and score.group == "UpdaterPeer":
        peers = {s.params["optimizer"]: s.us for s in scores if s.group == score.group and s.others("optimizer") == score.others("optimizer")}
        if "adam" in peers and "floor" in peers:
            found.append(f"{score.us / (peers['adam'] + peers['floor']):.2f} of Adam + floor")
        found += [f"{score.us / peers[name]:.2f} of {name}" for name in ("adam", "nesterovs") if name in peers]
    if score.bytes() is not None:
        found.append(f"{score.bytes():.0f} bytes")
    return "; ".join(found) or "-"


def table(scores):
    lines = []
    for group in dict.fromkeys(s.group for s in scores):
        members = sorted((s for s in scores if s.group == group), key=lambda s: s.threads)
        names = list(dict.fromkeys(k for s in members for k in s.params))
        header = ["benchmark", "threads", *names, "time", "least to greatest", ""]
        lines += [f"## {group}", "", "| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
        for s in members:
            cells = [s.method, str(s.threads), *(s.params.get(n, "-") for n in names), time(s.us), f"{time(s.low)} to {time(s.high)}", remarks(s, members)]
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def main(files):
    if not files:
        sys.exit("usage: table.py FILE.json ...")
    scores, machines = [], []
    for file in files:
        run = json.loads(pathlib.Path(file).read_text(encoding="utf-8"))
        m = run["machine"]
        machines.append(f"{m['date']}, commit {m['commit']}, {m['processor']}, {m['cores']} cores, {m['java']}.")
        scores += [Score(record, m["threads"]) for record in run["results"]]
    print("\n".join(dict.fromkeys(machines)) + "\n\n" + table(scores), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
