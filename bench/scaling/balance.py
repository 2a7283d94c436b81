# SPDX-License-Identifier: Apache-2.0
"""Layers to owners, longest first: each to the rank with the least work so far (Graham 1969: at most 4/3 - 1/(3p) of the optimum)."""
import heapq


def owners(costs, ranks):
    """The owner of each item; ties go to the lower rank and the earlier item, so that all ranks find the same."""
    if ranks < 1:
        raise ValueError(f"ranks is {ranks}, allowed is 1 or more")
    heap = [(0.0, rank) for rank in range(ranks)]
    owner = [0] * len(costs)
    for i in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        load, rank = heapq.heappop(heap)
        owner[i] = rank
        heapq.heappush(heap, (load + costs[i], rank))
    return owner


def longest(costs, ranks):
    """What the rank with the most to do has to do."""
    load = [0.0] * ranks
    for cost, rank in zip(costs, owners(costs, ranks)):
        load[rank] += cost
    return max(load)
