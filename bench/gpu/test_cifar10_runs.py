#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cifar10.py from its command line to its lines of JSON, on the CPU and on the emulated CUDA backend. $LNGD_CIFAR10 may name the archive of
JPEGs; images are made otherwise."""
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

from cifar10_fixture import COMPILER, HERE, LIBRARY, binary_folder, needs_compiler, needs_library, needs_torch, records, torch

import cifar10
import cifar10_plan as plan
import lngd_abi

if torch:
    import cifar10_network
    import cifar10_training


@needs_torch
@needs_library
class WholeRuns(unittest.TestCase):
    SIZES = ["--device", "cpu", "--width", "4", "--calibration-steps", "1"]

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.data = os.environ.get("LNGD_CIFAR10")
        if not cls.data:
            cls.data = os.path.join(cls.folder.name, "data")
            os.mkdir(cls.data)
            binary_folder(cls.data, records(256, 1), records(100, 2))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def command(self, *more, library=LIBRARY, out="out.jsonl"):
        out = os.path.join(self.folder.name, out)
        return out, ["--library", library, "--data", self.data, "--out", out, "--seconds", "300", *self.SIZES, *more]

    def run_tool(self, *more, library=LIBRARY, expected=0):
        out, arguments = self.command(*more, library=library)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([sys.executable, os.path.join(HERE, "cifar10.py"), *arguments], capture_output=True, text=True, timeout=280, env=environment)
        self.assertEqual(expected, done.returncode, done.stderr[-3000:])
        with open(out, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def test_every_optimizer_learns(self):
        names = list(cifar10.KNOWN)
        lines = self.run_tool(
            "--optimizers", ",".join(names), "--epochs", "2", "--batch", "32", "--train-images", "256", "--test-images", "100",
            "--try", "lngd:trust_constant=0.1", "--try", "kfac:learning_rate=0.003", "--then", "lngd:1@2,sgd:5000",
        )
        kinds = [line["kind"] for line in lines]
        self.assertEqual("header", kinds[0])
        self.assertEqual((256, 100), (lines[0]["train_images"], lines[0]["test_images"]))
        self.assertEqual(len(names), kinds.count("calibration"))
        self.assertEqual([], [line for line in lines if line["kind"] == "failure"])
        skipped = [line for line in lines if line["kind"] == "skipped"]
        self.assertEqual([("sgd", 5000)], [(line["optimizer"], line["epochs"]) for line in skipped])
        for name in names:
            mine = [line for line in lines if line.get("optimizer") == name and line["kind"] == "evaluation" and line["seed"] == 1]
            self.assertEqual([(1, 8), (2, 16)], [(line["epoch"], line["step"]) for line in mine], name)
            self.assertLess(mine[1]["train_loss"], mine[0]["train_loss"], name)
            self.assertGreater(mine[1]["seconds"], mine[0]["seconds"])
            self.assertGreater(mine[1]["wall_seconds"], mine[1]["seconds"] + mine[1]["evaluation_seconds"])
            for key in ("raw_accuracy", "averaged_accuracy", "raw_loss", "averaged_loss", "seconds_epoch", "averaging_seconds", "settings"):
                self.assertIn(key, mine[0])
            summary = next(line for line in lines if line.get("optimizer") == name and line["kind"] == "summary")
            self.assertEqual(("whole", mine[1]["averaged_accuracy"]), (summary["ended"], summary["final_averaged_accuracy"]))
        lngd = next(line for line in lines if line["kind"] == "summary" and line["optimizer"] == "lngd")
        self.assertEqual(0, lngd["report"]["health"]["skipped_steps"])
        self.assertAlmostEqual(0.1 / 16**0.5, lngd["settings"]["trust_ratio"])
        self.assertEqual(1, sum(line["kind"] == "summary" and line["seed"] == 2 for line in lines))

    def test_emulated_device_bf16_and_a_budget_that_is_too_small(self):
        lines = self.run_tool(
            "--optimizers", "lngd,kfac", "--epochs", "100000", "--batch", "8", "--train-images", "8", "--test-images", "8", "--precision", "bf16",
            "--lngd-device", "emulated", "--try", "lngd:statistics_samples=1", "--try", "kfac:approximation=3", "--width", "2", "--seconds", "10.5",
        )
        # EKFAC is refused on CUDA: that costs its own runs only, and is told.
        failure = next(line for line in lines if line["kind"] == "failure")
        self.assertEqual(("kfac", True), (failure["optimizer"], failure["refused"]))
        self.assertIn("lngd_create: LNGD_INVALID_ARGUMENT", failure["error"])
        made = next(line for line in lines if line["kind"] == "plan")
        self.assertTrue(made["shortened"])
        self.assertLess(made["runs"][0][2], 100000)
        last = lines[-1]
        self.assertEqual(("summary", "lngd"), (last["kind"], last["optimizer"]))
        self.assertIn("SIMT", lines[0]["lngd_backend"]["device_name"])
        self.assertTrue(0 <= last["final_raw_accuracy"] <= 1)

    @needs_compiler
    def test_a_library_that_crashes_or_hangs_costs_its_own_runs_only(self):
        header = lngd_abi.Header()
        for body, word, stall in (("abort();", "SIGABRT", "60"), ("for (;;) sleep(1);", "no line for", "6")):
            folder = os.path.join(self.folder.name, word.replace(" ", ""))
            os.mkdir(folder)
            source = os.path.join(folder, "stub.c")
            with open(source, "w", encoding="utf-8") as file:
                file.write("#include <stdlib.h>\n#include <unistd.h>\n")
                for name in header.functions:
                    inside = {
                        "lngd_version": "return 0x100;", "lngd_version_string": 'return (long)"0.1.0";', "lngd_create": body,
                    }.get(name, "return 0;")
                    file.write(f"long {name}(void) {{ {inside} return 0; }}\n")
            subprocess.run([COMPILER, "-w", "-shared", "-fPIC", "-o", os.path.join(folder, "liblngd.so"), source], check=True)
            lines = self.run_tool(
                "--optimizers", "sgd,lngd,muon", "--epochs", "1", "--batch", "32", "--train-images", "64", "--test-images", "20", "--stall", stall,
                library=folder, expected=1,
            )
            failures = [line for line in lines if line["kind"] == "failure"]
            self.assertEqual(["lngd"], [line["optimizer"] for line in failures])
            self.assertIn(word, failures[0]["error"])
            self.assertEqual(["sgd", "muon"], [line["optimizer"] for line in lines if line["kind"] == "summary"])

    def test_a_stopped_run_leaves_its_lines_and_no_process(self):
        out, arguments = self.command(
            "--optimizers", "sgd", "--epochs", "100000", "--batch", "32", "--train-images", "64", "--test-images", "20", "--seconds", "1e9",
            out="stopped.jsonl",
        )
        process = subprocess.Popen([sys.executable, os.path.join(HERE, "cifar10.py"), *arguments])
        try:
            end = time.monotonic() + 60
            while time.monotonic() < end and not (os.path.exists(out) and any(line["kind"] == "evaluation" for line in plan.Log(out).read())):
                time.sleep(0.2)
            process.terminate()
            self.assertEqual(128 + 15, process.wait(10))
        finally:
            process.kill()
        lines = plan.Log(out).read()
        self.assertIn("evaluation", [line["kind"] for line in lines])
        time.sleep(1)  # a child that lived on would write several more
        self.assertEqual(len(lines), len(plan.Log(out).read()))

    def test_evaluating_changes_nothing_of_the_training(self):
        losses = []
        for every in (1, 3):
            _, arguments = self.command("--optimizers", "lngd", "--epochs", "3", "--batch", "32", "--evaluate-every", str(every))
            args = cifar10.arguments(arguments + ["--worker", "0"])
            log = plan.Log(os.path.join(self.folder.name, f"every{every}"))
            bench = cifar10_training.Bench(args, records(64, 1), records(20, 2), lngd_abi.Library(LIBRARY), log, time.time())
            cifar10_training.train(bench, args.runs[0], 1e9)
            last = [line for line in log.read() if line["kind"] == "evaluation"][-1]
            losses.append((last["train_loss"], last["raw_loss"], last["averaged_loss"]))
        self.assertEqual(*losses)

    def test_resnet18_has_its_parameters(self):
        self.assertEqual(11_173_962, sum(p.numel() for p in cifar10_network.ResNet18().parameters()))


if __name__ == "__main__":
    unittest.main()
