# SPDX-License-Identifier: Apache-2.0
"""Where one choice turns into another: REPLICATED into OWNED, and where more workers stop to help."""
import math

import model
from collectives import Link

LOW, HIGH = 1e3, 1e15  # bytes a second: slower and faster than any network


def bandwidth(count, worker, ranks, latency, options=model.Options()):
    """Bytes a second from which OWNED is faster, by bisection of its logarithm; math.inf where it never is."""
    saved = model.replicated(count, worker) - model.owned(count, worker, ranks)

    def faster(b):
        return model.inverses_travel(count, ranks, Link("", b, latency), options) < saved

    if not faster(HIGH):
        return math.inf
    low, high = math.log(LOW), math.log(HIGH)
    for _ in range(60):  # 27 / 2^60: below the last bit
        middle = (low + high) / 2
        low, high = (low, middle) if faster(math.exp(middle)) else (middle, high)
    return math.exp(high)


def strong(count, worker, batch, link, options=model.Options(), largest=8192):
    """(ranks, seconds, share of communication) of powers of two, a global batch of `batch` samples."""
    ranks, rows = 1, []
    while ranks <= min(largest, batch):
        time = model.step(count, worker, ranks, batch / ranks, link, options)
        rows.append((ranks, time.total, time.communication / time.total))
        ranks *= 2
    return rows


def end(rows):
    """Ranks of the shortest step, and the first ranks of whose step half is communication (None: none)."""
    fastest = min(rows, key=lambda row: row[1])[0]
    half = next((ranks for ranks, _, share in rows if share >= 0.5), None)
    return fastest, half
