#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps a folder of results within what a lent machine hands back: 8 files of less than 16 MiB each, no more than two folders down,
names of letters, digits, '.', '_' and '-'. Whatever would be left there is left out here, and told.

  python3 bench/gpu/limits.py FOLDER

Exit code 1 where something was cut or removed.
"""
import pathlib
import re
import sys

FILES, BYTES, FOLDERS = 8, 16 << 20, 2
# The most important first.
KNOWN = ["table.md", "results.json", "rows.jsonl", "cifar10.jsonl", "ncu.txt", "log.txt"]


def cut(path):
    """Head and tail, by whole lines where there are any, so that JSON lines stay JSON."""
    data, keep = path.read_bytes(), (BYTES >> 1) - 4096
    head, tail = data[:keep], data[-keep:]
    head = head[: head.rfind(b"\n") + 1] or head
    tail = tail[tail.find(b"\n") + 1 :] or tail
    path.write_bytes(head + tail)
    return len(data)


def enforce(folder, tell=print):
    """True if there was nothing to do."""
    folder, clean = pathlib.Path(folder), True
    kept = []
    for path in sorted(p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir()):
        name = path.relative_to(folder)
        why = None
        if path.is_symlink() or not path.is_file():
            why = "it is no plain file"
        elif len(name.parts) > FOLDERS + 1:
            why = f"it lies {len(name.parts) - 1} folders down, allowed are {FOLDERS}"
        elif not all(re.fullmatch(r"[A-Za-z0-9._-]+", part) for part in name.parts):
            why = "its name holds more than letters, digits, '.', '_' and '-'"
        if why:
            path.unlink()
            tell(f"limits.py: removed {name}: {why}")
            clean = False
        else:
            kept.append(path)
    rank = {name: i for i, name in enumerate(KNOWN)}
    kept.sort(key=lambda p: rank.get(str(p.relative_to(folder)), len(KNOWN)))
    for path in kept[FILES:]:
        path.unlink()
        tell(f"limits.py: removed {path.relative_to(folder)}: {len(kept)} files, allowed are {FILES}")
        clean = False
    for path in kept[:FILES]:
        if path.stat().st_size >= BYTES:
            size = cut(path)
            tell(f"limits.py: cut {path.relative_to(folder)}: {size} bytes, allowed is less than {BYTES}")
            clean = False
    return clean


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: limits.py FOLDER")
    sys.exit(0 if enforce(sys.argv[1]) else 1)
