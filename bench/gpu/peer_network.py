# SPDX-License-Identifier: Apache-2.0
"""What runs over a whole network: inverses, preconditioning, the empirical rate, a straightforward LNGD step, and the training step
(forward and backward) that all of it is measured against."""
import collections

import torch
import torch.nn.functional as F
from torch import nn

from peer_layers import distinct, random
from peer_timing import Case


def over_all_layers(clock, set_name, layers, preset):
    def key(kernel):
        return {"kernel": kernel, "set": set_name, "case": "all", "preset": preset.name}

    yield Case(key("factor_inverse"), lambda: _inverses(clock, layers, preset))
    yield Case(key("precondition"), lambda: _precondition(clock, layers, preset))
    yield Case(key("step"), lambda: _step(clock, layers, preset))
    if preset.name == "default":  # the rate does not depend on it
        yield Case(key("layer_rate_empirical"), lambda: _empirical(clock, layers))


# ---- inverses


def damped(clock, count, n):
    """A batch of symmetric positive definite matrices, spectrum about 1.2 to 2.8, made in place: they may be gigabytes."""
    a = random(clock, count, n, n).mul_(0.4 * (1.5 / n) ** 0.5)
    a = a + a.transpose(1, 2)
    a.diagonal(dim1=1, dim2=2).add_(2.0)
    return a


def by_cholesky_inverse(a):
    return torch.cholesky_inverse(torch.linalg.cholesky(a))


def by_cholesky_ex(a):
    return torch.cholesky_inverse(torch.linalg.cholesky_ex(a)[0])


def by_triangle(a):
    lower = torch.linalg.cholesky_ex(a)[0]
    eye = torch.eye(a.shape[-1], device=a.device).expand_as(a)
    inverse = torch.linalg.solve_triangular(lower, eye, upper=False)
    return inverse.mT @ inverse


def by_inv(a):
    return torch.linalg.inv_ex(a)[0]


INVERSES = [
    ("linalg.cholesky + cholesky_inverse", by_cholesky_inverse),
    ("linalg.cholesky_ex + cholesky_inverse", by_cholesky_ex),
    ("linalg.cholesky_ex + solve_triangular + matmul", by_triangle),
    ("linalg.inv_ex", by_inv),
]


def _inverses(clock, layers, preset):
    sizes = collections.Counter(size for layer in layers for _ in range(layer.groups) for _, size in layer.blocks(preset))
    floats = sum(count * n * n for n, count in sizes.items())

    def batched(inverse):
        def make(_):
            batches = [damped(clock, count, n) for n, count in sizes.items()]
            return lambda: [inverse(a) for a in batches]

        return make

    def looped(inverse):
        def make(_):
            matrices = [a for n, count in sizes.items() for a in damped(clock, count, n)]
            return lambda: [inverse(a) for a in matrices]

        return make

    def timed(make):
        # No graphs: the solvers may wait for the device, which ends a capture badly.
        return lambda name: clock.measure(name, make, 4 * floats, graph=False, precision="fp32")

    torch.set_float32_matmul_precision("highest")
    ways = [(f"torch batched by size, {name}", timed(batched(inverse))) for name, inverse in INVERSES]
    if preset.block == 0:  # hundreds of small ones in a loop are no contest
        ways += [(f"torch looped, {name}", timed(looped(inverse))) for name, inverse in INVERSES[:3]]
    yield from clock.best(ways)


# ---- the step


class State:
    """A layer as straightforward PyTorch code keeps it: weights with the bias as last column, Phi^-1 as a batch of equal blocks and the
    rest."""

    def __init__(self, clock, layer, preset):
        m, d = layer.outputs, layer.d
        self.weight, self.gradient = random(clock, m, d), random(clock, m, d)
        self.momentum, self.average = torch.zeros_like(self.weight), self.weight.clone()
        self.psi_inverse = random(clock, m, 1).abs() + 0.5
        blocks = layer.blocks(preset)
        self.size = blocks[0][1]
        self.equal = sum(1 for _, size in blocks if size == self.size)
        self.phi_inverse = random(clock, self.equal, self.size, self.size)
        self.rest = random(clock, blocks[-1][1], blocks[-1][1]) if len(blocks) > self.equal else None

    def direction(self):
        g, split = self.gradient, self.equal * self.size
        if self.equal == 1:
            d = g[:, :split] @ self.phi_inverse[0]
        else:
            d = torch.bmm(g[:, :split].view(-1, self.equal, self.size).permute(1, 0, 2), self.phi_inverse)
            d = d.permute(1, 0, 2).reshape(g.shape[0], split)
        if self.rest is not None:
            d = torch.cat([d, g[:, split:] @ self.rest], 1)
        return d * self.psi_inverse

    def step(self, tau, factor, window):
        """Sections 5 to 7 of the method: direction, trust ratio, momentum, update, averaged weights; no host synchronisation."""
        d = self.direction()
        scale = tau * self.weight.norm().clamp(min=1e-3) / d.norm()
        self.momentum.mul_(0.9).sub_(factor * scale * d)
        self.weight.add_(self.momentum)
        self.average.lerp_(self.weight, window)


def states(clock, layers, preset):
    # groups would only make the matrices smaller; no set here has any
    return [State(clock, layer, preset) for layer in layers]


def weights_bytes(layers, preset, streams):
    return 4 * sum(
        streams * layer.outputs * layer.d + sum(size * size for _, size in layer.blocks(preset)) for layer in layers
    )


def with_precision(clock, precision, make, size):
    def way(name):
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        try:
            return clock.measure(name, make, size, precision=precision)
        finally:
            torch.set_float32_matmul_precision("highest")

    return way


def _precondition(clock, layers, preset):
    def make(_):
        all_layers = states(clock, layers, preset)
        return lambda: [state.direction() for state in all_layers]

    size = weights_bytes(layers, preset, 2)
    yield from clock.best(
        [(f"torch bmm and scale, {p}", with_precision(clock, p, make, size)) for p in ("tf32", "fp32")]
    )


def _step(clock, layers, preset):
    def make(_):
        all_layers = states(clock, layers, preset)
        return lambda: [state.step(1e-3, 1.0, 0.05) for state in all_layers]

    size = weights_bytes(layers, preset, 5)
    yield from clock.best(
        [(f"torch LNGD step without statistics and inverses, {p}", with_precision(clock, p, make, size)) for p in ("tf32", "fp32")]
    )


def _empirical(clock, layers):
    """C = (1/N) sum_n (delta_n^T D a_n)^2 over each different dense layer once, every position a sample: as lngd_gpu_bench."""
    dense = [layer for layer in distinct(layers) if not layer.conv]
    if not dense:
        return

    def make(_):
        data = []
        for layer in dense:
            rows = layer.batch * layer.positions
            data.append((random(clock, rows, layer.d), random(clock, rows, layer.outputs), random(clock, layer.outputs, layer.d)))

        def run():
            return [(F.linear(a, d) * delta).sum(1).square().mean() for a, delta, d in data]

        return run

    size = 4 * sum(layer.batch * layer.positions * (layer.d + layer.outputs) for layer in dense)
    yield from clock.best(
        [(f"torch linear, times delta, {p}", with_precision(clock, p, make, size)) for p in ("tf32", "fp32")]
    )


# ---- forward and backward


class Block(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        same = stride == 1 and channels == width
        self.shortcut = nn.Identity() if same else nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        return F.relu(self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))) + self.shortcut(x))


class ResNet18(nn.Module):
    """For 32 x 32 images: bench/layers/resnet18-cifar.csv."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64)
        blocks, channels = [], 64
        for stage in range(4):
            for i in range(2):
                blocks.append(Block(channels, 64 << stage, 2 if stage > 0 and i == 0 else 1))
                channels = 64 << stage
        self.blocks, self.linear = nn.Sequential(*blocks), nn.Linear(512, 10)

    def forward(self, x):
        return self.linear(self.blocks(F.relu(self.norm1(self.conv1(x)))).mean((2, 3)))


def training(clock):
    key = {"kernel": "forward_backward", "set": "resnet18-cifar", "case": "all", "preset": "-"}
    return Case(key, lambda: _training(clock))


def _training(clock):
    batch = 2 if clock.smoke else 256
    parameters = sum(p.numel() for p in ResNet18().parameters())
    if parameters != 11_173_962:
        raise RuntimeError(f"this network has {parameters} parameters, the layer set's has 11173962")

    def make_with(layout):
        def make(_):
            net = ResNet18().to(clock.device).to(memory_format=layout)
            x = torch.randn(batch, 3, 32, 32, device=clock.device).to(memory_format=layout)
            y = torch.randint(0, 10, (batch,), device=clock.device)

            def run():
                for p in net.parameters():
                    p.grad = None  # as a step with set_to_none: the backward pass writes, it does not add
                F.cross_entropy(net(x), y).backward()

            return run

        return make

    def way(layout):
        def timed(name):
            if clock.cuda:
                torch.backends.cudnn.benchmark = True
                torch.backends.cudnn.allow_tf32 = True  # of convolutions
            torch.set_float32_matmul_precision("high")
            try:
                return clock.measure(name, make_with(layout), 1e9, precision="tf32")
            finally:
                torch.set_float32_matmul_precision("highest")
                if clock.cuda:
                    torch.backends.cudnn.benchmark = False

        return timed

    yield from clock.best(
        [
            (f"torch ResNet-18, batch {batch}, NCHW, tf32", way(torch.contiguous_format)),
            (f"torch ResNet-18, batch {batch}, channels_last, tf32", way(torch.channels_last)),
        ]
    )
