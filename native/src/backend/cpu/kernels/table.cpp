// SPDX-License-Identifier: Apache-2.0
// This folder is compiled once for each instruction set, with LNGD_ISA = portable, avx2 or avx512 as the namespace;
// this file collects the kernels of one. Plain loops that the compiler vectorises were preferred to intrinsics: one
// source for all three, and the arithmetic that decides the time (SYRK, GEMM, POTRF) is OpenBLAS's.
#include "backend/cpu/kernels/kernels.h"

namespace lngd::cpu::LNGD_ISA {

const Kernels kernels = {
#define LNGD_KERNEL(name, arguments) name,
#include "backend/kernels.def"
#undef LNGD_KERNEL
    fisher_rows,
    conv_fisher_rows,
};

} // namespace lngd::cpu::LNGD_ISA
