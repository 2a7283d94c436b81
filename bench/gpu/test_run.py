#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.sh rehearsed: both calls with the emulated build in $LNGD_GPU_BUILD, both on a made-up machine with a GPU, and what may go wrong on
a real one. Every way out must leave results that can be read."""
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest

import limits

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = os.environ.get("LNGD_GPU_BUILD")
TORCH = importlib.util.find_spec("torch") is not None
MIB = 1 << 20


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/usr/bin/env bash\n" + textwrap.dedent(text))
    path.chmod(0o755)


class Rehearsal(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lngd-run-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.out, self.bin = self.folder / "out", self.folder / "bin"
        self.bin.mkdir()
        self.root = ROOT

    def environment(self, **more):
        plain = {k: v for k, v in os.environ.items() if not k.startswith("LNGD_GPU") and k != "OUT"}
        plain.update(OUT=str(self.out), LNGD_PYTHON=sys.executable, PATH=f"{self.bin}:{plain['PATH']}")
        return {**plain, **{k: str(v) for k, v in more.items()}}

    def begin(self, *words, **environment):
        return subprocess.Popen(
            [str(self.root / "bench/gpu/run.sh"), *map(str, words)], env=self.environment(**environment), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True
        )  # fmt: skip

    def call(self, *words, **environment):
        process = self.begin(*words, **environment)
        self.printed = process.communicate(timeout=300)[0]
        return process.returncode

    def plan(self, lines, commands):
        """A plan of somebody's own: what run.sh takes in place of first or paper."""
        path = self.folder / "plan.sh"
        path.write_text(f"plan='{lines}'\ncommand_of() {{\n case $1 in\n{textwrap.indent(textwrap.dedent(commands), '  ')}\n esac\n}}\n")
        return path

    def rows(self, *suites):
        """Every line must be whole."""
        found = [json.loads(line) for line in (self.out / "rows.jsonl").read_text().splitlines()]
        return [row for row in found if not suites or row["suite"] in suites]

    def states(self):
        """Of the last call, by the table that a reader sees."""
        text = (self.out / "table.md").read_text()
        self.assertIn("## Targets", text)
        stages = json.loads((self.out / "results.json").read_text())["calls"][-1]["stages"]
        for name, stage in stages.items():
            self.assertIn(f"| {name} | {stage['state']} |", text)
        return {name: stage["state"] for name, stage in stages.items()}

    def comes_back(self):
        files = [p for p in self.out.rglob("*") if p.is_file()]
        self.assertLessEqual(len(files), 8)
        for path in files:
            self.assertLess(path.stat().st_size, 16 * MIB, path)
            self.assertLessEqual(len(path.relative_to(self.out).parts), 3)
            self.assertRegex(path.name, r"^[A-Za-z0-9._-]+$")
        self.assertTrue(limits.enforce(self.out, lambda text: None))


@unittest.skipUnless(BUILD, "LNGD_GPU_BUILD names no build folder")
class Calls(Rehearsal):
    def tools(self):
        """compute-sanitizer and ncu that check how they are called, and do the rest of their command."""
        script(
            self.bin / "compute-sanitizer",
            """
            [ "$1 $3 $4" = "--tool --error-exitcode 9" ] || exit 3
            shift 4
            exec "$@"
            """,
        )
        script(
            self.bin / "ncu",
            """
            control='' file=''
            while [[ $1 == --* ]]; do
              case $1 in
                --clock-control) control=$2 ;;
                --log-file) file=$2 ;;
                --set | --page | --kernel-name | --launch-count) ;;
                *) exit 4 ;;
              esac
              shift 2
            done
            [ "$control" = none ] || exit 3
            echo details >"$file"
            exec "$@"
            """,
        )

    def test_the_first_call(self):
        self.tools()
        self.assertEqual(0, self.call("first", "--dry", LNGD_GPU_BUILD=BUILD), self.printed)
        states = self.states()
        order = ["build", "self-test", "step", "kernels", "peers", "build-tests", "conformance", "memcheck", "racecheck", "synccheck"]
        self.assertEqual(order + ["other-kernels", "other-peers"], [name for name in states if name != "jni"])
        absent = () if TORCH else ("peers", "other-peers")
        for name, state in states.items():
            self.assertEqual(f"not run: no PyTorch in {sys.executable}" if name in absent else "done", state, name)
        steps = self.rows("step")
        self.assertEqual({("side stream", "default"), ("one stream", "full")}, {(r["case"], r["preset"]) for r in (steps[0], steps[-1])})
        self.assertEqual({"copy", "mma_tf32", "mma_bf16", "fp32"}, {r["name"] for r in self.rows("ceiling")})
        kernels = {r["kernel"] for r in self.rows("lngd")}
        names = {"ceilings", "factor_inverse", "precondition", "layer_rate", "apply_update", "running_average", "layer_rate_empirical"}
        self.assertEqual(names | {"layer_statistics", "conv_statistics"}, kernels)
        self.assertTrue(all(r["correct"] for r in self.rows("lngd", "step") if "correct" in r))
        self.assertEqual(TORCH, bool(self.rows("peer")))
        self.assertIn("an emulator has no times", (self.out / "table.md").read_text())
        self.comes_back()
        print("\nThe first call, by its rehearsal:\n" + self.printed[self.printed.index("build ") : self.printed.index("## Targets")])

    def test_the_second_call(self):
        self.assertEqual(0, self.call("paper", "--dry", LNGD_GPU_BUILD=BUILD), self.printed)
        states = self.states()
        self.assertEqual(["build", "formulas", "cifar10"], list(states))
        if TORCH:
            self.assertEqual(("done", "done"), (states["formulas"], states["cifar10"]), self.printed)
            self.assertIn("Not on a GPU: the times mean nothing", (self.out / "table.md").read_text())
        else:
            self.assertEqual(f"not run: no PyTorch in {sys.executable}", states["cifar10"])
        self.comes_back()
        print("\nThe second call, by its rehearsal:\n" + self.printed[self.printed.index("build ") : self.printed.index("## Targets")])

    def test_one_kernel_under_ncu(self):
        self.tools()
        code = self.call("paper", "--dry", "--only", "ncu", "factor_inverse", "all", LNGD_GPU_BUILD=BUILD)
        self.assertEqual(0, code, self.printed)
        self.assertEqual({"build": "done", "ncu": "done"}, self.states())
        self.assertEqual("details\n", (self.out / "ncu.txt").read_text())
        self.comes_back()

    def test_a_kernel_that_breaks_the_device_costs_one_row(self):
        self.assertEqual(1, self.call("first", "--dry", "--only", "kernels", LNGD_GPU_BUILD=BUILD, LNGD_BENCH_FAULT=800), self.printed)
        self.assertEqual("failed, exit 1", self.states()["kernels"])
        failed = [r for r in self.rows("lngd") if "error" in r]
        self.assertGreater(len(failed), 0)
        for r in failed:
            self.assertIn("cudaErrorIllegalAddress", r["error"])
        begun = [r["index"] for r in self.rows("begun")]
        self.assertEqual(list(range(len(begun))), begun)
        # The fault comes again in each new process.
        good = [r for r in self.rows("lngd") if r.get("correct")]
        self.assertGreater(len(good), 5 * len(failed))
        self.assertIn(f"Wrong results or failed cases: {len(failed)}.", (self.out / "table.md").read_text())


class Machine(Rehearsal):
    """A copy of the scripts on a machine that looks like one with a GPU: which commands a real call would give."""

    def setUp(self):
        super().setUp()
        self.root = self.folder / "tree"
        ignored = shutil.ignore_patterns("out", "__pycache__", "*.cpp", "*.cu", "cifar10*")
        shutil.copytree(HERE, self.root / "bench/gpu", ignore=ignored)
        shutil.copytree(HERE.parent / "layers", self.root / "bench/layers", ignore=shutil.ignore_patterns("*.java"))
        script(self.bin / "nvidia-smi", """echo 'NVIDIA "Test" GPU, 580.159.04, 9.0, 81559 MiB, 700.00 W, 1980 MHz'\n""")
        script(self.bin / "nvcc", "echo 'Cuda compilation tools, release 13.0, V13.0.88'\n")
        script(self.bin / "ninja", "exit 9\n")
        # Programs that note how they are called. `begun` rows come from kernels and steps.
        script(
            self.bin / "cmake",
            f"""
            echo "cmake $*" >>{self.folder}/calls
            case $1 in
              -G) [ "$2 $3" = "Ninja -S" ] && mkdir -p "$6" && touch "$6/CMakeCache.txt" "$6/build.ninja" ;;
              -S) mkdir -p "$4" ;;
              --build)
                [ ! -f {self.folder}/broken ] || exit 1
                folder=$2
                shift 5
                for target; do
                  case $target in
                    lngd | lngd_cuda) file=native/lib$target.so ;;
                    simt_wrappers_gpu) file=native/$target ;;
                    lngd_conformance) file=native/test/$target ;;
                    lngd_*) file=bench/gpu/$target ;;
                    --) break ;;
                  esac
                  mkdir -p "$folder/${{file%/*}}"
                  printf '#!/usr/bin/env bash\\necho "%s $*" >>{self.folder}/calls\\n' "$target" >"$folder/$file"
                  chmod +x "$folder/$file"
                done
                ;;
            esac
            """,
        )
        script(self.bin / "compute-sanitizer", f'echo "compute-sanitizer $2" >>{self.folder}/calls\n')
        # Python as it is, but for what needs PyTorch.
        script(
            self.bin / "python-with-torch",
            f"""
            case $1 in
              */peers.py | */cifar10.py | */test_cifar10_optimizers.py) echo "$*" >>{self.folder}/calls ;;
              -c) exit 0 ;;
              *) exec {sys.executable} "$@" ;;
            esac
            """,
        )
        self.machine = {"LNGD_PYTHON": self.bin / "python-with-torch", "LNGD_COMMIT": "0123abc", "LNGD_CMAKE": "cmake"}

    def calls(self):
        path = self.folder / "calls"
        found = path.read_text().splitlines()
        path.unlink()
        return found

    def test_the_first_call(self):
        self.assertEqual(0, self.call("first", **self.machine), self.printed)
        self.assertEqual({"done"}, set(self.states().values()))
        calls = self.calls()
        heads = [c.split()[0].split("/")[-1] for c in calls]
        self.assertEqual(
            ["cmake", "cmake", "simt_wrappers_gpu", "lngd_step_bench", "lngd_gpu_bench", "peers.py", "cmake", "cmake", "lngd_conformance"]
            + 3 * ["compute-sanitizer"] + ["lngd_gpu_bench", "peers.py"],
            heads,
        )  # fmt: skip
        self.assertIn("-DCMAKE_CUDA_ARCHITECTURES=90-real", calls[0])
        self.assertIn("--target simt_wrappers_gpu lngd_cuda lngd lngd_step_bench lngd_gpu_bench -- -k 0", calls[1])
        self.assertIn("--device cuda bench/layers/resnet18-cifar.csv --seconds", calls[3])
        self.assertRegex(calls[4], r"lngd_gpu_bench bench/layers/resnet18-cifar.csv --seconds \d+\.\d --out /")
        self.assertRegex(calls[5], r"peers.py --seconds \d+ --out \S+/rows.jsonl bench/layers/resnet18-cifar.csv$")
        self.assertIn("--quick --device cuda", calls[8])
        self.assertIn("bench/layers/resnet50-imagenet.csv bench/layers/transformer-big.csv", calls[-1])
        facts = {r["name"]: r["value"] for r in self.rows("fact")}
        self.assertEqual(("0123abc", 'NVIDIA "Test" GPU', "13.0"), (facts["commit"], facts["gpu"], facts["nvcc"]))
        self.assertEqual(("9.0", "1980 MHz", "unknown"), (facts["compute capability"], facts["highest SM clock"], facts["changed files"]))
        self.comes_back()

    def test_the_second_call_on_a_warm_and_on_a_bare_machine(self):
        (self.root / "bench/gpu/cifar10.py").write_text("")
        (self.root / ".gpu-data").mkdir()
        (self.root / ".gpu-data/cifar10-jpeg.tar.xz").write_text("")
        for warm in (False, True):
            self.assertEqual(0, self.call("paper", **self.machine), self.printed)
            self.assertEqual({"build": "done", "formulas": "done", "cifar10": "done"}, self.states())
            calls = self.calls()
            self.assertEqual("-S" if warm else "-G", calls[0].split()[1])
            self.assertIn("--target lngd lngd_cuda -- -k 0", calls[1])
            build = self.root / "target/gpu-bench/build"
            self.assertRegex(calls[2], r"test_cifar10_optimizers.py AgainstTheFormulas.test_lngd_and_kfac_on_a_gpu$")
            self.assertRegex(calls[3], rf"cifar10.py --library {build}/native --data .gpu-data/cifar10-jpeg.tar.xz --out \S+/cifar10.jsonl --seconds 2\d\d --then \S+ --try \S+$")

    def test_without_images(self):
        (self.root / "bench/gpu/cifar10.py").write_text("")
        self.assertEqual(1, self.call("paper", **self.machine), self.printed)
        self.assertEqual("not run: no .gpu-data/cifar10-jpeg.tar.xz (README.md)", self.states()["cifar10"])

    def test_without_nvcc(self):
        if shutil.which("nvcc", path="/usr/bin:/bin"):
            self.skipTest("nvcc is in /usr/bin")
        (self.bin / "nvcc").unlink()
        path = f"{self.bin}:/usr/bin:/bin"
        self.assertEqual(1, self.call("first", **self.machine, PATH=path, CUDA_HOME="/nonexistent"), self.printed)
        states = self.states()
        self.assertEqual("not run: no nvcc, neither on the PATH nor in /nonexistent/bin", states["build"])
        self.assertEqual("not run: simt_wrappers_gpu was not built", states["self-test"])
        self.assertEqual("done", states["peers"])  # it needs no build

    def test_a_build_that_breaks_takes_no_old_program(self):
        self.assertEqual(0, self.call("first", "--only", "kernels", **self.machine), self.printed)
        (self.folder / "broken").write_text("")
        self.assertEqual(1, self.call("first", "--only", "kernels", **self.machine), self.printed)
        self.assertEqual({"build": "failed, exit 1", "kernels": "not run: lngd_gpu_bench was not built"}, self.states())

    def test_without_pytorch(self):
        script(self.bin / "python-alone", f'[ "$1" != -c ] || exit 1\nexec {sys.executable} "$@"\n')
        self.assertEqual(1, self.call("first", "--only", "peers", LNGD_PYTHON=self.bin / "python-alone"), self.printed)
        self.assertEqual({"peers": f"not run: no PyTorch in {self.bin}/python-alone"}, self.states())

    def test_what_is_called_wrongly(self):
        for words in ((), ("third",), ("first", "--fast"), ("first", "kernels"), ("first", "--only"), ("first", "--only", "peers", "quickly")):
            self.assertEqual(2, self.call(*words), words)
        self.assertEqual(2, self.call("first", "--only", "sleep"))
        self.assertIn("the stages of first are build, self-test, step", self.printed)


class Trouble(Rehearsal):
    def test_a_failure_and_a_hang_cost_themselves_only(self):
        path = self.plan(
            """
            good 1 9
            bad 1 9
            hangs 1 2
            last 1 9
            """,
            """
            good) command=(echo fine) ;;
            bad) command=(bash -c "echo '{\\"suite\\": \\"half' | tr -d '\\n' >>$rows; echo why it failed; exit 3") ;;
            hangs) command=(bash -c 'trap "" TERM; sleep 60 & wait; sleep 60') ;;
            last) command=(true) ;;
            """,
        )
        start = time.monotonic()
        self.assertEqual(1, self.call(path), self.printed)
        self.assertLess(time.monotonic() - start, 20)
        self.assertEqual({"good": "done", "bad": "failed, exit 3", "hangs": "stopped at its limit", "last": "done"}, self.states_with_half_a_line())
        self.assertIn("why it failed", self.printed)
        self.assertIn("fine", (self.out / "log.txt").read_text())
        self.comes_back()

    def states_with_half_a_line(self):
        lines = (self.out / "rows.jsonl").read_text().splitlines()
        self.assertEqual(1, sum(1 for line in lines if line == '{"suite": "half'))
        return self.states()

    def test_each_gets_the_time_left_and_the_later_ones_their_least(self):
        # 20 s less 8 for the end; the second could take all of it, but 5 belong to the two behind it.
        path = self.plan(
            """
            short 1 3
            greedy 1 600
            decisive 3 600
            rest 2 600
            """,
            """
            short | rest) command=(true) ;;
            greedy) command=(sleep 60) ;;
            decisive) command=(sleep 1) ;;
            """,
        )
        self.assertEqual(1, self.call(path, LNGD_GPU_SECONDS=20), self.printed)
        self.assertEqual({"short": "done", "greedy": "stopped at its limit", "decisive": "done", "rest": "done"}, self.states())
        given = {r["stage"]: r["limit"] for r in self.rows("stage") if "limit" in r}
        self.assertEqual(3, given["short"])
        self.assertLessEqual(given["greedy"], 20 - 8 - 5)
        self.assertGreaterEqual(given["greedy"], 2)
        self.assertGreaterEqual(given["decisive"], 2)

    def test_no_time_left(self):
        path = self.plan("\nfirst 2 5\nlate 2 5\n", "first | late) command=(sleep 30) ;;")
        self.assertEqual(1, self.call(path, LNGD_GPU_SECONDS=11), self.printed)
        self.assertEqual("not run: no time left", self.states()["late"])
        self.assertIn("not measured", (self.out / "table.md").read_text())

    def test_a_signal(self):
        path = self.plan("\nwrites 5 60\nlate 5 60\n", """writes) command=(bash -c "echo '{\\"suite\\": \\"note\\"}' >>$rows; exec sleep 47.11") ;;""")
        for number in (signal.SIGTERM, signal.SIGINT):
            process = self.begin(path)
            self.until(lambda: self.rows("note"))
            process.send_signal(number)
            self.assertEqual(1, process.wait(15))
            process.stdout.close()
            self.assertEqual({"writes": "stopped by a signal", "late": "not reached"}, self.states())
            # The kernel may take its time to end what was killed.
            self.until(lambda: "sleep\x0047.11" not in processes())
            self.comes_back()
            shutil.rmtree(self.out)

    def until(self, condition):
        end = time.monotonic() + 15
        while time.monotonic() < end:
            try:
                if condition():
                    return
            except (OSError, ValueError):
                pass
            time.sleep(0.02)
        self.fail("it did not happen")

    def test_killed_at_any_moment(self):
        path = self.plan("\na 1 60\nb 1 60\nc 1 60\nd 1 60\n", "*) command=(sleep 0.2) ;;")
        for seconds in (0.3, 0.8):
            process = self.begin(path)
            self.until(lambda: (self.out / "table.md").exists() and self.rows("plan"))
            time.sleep(seconds)
            process.kill()
            process.wait()
            process.stdout.close()
            self.rows()
            self.states()
            # What came back makes the newest table.
            done = subprocess.run([sys.executable, HERE / "table.py", self.out / "rows.jsonl"], capture_output=True, text=True, check=False)
            self.assertEqual((0, ""), (done.returncode, done.stderr))
            self.assertIn("## Targets", done.stdout)
            time.sleep(0.3)  # the stage that was left behind
            shutil.rmtree(self.out)

    def test_a_flood_of_output_is_cut(self):
        path = self.plan("\nloud 1 60\n", """loud) command=(bash -c 'echo at first; head -c 40000000 /dev/zero | tr "\\0" x; echo; echo at last') ;;""")
        self.assertEqual(0, self.call(path), self.printed)
        log = (self.out / "log.txt").read_text()
        self.assertLess(len(log), MIB)
        for text in ("at first", "bytes left out", "at last"):
            self.assertIn(text, log)

    def test_what_would_not_come_back(self):
        path = self.plan(
            "\nmany 1 60\n",
            r"""
            many) command=(bash -c 'mkdir -p $0/a/b/c; for i in 1 2 3 4 5 6 7 8 9; do echo x >$0/z$i; done; echo x >$0/a/b/c/deep; echo x >"$0/a name"
              for i in {1..20}; do head -c 1000000 /dev/zero | tr "\0" y; echo; done >$0/a/b/long.txt; ln -s /etc/passwd $0/link' "$OUT") ;;
            """,
        )
        self.assertEqual(1, self.call(path), self.printed)
        self.comes_back()
        self.assertTrue((self.out / "table.md").exists() and (self.out / "rows.jsonl").exists())
        for text in ("removed a/b/c/deep", "removed a name", "removed link", "cut a/b/long.txt", "files, allowed are 8"):
            self.assertIn(text, self.printed)


class Restarts(Rehearsal):
    def test_a_crash_a_hang_and_a_lost_device_cost_one_case_each(self):
        program = self.folder / "program.py"
        program.write_text(
            textwrap.dedent(
                """
                import argparse, json, os, time
                p = argparse.ArgumentParser()
                p.add_argument("--out"); p.add_argument("--seconds", type=float); p.add_argument("--from", dest="first", type=int, default=0)
                args = p.parse_args()
                assert 0 < args.seconds <= 30
                for i in range(args.first, 8):
                    key = {"kernel": "k", "set": "s", "case": str(i), "preset": "full", "precision": "fp32"}
                    def line(row):
                        with open(args.out, "a") as file: print(json.dumps(row), file=file)
                    line({"suite": "begun", "index": i, **key})
                    if i == 1: os.abort()
                    if i == 3: time.sleep(60)
                    if i == 5:
                        line({"suite": "lngd", "error": "lost", **key})
                        os._exit(75)
                    line({"suite": "lngd", "us": 1.0, **key})
                """
            )
        )
        rows = self.folder / "rows.jsonl"
        command = [sys.executable, HERE / "restart.py", "--rows", rows, "--seconds", "30", "--stall", "1", "--", sys.executable, program]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual(1, done.returncode, done.stderr)
        found = [json.loads(line) for line in rows.read_text().splitlines()]
        self.assertEqual(["0", "2", "4", "6", "7"], [r["case"] for r in found if "us" in r])
        for text in ("signal 6, in case 1", "no row for 1 s, in case 3", "the device is lost to it, in case 5"):
            self.assertIn(text, done.stderr)
        import results

        self.assertEqual(["1", "3", "5"], sorted(r["case"] for r in results.Run([{**r, "operations": 0, "bytes": 0, "tensor_operations": 0, "fp32_operations": 0} for r in found]).wrong()))

    def test_a_program_that_cannot_begin_is_not_tried_for_ever(self):
        rows = self.folder / "rows.jsonl"
        done = subprocess.run([sys.executable, HERE / "restart.py", "--rows", rows, "--seconds", "30", "--", "bash", "-c", "kill -9 $$"], capture_output=True, timeout=30)
        self.assertEqual(1, done.returncode)


def processes():
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().decode(errors="replace").rstrip("\0"))
        except OSError:
            pass
    return found


if __name__ == "__main__":
    unittest.main(verbosity=1)
