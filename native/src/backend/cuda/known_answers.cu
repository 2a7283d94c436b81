// SPDX-License-Identifier: Apache-2.0
// The wrappers of simt.cuh on known numbers, in one warp. Each result goes through the lanes that a wrong fragment
// layout, a missing wait or a swapped half would mix up.
#include "backend/cuda/known_answers.h"

#include <cstring>

#include "backend/cuda/simt.cuh"

namespace lngd::cuda {
namespace {

template <int Index>
constexpr int kFirst = kKnownAnswers[Index].first;

constexpr int kTilePitch = 20; // words: rows of 16 bytes that begin 80 bytes apart

// Elements of A and B: whole numbers up to 8, exact in TF32 and bfloat16, their sums exact in float32.
__host__ __device__ constexpr int a_element(int i, int k) { return (i * 5 + k * 3) % 17 - 8; }
__host__ __device__ constexpr int b_element(int k, int j) { return (k * 7 + j * 11) % 15 - 7; }
__host__ __device__ constexpr int c_element(int i, int j) { return i * 8 + j - 60; }

// Bytes that a copy reads.
__host__ __device__ constexpr int valid_16(int lane) { return lane % 2 == 0 ? 16 : lane % 4 * 4; }
__host__ __device__ constexpr int valid_4(int lane) { return lane % 3 == 0 ? 0 : 4; }

// Shared memory of the kernel.
struct Scratch {
  uint32_t quads[128], words[32];
  uint32_t tile[32 * kTilePitch];
};

__device__ void check_copies(const uint32_t* in, Scratch& scratch, uint32_t* wide, uint32_t* narrow) {
  uint32_t *const quads = scratch.quads, *const words = scratch.words;
  const int lane = static_cast<int>(threadIdx.x);
  cp_async_16(quads + lane * 4, in + lane * 4, valid_16(lane));
  cp_async_commit();
  cp_async_4(words + lane, in + 128 + lane, valid_4(lane));
  cp_async_commit();
  cp_async_wait<1>();
  __syncthreads();
  for (int i = 0; i < 4; ++i) wide[lane * 4 + i] = quads[(31 - lane) * 4 + i];
  cp_async_wait<0>();
  __syncthreads();
  narrow[lane] = words[31 - lane];
}

__device__ void check_matrices(const uint32_t* in, uint32_t* tile, uint32_t* plain, uint32_t* transposed) {
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = 0; i < 4; ++i) tile[lane * kTilePitch + i] = in[lane * 4 + i];
  __syncthreads();
  uint32_t r[4], s[4];
  ldmatrix_x4(r, tile + lane * kTilePitch);
  ldmatrix_x4_trans(s, tile + lane * kTilePitch);
  for (int i = 0; i < 4; ++i) {
    plain[i * 32 + lane] = r[i];
    transposed[i * 32 + lane] = s[i];
  }
}

__device__ __forceinline__ float c_value(int i, int group, int t) {
  return static_cast<float>(c_element(group + i / 2 * 8, 2 * t + i % 2));
}

__device__ void check_tf32(uint32_t* out) {
  const int group = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
  uint32_t a[4], b[2];
  float sums[4];
  for (int i = 0; i < 4; ++i) {
    a[i] = tf32_operand(static_cast<float>(a_element(group + i % 2 * 8, t + i / 2 * 4)));
    sums[i] = c_value(i, group, t);
  }
  for (int i = 0; i < 2; ++i) b[i] = tf32_operand(static_cast<float>(b_element(t + i * 4, group)));
  mma_tf32(sums, a, b);
  for (int i = 0; i < 4; ++i) out[(group + i / 2 * 8) * 8 + 2 * t + i % 2] = __float_as_uint(sums[i]);
}

__device__ void check_bf16(uint32_t* out) {
  const int group = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
  uint32_t a[4], b[2];
  float sums[4];
  for (int i = 0; i < 4; ++i) {
    const int row = group + i % 2 * 8, k = 2 * t + i / 2 * 8;
    a[i] = pack_bf16(static_cast<float>(a_element(row, k)), static_cast<float>(a_element(row, k + 1)));
    sums[i] = c_value(i, group, t);
  }
  for (int i = 0; i < 2; ++i) {
    const int k = 2 * t + i * 8;
    b[i] = pack_bf16(static_cast<float>(b_element(k, group)), static_cast<float>(b_element(k + 1, group)));
  }
  mma_bf16(sums, a, b);
  for (int i = 0; i < 4; ++i) out[(group + i / 2 * 8) * 8 + 2 * t + i % 2] = __float_as_uint(sums[i]);
}

__global__ void __launch_bounds__(32) known_answers_kernel(const uint32_t* in, uint32_t* out) {
  __shared__ __align__(16) Scratch scratch;
  const int lane = static_cast<int>(threadIdx.x);
  check_copies(in, scratch, out + kFirst<0>, out + kFirst<1>);
  check_matrices(in, scratch.tile, out + kFirst<2>, out + kFirst<3>);
  check_tf32(out + kFirst<4>);
  check_bf16(out + kFirst<5>);
  const float x = __uint_as_float(in[160 + lane]);
  out[kFirst<6> + lane] = to_tf32(x);
  out[kFirst<7> + lane] = pack_bf16(x, -x);
}

uint32_t bits_of(int whole) {
  const float x = static_cast<float>(whole);
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

// The 16 x 8 product over `depth`.
void append_product(std::vector<uint32_t>& out, int depth) {
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 8; ++j) {
      int sum = c_element(i, j);
      for (int k = 0; k < depth; ++k) sum += a_element(i, k) * b_element(k, j);
      out.push_back(bits_of(sum));
    }
}

// Half h (16 bits) of matrix m at (row, column), of the words that the tile was filled with.
uint32_t half(const std::vector<uint32_t>& in, int matrix, int row, int column) {
  return in[static_cast<size_t>((matrix * 8 + row) * 4 + column / 2)] >> column % 2 * 16 & 0xffffu;
}

} // namespace

cudaError_t prepare_known_answers() { return prepare_kernel(known_answers_kernel); }

cudaError_t launch_known_answers(const uint32_t* in, uint32_t* out, cudaStream_t stream) {
  return launch(known_answers_kernel, dim3(1), dim3(32), 0, stream, in, out);
}

// 160 words that are all different in both halves, then 32 floats: ties of both roundings, neighbours of ties, carries
// into the exponent, both signs, tiny and large.
std::vector<uint32_t> known_inputs() {
  std::vector<uint32_t> in;
  for (uint32_t i = 0; i < 160; ++i) in.push_back(0x10000u * (1000 + 2 * i) + 1001 + 2 * i);
  const uint32_t mantissas[] = {0x000000u, 0x001000u, 0x000fffu, 0x003000u, 0x008000u, 0x018000u, 0x7fffffu, 0x7ff000u};
  for (const uint32_t exponent : {0x3f800000u, 0xbf800000u, 0x0f000000u, 0x6f000000u})
    for (const uint32_t mantissa : mantissas) in.push_back(exponent | mantissa);
  return in;
}

std::vector<uint32_t> known_outputs() {
  const std::vector<uint32_t> in = known_inputs();
  std::vector<uint32_t> out;
  for (int lane = 0; lane < 32; ++lane) {
    const int from = 31 - lane;
    for (int i = 0; i < 4; ++i) out.push_back(4 * i < valid_16(from) ? in[static_cast<size_t>(from * 4 + i)] : 0);
  }
  for (int lane = 0; lane < 32; ++lane) out.push_back(valid_4(31 - lane) ? in[static_cast<size_t>(159 - lane)] : 0);
  for (const bool transposed : {false, true})
    for (int matrix = 0; matrix < 4; ++matrix)
      for (int lane = 0; lane < 32; ++lane) {
        const int g = lane / 4, t = lane % 4 * 2;
        out.push_back(transposed ? half(in, matrix, t, g) | half(in, matrix, t + 1, g) << 16
                                 : half(in, matrix, g, t) | half(in, matrix, g, t + 1) << 16);
      }
  append_product(out, 8);
  append_product(out, 16);
  for (size_t i = 160; i < 192; ++i) out.push_back((in[i] + 0x1000u) & 0xffffe000u); // to nearest, ties away from zero
  for (size_t i = 160; i < 192; ++i) {
    const uint32_t low = (in[i] + 0x7fffu + (in[i] >> 16 & 1u)) >> 16; // to nearest, ties to even
    out.push_back(low | (low ^ 0x8000u) << 16);
  }
  return out;
}

} // namespace lngd::cuda
