# SPDX-License-Identifier: Apache-2.0
"""What the tests of cifar10.py share: $LNGD_LIBRARY is the folder of liblngd.so (and of the emulated CUDA backend). What needs NumPy,
PyTorch, PIL or a C compiler is skipped where it is missing, and says so."""
import os
import shutil
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

try:
    import numpy as np
except ImportError:
    np = None
try:
    import PIL
except ImportError:
    PIL = None
try:
    import torch
except ImportError:
    torch = None

LIBRARY = os.environ.get("LNGD_LIBRARY")
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("c++") or shutil.which("g++")
needs_numpy = unittest.skipUnless(np, "no NumPy")
needs_torch = unittest.skipUnless(np and torch, "no PyTorch")
needs_library = unittest.skipUnless(LIBRARY, "LNGD_LIBRARY is not set")
needs_compiler = unittest.skipUnless(COMPILER, "no C compiler")


def records(count, seed):
    """Images that can be told apart: a colour a class, with noise. Labels in turn."""
    rng = np.random.RandomState(seed)
    labels = np.arange(count) % 10
    colours = np.random.RandomState(0).randint(40, 216, (10, 3))
    pixels = np.clip(colours[labels][:, None, None, :] + rng.randint(-40, 41, (count, 32, 32, 3)), 0, 255)
    return np.concatenate([labels[:, None], pixels.reshape(count, -1)], 1).astype(np.uint8)


def binary_folder(folder, train, test):
    def planar(table):
        pixels = table[:, 1:].reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2).reshape(len(table), -1)
        return np.concatenate([table[:, :1], pixels], 1)

    for i, batch in enumerate(np.array_split(train, 5)):
        planar(batch).tofile(os.path.join(folder, f"data_batch_{i + 1}.bin"))
    planar(test).tofile(os.path.join(folder, "test_batch.bin"))
