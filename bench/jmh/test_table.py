#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of table.py on made-up records: ratios that can be computed by hand."""
import unittest

import table


def record(name, params, samples, unit="us/op", **secondary):
    return {
        "benchmark": f"org.lngd4j.bench.{name}",
        "params": params,
        "primaryMetric": {"score": sum(samples) / len(samples), "scoreUnit": unit, "rawData": [samples]},
        "secondaryMetrics": {k.replace("_", "."): {"score": v} for k, v in secondary.items()},
    }


def rows(*records):
    text = table.table([table.Score(r, 1) for r in records])
    return [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| benchmark")]


class TableTest(unittest.TestCase):
    def test_the_inverse_alone_is_compared(self):
        seen = rows(
            record("InversePeer.invert", {"by": "lngd", "n": "128", "threads": "1"}, [50, 60], inverseMicros=400, inverses=10),
            record("InversePeer.invert", {"by": "ejml", "n": "128", "threads": "1"}, [900, 1100], inverseMicros=0, inverses=0),
            record("InversePeer.invert", {"by": "ejml", "n": "576", "threads": "1"}, [5, 5], inverseMicros=0, inverses=0),
        )
        self.assertEqual(seen[0], "| invert | 1 | lngd | 128 | 55.0 us | 50.0 us to 60.0 us | the inverse alone 40.0 us; 25.0x faster than ejml |")
        self.assertEqual(seen[1], "| invert | 1 | ejml | 128 | 1000.0 us | 900.0 us to 1100.0 us | - |")

    def test_the_floor_is_added_to_adam(self):
        params = {"set": "mlp", "threads": "2"}
        seen = rows(
            record("UpdaterPeer.cycle", {"optimizer": "lngd", **params}, [0.9], "ms/op"),
            record("UpdaterPeer.cycle", {"optimizer": "adam", **params}, [1000]),
            record("UpdaterPeer.cycle", {"optimizer": "floor", **params}, [500]),
            record("UpdaterPeer.cycle", {"optimizer": "floor", "set": "mlp", "threads": "1"}, [5e6]),
        )
        self.assertIn("| cycle | 2 | lngd | mlp | 900.0 us | 900.0 us to 900.0 us | 0.60 of Adam + floor; 0.90 of adam |", seen)

    def test_only_equal_threads_are_compared(self):
        seen = rows(
            record("StatisticsPeer.statistics", {"by": "lngd-full", "layer": "d", "threads": "1"}, [20000]),
            record("StatisticsPeer.statistics", {"by": "nd4j", "layer": "d", "threads": "1"}, [50000]),
            record("StatisticsPeer.statistics", {"by": "nd4j", "layer": "d", "threads": "2"}, [7]),
        )
        self.assertTrue(seen[0].endswith("| 20.0 ms | 20.0 ms to 20.0 ms | 2.5x faster than nd4j |"), seen[0])

    def test_nanoseconds_and_bytes(self):
        seen = rows(record("StepOverhead.observeAndStep", {"layers": "1"}, [8, 10], "ns/op", gc_alloc_rate_norm=0.2))
        self.assertEqual(seen, ["| observeAndStep | 1 | 1 | 9.0 ns | 8.0 ns to 10.0 ns | 0 bytes |"])

    def test_an_unknown_unit_is_refused(self):
        with self.assertRaisesRegex(ValueError, "ops/s"):
            table.Score(record("X.y", {}, [1], "ops/s"), 1)


if __name__ == "__main__":
    unittest.main()
