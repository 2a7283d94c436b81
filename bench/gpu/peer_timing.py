# SPDX-License-Identifier: Apache-2.0
"""Time, results and cases of peers.py."""
import dataclasses
import gc
import json
import math
import statistics
import sys
import time
from typing import Callable, Iterable

import torch


@dataclasses.dataclass
class Case:
    """What a row is about, and a function that yields the rows' other fields, one a way of doing it."""

    key: dict
    run: Callable[[], Iterable[dict]]


class Report:
    def __init__(self, out, seconds):
        self.out, self.end = out, time.monotonic() + seconds

    def late(self):
        return time.monotonic() > self.end

    def line(self, fields):
        print(json.dumps(fields), file=self.out, flush=True)

    def row(self, key, fields):
        self.line({"suite": "peer", **key, **fields})
        print(
            f"{key['kernel']:18} {key['set']:18} {key['case']:24} {key['preset']:8} {fields.get('by', '-'):52} "
            f"{fields.get('us', math.nan):10.2f} us {fields.get('error', fields.get('note', ''))}",
            file=sys.stderr,
            flush=True,
        )


class Clock:
    """Medians by CUDA events. `make(slot)` returns the function to time on data of its own; several sets of data take turns so
    that the cache holds none of them."""

    def __init__(self, device, smoke):
        self.device, self.smoke = device, smoke
        self.cuda = device == "cuda"
        # 64 MiB where this PyTorch does not tell: no card of today has much more.
        self.l2 = getattr(torch.cuda.get_device_properties(0), "L2_cache_size", 64 << 20) if self.cuda else 0

    def slots(self, size):
        return 1 if self.smoke or not self.cuda else max(1, min(64, math.ceil(2 * self.l2 / max(1, size))))

    def release(self):
        gc.collect()
        if self.cuda:
            torch.cuda.synchronize()
            torch.cuda.empty_cache()

    def measure(self, by, make, size, graph=True, note=None, precision=None, part=False):
        """One row: the better of launch by launch and, where it can be captured, a CUDA graph. `size`: bytes that a run touches;
        `part`: it does less than the kernel that it is held against."""
        functions = [make(slot) for slot in range(self.slots(size))]
        row = {"by": by, **self._time(functions)}
        if graph and self.cuda:
            replayed = self._graphed(functions)
            if replayed and replayed["us"] < row["us"]:
                row.update(replayed)
        if precision:
            row["precision"] = precision
        if part:
            row["part"] = True
        if note:
            row["note"] = note
        return row

    def best(self, ways):
        """Of several rows the fastest; a way that fails is told, and is no reason to stop."""
        rows = []
        for name, way in ways:
            try:
                rows.append(way(name))
            except RuntimeError as error:  # out of memory and LinAlgError are kinds of it
                print(f"    {name}: {str(error).splitlines()[0][:160]}", file=sys.stderr)
            self.release()
        if not rows:
            raise RuntimeError("every way failed")
        return rows

    def _once(self, run):
        """Microseconds."""
        if not self.cuda:
            start = time.perf_counter()
            run()
            return 1e6 * (time.perf_counter() - start)
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        run()
        end.record()
        end.synchronize()
        return 1e3 * start.elapsed_time(end)

    def _time(self, functions, calls=1):
        """`calls`: how many runs one call of a function stands for."""

        def round_robin(rounds):
            for _ in range(rounds):
                for function in functions:
                    function()

        if self.smoke:
            us = self._once(lambda: round_robin(1)) / (len(functions) * calls)
            return {"us": us, "us_low": us, "us_high": us, "runs": 1, "graph": False}
        round_robin(1)
        once = max(0.5, self._once(lambda: round_robin(1)))
        if once < 1e5:  # microseconds; what is slow is warm by now
            round_robin(1)
            once = max(0.5, self._once(lambda: round_robin(1)))
        rounds = max(1, min(500, math.ceil(500 / once)))
        runs = int(max(3, min(30, 120e3 / (once * rounds))))
        times = sorted(self._once(lambda: round_robin(rounds)) / (rounds * len(functions) * calls) for _ in range(runs))
        return {
            "us": statistics.median(times),
            "us_low": times[len(times) // 4],
            "us_high": times[len(times) * 3 // 4],
            "runs": runs,
            "graph": False,
        }

    def _graphed(self, functions):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for function in functions:
                function()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                for function in functions:
                    function()
        except RuntimeError as error:
            torch.cuda.synchronize()
            print(f"    no graph: {str(error).splitlines()[0][:160]}", file=sys.stderr)
            return None
        row = self._time([graph.replay], calls=len(functions))
        row["graph"] = True
        graph.reset()
        return row
