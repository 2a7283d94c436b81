// SPDX-License-Identifier: Apache-2.0
// Shared by the kernels of one instruction set.
#ifndef LNGD_BACKEND_CPU_KERNELS_KERNELS_H
#define LNGD_BACKEND_CPU_KERNELS_KERNELS_H

#include "backend/activation.h" // LNGD_INLINE
#include "backend/cpu/context.h"

namespace lngd::cpu::LNGD_ISA {

#define LNGD_KERNEL(name, arguments) void name(Context&, const arguments&);
#include "backend/kernels.def"
#undef LNGD_KERNEL
void fisher_rows(Context&, const StatisticsArgs&, const FisherRows&);
void conv_fisher_rows(Context&, const ConvStatisticsArgs&, const FisherRows&);

// A float of the caller, at any byte address. On x86 the loads and stores that the compiler makes of it cost nothing
// more.
typedef float caller_float __attribute__((aligned(1), may_alias));

LNGD_INLINE const caller_float* at(const Strided& view, int64_t i, int64_t j = 0) {
  return reinterpret_cast<const caller_float*>(view.data) + i * view.rs + j * view.cs;
}
LNGD_INLINE caller_float* at_mutable(const Strided& view, int64_t i, int64_t j = 0) {
  return reinterpret_cast<caller_float*>(view.data) + i * view.rs + j * view.cs;
}

// Can be given to BLAS as a row-major matrix with leading dimension rs.
LNGD_INLINE bool blas_ready(const Strided& view, int64_t cols) {
  return view.cs == 1 && view.rs >= cols && view.rs < 0x7fffffff && reinterpret_cast<uintptr_t>(view.data) % 4 == 0;
}

// Sums in float run over at most this many terms before they go on in double.
constexpr int64_t kFloatRun = 512;

} // namespace lngd::cpu::LNGD_ISA
#endif
