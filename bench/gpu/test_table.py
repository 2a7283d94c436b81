#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""table.py and what it is made of, on rows made up for the purpose: which verdict each target gets. Nothing here was measured."""
import contextlib
import io
import pathlib
import tempfile
import unittest

import results
import table
import targets

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
    return results.Run(machine + list(rows) + list(peers))


def verdict(r, *words):
    found = [t for t in targets.targets(r) if all(w in t["target"] for w in words)]
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
        for t in targets.targets(run([])):
            self.assertTrue(t["verdict"].startswith("not measured"), t)

    def test_the_emulator_claims_nothing(self):
        r = run(whole_step("default"), [peer("forward_backward", 1e6, preset="-")], device="SIMT emulator (sm_80)")
        self.assertEqual("not measured: an emulator has no times", verdict(r, "kernels")["verdict"])
        self.assertFalse([t for t in targets.targets(r) if not t["verdict"].startswith("not measured")])

    def test_a_step_is_amortised(self):
        parts, _ = results.amortised(run(whole_step("default")), "resnet18-cifar", "default")
        # 3 x 10, 40 / 20, 100 / 100, (20 x 5 + 20) / 20
        self.assertAlmostEqual(30 + 2 + 1 + 6, parts["sum"])
        parts, _ = results.amortised(run(whole_step("full")), "resnet18-cifar", "full")
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
        parts, missing = results.amortised(run(rows), "resnet18-cifar", "default")
        self.assertIsNone(parts)
        self.assertIn("statistics of 20 layers, 21 expected", missing)

    def test_a_wrong_result_counts_as_no_time(self):
        rows = [ours("factor_inverse", 10, residual=1.0, correct=False)]
        r = run(rows, [peer("factor_inverse", 1000)])
        self.assertEqual(1, len(r.wrong()))
        self.assertIn("not measured", verdict(r, "factor_inverse", "128", "resnet18")["verdict"])

    def test_factor_inverse_against_the_best_complete_peer(self):
        peers = [peer("factor_inverse", 30, by="torch a"), peer("factor_inverse", 25, by="torch b"), peer("factor_inverse", 1, by="cuSOLVER")]
        peers.append(peer("factor_inverse", 5, by="torch c", part=True))
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

    def test_a_wrong_step_and_a_lost_case_are_told(self):
        key = {"kernel": "precondition", "set": "resnet18-cifar", "case": "all", "preset": "full", "precision": "3xtf32"}
        begun = {"suite": "begun", "index": 3, **key}
        r = run([step(10, "default", residual=1.0, correct=False), begun])
        text = table.markdown(r)
        self.assertIn("Wrong results or failed cases: 2.", text)
        self.assertIn("- whole_step resnet18-cifar side stream default : residual 1", text)
        self.assertIn("- precondition resnet18-cifar all full 3xtf32: no result: it hung, crashed or was cut off", text)
        self.assertEqual([], run([begun, ours("precondition", 5, preset="full", precision="3xtf32")]).wrong())

    def test_of_two_calls_the_last_time_counts(self):
        skipped = {**ours("factor_inverse", 0), "note": "skipped"}
        r = run([ours("factor_inverse", 20), ours("factor_inverse", 10), skipped], [peer("factor_inverse", 30)])
        self.assertEqual(3.0, verdict(r, "factor_inverse", "128", "resnet18")["value"])
        self.assertEqual(1, len(r.results))

    def test_rows_of_two_cards_are_not_compared(self):
        other = {"suite": "machine", "device": "another card"}
        r = run([ours("factor_inverse", 10), other], [peer("factor_inverse", 30)])
        self.assertEqual("not measured: rows of several cards, a card, another card", verdict(r, "kernels")["verdict"])

    def test_stages(self):
        rows = [
            {"suite": "fact", "name": "plan", "value": "first"},
            {"suite": "plan", "plan": "first", "seconds": 270, "stages": ["build", "step", "kernels", "peers", "tests"]},
            {"suite": "stage", "stage": "build", "started": 1, "limit": 9},
            {"suite": "stage", "stage": "build", "exit": 0, "seconds": 7, "left": 200},
            {"suite": "stage", "stage": "step", "exit": 124, "seconds": 7, "left": 190},
            {"suite": "stage", "stage": "kernels", "skipped": "no time left"},
            {"suite": "stage", "stage": "peers", "started": 99, "limit": 9},
            {"suite": "fact", "name": "plan", "value": "paper"},
        ]
        first, second = results.calls(rows)
        states = ["done", "stopped at its limit", "not run: no time left", "begun, and cut off", "not reached"]
        self.assertEqual(states, [s["state"] for s in first["stages"].values()])
        self.assertEqual("paper", second["facts"]["plan"])

    def test_half_a_line_costs_itself(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "rows.jsonl"
            path.write_bytes(b'{"suite": "fact", "name": "plan"}\n{"suite": "lngd", "ker\n[1]\n\xff\n{"suite": "peers"}\n{"sui')
            with contextlib.redirect_stderr(io.StringIO()):
                self.assertEqual(["fact", "peers"], [r["suite"] for r in results.lines(path)])


def training(optimizer, accuracies, seed=1, epochs=16, seconds=2.0, gpu="a card"):
    """An evaluation each epoch; accuracies in per cent, of the averaged weights."""
    key = {"suite": "cifar10", "optimizer": optimizer, "seed": seed}
    rows = [{"suite": "cifar10", "kind": "header", "gpu": gpu}, {**key, "kind": "begin", "stage": "run", "epochs": epochs}]
    for i, accuracy in enumerate(accuracies, 1):
        numbers = {"epoch": i, "seconds": seconds * i, "seconds_epoch": seconds, "raw_accuracy": 0.5, "averaged_accuracy": accuracy / 100}
        rows.append({**key, "kind": "evaluation", "epochs": epochs, **numbers})
    return rows


class Paper(unittest.TestCase):
    def verdict(self, rows, rival):
        return verdict(results.Run(rows), "CIFAR-10", f"over {rival}'s")

    def test_seconds_to_93_per_cent_of_each_optimizer(self):
        rows = training("sgd", [80, 91, 92, 93, 94], seconds=2) + training("lngd", [90, 93, 94], seconds=3)
        t = self.verdict(rows, "SGD")
        self.assertEqual(("met", 6 / 8), (t["verdict"], t["value"]))
        self.assertEqual("6.0 s (lngd, 16 epochs, 1 seed) against 8.0 s (sgd, 16 epochs, 1 seed)", t["detail"])
        self.assertEqual("not measured: no run of muon", self.verdict(rows, "Muon")["verdict"])
        rows += training("muon", [93], seconds=3)
        self.assertEqual("missed by a factor of 2.00", self.verdict(rows, "Muon")["verdict"])

    def test_who_does_not_get_there(self):
        rows = training("sgd", [80, 92.9]) + training("lngd", [93])
        self.assertEqual("met: the rival did not reach 93 %", self.verdict(rows, "SGD")["verdict"])
        self.assertIn("best 92.90 %", self.verdict(rows, "SGD")["detail"])
        rows = training("sgd", [93]) + training("lngd", [92])
        self.assertEqual("missed: LNGD did not reach 93 %", self.verdict(rows, "SGD")["verdict"])
        rows = training("sgd", [90]) + training("lngd", [92])
        self.assertEqual("not measured: neither reached 93 %", self.verdict(rows, "SGD")["verdict"])

    def test_seeds_by_their_median_and_settings_by_the_best(self):
        rows = training("sgd", [80, 80, 93])
        for seed, epochs_needed in ((1, 1), (2, 2), (3, 9)):
            rows += training("lngd", [80] * (epochs_needed - 1) + [93], seed=seed)
        self.assertAlmostEqual(4 / 6, self.verdict(rows, "SGD")["value"])
        # Of two seeds the worse: a lucky one shows nothing.
        rows = training("sgd", [80, 80, 93]) + training("lngd", [93]) + training("lngd", [80, 80, 80, 93], seed=2)
        self.assertAlmostEqual(8 / 6, self.verdict(rows, "SGD")["value"])
        rows += training("lngd/fast", [93], epochs=8)
        self.assertAlmostEqual(2 / 6, self.verdict(rows, "SGD")["value"])

    def test_a_cpu_claims_nothing(self):
        rows = training("sgd", [93], gpu=None) + training("lngd", [93], gpu=None)
        self.assertEqual("not measured: no training on a GPU", self.verdict(rows, "SGD")["verdict"])

    def test_the_table_of_trainings(self):
        rows = training("sgd", [80, 91, 93.5]) + training("lngd", [], seed=7)
        rows.append({"suite": "cifar10", "kind": "failure", "optimizer": "lngd", "seed": 7, "error": "it broke | badly"})
        rows.append({"suite": "cifar10", "kind": "summary", "optimizer": "sgd", "seed": 1, "ended": "cut"})
        text = table.markdown(results.Run(rows))
        self.assertIn("| sgd | 1 | 3 of 16 | 2 | 4.0 | 2 | 6.0 | 3 | - | - | 93.50 % | 93.50 % | cut |", text)
        self.assertIn("| lngd | 7 | 0 of 16 | - | - | - | - | - | - | - | - | - | failed: it broke / badly |", text)


if __name__ == "__main__":
    unittest.main()
