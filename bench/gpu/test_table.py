#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""table.py on rows made up for the purpose: which verdict each target gets. Nothing here was measured."""
import unittest

import table

SETS = {"resnet18-cifar": 21, "resnet50-imagenet": 54}


def ours(kernel, us, set_name="resnet18-cifar", preset="default", precision="fp32", case="all", count=1, d=0, tensor=0.0, **more):
    return {
        "suite": "lngd", "kernel": kernel, "set": set_name, "case": case, "preset": preset, "precision": precision, "count": count, "d": d,
        "us": us, "us_low": us, "us_high": us, "runs": 9, "graph": True, "operations": 1e6, "tensor_operations": tensor, "fp32_operations": 1e3,
        "bytes": 1e3, "residual": 1e-7, "bound": 1e-6, "correct": True, **more,
    }  # fmt: skip


def peer(kernel, us, set_name="resnet18-cifar", preset="default", case="all", precision="fp32", by="torch", **more):
    return {"suite": "peer", "kernel": kernel, "set": set_name, "case": case, "preset": preset, "by": by, "us": us, "precision": precision, **more}


MACHINE = [
    {"suite": "machine", "device": "a card"},
    {"suite": "ceiling", "name": "mma_tf32", "unit": "TFLOP/s", "value": 300.0, "note": ""},
    {"suite": "ceiling", "name": "fp32", "unit": "TFLOP/s", "value": 60.0, "note": ""},
    {"suite": "ceiling", "name": "copy", "unit": "GB/s", "value": 3000.0, "note": ""},
]


def run(rows, peers=(), device=None):
    machine = [{"suite": "machine", "device": device}] if device else MACHINE
    return table.Run(machine + list(rows), list(peers), [], [])


def verdict(r, *words):
    found = [t for t in r.targets if all(w in t["target"] for w in words)]
    assert len(found) == 1, (words, [t["target"] for t in found])
    return found[0]


def step(us, preset, case="side stream", **more):
    row = {"suite": "step", "kernel": "whole_step", "set": "resnet18-cifar", "case": case, "preset": preset, "us": us, "us_low": us, "us_high": us}
    return {**row, "host_us": 1.0, "cycles": 5, "residual": 1e-6, "bound": 1e-3, "correct": True, **more}


def whole_step(preset):
    rows = [ours(k, 10, preset=preset) for k in ("precondition", "layer_rate", "apply_update")]
    rows += [ours("running_average", 40, preset=preset), ours("factor_inverse", 100, preset=preset)]
    rows += [ours("conv_statistics", 5, preset=preset, precision="3xtf32", case="conv1", count=20)]
    rows += [ours("layer_statistics", 20, preset=preset, precision="3xtf32", case="linear", count=1)]
    return rows


class Verdicts(unittest.TestCase):
    def test_nothing_measured_claims_nothing(self):
        for t in run([]).targets:
            self.assertTrue(t["verdict"].startswith("not measured"), t)

    def test_the_emulator_claims_nothing(self):
        r = run(whole_step("default"), [peer("forward_backward", 1e6, preset="-")], device="SIMT emulator (sm_80)")
        self.assertEqual(["not measured: an emulator has no times"], [t["verdict"] for t in r.targets])

    def test_a_step_is_amortised(self):
        parts, _ = table.amortised(run(whole_step("default")), "resnet18-cifar", "default")
        # 3 x 10, 40 / 20, 100 / 100, (20 x 5 + 20) / 20
        self.assertAlmostEqual(30 + 2 + 1 + 6, parts["sum"])
        parts, _ = table.amortised(run(whole_step("full")), "resnet18-cifar", "full")
        self.assertAlmostEqual(30 + 0.4 + 1 + 1.2, parts["sum"])

    def test_step_target_takes_the_fastest_training_pass_and_the_faster_step(self):
        passes = [peer("forward_backward", 3900, preset="-", by="NCHW"), peer("forward_backward", 1300, preset="-", by="NHWC")]
        rows = whole_step("default") + [step(39, "default"), step(60, "default", "one stream"), step(1, "full")]
        self.assertEqual("met", verdict(run(rows, passes), "whole LNGD step", "default")["verdict"])
        t = verdict(run(rows, passes + [peer("forward_backward", 650, preset="-")]), "whole LNGD step", "default")
        self.assertEqual("missed by a factor of 2.00", t["verdict"])
        self.assertIn("one after another 39.0 us", t["detail"])

    def test_the_sum_of_launches_is_no_whole_step(self):
        t = verdict(run(whole_step("default"), [peer("forward_backward", 1e6, preset="-")]), "whole LNGD step", "default")
        self.assertEqual("not measured: no whole step", t["verdict"])

    def test_a_wrong_step_counts_as_none(self):
        r = run([step(10, "default", residual=1.0, correct=False)], [peer("forward_backward", 1e6, preset="-")])
        self.assertEqual(1, len(r.wrong()))
        self.assertTrue(verdict(r, "whole LNGD step", "default")["verdict"].startswith("not measured"))

    def test_a_sum_without_all_statistics_is_none(self):
        rows = [r for r in whole_step("default") if r["kernel"] != "layer_statistics"]
        parts, missing = table.amortised(run(rows), "resnet18-cifar", "default")
        self.assertIsNone(parts)
        self.assertIn("statistics of 20 layers, 21 expected", missing)

    def test_a_wrong_result_counts_as_no_time(self):
        rows = [ours("factor_inverse", 10, residual=1.0, correct=False)]
        r = run(rows, [peer("factor_inverse", 1000)])
        self.assertEqual(1, len(r.wrong()))
        self.assertIn("not measured", verdict(r, "factor_inverse", "128", "resnet18")["verdict"])

    def test_factor_inverse_against_the_best_complete_peer(self):
        peers = [peer("factor_inverse", 30), peer("factor_inverse", 25), peer("factor_inverse", 5, part=True), peer("factor_inverse", 1, by="cuSOLVER")]
        t = verdict(run([ours("factor_inverse", 10)], peers), "factor_inverse", "128", "resnet18")
        self.assertEqual(("met", 2.5), (t["verdict"], t["value"]))
        t = verdict(run([ours("factor_inverse", 20)], peers), "factor_inverse", "128", "resnet18")
        self.assertEqual("missed by a factor of 2.00", t["verdict"])

    def test_statistics_by_the_worst_large_layer(self):
        def layer(case, us, d):
            # 300 TFLOP/s x 100 us = 3e10 operations
            return ours("conv_statistics", us, preset="full", precision="tf32", case=case, d=d, tensor=3e10)

        rows = [layer("a", 125, 1152), layer("b", 160, 2304), layer("small", 1000, 576)]
        peers = [peer("conv_statistics", 400, preset="full", case=c, precision="tf32") for c in "ab"]
        r = run(rows, peers)
        t = verdict(r, "conv_statistics, tf32", "ceiling")
        self.assertAlmostEqual(0.625, t["value"])
        self.assertEqual("met", t["verdict"])
        self.assertEqual(2.5, verdict(r, "conv_statistics, tf32", "PyTorch")["value"])
        # A layer whose peer is missing, or that failed, leaves the target open.
        self.assertIn("1 layers have no peer", verdict(run(rows, peers[:1]), "conv_statistics, tf32", "PyTorch")["verdict"])
        rows[1] = {**rows[1], "error": "cudaErrorIllegalAddress"}
        self.assertIn("1 of 2 rows failed", verdict(run(rows, peers), "conv_statistics, tf32", "ceiling")["verdict"])

    def test_the_table_prints_every_row(self):
        r = run(whole_step("default") + [ours("precondition", 0, preset="full", note="skipped: the time")], [peer("precondition", 55)])
        text = table.markdown(r)
        self.assertIn("skipped: the time", text)
        self.assertIn("torch: 55 us", text)
        self.assertIn("A step, amortised, us: precondition 10", text)


if __name__ == "__main__":
    unittest.main()
