#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the instructions of the CPU kernels with callgrind and compares them with bounds.csv.

    bench/gate/check.py LNGD_GATE [--update]

Times on a shared machine are noise; instruction counts are not: two runs differ in a few of a million. A kernel that does
its work twice, or loses its vector code, fails here. What the counts cannot see is the memory: that is for `lngd bench`.

Valgrind knows no AVX-512, so the AVX2 variant is counted (LNGD_CPU), and OpenBLAS's Haswell kernels beside it. The bounds
hold for one major version of GCC, the CI's; with another the counts are printed and nothing is judged.
Exit status: 0 within the bounds, 1 beyond, 77 skipped (CTest's SKIP_RETURN_CODE), 2 not measured.
"""
import csv
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
BOUNDS = HERE / "bounds.csv"
COMPILER = 12  # major version of GCC that the bounds are of
# Above the count that is stored: room for another patch release of the compiler or of OpenBLAS, not for another algorithm.
ALLOWED = 0.05
# So far below it the bound has become useless and wants --update.
LOOSE = 0.20
VECTOR = 8  # floats of an AVX2 register


def skip(reason):
    print(f"instruction gate: skipped, {reason}")
    sys.exit(77)


def compiler(program):
    """Major version of the GCC that has compiled it, as the compiler notes it in the file."""
    text = subprocess.run(["readelf", "-p", ".comment", program], capture_output=True, text=True, check=True).stdout
    versions = {int(found) for found in re.findall(r"GCC: \([^)]*\) (\d+)\.", text)}
    return max(versions) if versions else None


def count(program):
    """[(case, useful multiply-adds, instructions)]"""
    environment = dict(os.environ, LNGD_CPU="avx2", OPENBLAS_CORETYPE="Haswell", OPENBLAS_NUM_THREADS="1")
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", "--toggle-collect=gate_measured", "--dump-after=gate_measured",
             f"--callgrind-out-file={out}", program, str(HERE / "layers.csv")],
            env=environment, capture_output=True, text=True, check=False)
        if run.returncode:
            print(run.stdout + run.stderr, file=sys.stderr)
            sys.exit(2)
        cases = [line.rsplit(" ", 1) for line in run.stdout.splitlines()]
        rows = []
        for number, (name, multiply_adds) in enumerate(cases, 1):
            dump = pathlib.Path(f"{out}.{number}").read_text(encoding="utf-8")
            rows.append((name, int(multiply_adds), int(re.search(r"^(?:summary|totals): (\d+)", dump, re.M).group(1))))
        return rows


def main(arguments):
    if not arguments or len(arguments) > 2 or arguments[1:] not in ([], ["--update"]):
        sys.exit(__doc__)
    program = arguments[0]
    if not shutil.which("valgrind"):
        skip("there is no valgrind (Debian: valgrind)")
    rows = count(program)
    if len({name for name, _, _ in rows}) < len(rows):
        sys.exit("instruction gate: two cases have one name")
    if arguments[1:]:
        with open(BOUNDS, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["case", "instructions"])
            writer.writerows((name, instructions) for name, _, instructions in rows)
    with open(BOUNDS, encoding="utf-8", newline="") as file:
        stored = {row["case"]: int(row["instructions"]) for row in csv.DictReader(file)}
    failed = {name for name, _, _ in rows} ^ stored.keys()
    for name in sorted(failed):
        print(f"{name}: only in {'bounds.csv' if name in stored else 'the program'}")
    print(f"{'case':32} {'instructions':>14} {'stored':>14} {'ratio':>7} {'a useful 8-wide FMA':>20}")
    for name, multiply_adds, instructions in rows:
        if name in failed:
            continue
        ratio = instructions / stored[name]
        per_fma = f"{instructions * VECTOR / multiply_adds:.2f}" if multiply_adds else "-"
        remark = ""
        if ratio > 1 + ALLOWED:
            remark = f"  MORE THAN {100 * ALLOWED:g} % ABOVE"
            failed.add(name)
        elif ratio < 1 - LOOSE:
            remark = "  far below: --update"
        print(f"{name:32} {instructions:14} {stored[name]:14} {ratio:7.3f} {per_fma:>20}{remark}")
    found = compiler(program)
    if found != COMPILER:
        skip(f"the bounds are of GCC {COMPILER}, this is {found}")
    if failed:
        print("instruction gate: FAILED. Is it meant? Then bench/gate/check.py LNGD_GATE --update, and say why in the commit.")
        sys.exit(1)


main(sys.argv[1:])
