// SPDX-License-Identifier: Apache-2.0
// The wrapper self-test: each wrapper of simt.cuh against a plain computation. It runs on the emulator and, compiled by
// nvcc with harness.cpp, on a GPU, where it is the first thing to run: only there is the assembly itself tested.
//   nvcc -std=c++17 -arch=sm_80 -I native/src -I native/test -I native/test/simt
//        native/test/simt/test_wrappers.cu native/test/harness.cpp
#include <cmath>
#include <cstring>
#include <vector>

#include "backend/cuda/simt.cuh"
#include "device_array.hpp"
#include "harness.hpp"

namespace {

using namespace lngd::cuda;

template <class T>
struct Same {
  using type = T;
};

// One warp, or more, of one block; fails the test where the launch does.
template <class... P>
void run(void (*kernel)(P...), unsigned threads, size_t shared, typename Same<P>::type... args) {
  REQUIRE(launch(kernel, dim3(1), dim3(threads), shared, nullptr, args...) == cudaSuccess);
  REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
}

// Numbers in [-1, 1) with all bits of a float in use.
std::vector<float> numbers(size_t count, uint32_t seed) {
  std::vector<float> values(count);
  for (float& v : values) {
    seed = seed * 1664525u + 1013904223u;
    v = static_cast<float>(static_cast<int32_t>(seed)) * 0x1p-31f;
  }
  return values;
}

float with_bits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

__global__ void round_kernel(const float* in, uint32_t* tf32, uint32_t* bf16, int count) {
  for (int i = static_cast<int>(threadIdx.x); i < count; i += 32) {
    tf32[i] = to_tf32(in[i]);
    bf16[i] = pack_bf16(in[i], -in[i]);
  }
}

// x rounded to `digits` bits of mantissa behind the leading one.
double rounded(double x, int digits, bool ties_to_even) {
  int exponent;
  const double mantissa = std::frexp(x, &exponent);
  const double scaled = std::ldexp(mantissa, digits + 1);
  double r = ties_to_even ? std::nearbyint(scaled) : std::round(scaled);
  return std::ldexp(r, exponent - digits - 1);
}

} // namespace

TEST(wrapper_rounding) {
  std::vector<float> in = numbers(1000, 5);
  for (const uint32_t bits : {0x3f801000u, 0x3f803000u, 0x3f808000u, 0x3f818000u, 0x3f800fffu, 0x3fffffffu, 0u})
    in.push_back(with_bits(bits)); // ties, and a carry into the exponent
  const Array<float> device(in);
  const Array<uint32_t> tf32(in.size()), bf16(in.size());
  run(round_kernel, 32, 0, device.data, tf32.data, bf16.data, static_cast<int>(in.size()));
  const std::vector<uint32_t> t = tf32.read(), b = bf16.read();
  for (size_t i = 0; i < in.size(); ++i) {
    const double x = in[i];
    CHECK_EQ(static_cast<double>(with_bits(t[i])), x == 0 ? 0 : rounded(x, 10, false));
    CHECK_EQ(static_cast<double>(with_bits(b[i] << 16)), x == 0 ? 0 : rounded(x, 7, true));
    CHECK_EQ(b[i] >> 16, (b[i] & 0xffffu) ^ 0x8000u);
  }
}

namespace {

// Products of small integers are exact in every mode, so a fragment in the wrong place cannot hide behind a tolerance;
// random numbers then show the rounding.
__global__ void tf32_kernel(const float* a, const float* b, const float* c, float* d) {
  const int lane = static_cast<int>(threadIdx.x), g = lane / 4, t = lane % 4;
  const uint32_t fa[4] = {to_tf32(a[g * 8 + t]), to_tf32(a[(g + 8) * 8 + t]), to_tf32(a[g * 8 + t + 4]),
                          to_tf32(a[(g + 8) * 8 + t + 4])};
  const uint32_t fb[2] = {to_tf32(b[t * 8 + g]), to_tf32(b[(t + 4) * 8 + g])};
  float acc[4];
  for (int i = 0; i < 4; ++i) acc[i] = c[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
  mma_tf32(acc, fa, fb);
  for (int i = 0; i < 4; ++i) d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = acc[i];
}

__global__ void bf16_kernel(const float* a, const float* b, const float* c, float* d) {
  const int lane = static_cast<int>(threadIdx.x), g = lane / 4, t = lane % 4;
  uint32_t fa[4], fb[2];
  for (int i = 0; i < 4; ++i) {
    const float* const p = a + (g + i % 2 * 8) * 16 + 2 * t + i / 2 * 8;
    fa[i] = pack_bf16(p[0], p[1]);
  }
  for (int i = 0; i < 2; ++i) {
    const float* const p = b + (2 * t + i * 8) * 8 + g;
    fb[i] = pack_bf16(p[0], p[8]);
  }
  float acc[4];
  for (int i = 0; i < 4; ++i) acc[i] = c[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
  mma_bf16(acc, fa, fb);
  for (int i = 0; i < 4; ++i) d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = acc[i];
}

void check_product(bool bf16, bool integers) {
  const int depth = bf16 ? 16 : 8;
  std::vector<float> a = numbers(static_cast<size_t>(16 * depth), 1), b = numbers(static_cast<size_t>(depth * 8), 2),
                     c = numbers(16 * 8, 3);
  if (integers)
    for (std::vector<float>* m : {&a, &b, &c})
      for (float& x : *m) x = std::floor(x * 16);
  const Array<float> da(a), db(b), dc(c), dd(16 * 8);
  run(bf16 ? bf16_kernel : tf32_kernel, 32, 0, da.data, db.data, dc.data, dd.data);
  const std::vector<float> d = dd.read();
  double worst = 0;
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 8; ++j) {
      double sum = c[static_cast<size_t>(i * 8 + j)];
      for (int k = 0; k < depth; ++k) {
        const double x = a[static_cast<size_t>(i * depth + k)], y = b[static_cast<size_t>(k * 8 + j)];
        sum += bf16 ? rounded(x, 7, true) * rounded(y, 7, true) : rounded(x, 10, false) * rounded(y, 10, false);
      }
      worst = std::max(worst, std::fabs(sum - d[static_cast<size_t>(i * 8 + j)]));
    }
  // Sums below 2^5 whose addends lose at most their last bits (truncated) when they are aligned to the largest.
  CHECK_WITHIN(worst, integers ? 0.0 : 16 * 0x1p-22);
}

} // namespace

TEST(wrapper_mma_tf32) {
  check_product(false, true);
  check_product(false, false);
}

TEST(wrapper_mma_bf16) {
  check_product(true, true);
  check_product(true, false);
}

namespace {

__global__ void matrix_kernel(const uint32_t* in, uint32_t* plain, uint32_t* transposed) {
  SIMT_DYNAMIC_SHARED(uint32_t, tile); // 32 rows of 4 words, each 5 * 16 bytes behind the last
  const unsigned lane = threadIdx.x;
  for (unsigned i = 0; i < 4; ++i) tile[lane * 20 + i] = in[lane * 4 + i];
  __syncthreads();
  uint32_t r[4], s[4];
  ldmatrix_x4(r, tile + lane * 20);
  ldmatrix_x4_trans(s, tile + lane * 20);
  for (unsigned i = 0; i < 4; ++i) {
    plain[i * 32 + lane] = r[i];
    transposed[i * 32 + lane] = s[i];
  }
}

} // namespace

TEST(wrapper_ldmatrix) {
  // Half h of matrix m at (row, column): every half is a different number.
  const auto half = [](int m, int row, int column) { return static_cast<uint32_t>(1000 * m + 10 * row + column); };
  std::vector<uint32_t> in(32 * 4);
  for (int row = 0; row < 32; ++row)
    for (int word = 0; word < 4; ++word)
      in[static_cast<size_t>(row * 4 + word)] = half(row / 8, row % 8, 2 * word) | half(row / 8, row % 8, 2 * word + 1)
                                                                                       << 16;
  const Array<uint32_t> device(in), plain(128), transposed(128);
  run(matrix_kernel, 32, 32 * 20 * 4, device.data, plain.data, transposed.data);
  const std::vector<uint32_t> r = plain.read(), s = transposed.read();
  for (int m = 0; m < 4; ++m)
    for (int lane = 0; lane < 32; ++lane) {
      const int g = lane / 4, t = lane % 4 * 2;
      CHECK_EQ(r[static_cast<size_t>(m * 32 + lane)], (half(m, g, t) | half(m, g, t + 1) << 16));
      CHECK_EQ(s[static_cast<size_t>(m * 32 + lane)], (half(m, t, g) | half(m, t + 1, g) << 16));
    }
}

namespace {

// Four groups in flight, waited for one after another; sizes 16 and 4, whole and cut short.
__global__ void copy_kernel(const float* in, float* out, int valid_bytes) {
  __shared__ __align__(16) float wide[2][32 * 4];
  __shared__ __align__(16) float narrow[2][32];
  const unsigned lane = threadIdx.x;
  for (int i = 0; i < 2; ++i) {
    cp_async_16(&wide[i][lane * 4], in + i * 128 + lane * 4, i == 0 ? 16 : valid_bytes);
    cp_async_commit();
    cp_async_4(&narrow[i][lane], in + 256 + i * 32 + lane, i == 0 || lane % 2 == 0 ? 4 : 0);
    cp_async_commit();
  }
  cp_async_wait<3>();
  __syncthreads();
  for (int i = 0; i < 4; ++i) out[lane * 4 + i] = wide[0][(31 - lane) * 4 + i];
  cp_async_wait<2>();
  __syncthreads();
  out[256 + lane] = narrow[0][31 - lane];
  cp_async_wait<0>();
  __syncthreads();
  for (int i = 0; i < 4; ++i) out[128 + lane * 4 + i] = wide[1][(31 - lane) * 4 + i];
  out[288 + lane] = narrow[1][31 - lane];
}

} // namespace

TEST(wrapper_cp_async) {
  const std::vector<float> in = numbers(320, 9);
  const Array<float> device(in);
  for (const int valid : {0, 4, 12, 16}) {
    const Array<float> result(320);
    run(copy_kernel, 32, 0, device.data, result.data, valid);
    const std::vector<float> out = result.read();
    for (int lane = 0; lane < 32; ++lane) {
      const int from = 31 - lane;
      for (int i = 0; i < 4; ++i) {
        CHECK_EQ(out[static_cast<size_t>(lane * 4 + i)], in[static_cast<size_t>(from * 4 + i)]);
        CHECK_EQ(out[static_cast<size_t>(128 + lane * 4 + i)],
                 4 * i < valid ? in[static_cast<size_t>(128 + from * 4 + i)] : 0.0f);
      }
      CHECK_EQ(out[static_cast<size_t>(256 + lane)], in[static_cast<size_t>(256 + from)]);
      CHECK_EQ(out[static_cast<size_t>(288 + lane)], from % 2 == 0 ? in[static_cast<size_t>(288 + from)] : 0.0f);
    }
  }
}

namespace {

__global__ void prefetch_kernel(float* values) {
  float* const mine = values + threadIdx.x * 8;
  prefetch_l2(mine);
  *mine += 1.0f;
}

} // namespace

// Nothing can be seen of it but that it harms nothing.
TEST(wrapper_prefetch) {
  const std::vector<float> in = numbers(256, 6);
  const Array<float> device(in);
  run(prefetch_kernel, 32, 0, device.data);
  const std::vector<float> out = device.read();
  for (size_t i = 0; i < in.size(); ++i) CHECK_EQ(out[i], i % 8 == 0 ? in[i] + 1.0f : in[i]);
}

namespace {

__global__ void warp_kernel(const float* in, float* out, unsigned* votes, double* sums) {
  const unsigned t = threadIdx.x, lane = t % 32;
  out[t] = __shfl_sync(kFullWarp, in[t], static_cast<int>(lane * 7 % 32));
  out[64 + t] = __shfl_up_sync(kFullWarp, in[t], 3);
  out[128 + t] = __shfl_down_sync(kFullWarp, in[t], 5, 16);
  out[192 + t] = __shfl_xor_sync(kFullWarp, in[t], 9);
  out[256 + t] = warp_sum(in[t]);
  out[320 + t] = warp_max(in[t]);
  votes[t] = __ballot_sync(kFullWarp, in[t] > 0);
  sums[t] = warp_sum(static_cast<double>(in[t])); // 8 bytes
  const int positive = __syncthreads_count(in[t] > 0);
  if (t == 0) votes[64] = static_cast<unsigned>(positive);
}

} // namespace

TEST(wrapper_warp_functions) {
  const std::vector<float> in = numbers(64, 4);
  const Array<float> device(in), result(384);
  const Array<unsigned> ballots(65);
  const Array<double> doubles(64);
  run(warp_kernel, 64, 0, device.data, result.data, ballots.data, doubles.data);
  const std::vector<float> out = result.read();
  const std::vector<unsigned> votes = ballots.read();
  const std::vector<double> sums = doubles.read();
  unsigned positive = 0;
  for (int warp = 0; warp < 2; ++warp) {
    const float* const x = in.data() + warp * 32;
    double sum = 0;
    float largest = x[0];
    unsigned ballot = 0;
    for (int lane = 0; lane < 32; ++lane) {
      sum += x[lane];
      largest = std::max(largest, x[lane]);
      if (x[lane] > 0) ballot |= 1u << lane, ++positive;
    }
    for (int lane = 0; lane < 32; ++lane) {
      const size_t t = static_cast<size_t>(warp * 32 + lane);
      CHECK_EQ(out[t], x[lane * 7 % 32]);
      CHECK_EQ(out[64 + t], x[lane < 3 ? lane : lane - 3]);
      CHECK_EQ(out[128 + t], x[lane % 16 + 5 > 15 ? lane : lane + 5]);
      CHECK_EQ(out[192 + t], x[lane ^ 9]);
      CHECK_NEAR(static_cast<double>(out[256 + t]), sum, 32 * 0x1p-24 * 16);
      CHECK_EQ(out[256 + t], out[256 + static_cast<size_t>(warp) * 32]); // the same bits in every lane
      CHECK_EQ(out[320 + t], largest);
      CHECK_EQ(votes[t], ballot);
      CHECK_NEAR(sums[t], sum, 1e-13);
    }
  }
  CHECK_EQ(votes[64], positive);
}

namespace {

__global__ void big_shared_kernel(float* out, int floats) {
  SIMT_DYNAMIC_SHARED(float, memory);
  for (int i = static_cast<int>(threadIdx.x); i < floats; i += static_cast<int>(blockDim.x))
    memory[i] = static_cast<float>(i);
  __syncthreads();
  float sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < floats; i += static_cast<int>(blockDim.x))
    sum += memory[floats - 1 - i];
  out[threadIdx.x] = sum;
}

} // namespace

TEST(wrapper_launch_with_large_shared_memory) {
  const int floats = 24 * 1024; // 96 KB
  const Array<float> result(128);
  CHECK_EQ(launch(big_shared_kernel, dim3(1), dim3(128), size_t{4} * floats, nullptr, result.data, floats),
           cudaErrorInvalidValue); // not asked for
  cudaGetLastError();
  REQUIRE(cudaFuncSetAttribute(big_shared_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 4 * floats) ==
          cudaSuccess);
  run(big_shared_kernel, 128, size_t{4} * floats, result.data, floats);
  double sum = 0;
  for (const float x : result.read()) sum += x;
  CHECK_NEAR(sum, floats * (floats - 1.0) / 2, 1e3); // each of 128 sums, near 2.4e6, is rounded 192 times
}
