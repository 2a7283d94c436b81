// SPDX-License-Identifier: Apache-2.0
// The tasks that the inverse of a large matrix is made of (factor_rounds.h says in which order), each by one block of
// threads. Those of one round touch nothing that another task of it writes.
#ifndef LNGD_BACKEND_CUDA_FACTOR_LARGE_TASKS_CUH
#define LNGD_BACKEND_CUDA_FACTOR_LARGE_TASKS_CUH

#include "backend/cuda/factor_large.cuh"

namespace lngd::cuda::large {

// Task t of solve(k): the row left of the diagonal tile, then the panel below it, halves of tiles.
__device__ __forceinline__ void solve_task(const Large& m, int k, int t, float* shared) {
  const Part x = m.part(k, k);
  Piece piece;
  if (t < 2 * k) {
    // X_kj takes the place of T_kj: these 64 columns are this block's alone, and have been read when they are written.
    const int j = t / 2, half = t % 2;
    const Part old = columns_from(m.part(k, j), kColumns * half);
    multiply<Form::NN>((m.rows(k) + kSlice - 1) / kSlice, shared, piece, [&](int s, Part& left, Part& right) {
      left = x;
      right = old;
      return s * kSlice;
    });
    store_piece(piece, m.tile(k, j) + kColumns * half, m.rows(k), kColumns, [](int, int, float sum) { return -sum; });
    return;
  }
  const int i = k + 1 + (t - 2 * k) / 2, half = t % 2;
  const Part a = m.before(i, k, k), right_rows = rows_from(x, kColumns * half);
  // Rows of X_kk end at the diagonal.
  multiply<Form::NT>(2 * (half + 1), shared, piece, [&](int s, Part& left, Part& right) {
    left = a;
    right = right_rows;
    return s * kSlice;
  });
  store_piece(piece, m.panel(i) + kColumns * half, m.rows(i), kColumns, [](int, int, float sum) { return sum; });
  if (m.task.factor == nullptr) return;
  __syncthreads();
  for (int at = static_cast<int>(threadIdx.x); at < m.rows(i) * kColumns; at += kThreads) {
    const int r = at / kColumns, c = kColumns * half + at % kColumns;
    m.task.factor[(kPanel * i + r) * m.task.ld + kPanel * k + c] = m.panel(i)[r * kPanel + c];
  }
}

// Diagonal tile k, with the update of step k - 1, becomes X_kk. The first two come from Phi.
__device__ __forceinline__ void diagonal_task(const Large& m, int k, double lambda, float* shared, int* shared_bad) {
  const int n = m.rows(k), count = tiles_of(n), thread = static_cast<int>(threadIdx.x);
  float* const panel = shared + lower_tiles(kPanel / kTile) * kTileFloats;
  const Part from = m.before(k, k, k - 1 > 0 ? k - 1 : 0);
  load_lower(from.data, from.ld, n, shared, thread, kThreads);
  cp_async_wait<0>();
  __syncthreads();
  damp(shared, n, k < 2 ? lambda : 0.0, thread, kThreads);
  for (int q = 0; k > 0 && q < kPanel / kTile; ++q) {
    load_slice<kPanel, kTile, kTilePitch>(m.panel_part(k), 0, q * kTile, panel);
    cp_async_commit();
    cp_async_wait<0>();
    __syncthreads();
    for (int t = warp_id(); t < lower_tiles(count); t += kWarps) {
      const int i = lower_row(t), j = t - lower_tiles(i);
      Piece piece;
      clear(piece);
      warp_nt<kTilePitch, kTilePitch>(panel + i * kTileFloats, panel + j * kTileFloats, piece);
      add_piece(shared + t * kTileFloats, -1.0f, piece);
    }
    __syncthreads();
  }
  __syncthreads();
  const FactorTask& task = m.task;
  const KeptFactor kept{task.factor == nullptr ? nullptr : task.factor + kPanel * k * (task.ld + 1), task.ld, n};
  const int bad = invert_lower<kWarps>(shared, panel, count, kept, shared_bad);
  if (thread == 0) {
    m.ok(k) = bad < 0;
    if (bad >= 0) m.header().failed_pivot = kPanel * k + bad;
  }
  if (bad < 0) {
    for (int at = thread; at < n * (kPanel / 4); at += kThreads) { // rows of X end before the next multiple of 4
      const int r = at / (kPanel / 4), c = at % (kPanel / 4) * 4, i = r / kTile, j = c / kTile;
      float* const to = m.tile(k, k) + r * kPanel + c;
      const float4 x =
          j > i ? make_float4(0, 0, 0, 0) : load4(lower_tile(shared, i, j) + r % kTile * kTilePitch + c % kTile);
      store4(to, x.x, x.y, x.z, x.w);
    }
  }
  __syncthreads(); // before shared memory is used again
}

// Element e of the rows 0, 1, ... where row i has 2 (i + 1) elements.
__device__ __forceinline__ int row_of_half(int e) {
  int i = static_cast<int>((sqrtf(4.0f * static_cast<float>(e) + 1.0f) - 1.0f) / 2.0f);
  while (i * (i + 1) > e) --i;
  while ((i + 1) * (i + 2) <= e) ++i;
  return i;
}

// A half of a diagonal tile in an update, from its column `first` on: the lower triangle, above which there is nothing
// to read in Phi. In float: pivots come of it.
template <class PartOf>
__device__ __forceinline__ void update_diagonal(PartOf parts, const Part& a, float* to, int rows, int first,
                                                double lambda, float* shared) {
  const Place place;
  Piece piece;
  multiply<Form::NT>(kPanel / kSlice, shared, piece, parts, place.row + kTile > first + place.column);
#pragma unroll
  for (int x = 0; x < 4; ++x)
#pragma unroll
    for (int y = 0; y < 8; ++y) {
      const int r = place.row + lane_ty() + 8 * x, c = place.column + 4 * lane_tx() + y % 4 + 16 * (y / 4);
      if (r >= rows || c + first > r) continue;
      float old = a.data[r * a.ld + c];
      if (c + first == r) old = static_cast<float>(old + lambda);
      to[r * kPanel + c] = old - piece[x][y];
    }
}

// Task t of update(k).
__device__ __forceinline__ void update_task(const Large& m, int k, int t, double lambda, float* shared,
                                            int* shared_bad) {
  if (t == 0) {
    diagonal_task(m, k + 1, lambda, shared, shared_bad);
    return;
  }
  // Rows from k + 1 on, where row k + 1 lacks its last two halves.
  int e = t - 1;
  if (e >= 2 * (k + 1)) e += 2;
  e += (k + 1) * (k + 2);
  const int i = row_of_half(e), j = (e - i * (i + 1)) / 2, half = e % 2; // i (i + 1) is even
  const int first = kColumns * half, columns = min(kColumns, m.rows(j) - first);
  if (columns <= 0) return;
  const Part p = m.panel_part(i);
  float* const to = m.tile(i, j) + first;
  if (j > k) {
    const Part other = rows_from(m.panel_part(j), first), a = columns_from(m.before(i, j, k), first);
    const auto parts = [&](int s, Part& left, Part& right) {
      left = p;
      right = other;
      return s * kSlice;
    };
    if (i == j) {
      update_diagonal(parts, a, to, p.rows, first, k == 0 ? lambda : 0.0, shared);
      return;
    }
    WarpSums sums;
    multiply<Form::NT>(kPanel / kSlice, shared, sums, parts);
    store_sums(sums, to, p.rows, columns, -1.0f, a.data, a.ld);
    return;
  }
  const int begin = j == k ? first : 0; // rows of X_kk begin to count at the diagonal
  const Part x = columns_from(m.part(k, j), first);
  WarpSums sums;
  multiply<Form::NN>((kPanel - begin) / kSlice, shared, sums, [&](int s, Part& left, Part& right) {
    left = p;
    right = x;
    return begin + s * kSlice;
  });
  store_sums(sums, to, p.rows, columns, 1.0f, j == k ? nullptr : to, kPanel);
}

// Task t of the product: rows of panel i, half the columns of panel j, from rows of X below i. Deep ones first.
__device__ __forceinline__ void product_task(const Large& m, int t, float* shared) {
  const int i = row_of_half(t), j = (t - i * (i + 1)) / 2, first = kColumns * (t % 2);
  if (kPanel * j + first >= m.task.size) return;
  if (m.task.triangle) { // X is all that is wanted
    const float* const x = m.tile(i, j) + first;
    float* const to = m.task.inverse + kPanel * i * m.task.ld + kPanel * j + first;
    for (int at = static_cast<int>(threadIdx.x); at < m.rows(i) * kColumns; at += kThreads) {
      const int r = at / kColumns, c = at % kColumns;
      if (kPanel * j + first + c <= kPanel * i + r) to[r * m.task.ld + c] = x[r * kPanel + c];
    }
    return;
  }
  const int skipped = j == i ? first / kSlice : 0; // X_ii is 0 above its diagonal
  const int slices = (m.task.size - kPanel * i + kSlice - 1) / kSlice - skipped;
  WarpSums sums;
  multiply<Form::TN>(slices, shared, sums, [&](int s, Part& left, Part& right) {
    const int k = (s + skipped) * kSlice, row = i + k / kPanel;
    left = m.part(row, i);
    right = columns_from(m.part(row, j), first);
    return k % kPanel;
  });
  const Place place;
  const int row = kPanel * i + place.row, column = kPanel * j + first + place.column;
  if (row >= column) store_symmetric(sums, row, column, m.task.size, m.task.inverse, m.task.ld);
}

} // namespace lngd::cuda::large
#endif
