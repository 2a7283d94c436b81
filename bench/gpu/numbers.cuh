// SPDX-License-Identifier: Apache-2.0
// Random numbers by position: the device fills hundreds of megabytes with them, and a reference on the host makes just
// those that it needs, the same bits.
#ifndef LNGD_GPU_BENCH_NUMBERS_CUH
#define LNGD_GPU_BENCH_NUMBERS_CUH

#include <cuda_runtime.h>

#include <cstdint>

namespace bench {

// Uniform in [-1, 1): MurmurHash3's finaliser over the position.
__host__ __device__ inline float uniform(uint32_t seed, uint64_t position) {
  uint32_t x = static_cast<uint32_t>(position) * 0x9e3779b1u + static_cast<uint32_t>(position >> 32) + seed;
  x ^= x >> 16;
  x *= 0x85ebca6bu;
  x ^= x >> 13;
  x *= 0xc2b2ae35u;
  x ^= x >> 16;
  return static_cast<float>(static_cast<int32_t>(x)) * 0x1p-31f;
}

// Element (i, j) of a symmetric positive definite matrix: 1 on the diagonal, `scale` times noise beside it.
// With scale = spd_scale(n) its eigenvalues spread over about [0.2, 1.8] (Wigner's semicircle, radius 0.8).
__host__ __device__ inline float spd(uint32_t seed, int64_t n, int64_t i, int64_t j, float scale) {
  if (i == j) return 1.0f;
  const int64_t row = i > j ? i : j, column = i > j ? j : i;
  return scale * uniform(seed, static_cast<uint64_t>(row * n + column));
}
float spd_scale(int64_t n);

// out[i] = offset + scale * uniform(seed, i): with offset 0 and scale 1 the bits that the host makes, otherwise rounded
// as the compiler likes.
void fill(float* out, int64_t count, uint32_t seed, float offset = 0, float scale = 1);
// The lower triangle of spd(), row-major with leading dimension ld; NaN above it: nobody may read that.
void fill_spd(float* out, int64_t n, int64_t ld, uint32_t seed);
// The whole square.
void fill_spd_square(float* out, int64_t n, int64_t ld, uint32_t seed);

} // namespace bench
#endif
