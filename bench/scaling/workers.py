# SPDX-License-Identifier: Apache-2.0
"""What a worker can do: rates in operations and bytes a second. Only CORE is measured; the others are assumptions, and say so."""
import bisect
import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Worker:
    name: str
    measured: bool
    source: str
    passes: float  # forward and backward pass
    syrk: float  # statistics
    direction: float  # products with the inverses
    inverses: tuple  # (rows, operations a second) of an inverse, by rows; between them linear in log rows
    memory: float  # bytes a second, read and written
    latency: float  # seconds a message of the usual transport

    def inverse_rate(self, rows):
        sizes = [n for n, _ in self.inverses]
        i = bisect.bisect_left(sizes, rows)
        if i == 0 or i == len(sizes):
            return self.inverses[min(i, len(sizes) - 1)][1]
        (low, slow), (high, fast) = self.inverses[i - 1 : i + 1]
        return slow + (fast - slow) * math.log(rows / low) / math.log(high / low)

    def inverse_seconds(self, blocks):
        return sum(n**3 / self.inverse_rate(n) for n in blocks)

    def times(self, factor, memory, **changes):
        """`factor` times these rates."""
        return dataclasses.replace(
            self,
            passes=factor * self.passes,
            syrk=factor * self.syrk,
            direction=factor * self.direction,
            inverses=tuple((n, factor * rate) for n, rate in self.inverses),
            memory=memory,
            **changes,
        )


TCP = 25e-6  # assumed: a message of Gloo over the kernel's TCP, with the wake-up of a thread at both ends
RDMA = 5e-6  # assumed: a message of NCCL between machines

# bench/results/2026-11-23-cpu-kernels.md, one thread: statistics by blocks 81.7 to 86.5 GFLOP/s, precondition 81 to 99, factor_inverse
# by n, copy 22.7 GB/s. Passes: bench/results/2026-11-28-engines.md, ResNet-18 of 64 images by PyTorch with Adam, 213 GFLOP in 1.12 s on two
# threads of another machine with AVX-512.
CORE = Worker(
    "core",
    True,
    "measured: one core of an AMD EPYC (Zen 4, AVX-512); passes on a core of an Intel Xeon",
    passes=95e9,
    syrk=82e9,
    direction=90e9,
    inverses=((32, 13.6e9), (64, 30.6e9), (128, 53.8e9), (256, 73.3e9), (512, 87.1e9), (1024, 88.7e9), (2048, 91.9e9)),
    memory=22.7e9,
    latency=TCP,
)

CORES, KEPT = 32, 0.7
NODE = CORE.times(
    CORES * KEPT,
    memory=200e9,
    name="node",
    measured=False,
    source=f"assumed: {CORES} such cores with {100 * KEPT:.0f} % of {CORES} times one core's rates, 200 GB/s of memory",
)

# NVIDIA's datasheet of the A100 with 40 GB: dense TF32, fp32, memory.
A100_TF32, A100_FP32, A100_MEMORY = 156e12, 19.5e12, 1.555e12
FRACTION = 0.3
GPU = Worker(
    "gpu",
    False,
    f"assumed: {100 * FRACTION:.0f} % of an A100's published peaks (156 TFLOP/s TF32, a third of it in 3xTF32, 19.5 fp32), 80 % of 1.555 TB/s",
    passes=FRACTION * A100_TF32,
    syrk=FRACTION * A100_TF32,
    direction=FRACTION * A100_TF32 / 3,
    inverses=((128, FRACTION * A100_FP32), (1152, FRACTION * A100_TF32 / 3)),
    memory=0.8 * A100_MEMORY,
    latency=RDMA,
)

ALL = {worker.name: worker for worker in (CORE, NODE, GPU)}
