# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/scaling.md, each a function without arguments that gives the lines of a Markdown table."""
import math

import collectives
import counts
import crossover
import layers
import model
import workers

RANKS = (8, 32, 128, 512, 1024)
SPEEDS = (10, 100, 400)  # Gbit/s
STEPS = 10_000  # of the run that the intervals follow from: they are the same in any of 500 steps and more
IMAGES = 1_281_167  # ImageNet's training set
SHARE = {"ResNet-50": 32, "Transformer-Big": 64}  # samples of a worker where its share is fixed
BATCH = 8192  # samples of all workers where that is fixed
# 4 MB over the loopback interface between two JVMs, 5.5 ms: 2 (p - 1)/p n / B.
SEEN = collectives.Link("Gloo as seen, 5.8 Gbit/s", 4e6 / 5.5e-3, workers.TCP)


def networks():
    return layers.resnet50(), layers.transformer_big()


def steps(network):
    """(name, count) under the presets. A full second factor of 32,768 outputs is 4.3 GB: nobody has one, so the layer goes without."""
    full = network.without("output") if network.name == "Transformer-Big" else network
    return (
        ("RECIPE", counts.step(network, counts.recipe())),
        ("BLOCK_KRONECKER", counts.step(network, counts.block_kronecker(network, STEPS))),
        ("KFAC, full factors" + ("" if full is network else ", none at the output"), counts.step(full, counts.kfac())),
    )


def usual(network):
    return counts.step(network, counts.block_kronecker(network, STEPS))


def row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def head(*cells):
    return [row(*cells), "|" + "---|" * len(cells)]


def number(x):
    """Three digits."""
    if x == 0:
        return "0"
    if math.isinf(x):
        return "never"
    places = max(0, 2 - math.floor(math.log10(abs(x))))
    return f"{x:,.{places}f}" if places <= 5 else f"{x:.1e}"


def percent(x):
    return f"{100 * x:.0f} %"


def duration(seconds):
    if seconds >= 2 * 3600:
        return number(seconds / 3600) + " h"
    return number(seconds / 60) + " min" if seconds >= 120 else number(seconds) + " s"


def links(worker):
    return [collectives.gbit(speed, worker.latency) for speed in SPEEDS]


def sizes():
    lines = head(
        "network, preset", "parameters", "gradients, MB", "sums, MB", "as triangles, MB", "doubles, KB", "inverses, GFLOP",
        "inverses, MB", "directions, GFLOP", "passes, GFLOP a sample", "statistics, GFLOP a sample",
    )  # fmt: skip
    for network in networks():
        for name, count in steps(network):
            lines.append(
                row(
                    f"{network.name}, {name}",
                    f"{network.parameters:,}",
                    number(count.gradient_bytes / 1e6),
                    number(model.sum_bytes(count) / 1e6),
                    number(counts.FLOAT * count.total("triangles") / 1e6),
                    number(counts.DOUBLE * count.double_count / 1e3),
                    number(count.total("inverse") / 1e9),
                    number(count.total("inverse_bytes") / 1e6),
                    number(count.total("direction") / 1e9),
                    number(count.passes(1) / 1e9),
                    number(count.total("syrk") / 1e9),
                )
            )
    return lines


def rates():
    lines = head("worker", "passes", "statistics", "directions", "inverses: 128 rows", "1,152 rows", "memory, GB/s", "a message, us", "what it is")
    for w in workers.ALL.values():
        cells = [number(x / 1e9) for x in (w.passes, w.syrk, w.direction, w.inverse_rate(128), w.inverse_rate(1152), w.memory)]
        lines.append(row(f"`{w.name}`", *cells, number(1e6 * w.latency), w.source))
    return lines


def parts():
    """128 workers, 100 Gbit/s: where a step goes, in milliseconds. "LNGD's own": what plain data-parallel SGD does not have at all."""
    lines = head(
        "worker, network, preset", "forward and backward", "drawn targets", "statistics", "inverses", "directions", "update", "copies",
        "gradients", "agreement", "sums", "step, ms", "communication", "LNGD's own",
    )  # fmt: skip
    for worker in (workers.NODE, workers.GPU):
        for network in networks():
            for name, count in steps(network):
                t = model.step(count, worker, 128, SHARE[network.name], collectives.gbit(100, worker.latency))
                fields = (t.passes, t.drawn, t.statistics, t.inverses, t.direction, t.update, t.copies, t.gradients, t.agreement, t.sums, t.total)
                own = t.drawn + t.statistics + t.inverses + t.direction + t.agreement + t.sums
                shares = percent(t.communication / t.total), percent(own / t.total)
                lines.append(row(f"`{worker.name}`, {network.name}, {name}", *(number(1e3 * x) for x in fields), *shares))
    return lines


def weak(worker):
    every = links(worker) + ([] if worker is workers.GPU else [SEEN])
    lines = head("network", "workers", "alone, ms", *(link.name for link in every))
    for network in networks():
        count, share = usual(network), SHARE[network.name]
        for ranks in RANKS:
            cells = []
            for link in every:
                total = model.step(count, worker, ranks, share, link).total
                cells.append(f"{number(1e3 * total)} ms, {percent(model.efficiency(count, worker, ranks, share, link))}")
            alone = model.step(count, worker, 1, share, every[0]).total
            lines.append(row(network.name, f"{ranks:,}", number(1e3 * alone), *cells))
    return lines


def epochs():
    """ImageNet, 32 images a worker."""
    lines = head("worker", "workers", "images a step", "steps", *(f"{speed} Gbit/s" for speed in SPEEDS))
    network = layers.resnet50()
    count, share = usual(network), SHARE[network.name]
    for worker in workers.ALL.values():
        for ranks in RANKS:
            every = math.ceil(IMAGES / (ranks * share))
            cells = [duration(every * model.step(count, worker, ranks, share, link).total) for link in links(worker)]
            lines.append(row(f"`{worker.name}`", f"{ranks:,}", f"{ranks * share:,}", f"{every:,}", *cells))
    return lines


def ends():
    """A fixed global batch: where more workers stop to help. Powers of two."""
    lines = head("worker", "network", "Gbit/s", "half is communication from", "fastest", "step there, ms", "speed-up over 8", "of ideal")
    for worker in workers.ALL.values():
        for network in networks():
            for speed, link in zip(SPEEDS, links(worker)):
                rows = crossover.strong(usual(network), worker, BATCH, link)
                fastest, half = crossover.end(rows)
                times = {ranks: seconds for ranks, seconds, _ in rows}
                up = times[8] / times[fastest]
                cells = (f"{half:,}" if half else "-", f"{fastest:,}", number(1e3 * times[fastest]), f"{up:.1f}", percent(up * 8 / fastest))
                lines.append(row(f"`{worker.name}`", network.name, speed, *cells))
    return lines


def all_reduces():
    """Milliseconds at 100 Gbit/s, of the gradients."""
    latencies = (workers.TCP, workers.RDMA)
    lines = head("gradients of", "workers", *(f"{name}, {1e6 * latency:.0f} us" for latency in latencies for name in collectives.ALL_REDUCE))
    for network in networks():
        size = usual(network).gradient_bytes
        for ranks in RANKS:
            times = [function(ranks, size, collectives.gbit(100, latency)) for latency in latencies for function in collectives.ALL_REDUCE.values()]
            lines.append(row(f"{network.name}, {number(size / 1e6)} MB", f"{ranks:,}", *(number(1e3 * t) for t in times)))
    return lines


def turns():
    """Gbit/s from which OWNED is faster than REPLICATED."""
    lines = head("worker, network, preset", *(f"{ranks:,} workers" for ranks in RANKS), "and by one all-gather, 128 workers")
    for worker in workers.ALL.values():
        for network in networks():
            for name, count in steps(network):
                found = [crossover.bandwidth(count, worker, ranks, worker.latency) for ranks in RANKS]
                found.append(crossover.bandwidth(count, worker, 128, worker.latency, model.Options(gathered=True)))
                cells = [number(b * 8 / 1e9) for b in found]
                lines.append(row(f"`{worker.name}`, {network.name}, {name}", *cells))
    return lines


def by_block():
    """ResNet-50, both factors in blocks of b, 32 workers: milliseconds of an inversion."""
    lines = head("worker", "blocks of", "REPLICATED, ms", *(f"OWNED, {speed} Gbit/s: computed + broadcast" for speed in SPEEDS))
    network = layers.resnet50()
    for worker in (workers.NODE, workers.GPU):
        for block in (64, 128, 256, 512, 1024, 0):
            count = counts.step(network, counts.Preset("", block, block, 64, 6, 25))
            cells = []
            for link in links(worker):
                computed, travels = model.owned(count, worker, 32), model.inverses_travel(count, 32, link)
                best = "**" if computed + travels < model.replicated(count, worker) else ""
                cells.append(f"{best}{number(1e3 * computed)} + {number(1e3 * travels)}{best}")
            lines.append(row(f"`{worker.name}`", block or "all rows", number(1e3 * model.replicated(count, worker)), *cells))
    return lines


NEXT = (
    ("as it is", model.Options()),
    ("sums as packed triangles", model.Options(triangles=True)),
    ("sums in bf16", model.Options(half_sums=True)),
    ("gradients in bf16", model.Options(half_gradients=True)),
    ("gradients after the backward pass", model.Options(copies=3, overlap=False)),
    ("halving and doubling, not a ring", model.Options(all_reduce="halving")),
    ("no copies: gradients lie in the buckets", model.Options(copies=0)),
    ("all of them, and gradients behind the pass", model.Options(False, "halving", 0, True, True, True, True)),
)


def gains():
    """BLOCK_KRONECKER, 100 Gbit/s: milliseconds of a step, and what a change takes off."""
    cases = [(worker, network, ranks) for worker in (workers.NODE, workers.GPU) for network in networks() for ranks in (128, 1024)]
    lines = head("what", *(f"`{worker.name}`, {network.name}, {ranks:,}" for worker, network, ranks in cases))
    first = {}
    for name, options in NEXT:
        cells = []
        for case in cases:
            worker, network, ranks = case
            link = collectives.gbit(100, worker.latency)
            total = model.step(usual(network), worker, ranks, SHARE[network.name], link, options).total
            before = first.setdefault(case, total)
            cells.append(number(1e3 * total) + ("" if name == "as it is" else f" ({100 * (total - before) / before:+.1f} %)"))
        lines.append(row(name, *cells))
    return lines


ALL = {
    "sizes": sizes,
    "workers": rates,
    "parts": parts,
    "weak core": lambda: weak(workers.CORE),
    "weak node": lambda: weak(workers.NODE),
    "weak gpu": lambda: weak(workers.GPU),
    "epochs": epochs,
    "ends": ends,
    "all-reduces": all_reduces,
    "turns": turns,
    "by block": by_block,
    "gains": gains,
}
