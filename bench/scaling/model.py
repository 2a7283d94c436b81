# SPDX-License-Identifier: Apache-2.0
"""Seconds of a data-parallel step, part by part, for one rank: the slowest, where they differ. Means over a run, so that what is due
every T steps counts a T-th. Parts follow each other, but for the gradients, which travel while the backward pass goes on."""
from __future__ import annotations  # Python 3.9 reads `int | None` too

import dataclasses

import balance
import collectives
import counts

KIB, MIB = 1 << 10, 1 << 20
BACKWARD = 2 / 3  # of forward and backward pass: what gradients could travel behind


@dataclasses.dataclass(frozen=True)
class Options:
    """The defaults are the library of today with PyTorch. Networks of DL4J have `overlap=False, copies=0`: one buffer, reduced as it is."""

    owned: bool | None = False  # inverses: False REPLICATED, True OWNED, None AUTO: whichever is faster
    all_reduce: str = "ring"
    copies: int = 2  # passes over the gradients around their all-reduce: into the buckets, scaled, and back (PyTorch's Reducer)
    triangles: bool = False  # sums and inverses travel as packed triangles
    half_sums: bool = False  # sums travel in bf16
    half_gradients: bool = False  # gradients travel in bf16
    overlap: bool = True  # gradients travel while the backward pass goes on
    gathered: bool = False  # owned inverses by one all-gather, not a broadcast a layer


@dataclasses.dataclass(frozen=True)
class StepTime:
    passes: float
    drawn: float  # gradients of drawn targets
    statistics: float  # products and running averages
    inverses: float
    direction: float
    update: float
    copies: float  # gradients into the flat buffer and back
    gradients: float  # their all-reduce
    agreement: float  # the short all-reduce before each step, and that of the Reducer's map of parameters that were reached
    sums: float  # all-reduce of the sums
    broadcasts: float  # of owned inverses

    @property
    def communication(self):
        return self.gradients + self.agreement + self.sums + self.broadcasts

    @property
    def total(self):
        return sum(getattr(self, field.name) for field in dataclasses.fields(self))


def sum_bytes(count, options=Options()):
    """Floats of the sums on the wire, in bytes."""
    elements = count.total("triangles") if options.triangles else count.total("sums")
    return elements * (2 if options.half_sums else counts.FLOAT)


def inverse_bytes(count, options=Options()):
    """Of each layer."""
    return [counts.FLOAT * c.triangles if options.triangles else c.inverse_bytes for c in count.layers]


def replicated(count, worker):
    """Seconds of an inversion of all layers."""
    return sum(worker.inverse_seconds(c.blocks) for c in count.layers)


def owned(count, worker, ranks):
    """Seconds of an inversion where each layer has an owner: those of the owner with the most to do."""
    return balance.longest([worker.inverse_seconds(c.blocks) for c in count.layers], ranks)


def inverses_travel(count, ranks, link, options=Options()):
    """Seconds until all ranks have all inverses: a broadcast a layer, one after the other, unless they are gathered."""
    travels = inverse_bytes(count, options)
    if options.gathered:
        return collectives.all_gather(ranks, sum(travels), link)
    return sum(collectives.broadcast(ranks, n, link) for n in travels)


def inversion(count, worker, ranks, link, options):
    """(computed, travelled), seconds of an inversion."""
    alone = replicated(count, worker)
    if options.owned is False or ranks == 1:
        return alone, 0.0
    shared = owned(count, worker, ranks), inverses_travel(count, ranks, link, options)
    return shared if options.owned or sum(shared) < alone else (alone, 0.0)


def buckets(n, ranks):
    """Bytes of each (BucketReducer), as if parameters could be cut anywhere."""
    first = max(MIB, 32 * KIB * ranks)
    others = max(min(25 * MIB, max(MIB, n / 8)), 256 * KIB * ranks)
    sizes = [min(n, first)]
    while sum(sizes) < n:
        sizes.append(min(others, n - sum(sizes)))
    return sizes


def step(count, worker, ranks, samples, link, options=Options()):
    """`samples`: of each rank. Of a fraction, the mean over ranks: only the whole number above it would be the slowest rank's."""
    preset, network = count.preset, count.network
    if ranks < 1:
        raise ValueError(f"ranks is {ranks}, allowed is 1 or more")
    if samples <= 0:
        raise ValueError(f"samples is {samples}, allowed is more than 0 for each rank")
    every, inverted = preset.statistics_interval, preset.inverse_interval

    def reduce(n):
        return collectives.ALL_REDUCE[options.all_reduce](ranks, n, link) if ranks > 1 else 0.0

    passes = count.passes(samples) / worker.passes
    syrk = count.total("syrk") * count.statistics_samples(ranks, samples) / worker.syrk
    sent = count.gradient_bytes * (0.5 if options.half_gradients else 1)
    if options.overlap:
        gradients = max(0.0, sum(reduce(n) for n in buckets(sent, ranks)) - BACKWARD * passes)
    else:
        gradients = reduce(sent)
    computed, travelled = inversion(count, worker, ranks, link, options)
    return StepTime(
        passes=passes,
        drawn=count.drawn(samples) / worker.passes / every,
        statistics=(syrk + count.averaging_bytes / worker.memory) / every,
        inverses=computed / inverted,
        direction=max(count.total("direction") / worker.direction, count.total("direction_bytes") / worker.memory),
        update=count.update_bytes / worker.memory,
        copies=options.copies * count.copy_bytes / worker.memory if ranks > 1 else 0.0,
        gradients=gradients,
        agreement=reduce(count.agreement_bytes(ranks)) + (reduce(counts.INT * count.network.tensors) if options.overlap else 0.0),
        sums=(reduce(sum_bytes(count, options)) + reduce(counts.DOUBLE * count.double_count)) / every,
        broadcasts=travelled / inverted,
    )


def efficiency(count, worker, ranks, samples, link, options=Options()):
    """Weak scaling: a step of one rank alone over a step of all, with the same samples for each."""
    alone = step(count, worker, 1, samples, link, options).total
    return alone / step(count, worker, ranks, samples, link, options).total
