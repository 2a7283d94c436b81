// SPDX-License-Identifier: Apache-2.0
// The matrix product that precondition and layer_rate share: a tile of 64 x 128 of A B^T, where A is the caller's (G,
// or the inputs of the samples, any strides) and B ours (Phi_inv, or D; rows aligned to 16 bytes). A block of 8 warps,
// a warp 32 x 32 of it, the summed index in slices of 32 that come by cp.async.
//
// Why 64 x 128 (all counts for a tile of precondition with 128-blocks, the default):
//   arithmetic    64 * 128 * 128 multiplications, three mma each: 3072 mma.sync, 6144 cycles of a multiprocessor's
//                 tensor cores on A100, half of that at best on H100. (direction_precision TF32: a third.)
//   device memory G, W and D once each, 96 KiB: 65 tensor operations a byte, where A100 has 100 for each byte of its
//                 memory and H100 about 90 (of mma.sync): memory is the floor, and the second cache must not be
//                 another.
//   second cache  64 x 64 tiles: G twice (64), Phi_inv (64), G again for the inner products (32), W (32), D (32) = 224
//                 KiB. 64 x 128: G once, and from shared memory for the inner products: 32 + 64 + 32 + 32 = 160 KiB.
//                 128 x 128 would be 128 KiB, but a thread then holds 64 sums and as many partial ones: one block of 8
//                 warps on a multiprocessor, and half as many tiles for the small layers.
//   registers     a warp has 32 x 32 as with 64 x 64 tiles of 4 warps: two blocks, 16 warps, on a multiprocessor.
// Stages: A four deep, because it comes from device memory and because all of G then stays for the inner products (128
// columns are four slices); B two deep, because it comes from the second cache, whose latency (300 to 600 cycles) one
// slice of arithmetic covers (1536 cycles on A100, 770 on H100). A third stage of B would end at 92 KiB a block: one on
// a multiprocessor of an A100 instead of two.
//
// Precision is 3xTF32 or, as an option, TF32 (warp_product.cuh); each slice starts from zero and is added in float.
#ifndef LNGD_BACKEND_CUDA_TILE_PRODUCT_CUH
#define LNGD_BACKEND_CUDA_TILE_PRODUCT_CUH

#include "backend/cuda/warp_product.cuh"

namespace lngd::cuda {

constexpr int kProductThreads = 256;
constexpr int kProductRows = 64;
constexpr int kProductColumns = 128;
constexpr int kSlice = 32;
constexpr int kPitch = kSlice + 4; // floats; 8 rows of 16 bytes then fall into 32 different banks
constexpr int kRowSlots = 4, kColumnSlots = 2;
constexpr int kRowSlot = kProductRows * kPitch, kColumnSlot = kProductColumns * kPitch; // floats
constexpr size_t kProductBytes = size_t{kRowSlots * kRowSlot + kColumnSlots * kColumnSlot} * sizeof(float);

// Which elements of the tile a thread has in sums[i][j][2 * high + e], in the layout of mma.sync. 8 rows and 8 columns
// belong to a warp at once, so that whole sectors of 32 bytes are read and written whichever way a matrix lies.
__device__ __forceinline__ int product_row(int i, int high) {
  return static_cast<int>(threadIdx.x) / 128 * 32 + sum_row(i, high);
}
__device__ __forceinline__ int product_column(int j) { // of e = 0
  return static_cast<int>(threadIdx.x) / 32 % 4 * 32 + sum_column(j);
}

// How a slice of A is copied.
enum class Along {
  Quads,   // 16 bytes at once
  Columns, // 4 bytes, a warp along a row
  Rows     // 4 bytes, a warp along rows: 8 rows (a sector of each column) by 4 columns, which are 32 different banks
};

// For a matrix with these strides whose rows begin at `data`.
__device__ __forceinline__ Along along(const float* data, int64_t rs, int64_t cs) {
  if (cs == 1 && rs % 4 == 0 && reinterpret_cast<uintptr_t>(data) % 16 == 0) return Along::Quads;
  return (rs < 0 ? -rs : rs) < (cs < 0 ? -cs : cs) ? Along::Rows : Along::Columns;
}

// One element of A into shared memory. A Source has
//   find(row, k)        the address of an element of the tile, nullptr where it is zero
//   find_quad(row, k)   the address of four neighbours from a multiple of 4, nullptr where 16 bytes cannot be copied
//   anywhere()          an address that is a multiple of 16 bytes
//   computes()          value(row, k) counts instead of what lies at find(row, k)
template <class Source>
__device__ __forceinline__ void load_element(const Source& source, float* to, int row, int k) {
  const float* const from = source.find(row, k);
  if (source.computes()) {
    *to = from ? source.value(row, k) : 0.0f;
  } else {
    cp_async_4(to, from ? from : source.anywhere(), from ? 4 : 0);
  }
}

// Columns [k0, k0 + kSlice) of the tile's rows of A.
template <class Source>
__device__ void load_rows(const Source& source, Along way, float* to, int k0) {
  const int thread = static_cast<int>(threadIdx.x);
  if (way == Along::Quads) {
    for (int i = thread; i < kProductRows * kSlice / 4; i += kProductThreads) {
      const int row = i / (kSlice / 4), k = i % (kSlice / 4) * 4;
      if (const float* const from = source.find_quad(row, k0 + k)) {
        cp_async_16(to + row * kPitch + k, from);
      } else {
        for (int j = k; j < k + 4; ++j) load_element(source, to + row * kPitch + j, row, k0 + j);
      }
    }
  } else if (way == Along::Columns) {
    for (int row = thread / 32; row < kProductRows; row += kProductThreads / 32)
      load_element(source, to + row * kPitch + thread % 32, row, k0 + thread % 32);
  } else {
    const int row = thread / 32 * 8 + thread % 8;
    for (int k = thread % 32 / 8; k < kSlice; k += 4) load_element(source, to + row * kPitch + k, row, k0 + k);
  }
}

// Columns [k0, k0 + kSlice) of the first kProductColumns rows of B; 0 beyond `rows` and `columns`.
__device__ __forceinline__ void load_columns(const float* b, int64_t ld, int rows, int columns, float* to, int k0) {
  for (int i = static_cast<int>(threadIdx.x); i < kProductColumns * kSlice / 4; i += kProductThreads) {
    const int row = i / (kSlice / 4), k = i % (kSlice / 4) * 4;
    const int valid = row < rows ? max(0, min(4, columns - k0 - k)) : 0;
    cp_async_16(to + row * kPitch + k, valid > 0 ? b + row * ld + k0 + k : b, 4 * valid);
  }
}

// A warp's share of the product of one slice.
template <Products Count>
__device__ __forceinline__ void multiply_slice(const float* rows, const float* columns, WarpSums& sums) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  multiply_warp<Count, kSlice, Summed::AlongRows, kPitch, Summed::AlongRows, kPitch>(
      rows + warp / 4 * 32 * kPitch, columns + warp % 4 * 32 * kPitch, sums);
}

// The whole product. load_a(slot, k0) and load_b(slot, k0) issue the copies of a slice; `active`: this warp has
// elements of the result. Slice s of A is in slot s % kRowSlots at the end, if there are no more than kRowSlots.
template <Products Count = Products::Three, class LoadA, class LoadB>
__device__ __forceinline__ void multiply_tile(float* shared, int slices, bool active, const LoadA& load_a,
                                              const LoadB& load_b, WarpSums& sums) {
  float* const rows = shared;
  float* const columns = shared + kRowSlots * kRowSlot;
  load_a(rows, 0);
  load_b(columns, 0);
  if (slices > 1) load_a(rows + kRowSlot, kSlice);
  cp_async_commit();
  if (slices > 2) load_a(rows + 2 * kRowSlot, 2 * kSlice);
  cp_async_commit();
  for (int s = 0; s < slices; ++s) {
    cp_async_wait<1>(); // all but the youngest slice of A
    __syncthreads();    // and everyone is done with the slots of the turn before, which are loaded next
    if (s + 1 < slices) load_b(columns + (s + 1) % kColumnSlots * kColumnSlot, (s + 1) * kSlice);
    cp_async_commit(); // empty groups at the end, so that the wait always means the same
    if (s + 3 < slices) load_a(rows + (s + 3) % kRowSlots * kRowSlot, (s + 3) * kSlice);
    cp_async_commit();
    __syncwarp(); // the copies went different branches; ldmatrix and mma.sync are executed by a warp as one
    if (active) multiply_slice<Count>(rows + s % kRowSlots * kRowSlot, columns + s % kColumnSlots * kColumnSlot, sums);
  }
}

// Once for each kernel that multiplies tiles: leave to have kProductBytes, and all of the multiprocessor's memory that
// can be shared, since the default may be the split that fits one block.
template <class Kernel>
cudaError_t prepare_product(Kernel* kernel) {
  const cudaError_t error = prepare_kernel(kernel, kProductBytes);
  if (error != cudaSuccess) return error;
  return cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, 100); // per cent
}

} // namespace lngd::cuda
#endif
