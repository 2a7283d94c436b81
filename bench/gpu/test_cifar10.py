#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cifar10.py without a GPU: lngd.h for Python, plan, schedule, log, data. `python3 -m unittest discover -s bench/gpu -p 'test_cifar10*.py'`
runs the others too; cifar10_fixture.py says what they need."""
import contextlib
import ctypes
import io
import os
import random
import subprocess
import tarfile
import tempfile
import unittest

from cifar10_fixture import COMPILER, LIBRARY, PIL, binary_folder, needs_compiler, needs_library, needs_numpy, needs_torch, np, records, torch

import cifar10
import cifar10_data
import cifar10_plan as plan
import lngd_abi

if torch:
    import cifar10_network


class Abi(unittest.TestCase):
    @needs_compiler
    def test_layouts_and_constants_are_the_compiler_s(self):
        header = lngd_abi.Header()
        self.assertGreaterEqual(len(header.structs), 9)
        lines = []
        for name, struct in header.structs.items():
            lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
            for field, _ in struct._fields_:
                lines.append(f'printf("{name}.{field} %zu %zu\\n", offsetof({name}, {field}), sizeof((({name}*)0)->{field}));')
        for name in header.constants:
            lines.append(f'printf("{name} %lld\\n", (long long){name});')
        with tempfile.TemporaryDirectory() as folder:
            source, program = os.path.join(folder, "probe.c"), os.path.join(folder, "probe")
            with open(source, "w", encoding="utf-8") as file:
                file.write("#include <stdio.h>\n#include <lngd/lngd.h>\nint main(void) {\n" + "\n".join(lines) + "\nreturn 0; }\n")
            include = os.path.join(os.path.dirname(lngd_abi.HEADER), "..")
            subprocess.run([COMPILER, "-I", include, "-o", program, source], check=True)
            printed = subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()
        expected = []
        for name, struct in header.structs.items():
            expected.append(f"{name} {ctypes.sizeof(struct)}")
            expected += [f"{name}.{f} {getattr(struct, f).offset} {getattr(struct, f).size}" for f, _ in struct._fields_]
        expected += [f"{name} {value}" for name, value in header.constants.items()]
        self.assertEqual(printed, expected)

    def test_every_function_of_the_header_is_known(self):
        with open(lngd_abi.HEADER, encoding="utf-8") as file:
            declared = sum(line.startswith("LNGD_API") for line in file)
        self.assertEqual(declared, len(lngd_abi.Header().functions))
        result, arguments = lngd_abi.Header().functions["lngd_step"]
        self.assertEqual((result, arguments), (ctypes.c_int32, [ctypes.c_void_p, ctypes.c_double, ctypes.c_void_p]))

    @needs_library
    def test_tensors_of_pytorch_are_told_as_they_lie(self):
        class Tensor:  # what there is of a CUDA tensor without a GPU
            dtype, is_cuda, shape = "torch.float32", True, (2, 3, 4)
            device = type("Device", (), {"index": 1})

            def data_ptr(self):
                return 4096

            def stride(self):
                return 12, 1, 3

        library = lngd_abi.Library(LIBRARY)
        made = library.of_torch(Tensor())
        self.assertEqual((4096, 2, 1, 3, 2, 32, 1, 0), tuple(getattr(made, f) for f in (
            "data", "device_type", "device_id", "ndim", "dtype_code", "dtype_bits", "dtype_lanes", "byte_offset")))
        for field, expected in (("shape", [2, 3, 4]), ("strides", [12, 1, 3])):
            self.assertEqual(expected, list((ctypes.c_int64 * 3).from_address(getattr(made, field))))
        Tensor.is_cuda, Tensor.dtype = False, "torch.float16"
        with self.assertRaisesRegex(TypeError, "float16"):
            library.of_torch(Tensor())

    @needs_library
    def test_errors_carry_the_library_s_message(self):
        library = lngd_abi.Library(LIBRARY)
        config = library.struct("lngd_config")
        with self.assertRaisesRegex(lngd_abi.LngdError, "LNGD_INVALID_ARGUMENT: .*preset is 99"):
            library.call("lngd_config_init", 99, 1, ctypes.byref(config))
        with self.assertRaisesRegex(AttributeError, "LNGD_NO_SUCH"):
            library.NO_SUCH


class Plan(unittest.TestCase):
    def test_runs(self):
        known = cifar10.KNOWN
        self.assertEqual(
            [("sgd", 1, 16), ("lngd", 1, 24), ("sgd", 2, 16), ("lngd", 2, 24), ("muon/a", 7, 16)],
            [tuple(run) for run in plan.runs("sgd, lngd:24,muon/a@7", 16, 2, known)],
        )
        self.assertEqual([], plan.runs("", 16, 1, known))
        for wrong in ("adam", "sgd:x", "sgd:0", "lngd@-1"):
            with self.assertRaises(ValueError, msg=wrong):
                plan.runs(wrong, 16, 1, known)

    def test_changes(self):
        self.assertEqual({"lngd": {"rho": 0.5, "trust": 1.0}}, plan.changes(["lngd:rho=.5", "lngd:trust=1"]))
        for wrong in ("rho=1", "lngd:", "lngd:rho", "lngd:rho=x"):
            with self.assertRaises(ValueError, msg=wrong):
                plan.changes([wrong])

    def test_bad_arguments_are_named(self):
        good = ["--library", ".", "--data", ".", "--out", "x", "--seconds", "1"]
        for more, word in ((["--epochs", "0"], "--epochs is 0"), (["--try", "muon:x=1", "--optimizers", "sgd"], "there is no such run"), (["--warm-up", "1"], "--warm-up is 1")):
            text = io.StringIO()
            with contextlib.redirect_stderr(text), self.assertRaises(SystemExit):
                cifar10.arguments(good + more)
            self.assertIn(word, text.getvalue())

    def test_a_failure_while_freeing_does_not_hide_the_first(self):
        try:
            try:
                raise ValueError("first\nmore")
            finally:
                raise KeyError("second")
        except KeyError as error:
            self.assertEqual("KeyError: 'second', after ValueError: first", cifar10.told(error))

    def test_schedule_rises_and_falls_to_nothing(self):
        values = [plan.factor(i, 100, 0.05) for i in range(100)]
        self.assertEqual(1.0, max(values))
        self.assertEqual(5, values.index(1.0))
        self.assertEqual(sorted(values[:6]), values[:6])
        self.assertEqual(sorted(values[5:], reverse=True), values[5:])
        self.assertTrue(0 < values[-1] < 1e-3 and values[0] > 0)
        self.assertEqual(1.0, plan.factor(0, 10, 0.0))

    def test_epochs_are_cut_alike_where_time_is_short(self):
        runs = plan.runs("sgd,lngd,muon:8", 16, 1, cifar10.KNOWN)
        costs = {"sgd": 2.0, "lngd": 3.0, "muon": 4.0}  # 32 + 48 + 32 seconds
        self.assertEqual(runs, plan.epochs_that_fit(runs, costs, 112))
        self.assertEqual([8, 8, 4], [run.epochs for run in plan.epochs_that_fit(runs, costs, 56)])
        self.assertEqual([1, 1, 1], [run.epochs for run in plan.epochs_that_fit(runs, costs, -5)])

    def test_levels_are_those_of_the_first_evaluation_beyond(self):
        evaluations = [
            {"epoch": e, "seconds": 2.0 * e, "raw_accuracy": raw, "averaged_accuracy": averaged}
            for e, raw, averaged in ((1, 0.5, 0.92), (2, 0.91, 0.93), (3, 0.90, 0.935))
        ]
        found = plan.levels(evaluations)
        self.assertEqual((4.0, 2, 2.0, 1), tuple(found[k] for k in ("raw_seconds_to_91", "raw_epochs_to_91", "averaged_seconds_to_91", "averaged_epochs_to_91")))
        self.assertEqual((None, 2, None), tuple(found[k] for k in ("raw_epochs_to_93", "averaged_epochs_to_93", "averaged_epochs_to_94")))

    def test_lines_are_json_whatever_the_numbers(self):
        with tempfile.TemporaryDirectory() as folder:
            log = plan.Log(os.path.join(folder, "out"))
            log.line("begin", optimizer="lngd", seed=1)
            log.line("evaluation", loss=float("nan"), deep={"x": [float("inf"), 1.0]})
            self.assertEqual(("lngd", 1), log.unfinished())
            self.assertEqual({"x": [None, 1.0]}, log.read()[1]["deep"])
            with open(log.path, "a", encoding="utf-8") as file:
                file.write('{"cut')  # a process that died while it wrote
            self.assertEqual(2, len(log.read()))


@needs_numpy
class Data(unittest.TestCase):
    def test_binary_files(self):
        with tempfile.TemporaryDirectory() as folder:
            train, test = records(23, 1), records(7, 2)
            binary_folder(folder, train, test)
            a, b = cifar10_data.load(folder)
            self.assertTrue(np.array_equal(a, train) and np.array_equal(b, test))
            os.unlink(os.path.join(folder, "test_batch.bin"))
            with self.assertRaisesRegex(FileNotFoundError, "test_batch.bin"):
                cifar10_data.load(folder)
            with self.assertRaisesRegex(FileNotFoundError, "neither"):
                cifar10_data.load(os.path.join(folder, "none"))

    @unittest.skipUnless(PIL, "no PIL")
    def test_archive_of_jpegs(self):
        from PIL import Image

        train, test = records(40, 1), records(10, 2)
        train[:, 1:] = train[:, 1:].reshape(-1, 1024, 3).mean(1, keepdims=True).repeat(1024, 1).reshape(40, -1)  # plain: JPEG keeps them
        with tempfile.TemporaryDirectory() as folder:
            path, old = os.path.join(folder, "a.tar.xz"), tempfile.tempdir
            with tarfile.open(path, "w:xz") as tar:
                for split, table in (("train", train), ("test", test)):
                    for i in random.Random(3).sample(range(len(table)), len(table)):
                        data = io.BytesIO()
                        Image.fromarray(table[i, 1:].reshape(32, 32, 3)).save(data, "JPEG", quality=95)
                        info = tarfile.TarInfo(f"./{split}/class{table[i, 0]}/{i:04}.jpg")
                        info.size = data.tell()
                        data.seek(0)
                        tar.addfile(info, data)
            tempfile.tempdir = folder
            try:
                first, again = cifar10_data.load(path, 2), cifar10_data.load(path, 2)
            finally:
                tempfile.tempdir = old
            self.assertEqual(2, sum(name.endswith(".npy") for name in os.listdir(folder)))
        order = np.lexsort((np.arange(40), train[:, 0]))
        self.assertTrue(np.array_equal(train[order, 0], first[0][:, 0]))
        # Quantisation of one colour by JPEG: a few units.
        self.assertLess(np.abs(train[order, 1:].astype(int) - first[0][:, 1:]).max(), 6)
        self.assertEqual((10, cifar10_data.RECORD), first[1].shape)
        self.assertTrue(all(np.array_equal(a, b) for a, b in zip(first, again)))

    @needs_torch
    def test_crops_and_mirrors_are_windows_of_the_padded_image(self):
        table = records(12, 5)
        table[:, 1:] = np.random.RandomState(1).randint(0, 256, table[:, 1:].shape)
        images = cifar10_network.Images(table, "cpu")
        images.pad()
        index = torch.tensor([3, 3, 3, 3, 0, 11, 7, 7])
        x, y = images.random_batch(index, torch.Generator().manual_seed(4))
        self.assertTrue(x.is_contiguous(memory_format=torch.channels_last))
        self.assertEqual(list(table[index, 0]), y.tolist())
        deviation, mean = np.array(cifar10_network.DEVIATION), np.array(cifar10_network.MEAN)
        seen = set()
        for n, k in enumerate(index.tolist()):
            wide = np.pad(table[k, 1:].reshape(32, 32, 3), ((4, 4), (4, 4), (0, 0)), mode="reflect")
            image = x[n].numpy().transpose(1, 2, 0) * deviation * 255 + mean * 255
            hits = [
                (dy, dx, mirror)
                for dy in range(9) for dx in range(9) for mirror in (1, -1)
                if np.abs(wide[dy : dy + 32, dx : dx + 32][:, ::mirror] - image).max() < 0.1  # bytes: neighbours are 1 apart
            ]
            self.assertEqual(1, len(hits))
            seen.add(hits[0])
        self.assertGreater(len(seen), 4)
        self.assertEqual(2, len({mirror for _, _, mirror in seen}))


if __name__ == "__main__":
    unittest.main()
