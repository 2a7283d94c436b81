// SPDX-License-Identifier: Apache-2.0
// EKFAC's basis of one block: A = V^T diag(values) V by LAPACK's divide and conquer, V with the eigenvectors as rows.
// Nothing is damped and nothing retried: a symmetric matrix of finite numbers has a basis. Rounding may leave small
// negative eigenvalues; they count as 0.
#ifndef LNGD_BACKEND_CPU_KERNELS_EIGENBASIS_H
#define LNGD_BACKEND_CPU_KERNELS_EIGENBASIS_H

#include <cmath>

#include "backend/cpu/kernels/kernels.h"

namespace lngd::cpu::LNGD_ISA {

// matrix: lower triangle, n x ld; vectors: n x ld. False, with nothing written, where LAPACK fails. scratch:
// eigen_scratch(n) floats.
inline bool eigenbasis(const Blas& blas, const float* matrix, int64_t n, int64_t ld, float* vectors, float* values,
                       float* scratch) {
  float* const a = scratch;
  float* const w = a + n * ld;
  float* const work = w + ld;
  const int size = static_cast<int>(n), lda = static_cast<int>(ld);
  const int lwork = static_cast<int>(1 + 6 * n + 2 * n * n), liwork = static_cast<int>(3 + 5 * n);
  int* const iwork = reinterpret_cast<int*>(work + lwork);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j) a[i * ld + j] = matrix[i * ld + j];
  int info = 0;
  // Row-major lower is LAPACK's column-major upper; its eigenvectors are columns, so rows here.
  blas.ssyevd("V", "U", &size, a, &lda, w, work, &lwork, iwork, &liwork, &info, 1, 1);
  if (info != 0) return false;
  for (int64_t i = 0; i < n; ++i)
    if (!std::isfinite(w[i]) || !std::isfinite(a[i * ld])) return false;
  for (int64_t i = 0; i < n; ++i) {
    values[i] = std::max(w[i], 0.0f);
    for (int64_t j = 0; j < n; ++j) vectors[i * ld + j] = a[i * ld + j];
  }
  return true;
}

} // namespace lngd::cpu::LNGD_ISA
#endif
