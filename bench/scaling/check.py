# SPDX-License-Identifier: Apache-2.0
"""Measurements of this machine beside the model. README.md has the format of the file."""
import dataclasses
import json

import collectives
import counts
import layers
import model
import workers

QUANTITIES = ("step", "all_reduce", "statistics", "inverses")
KEYS = {
    "date", "commit", "machine", "note", "cores", "network", "other_parameters", "other_tensors", "rows_per_sample", "parameters", "preset",
    "steps", "statistics_samples", "statistics_interval", "inverse_interval", "batch", "copies", "overlap", "worker", "all_reduces", "runs",
}  # fmt: skip
RUN_KEYS = {"ranks", "threads", "inverses_by", *QUANTITIES}
RATES = {"passes", "syrk", "direction", "memory", "latency"}


class Wrong(ValueError):
    """The file cannot be used: what is wrong with it."""


def known(found, allowed, where):
    for key in found:
        if key not in allowed:
            raise Wrong(f"{where} has {key}, allowed is {', '.join(sorted(allowed))}")


def needed(found, key, where):
    if key not in found:
        raise Wrong(f"{where} has no {key}")
    return found[key]


def positive(found, key, where, kind=(int, float)):
    value = needed(found, key, where)
    if isinstance(value, bool) or not isinstance(value, kind) or not 0 < value < float("inf"):
        raise Wrong(f"{key} of {where} is {value!r}, allowed is {'a whole number' if kind is int else 'a number'} above 0")
    return value


def network(data):
    named = needed(data, "network", "the file")
    if isinstance(named, str):
        found = layers.by_name(named)
    else:
        found = layers.Network("the network", tuple(layers.layer({"name": str(i), **row}) for i, row in enumerate(named)))
    for key, field in (("other_parameters",) * 2, ("other_tensors",) * 2, ("rows_per_sample", "rows")):
        if key in data:
            found = dataclasses.replace(found, **{field: positive(data, key, "the file", int)})
    if "parameters" in data and data["parameters"] != found.parameters:
        raise Wrong(f"parameters is {data['parameters']}, but the layers and other_parameters have {found.parameters}")
    return found


def preset(data, of):
    steps = positive(data, "steps", "the file", int) if "steps" in data else 10_000
    found = counts.by_name(needed(data, "preset", "the file"), of, steps)
    changes = {}
    for key, field in (("statistics_samples", "samples"), ("statistics_interval",) * 2, ("inverse_interval",) * 2):
        if key in data:
            changes[field] = positive(data, key, "the file", int)
    return dataclasses.replace(found, **changes)


def worker(data):
    given = data.get("worker", "core")
    if isinstance(given, str):
        if given not in workers.ALL:
            raise Wrong(f"worker is {given}, allowed is one of {', '.join(workers.ALL)}, or an object of rates")
        return workers.ALL[given]
    known(given, RATES | {"inverses"}, "worker")
    changes = dict(given)
    if "inverses" in changes:
        changes["inverses"] = tuple((int(n), float(rate)) for n, rate in changes["inverses"])
    return dataclasses.replace(workers.CORE, name="given", source="the file", **changes)


def fit(rows, latency):
    """The link of all-reduces (ranks, bytes, seconds): both unknowns of t = 2 (p-1)/p n / B + 2 (p-1) alpha by least squares of relative
    errors; with rows of one size only, or where alpha would be negative, alpha is `latency` (as far as it leaves any time) and B follows."""
    a = [(2 * (p - 1) / p * n / t, 2 * (p - 1) / t) for p, n, t in rows]
    uu, uv, vv = sum(u * u for u, _ in a), sum(u * v for u, v in a), sum(v * v for _, v in a)
    determinant = uu * vv - uv * uv
    if determinant > 1e-9 * uu * vv:
        su, sv = sum(u for u, _ in a), sum(v for _, v in a)
        slope, alpha = (su * vv - sv * uv) / determinant, (sv * uu - su * uv) / determinant
        if slope > 0 and alpha >= 0:
            return collectives.Link("fitted", 1 / slope, alpha)
    alpha = min(latency, min(0.5 / v for _, v in a))
    slope = sum(u * (1 - alpha * v) for u, v in a) / uu
    return collectives.Link("fitted", 1 / slope, alpha)


def link(data, ranks, default, latency):
    """Of the all-reduces of as many ranks, where there are any; else of all."""
    rows = []
    for i, row in enumerate(data.get("all_reduces", [])):
        where = f"all_reduces[{i}]"
        known(row, {"ranks", "bytes", "seconds"}, where)
        rows.append((positive(row, "ranks", where, int), positive(row, "bytes", where), positive(row, "seconds", where)))
        if rows[-1][0] < 2:
            raise Wrong(f"ranks of {where} is {rows[-1][0]}, allowed is 2 or more")
    same = [row for row in rows if row[0] == ranks] or rows  # ranks that share cores share the link's speed too
    return fit(same, latency) if same else default


@dataclasses.dataclass(frozen=True)
class Row:
    ranks: int
    inverses: str
    quantity: str
    predicted: float
    measured: float
    fitted: bool

    @property
    def ratio(self):
        return self.predicted / self.measured


def options(data, run):
    by = run.get("inverses_by", "REPLICATED")
    if by not in ("REPLICATED", "OWNED"):
        raise Wrong(f"inverses_by is {by}, allowed is REPLICATED or OWNED")
    overlap = data.get("overlap", False)
    return model.Options(owned=by == "OWNED", copies=data.get("copies", 2 if overlap else 3), overlap=overlap)


def compare(data, default_link):
    """Rows of what was measured. The rate of the passes is fitted to the step of one rank; everything else is predicted."""
    known(data, KEYS, "the file")
    runs = needed(data, "runs", "the file")
    if not isinstance(runs, list) or not all(isinstance(run, dict) for run in runs):
        raise Wrong(f"runs is {runs!r}, allowed is a list of objects")
    for i, run in enumerate(runs):
        known(run, RUN_KEYS, f"runs[{i}]")
        positive(run, "ranks", f"runs[{i}]", int)
        if "threads" in run:
            positive(run, "threads", f"runs[{i}]", int)
    of = network(data)
    count = counts.step(of, preset(data, of))
    batch, cores, machine = positive(data, "batch", "the file"), positive(data, "cores", "the file", int), worker(data)
    alone = next((run for run in runs if run["ranks"] == 1), None)
    if alone is None:
        raise Wrong("runs has none with 1 rank, to which the rate of forward and backward pass is fitted")
    machine = fitted(count, slowed(machine, alone, cores), batch, positive(alone, "step", "the run with 1 rank"), slow(alone, cores))
    rows = []
    for i, run in enumerate(runs):
        ranks = run["ranks"]
        net = link(data, ranks, default_link, machine.latency)
        time = model.step(count, slowed(machine, run, cores), ranks, batch / ranks, net, options(data, run))
        travels = time.communication - (time.gradients if data.get("overlap", False) else 0)  # who can time what goes on in the background?
        predicted = dict(step=time.total, all_reduce=travels, statistics=time.statistics, inverses=time.inverses)
        for quantity in QUANTITIES:
            if quantity not in run or ranks == 1 and quantity == "all_reduce":
                continue
            seen = positive(run, quantity, f"runs[{i}]")
            fitted_here = run is alone and quantity == "step"
            rows.append(Row(ranks, run.get("inverses_by", "REPLICATED"), quantity, predicted[quantity], seen, fitted_here))
    return rows


def slow(run, cores):
    """Ranks beyond the cores of the machine take turns."""
    return max(1.0, run["ranks"] * run.get("threads", 1) / cores)


def slowed(machine, run, cores):
    factor = slow(run, cores)
    return machine.times(1 / factor, machine.memory / factor)


def fitted(count, machine, batch, seconds, turns):
    """The worker, when it does not take turns, whose step with the whole batch takes `seconds` on one rank that does."""
    time = model.step(count, machine, 1, batch, None)
    passes = seconds - (time.total - time.passes - time.drawn)
    if passes <= 0:
        raise Wrong(f"step of the run with 1 rank is {seconds} s, but without forward and backward pass alone {seconds - passes:.3g} s are predicted")
    rate = machine.passes * (time.passes + time.drawn) / passes
    return dataclasses.replace(machine, passes=rate).times(turns, machine.memory * turns)


def report(rows):
    lines = ["| ranks | inverses | what | predicted, ms | measured, ms | predicted / measured |", "|---|---|---|---|---|---|"]
    for r in rows:
        ratio = "fitted" if r.fitted else f"{r.ratio:.2f}"
        lines.append(f"| {r.ranks} | {r.inverses} | {r.quantity} | {1e3 * r.predicted:.3f} | {1e3 * r.measured:.3f} | {ratio} |")
    return lines


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)
