#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a benchmark that writes JSON lines, and starts it again behind the case that crashed it, hung, or broke the device for the whole
process: one bad kernel costs its own row and no other.

  python3 bench/gpu/restart.py --rows FILE --seconds S [--stall S] -- PROGRAM ARGUMENT ...

The program writes {"suite": "begun", "index": N, ...} before case N; it takes --from N, --seconds S, and --out FILE. Exit code: the
program's, but 1 where it had to be started again.
"""
import argparse
import json
import os
import subprocess
import sys
import time

DEVICE_LOST = 75


def last_begun(path, offset):
    """The index of the last case that was begun after that byte, or None."""
    index = None
    with open(path, "rb") as file:
        file.seek(offset)
        for text in file:
            try:
                row = json.loads(text)
            except ValueError:
                continue
            if row.get("suite") == "begun":
                index = row["index"]
    return index


def watch(process, path, stall):
    """Until the program ends, or has added nothing to its rows for `stall` seconds. Why it must be started again, or None."""
    size, since = -1, time.monotonic()
    while process.poll() is None:
        now = os.path.getsize(path)
        if now != size:
            size, since = now, time.monotonic()
        elif time.monotonic() - since > stall:
            process.kill()
            process.wait()
            return f"no row for {stall:g} s"
        time.sleep(0.05)
    if process.returncode < 0:
        return f"it died of signal {-process.returncode}"
    return "the device is lost to it" if process.returncode == DEVICE_LOST else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--stall", type=float, default=30, help="seconds without a row after which the program is stopped (30)")
    parser.add_argument("program", nargs="+")
    args = parser.parse_args()
    open(args.rows, "a").close()
    started, first, again = time.monotonic(), 0, False
    while True:
        left = args.seconds - (time.monotonic() - started)
        if again and left < 1:
            return 1
        offset = os.path.getsize(args.rows)
        command = [*args.program, "--seconds", f"{left:.1f}", "--out", args.rows] + (["--from", str(first)] if first else [])
        process = subprocess.Popen(command)
        why = watch(process, args.rows, args.stall)
        if why is None:
            return process.returncode or again
        begun = last_begun(args.rows, offset)
        print(f"restart.py: {why}, in case {begun}", file=sys.stderr)
        if begun is None:
            return 1  # it would do the same again
        first, again = begun + 1, True


if __name__ == "__main__":
    sys.exit(main())
