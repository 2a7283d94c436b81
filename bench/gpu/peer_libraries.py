# SPDX-License-Identifier: Apache-2.0
"""cuBLAS and cuSOLVER by themselves, through ctypes on the copies that PyTorch has loaded."""
import ctypes
import glob
import os
import re

import torch

from peer_layers import PRESETS, distinct, random
from peer_network import damped
from peer_timing import Case

LOWER, UPPER = 0, 1  # cublasFillMode_t
NO_TRANSPOSE, TRANSPOSE = 0, 1  # cublasOperation_t
TF32_MATH = 3  # CUBLAS_TF32_TENSOR_OP_MATH


def find(name):
    """The copy in this process, or else one in PyTorch's packages."""
    with open("/proc/self/maps") as maps:
        loaded = sorted({line.split()[-1] for line in maps if re.search(rf"/lib{name}\.so[.\d]*$", line.strip())})
    site = os.path.dirname(os.path.dirname(torch.__file__))
    shipped = sorted(glob.glob(f"{site}/nvidia/*/lib/lib{name}.so*") + glob.glob(f"{site}/torch/lib/lib{name}*.so*"))
    for path in loaded + shipped:
        try:
            return ctypes.CDLL(path)
        except OSError:
            continue
    raise RuntimeError(f"lib{name} was not found, neither loaded nor under {site}")


def check(status, what):
    if status != 0:
        raise RuntimeError(f"{what} returned {status}")


def pointer(tensor):
    return ctypes.c_void_p(tensor.data_ptr())


def stream():
    return ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)


class Cublas:
    def __init__(self):
        torch.mm(torch.ones(8, 8, device="cuda"), torch.ones(8, 8, device="cuda"))  # loads the library
        self.lib = find("cublas")
        self.handle = ctypes.c_void_p()
        check(self.lib.cublasCreate_v2(ctypes.byref(self.handle)), "cublasCreate")
        check(self.lib.cublasSetMathMode(self.handle, ctypes.c_int(TF32_MATH)), "cublasSetMathMode")
        self.one, self.zero = ctypes.c_float(1), ctypes.c_float(0)

    def attach(self):
        check(self.lib.cublasSetStream_v2(self.handle, stream()), "cublasSetStream")

    # a: rows x d, row-major, is d x rows by columns: C = A A^T.
    def syrk(self, a, c):
        rows, d = a.shape
        check(
            self.lib.cublasSsyrk_v2(
                self.handle, ctypes.c_int(UPPER), ctypes.c_int(NO_TRANSPOSE), ctypes.c_int(d), ctypes.c_int(rows), ctypes.byref(self.one),
                pointer(a), ctypes.c_int(d), ctypes.byref(self.zero), pointer(c), ctypes.c_int(d)
            ),
            "cublasSsyrk",
        )

    def gemm(self, a, c):
        rows, d = a.shape
        check(
            self.lib.cublasSgemm_v2(
                self.handle, ctypes.c_int(NO_TRANSPOSE), ctypes.c_int(TRANSPOSE), ctypes.c_int(d), ctypes.c_int(d), ctypes.c_int(rows),
                ctypes.byref(self.one), pointer(a), ctypes.c_int(d), pointer(a), ctypes.c_int(d), ctypes.byref(self.zero), pointer(c),
                ctypes.c_int(d)
            ),
            "cublasSgemm",
        )


class Cusolver:
    def __init__(self):
        torch.linalg.cholesky(torch.eye(300, device="cuda"))  # loads the library
        self.lib = find("cusolver")
        self.handle = ctypes.c_void_p()
        check(self.lib.cusolverDnCreate(ctypes.byref(self.handle)), "cusolverDnCreate")
        self.info = torch.zeros(1 << 16, dtype=torch.int32, device="cuda")

    def attach(self):
        check(self.lib.cusolverDnSetStream(self.handle, stream()), "cusolverDnSetStream")

    def workspace(self, n):
        """Floats for potrf and potri of an n x n matrix."""
        most, a = 0, torch.empty(n, n, device="cuda")
        for name in ("Spotrf", "Spotri"):
            floats = ctypes.c_int()
            function = getattr(self.lib, f"cusolverDn{name}_bufferSize")
            check(function(self.handle, ctypes.c_int(LOWER), ctypes.c_int(n), pointer(a), ctypes.c_int(n), ctypes.byref(floats)), name)
            most = max(most, floats.value)
        return torch.empty(max(1, most), device="cuda")

    def inverse(self, a, work):
        """In place, one triangle."""
        n = a.shape[0]
        for name in ("Spotrf", "Spotri"):
            function = getattr(self.lib, f"cusolverDn{name}")
            status = function(
                self.handle, ctypes.c_int(LOWER), ctypes.c_int(n), pointer(a), ctypes.c_int(n), pointer(work), ctypes.c_int(work.numel()),
                pointer(self.info)
            )
            check(status, name)

    def factor_batched(self, batch, addresses):
        """In place; `addresses` are those of the matrices, on the device."""
        count, n = batch.shape[0], batch.shape[1]
        check(
            self.lib.cusolverDnSpotrfBatched(
                self.handle, ctypes.c_int(LOWER), ctypes.c_int(n), pointer(addresses), ctypes.c_int(n), pointer(self.info), ctypes.c_int(count)
            ),
            "cusolverDnSpotrfBatched",
        )


def addresses_of(batch):
    step = batch.stride(0) * batch.element_size()
    return torch.tensor([batch.data_ptr() + i * step for i in range(batch.shape[0])], dtype=torch.int64, device="cuda")


def cases(clock, set_name, layers):
    default, full = PRESETS
    for layer in distinct(layers):
        if layer.d >= 256 and layer.groups == 1:
            key = {
                "kernel": "conv_statistics" if layer.conv else "layer_statistics",
                "set": set_name,
                "case": layer.name,
                "preset": full.name,
            }
            yield Case(key, lambda layer=layer: _syrk(clock, layer, full))
    for preset, run in ((default, _factor_batched), (full, _inverse)):
        key = {"kernel": "factor_inverse", "set": set_name, "case": "all", "preset": preset.name}
        yield Case(key, lambda run=run, preset=preset: run(clock, layers, preset))


def _syrk(clock, layer, preset):
    library = Cublas()
    rows = layer.samples(preset) * layer.positions

    def make_with(function):
        def make(_):
            a, c = random(clock, rows, layer.d), torch.zeros(layer.d, layer.d, device="cuda")

            def run():
                library.attach()
                function(a, c)

            return run

        return make

    size = 4 * rows * layer.d
    note = "patches, weighted by sqrt r, at hand"
    ways = [
        ("cuBLAS ssyrk, TF32 allowed", lambda name: clock.measure(name, make_with(library.syrk), size, graph=False, note=note, precision="tf32", part=True)),
        ("cuBLAS sgemm, TF32 allowed", lambda name: clock.measure(name, make_with(library.gemm), size, graph=False, note=note, precision="tf32", part=True)),
    ]
    yield from clock.best(ways)


def _sizes(layers, preset):
    sizes = {}
    for layer in layers:
        for _, n in layer.blocks(preset):
            sizes[n] = sizes.get(n, 0) + layer.groups
    return sizes


def _restoring(library, work):
    """Runs work() on copies: the libraries overwrite their input. The copy is timed as well."""

    def run(pairs):
        library.attach()
        for pristine, copy, *rest in pairs:
            copy.copy_(pristine)
            work(copy, *rest)

    return run


def _factor_batched(clock, layers, preset):
    library = Cusolver()
    sizes = _sizes(layers, preset)

    def make(_):
        pairs = []
        for n, count in sizes.items():
            pristine = damped(clock, count, n)
            copy = torch.empty_like(pristine)
            pairs.append((pristine, copy, addresses_of(copy)))
        run = _restoring(library, library.factor_batched)
        return lambda: run(pairs)

    size = 4 * sum(count * n * n for n, count in sizes.items())
    yield clock.measure(
        "cuSOLVER potrfBatched, by size", make, size, graph=False, note="Cholesky only: no inverse; with a copy of the input", precision="fp32", part=True
    )


def _inverse(clock, layers, preset):
    library = Cusolver()
    sizes = _sizes(layers, preset)

    def make(_):
        pairs = []
        for n, count in sizes.items():
            work = library.workspace(n)
            for pristine in damped(clock, count, n):
                pairs.append((pristine, torch.empty_like(pristine), work))
        run = _restoring(library, library.inverse)
        return lambda: run(pairs)

    size = 4 * sum(count * n * n for n, count in sizes.items())
    yield clock.measure(
        "cuSOLVER potrf + potri, looped", make, size, graph=False, note="one triangle of the inverse; with a copy of the input", precision="fp32"
    )
