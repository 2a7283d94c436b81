# SPDX-License-Identifier: Apache-2.0
"""Seconds of collectives by the alpha-beta model: p ranks, n bytes, alpha seconds a message, B bytes a second each way.

Thakur, Rabenseifner, Gropp, "Optimization of Collective Communication Operations in MPICH", 2005. Additions are not counted.
"""
import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Link:
    name: str
    bandwidth: float  # bytes a second, each way, of every rank at once
    latency: float  # seconds a message

    def __post_init__(self):
        if not self.bandwidth > 0:
            raise ValueError(f"bandwidth is {self.bandwidth}, allowed is more than 0 bytes a second")
        if not self.latency >= 0:
            raise ValueError(f"latency is {self.latency}, allowed is 0 or more seconds")


def gbit(g, latency):
    return Link(f"{g:g} Gbit/s", g * 1e9 / 8, latency)


def rounds(p):
    return math.ceil(math.log2(p)) if p > 1 else 0


def ring(p, n, link):
    """Reduce-scatter and all-gather round a ring: what gloo::allreduce does unless told otherwise, and PyTorch tells it nothing.

    Gloo sends a chunk of n/p bytes as two segments or more of at most 1 MiB, two in flight, so that their latencies overlap.
    """
    return 2 * (p - 1) / p * n / link.bandwidth + 2 * (p - 1) * link.latency


def halving(p, n, link):
    """Recursive halving and doubling (Rabenseifner). Where p is no power of two the surplus ranks hand in and get back everything."""
    power = 2 ** math.floor(math.log2(p))
    inner = 2 * (power - 1) / power * n / link.bandwidth + 2 * math.log2(power) * link.latency
    return inner if power == p else inner + 2 * (n / link.bandwidth + link.latency)


def tree(p, n, link):
    """Reduction to one rank and broadcast, both by a binomial tree."""
    return 2 * broadcast(p, n, link)


ALL_REDUCE = {"ring": ring, "halving": halving, "tree": tree}


def broadcast(p, n, link):
    """gloo::broadcast: a binomial tree of whole messages, so the bytes pass log2 p times one after the other."""
    return rounds(p) * (n / link.bandwidth + link.latency)


def all_gather(p, n, link):
    """Round a ring, n bytes of all ranks together, each with the same share."""
    return (p - 1) / p * n / link.bandwidth + (p - 1) * link.latency
