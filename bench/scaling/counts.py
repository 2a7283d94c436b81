# SPDX-License-Identifier: Apache-2.0
"""Operations and bytes of a step, counted: per layer, then summed. Nothing here knows a time or a rate."""
from __future__ import annotations  # Python 3.9 reads `int | None` too

import dataclasses

from layers import PAD, padded

FLOAT, INT, DOUBLE = 4, 4, 8
TOLD = 10  # numbers that each rank tells the others before a step (StepBarrier.Slot, and the names of ParallelStep)


@dataclasses.dataclass(frozen=True)
class Preset:
    """block, second: the largest diagonal block of either factor; 0: full, None: no matrix. samples 0: all of the batch."""

    name: str
    block: int
    second: int | None
    samples: int
    statistics_interval: int
    inverse_interval: int
    averaged: bool = True

    @property
    def drawn(self):
        """Whether targets are drawn and their gradients back-propagated: what a matrix of gradients is made of."""
        return self.second is not None


def clamp(x, low, high):
    return min(max(x, low), high)


def recipe():
    return Preset("RECIPE", 128, None, 64, 20, 100)


def block_kronecker(network, steps):
    """As `recommended` has it for a classifier in a run of so many steps (native/src/optimizer/recommend.cpp)."""
    conv = network.convolutional
    return Preset("BLOCK_KRONECKER", 128, 128, 64 if conv else 256, clamp(steps // (40 if conv else 80), 1, 6), clamp(steps // 20, 1, 25))


def kfac():
    """The library's preset of that name: full factors, statistics from the whole batch."""
    return Preset("KFAC", 0, 0, 0, 20, 100, averaged=False)


def by_name(name, network, steps):
    presets = {"recipe": recipe, "block_kronecker": lambda: block_kronecker(network, steps), "kfac": kfac}
    if name not in presets:
        raise ValueError(f"preset is {name}, allowed is one of {', '.join(presets)}")
    return presets[name]()


def floats(sizes):
    """Of blocks in memory and on the wire today: squares, each row padded to 16 floats."""
    return sum(n * padded(n) for n in sizes)


def triangle(sizes):
    return sum(n * (n + 1) // 2 for n in sizes)


def aligned(doubles):
    """Each range of doubles begins at a cache line of 64 bytes."""
    line = PAD // 2
    return (doubles + line - 1) // line * line


@dataclasses.dataclass(frozen=True)
class LayerCount:
    """Of one layer. Times are a model's matter: `blocks` are the sizes that are inverted."""

    name: str
    blocks: tuple
    syrk: float  # operations for one sample: 2 for each row and element of a lower triangle
    sums: int  # floats, padded squares
    triangles: int  # elements that count
    doubles: int
    direction: float  # operations of the products with the inverses
    direction_bytes: float  # gradient, weights and direction once each; with two factors what lies between them too
    inverse_bytes: int  # an inverse is a full square, rows padded

    @property
    def inverse(self):
        """Operations of Cholesky, triangular inverse and product, n^3 / 3 each."""
        return sum(n**3 for n in self.blocks)


def count(layer, preset):
    first = layer.first(preset.block)
    second = layer.second(preset.second) if preset.second is not None else []
    m, d, md = layer.outputs, layer.d, layer.parameters
    # D = G A^-1: each row of G times each block; B^-1 from the left, of all d columns.
    product = 2 * m / layer.groups * sum(n * n for n in first) + 2 * d * sum(n * n for n in second)
    passes = 24 if second else 12  # bytes an element: X = G A^-1 is written and read between the products, G read again
    head = aligned(layer.groups) + (aligned(2 * layer.groups + 1) if second else aligned(m))
    return LayerCount(
        layer.name,
        tuple(first + second),
        2.0 * layer.positions * (triangle(first) + triangle(second)),
        floats(first) + floats(second),
        triangle(first) + triangle(second),
        head,
        product,
        passes * md + FLOAT * (floats(first) + floats(second)),
        FLOAT * (floats(first) + floats(second)),
    )


@dataclasses.dataclass(frozen=True)
class StepCount:
    """Of a network under a preset."""

    network: object
    preset: Preset
    layers: tuple

    def total(self, what):
        return sum(getattr(layer, what) for layer in self.layers)

    def passes(self, samples):
        """Forward, and both products of the backward pass: 6 operations for each weight and position."""
        return 6.0 * self.network.multiply_adds * samples

    def drawn(self, samples):
        """Gradients of drawn targets by the layers' outputs: one product, over the whole share (Passes.sample)."""
        return 2.0 * self.network.multiply_adds * samples if self.preset.drawn else 0.0

    def statistics_samples(self, ranks, share):
        """Of one rank, in samples: its part of preset.samples, which counts rows of the output layer, rounded up."""
        if self.preset.samples == 0:
            return share
        rows = -(-self.preset.samples // ranks)
        return min(rows / self.network.rows, share)

    @property
    def gradient_bytes(self):
        return FLOAT * self.network.parameters

    @property
    def double_count(self):
        return self.total("doubles") + aligned(2 * (len(self.layers) + self.network.plain_tensors))

    def agreement_bytes(self, ranks):
        return DOUBLE * (TOLD * ranks + self.network.tensors + 1)

    @property
    def averaging_bytes(self):
        """running_average: average and sum read, average written, sum zeroed."""
        return 16.0 * self.total("triangles")

    @property
    def update_bytes(self):
        """apply_update: weights, momentum, averaged weights read and written, the direction read."""
        return (28.0 if self.preset.averaged else 20.0) * self.network.parameters

    @property
    def copy_bytes(self):
        """One pass over all gradients, each read and written."""
        return 2.0 * FLOAT * self.network.parameters


def step(network, preset):
    return StepCount(network, preset, tuple(count(layer, preset) for layer in network.factored))
