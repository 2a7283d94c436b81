# SPDX-License-Identifier: Apache-2.0
"""Layer sets, and the statistics of one layer in PyTorch: spec section 2 by unfold and matmul."""
import csv
import dataclasses
import pathlib

import torch
import torch.nn.functional as F

from peer_timing import Case


@dataclasses.dataclass(frozen=True)
class Preset:
    name: str
    block: int  # 0: full Phi
    samples: int  # 0: the batch
    statistics_interval: int
    inverse_interval: int


# As in lngd_gpu_bench and bench/layers/Counts.java.
PRESETS = [Preset("default", 128, 64, 20, 100), Preset("full", 0, 0, 100, 100)]


@dataclasses.dataclass(frozen=True)
class Layer:
    name: str
    kind: str
    inputs: int
    outputs: int
    kernel: int
    stride: int
    padding: int
    groups: int
    height: int
    width: int
    bias: int
    batch: int
    activation: str

    @property
    def conv(self):
        return self.kind == "conv"

    @property
    def out_height(self):
        return (self.height + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def out_width(self):
        return (self.width + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def positions(self):
        return self.out_height * self.out_width if self.conv else self.height * self.width

    @property
    def d(self):
        return self.inputs // self.groups * self.kernel**2 + self.bias

    def samples(self, preset):
        return min(preset.samples, self.batch) if preset.samples else self.batch

    def blocks(self, preset):
        """(first column, size) of the diagonal blocks."""
        size = min(preset.block, self.d) if preset.block else self.d
        return [(first, min(size, self.d - first)) for first in range(0, self.d, size)]


def read(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    whole = {f.name for f in dataclasses.fields(Layer) if f.type in (int, "int")}
    return [Layer(**{k: int(v) if k in whole else v for k, v in row.items()}) for row in rows]


def set_name(path):
    return pathlib.Path(path).stem


def distinct(layers):
    """One of each shape, in order of appearance: the same representatives as in lngd_gpu_bench."""
    seen = {}
    for layer in layers:
        seen.setdefault(dataclasses.replace(layer, name=""), layer)
    return list(seen.values())


def random(clock, *shape):
    return torch.rand(*shape, device=clock.device) * 2 - 1


def squares(layer, signal, dim):
    """q of EXPECTED."""
    if layer.activation == "softmax":
        p = signal.softmax(dim)
        return p * (1 - p)
    return (signal > 0).float() if layer.activation == "relu" else torch.ones_like(signal)


def patches(layer, x):
    """(d, rows) from activations: rows are (sample, position)."""
    if layer.kernel == 1 and layer.padding == 0:
        x = x[:, :, :: layer.stride, :: layer.stride]
        return x.permute(1, 0, 2, 3).reshape(layer.inputs, -1)
    unfolded = F.unfold(x, layer.kernel, padding=layer.padding, stride=layer.stride)
    return unfolded.permute(1, 0, 2).reshape(unfolded.shape[1], -1)


def syrk(a, r, blocks, way):
    """sum_n r_n a_n a_n^T of the diagonal blocks, from a: rows x d. Equal blocks go in one batch."""
    size = blocks[0][1]
    equal = [b for b in blocks if b[1] == size]
    batch = a[:, : len(equal) * size].view(a.shape[0], len(equal), size).permute(1, 0, 2)  # blocks x rows x size
    left = a * r.sqrt()[:, None] if way == "sqrt" else a * r[:, None]
    left = left[:, : len(equal) * size].view(a.shape[0], len(equal), size).permute(1, 0, 2)
    right = left if way == "sqrt" else batch
    if len(equal) == 1:
        out = [torch.mm(left[0].t(), right[0])]
    else:
        out = [torch.bmm(left.transpose(1, 2), right)]
    for first, width in blocks[len(equal) :]:
        piece = a[:, first : first + width]
        out.append(torch.mm((piece * r[:, None]).t(), piece))
    return out


def syrk_by_columns(at, r, blocks):
    """The same from a^T: d x rows, as unfold leaves it."""
    size = blocks[0][1]
    equal = [b for b in blocks if b[1] == size]
    weighted = at * r
    if len(equal) == 1:
        out = [torch.mm(weighted[:size], at[:size].t())]
    else:
        left = weighted[: len(equal) * size].view(len(equal), size, -1)
        right = at[: len(equal) * size].view(len(equal), size, -1)
        out = [torch.bmm(left, right.transpose(1, 2))]
    for first, width in blocks[len(equal) :]:
        out.append(torch.mm(weighted[first : first + width], at[first : first + width].t()))
    return out


def statistics(clock, set_name_, layer, preset):
    key = {
        "kernel": "conv_statistics" if layer.conv else "layer_statistics",
        "set": set_name_,
        "case": layer.name,
        "preset": preset.name,
    }
    return Case(key, lambda: _statistics(clock, layer, preset))


def _statistics(clock, layer, preset):
    n, blocks = layer.samples(preset), layer.blocks(preset)
    rows = n * layer.positions
    size = 4 * rows * (layer.d + layer.outputs)
    if layer.groups != 1:
        raise RuntimeError("groups are not covered")

    def dense_data():
        a = random(clock, rows, layer.d)
        if layer.bias:
            a[:, -1] = 1
        return a, random(clock, rows, layer.outputs)

    def psi(q, r, c, dim):
        return (q * (c[:, None] if dim == 1 else c)).sum(1 - dim), torch.dot(c, r)

    def dense(way):
        def make(_):
            a, s = dense_data()

            def run():
                q = squares(layer, s, 1)
                r, c = q.sum(1), (a * a).sum(1)
                return syrk(a, r, blocks, way), psi(q, r, c, 1)

            return run

        return make

    def conv(_):
        x = random(clock, n, layer.inputs, layer.height, layer.width)
        s = random(clock, n, layer.outputs, layer.out_height, layer.out_width)

        def run():
            q = squares(layer, s, 1).permute(1, 0, 2, 3).reshape(layer.outputs, -1)  # m x rows
            at = patches(layer, x)
            if layer.bias:
                at = F.pad(at, (0, 0, 0, 1), value=1.0)
            r, c = q.sum(0), (at * at).sum(0)
            return syrk_by_columns(at, r, blocks), psi(q, r, c, 0)

        return run

    def alone(way):  # the product, with patches and r at hand
        def make(_):
            a, r = random(clock, rows, layer.d), random(clock, rows).abs()
            if way == "columns":
                at = a.t().contiguous()
                return lambda: syrk_by_columns(at, r, blocks)
            return lambda: syrk(a, r, blocks, way)

        return make

    ways = []
    for tf32 in (True, False):
        precision = "tf32" if tf32 else "fp32"

        def timed(make, part=False, tf32=tf32, precision=precision):
            def way(name):
                torch.set_float32_matmul_precision("high" if tf32 else "highest")
                try:
                    return clock.measure(name, make, size, precision=precision, part=part)
                finally:
                    torch.set_float32_matmul_precision("highest")

            return way

        if layer.conv:
            ways.append((f"torch unfold + matmul, {precision}", timed(conv)))
        else:
            ways += [(f"torch, {w}, {precision}", timed(dense(k))) for k, w in (("sqrt", "(a sqrt r)^T (a sqrt r)"), ("plain", "(a r)^T a"))]
        if tf32 and (preset.block == 0 or clock.smoke):  # a part of the work, for the large products only
            ways += [
                (f"torch SYRK alone, {w}, {precision}", timed(alone(k), part=True))
                for k, w in (("sqrt", "(a sqrt r)^T (a sqrt r)"), ("plain", "(a r)^T a"), ("columns", "(a^T r) a"))
            ]
    yield from clock.best(ways)
