#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/scaling.md holds what the command prints; `check` compares a file with what the model says."""
import contextlib
import copy
import dataclasses
import io
import json
import pathlib
import tempfile
import unittest

import check
import collectives
import counts
import layers
import model
import scaling
import tables
import workers

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parent.parent / "docs" / "scaling.md"


def run(*arguments):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        scaling.main(list(arguments))
    return out.getvalue()


class PageTest(unittest.TestCase):
    def test_tables(self):
        text = PAGE.read_text(encoding="utf-8")
        shown = [match["name"] for match in scaling.BLOCK.finditer(text)]
        self.assertEqual(sorted(shown), sorted(tables.ALL))
        made = scaling.into(text)
        for was, now in zip(text.splitlines(), made.splitlines()):
            self.assertEqual(was, now, "make it again: python3 bench/scaling/scaling.py tables --into docs/scaling.md")
        self.assertEqual(text, made)

    def test_into(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder, "page.md")
            page.write_text("a\n<!-- table: workers -->\nold\n<!-- end of table -->\nb\n", encoding="utf-8")
            run("tables", "--into", str(page))
            lines = page.read_text(encoding="utf-8").splitlines()
            self.assertEqual(lines[2:-2], tables.rates())
            self.assertEqual((lines[0], lines[-1]), ("a", "b"))
        with self.assertRaisesRegex(ValueError, "table nothing"):
            scaling.into("<!-- table: nothing -->\n<!-- end of table -->\n")

    def test_numbers(self):
        self.assertEqual([tables.number(x) for x in (0, 1234.5, 99.94, 1.234, 0.01234, 1e-7)], ["0", "1,234", "99.9", "1.23", "0.0123", "1.0e-07"])
        self.assertEqual([tables.duration(x) for x in (119, 120, 7199, 7200)], ["119 s", "2.00 min", "120 min", "2.00 h"])

    def test_commands(self):
        self.assertIn("\n".join(tables.rates()), run("tables", "workers"))
        printed = run("step", "--worker", "core", "--inverses", "OWNED", "--ranks", "4", "--triangles").splitlines()
        self.assertEqual(len(printed), len(dataclasses.fields(model.StepTime)) + 2)
        total = sum(float(line.split()[1]) for line in printed[:-2])
        self.assertAlmostEqual(total, float(printed[-2].split()[1]), places=2)
        for arguments in (("tables", "none"), ("step", "--network", "none"), ("step", "--ranks", "0"), ("check", "no such file")):
            with self.assertRaises(SystemExit) as refused:
                run(*arguments)
            self.assertIn("scaling.py: ", str(refused.exception))


class CheckTest(unittest.TestCase):
    def setUp(self):
        self.data = check.read(HERE / "example.json")

    def test_the_model_agrees_with_itself(self):
        """Measurements made by the model: every ratio is 1, and the fitted rate is the one that made them."""
        self.agrees(overlap=False, copies=3)
        self.data = check.read(HERE / "example.json")
        self.data["overlap"] = True
        self.agrees(overlap=True, copies=2)

    def agrees(self, overlap, copies):
        network = layers.by_name("mlp")
        count = counts.step(network, counts.block_kronecker(network, 500))
        link = collectives.Link("", 0.7e9, 3e-5)
        seconds = [{"ranks": p, "bytes": n, "seconds": collectives.ring(p, n, link)} for p in (2, 4) for n in (4000, 4000000)]
        self.data.update(all_reduces=seconds, runs=[])
        for ranks, by in ((1, "REPLICATED"), (2, "REPLICATED"), (2, "OWNED"), (4, "REPLICATED")):
            machine = workers.CORE if ranks <= 2 else workers.CORE.times(0.5, workers.CORE.memory / 2)  # four take turns on two
            t = model.step(count, machine, ranks, 256 / ranks, link, model.Options(by == "OWNED", copies=copies, overlap=overlap))
            run_ = dict(ranks=ranks, inverses_by=by, step=t.total, statistics=t.statistics, inverses=t.inverses)
            self.data["runs"].append({**run_, **({"all_reduce": t.communication - overlap * t.gradients} if ranks > 1 else {})})
        rows = check.compare(self.data, None)
        self.assertEqual(len(rows), 3 + 4 * 3)
        for row in rows:
            self.assertAlmostEqual(row.ratio, 1, places=9, msg=str(row))
        self.assertEqual([row.fitted for row in rows], [True] + 14 * [False])
        self.data["runs"][1]["all_reduce"] *= 2
        self.assertAlmostEqual(min(row.ratio for row in check.compare(self.data, None)), 0.5)

    def test_fit(self):
        link = check.fit([(2, 4e6, 5.5e-3)], 0.0)
        self.assertAlmostEqual(link.bandwidth / (4e6 / 5.5e-3), 1)
        link = check.fit([(4, n, collectives.ring(4, n, collectives.Link("", 1e9, 2e-5))) for n in (1e3, 1e5, 1e7)], 9.0)
        self.assertAlmostEqual(link.bandwidth / 1e9, 1)
        self.assertAlmostEqual(link.latency / 2e-5, 1)

    def test_report(self):
        printed = run("check", str(HERE / "example.json")).splitlines()
        self.assertIn("| 1 | REPLICATED | step | 6.000 | 6.000 | fitted |", printed)
        self.assertEqual(len(printed), 2 + 3 + 4 + 3 + 4)
        self.assertTrue(all(line.count("|") == 7 for line in printed))

    def test_layers_in_the_file(self):
        self.data["network"] = [
            {"kind": "dense", "inputs": 784, "outputs": 256, "bias": 1},
            {"kind": "dense", "inputs": 256, "outputs": 128, "bias": 1},
            {"kind": "dense", "inputs": 128, "outputs": 10, "bias": 1},
        ]
        named = check.compare(check.read(HERE / "example.json"), None)
        self.assertEqual(check.compare(self.data, None), named)

    def test_rates_in_the_file(self):
        named = check.compare(self.data, None)
        core = workers.CORE
        self.data["worker"] = dict(passes=1e9, syrk=core.syrk, memory=core.memory, inverses=core.inverses)  # passes are fitted anyway
        for was, now in zip(named, check.compare(self.data, None)):
            self.assertAlmostEqual(was.predicted / now.predicted, 1)
        self.data["worker"]["syrk"] = core.syrk / 2
        statistics = [row.predicted for row in check.compare(self.data, None) if row.quantity == "statistics"]
        self.assertGreater(statistics[0], [row.predicted for row in named if row.quantity == "statistics"][0])

    def test_refused(self):
        changes = {
            "batch of the file is 0": lambda d: d.update(batch=0),
            "cores of the file is 1.5": lambda d: d.update(cores=1.5),
            "steps of the file is -1": lambda d: d.update(steps=-1),
            "statistics_interval of the file is 0": lambda d: d.update(statistics_interval=0),
            "threads of runs.0. is 0": lambda d: d["runs"][0].update(threads=0),
            "runs is 3, allowed is a list": lambda d: d.update(runs=3),
            "parameters is 1, ": lambda d: d.update(parameters=1),
            "the file has batches": lambda d: d.update(batches=1),
            "none with 1 rank": lambda d: d["runs"].pop(0),
            "inverses_by is BOTH": lambda d: d["runs"][1].update(inverses_by="BOTH"),
            "step of runs.1. is nan": lambda d: d["runs"][1].update(step=float("nan")),
            "ranks of all_reduces.0. is 1": lambda d: d["all_reduces"][0].update(ranks=1),
            "seconds of all_reduces.1. is 0": lambda d: d["all_reduces"][1].update(seconds=0),
            "alone .* predicted": lambda d: d["runs"][0].update(step=1e-6),
            "worker is x": lambda d: d.update(worker="x"),
            "no runs": lambda d: d.pop("runs"),
        }
        for expected, change in changes.items():
            data = copy.deepcopy(self.data)
            change(data)
            with self.subTest(expected), self.assertRaisesRegex(ValueError, expected):
                check.compare(data, tables.SEEN)
        with tempfile.TemporaryDirectory() as folder:
            broken = pathlib.Path(folder, "broken.json")
            broken.write_text(json.dumps(self.data)[:-1], encoding="utf-8")
            with self.assertRaises(SystemExit):
                run("check", str(broken))


if __name__ == "__main__":
    unittest.main()
