// SPDX-License-Identifier: Apache-2.0
// The register tile that the own products of the CPU kernels are made of:
//
//   C (kTileRows x columns)  op=  sum_k p_ki q_kj
//
// q is read along its rows; p is either read along rows too (p_ki = p[k ldp + i]: A^T A of a SYRK, the update of a
// Cholesky factor U^T U, the product X^T X of an inverse) or given by the rows of its transpose (p_ki = p[i ldp + k]:
// an ordinary product), so that none of them needs a copy. Vector types of the compiler instead of intrinsics: one
// source for every instruction set. (Plain loops were tried first: GCC 12 keeps their accumulators in memory.)
#ifndef LNGD_BACKEND_CPU_KERNELS_TILE_PRODUCT_H
#define LNGD_BACKEND_CPU_KERNELS_TILE_PRODUCT_H

#include "backend/cpu/kernels/kernels.h"

namespace lngd::cpu::LNGD_ISA {

// Accumulators and the vectors in flight fit the registers: 16 + 2 + 1 of AVX-512's 32, 8 + 2 + 1 of 16 elsewhere.
// Eight independent sums hide the latency of an FMA (4 cycles at 2 a cycle).
#if defined(__AVX512F__)
constexpr int kVectorFloats = 16;
constexpr int kTileRows = 8;
#elif defined(__AVX2__)
constexpr int kVectorFloats = 8;
constexpr int kTileRows = 4;
#else
constexpr int kVectorFloats = 4;
constexpr int kTileRows = 4;
#endif
constexpr int kTileVectors = 2;
constexpr int kTileColumns = kTileVectors * kVectorFloats;

typedef float vfloat __attribute__((vector_size(4 * kVectorFloats), aligned(4), may_alias));

LNGD_INLINE vfloat load(const float* p) { return *reinterpret_cast<const vfloat*>(p); }
LNGD_INLINE void store(float* p, vfloat v) { *reinterpret_cast<vfloat*>(p) = v; }

enum class Put { kAssign, kAdd, kSubtract };

// How p is read.
enum class Left { kByDepth, kByRow };

// Tile at c: kTileRows x (Vectors * kVectorFloats).
template <Put Op, int Vectors, Left Side = Left::kByDepth>
LNGD_INLINE void tile_product(int64_t depth, const float* p, int64_t ldp, const float* q, int64_t ldq, float* c,
                              int64_t ldc) {
  vfloat sum[kTileRows][Vectors];
  // C is read when all products are done: by then it has come.
  if (Op != Put::kAssign)
    for (int i = 0; i < kTileRows; ++i)
      for (int v = 0; v < Vectors; ++v) __builtin_prefetch(c + i * ldc + v * kVectorFloats, 1);
#pragma GCC unroll 8
  for (int i = 0; i < kTileRows; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) sum[i][v] = vfloat{};
  for (int64_t k = 0; k < depth; ++k) {
    vfloat row[Vectors];
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) row[v] = load(q + k * ldq + v * kVectorFloats);
#pragma GCC unroll 8
    for (int i = 0; i < kTileRows; ++i)
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v)
        sum[i][v] += (Side == Left::kByDepth ? p[k * ldp + i] : p[i * ldp + k]) * row[v];
  }
#pragma GCC unroll 8
  for (int i = 0; i < kTileRows; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      float* const to = c + i * ldc + v * kVectorFloats;
      if (Op == Put::kAssign)
        store(to, sum[i][v]);
      else if (Op == Put::kAdd)
        store(to, load(to) + sum[i][v]);
      else
        store(to, load(to) - sum[i][v]);
    }
}

// The same over `columns`, a multiple of kVectorFloats.
template <Put Op, Left Side = Left::kByDepth>
LNGD_INLINE void tile_row(int64_t depth, const float* p, int64_t ldp, const float* q, int64_t ldq, int64_t columns,
                          float* c, int64_t ldc) {
  int64_t j = 0;
  for (; j + kTileColumns <= columns; j += kTileColumns)
    tile_product<Op, kTileVectors, Side>(depth, p, ldp, q + j, ldq, c + j, ldc);
  for (; j < columns; j += kVectorFloats) tile_product<Op, 1, Side>(depth, p, ldp, q + j, ldq, c + j, ldc);
}

} // namespace lngd::cpu::LNGD_ISA
#endif
