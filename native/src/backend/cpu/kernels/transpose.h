// SPDX-License-Identifier: Apache-2.0
// A square of kVectorFloats x kVectorFloats, transposed in registers.
#ifndef LNGD_BACKEND_CPU_KERNELS_TRANSPOSE_H
#define LNGD_BACKEND_CPU_KERNELS_TRANSPOSE_H

#include <utility>

#include "backend/cpu/kernels/tile_product.h"

namespace lngd::cpu::LNGD_ISA {

typedef int32_t vlanes __attribute__((vector_size(4 * kVectorFloats)));

// Exchanges, in each pair of vectors (i, i + Step), the upper half of every 2 Step lanes of the first with the lower
// half of the second.
template <int Step, int... Lane>
LNGD_INLINE void exchange(vfloat* v, std::integer_sequence<int, Lane...>) {
  constexpr vlanes low = {((Lane & Step) == 0 ? Lane : kVectorFloats + Lane - Step)...};
  constexpr vlanes high = {((Lane & Step) == 0 ? Lane + Step : kVectorFloats + Lane)...};
#pragma GCC unroll 16
  for (int i = 0; i < kVectorFloats; ++i) {
    if (i & Step) continue;
    const vfloat a = v[i], b = v[i + Step];
    v[i] = __builtin_shuffle(a, b, low);
    v[i + Step] = __builtin_shuffle(a, b, high);
  }
}

// v[i] = row i on entry, column i on return.
LNGD_INLINE void transpose(vfloat* v) {
  using Lanes = std::make_integer_sequence<int, kVectorFloats>;
  exchange<1>(v, Lanes{});
  exchange<2>(v, Lanes{});
  if constexpr (kVectorFloats > 4) exchange<4>(v, Lanes{});
  if constexpr (kVectorFloats > 8) exchange<8>(v, Lanes{});
}

// to (columns x kVectorFloats, ldt) = the transpose of from (kVectorFloats x columns, ldf). Whole squares: up to
// kVectorFloats - 1 columns more are read and written.
LNGD_INLINE void transpose_rows(const float* from, int64_t ldf, int64_t columns, float* to, int64_t ldt) {
  for (int64_t j = 0; j < columns; j += kVectorFloats) {
    vfloat v[kVectorFloats];
#pragma GCC unroll 16
    for (int i = 0; i < kVectorFloats; ++i) v[i] = load(from + i * ldf + j);
    transpose(v);
#pragma GCC unroll 16
    for (int i = 0; i < kVectorFloats; ++i) store(to + (j + i) * ldt, v[i]);
  }
}

} // namespace lngd::cpu::LNGD_ISA
#endif
