// SPDX-License-Identifier: Apache-2.0
// One matrix of at most 128 rows in the shared memory of one block of threads: the lower triangle as tiles of 32 x 32.
//
//   A = L L^T,   X = L^-1,   A^-1 = X^T X
//
// One sweep over the columns of tiles makes both factors in the place of A. Where column k is reached, tile (i, j)
// holds
//
//   j > k    what is left of A         j < k < i    T_ij = sum of L_im X_mj over m < k         i < k    X_ij
//
//   diagonal  X_kk, L_kk from A_kk                                                   one warp, in registers
//   solve     P_i = L_ik = A_ik X_kk^T for i > k        X_kj = -X_kk T_kj for j < k  the same number for every k
//   update    A_ij -= P_i P_j^T for k < j               T_ij += P_i X_kj for j < k   T_ik = P_i X_kk
//
// L_ik is wanted in this step only, so a column of tiles (`panel`) holds it. While one warp works on the next diagonal
// tile, the others do the rest of the update: 2 barriers a column of tiles, where the unblocked form has 64.
// Rejected: factorising first and inverting the triangle afterwards (the inverse then waits for all diagonal tiles,
// which are the slow part); substitution instead of products with X_kk (a chain of 32 steps more in each solve; the
// inverse of a 32 x 32 triangle costs accuracy only by its own condition, which the tests bound).
//
// Rows beyond n, up to the next multiple of 32, are those of the identity, so nothing asks for n in between.
#ifndef LNGD_BACKEND_CUDA_FACTOR_BLOCK_CUH
#define LNGD_BACKEND_CUDA_FACTOR_BLOCK_CUH

#include "backend/cuda/factor_tiles.cuh"

namespace lngd::cuda {

__host__ __device__ constexpr int tiles_of(int n) { return (n + kTile - 1) / kTile; }
__host__ __device__ constexpr int lower_tiles(int tiles) { return tiles * (tiles + 1) / 2; }
__device__ __forceinline__ float* lower_tile(float* tiles, int i, int j) {
  return tiles + (lower_tiles(i) + j) * kTileFloats;
}
// Tile t of the lower ones, by rows, of at most 4 rows.
__device__ __forceinline__ int lower_row(int t) { return (t >= 1) + (t >= 3) + (t >= 6); }

// Starts the copy of a lower triangle; what is not in it becomes 0. `from` is 16-byte aligned, ld a multiple of 4.
// Nothing above the diagonal is read.
__device__ __forceinline__ void load_lower(const float* from, int64_t ld, int n, float* tiles, int thread,
                                           int threads) {
  constexpr int kQuads = kTile * kTile / 4;
  for (int at = thread; at < lower_tiles(tiles_of(n)) * kQuads; at += threads) {
    const int t = at / kQuads, i = lower_row(t), j = t - lower_tiles(i), r = at % kQuads / 8, c = at % 8 * 4;
    const int row = kTile * i + r, column = kTile * j + c;
    const int valid = row < n ? max(0, min(4, row - column + 1)) : 0;
    cp_async_16(tiles + t * kTileFloats + r * kTilePitch + c, valid > 0 ? from + row * ld + column : from, 4 * valid);
  }
  cp_async_commit();
}

// Adds lambda to the diagonal; beyond n it becomes that of the identity.
__device__ __forceinline__ void damp(float* tiles, int n, double lambda, int thread, int threads) {
  for (int i = thread; i < kTile * tiles_of(n); i += threads) {
    float& a = lower_tile(tiles, i / kTile, i / kTile)[i % kTile * (kTilePitch + 1)];
    a = i < n ? static_cast<float>(a + lambda) : 1.0f;
  }
}

// Where to leave L, which is for tests: nullptr in production.
struct KeptFactor {
  float* data;
  int64_t ld;
  int n;
};

// tile += sign * piece, for a piece of warp_nt or warp_nn.
__device__ __forceinline__ void add_piece(float* tile, float sign, const Piece& piece) {
  float* const corner = tile + lane_ty() * kTilePitch + 4 * lane_tx();
#pragma unroll
  for (int x = 0; x < 4; ++x)
#pragma unroll
    for (int y = 0; y < 8; y += 4) {
      float* const to = corner + 8 * x * kTilePitch + 4 * y;
      const float4 old = load4(to);
      store4(to, fmaf(sign, piece[x][y], old.x), fmaf(sign, piece[x][y + 1], old.y), fmaf(sign, piece[x][y + 2], old.z),
             fmaf(sign, piece[x][y + 3], old.w));
    }
}

__device__ __forceinline__ void set_piece(float* tile, const Piece& piece) {
  float* const corner = tile + lane_ty() * kTilePitch + 4 * lane_tx();
#pragma unroll
  for (int x = 0; x < 4; ++x)
#pragma unroll
    for (int y = 0; y < 8; y += 4)
      store4(corner + 8 * x * kTilePitch + 4 * y, piece[x][y], piece[x][y + 1], piece[x][y + 2], piece[x][y + 3]);
}

// Tile (i, j) of the update of step k.
__device__ __forceinline__ void update_tile(float* tiles, const float* panel, int i, int j, int k) {
  float* const to = lower_tile(tiles, i, j);
  const float* const left = panel + (i - 1) * kTileFloats;
  Piece piece;
  clear(piece);
  if (j > k) {
    warp_nt<kTilePitch, kTilePitch>(left, panel + (j - 1) * kTileFloats, piece);
    add_piece(to, -1.0f, piece);
    return;
  }
  warp_nn<kTilePitch, kTilePitch>(left, lower_tile(tiles, k, j), piece);
  if (j < k) {
    add_piece(to, 1.0f, piece);
  } else {
    set_piece(to, piece);
  }
}

// Diagonal tile k by the calling warp; leaves the first bad pivot, or -1, in *bad.
__device__ __forceinline__ void invert_tile(float* tiles, int k, const KeptFactor& kept, int* bad) {
  float* const factor = kept.data == nullptr ? nullptr : kept.data + kTile * k * (kept.ld + 1);
  const int pivot = warp_invert_diagonal(lower_tile(tiles, k, k), factor, kept.ld, kept.n - kTile * k);
  if (lane_id() == 0) *bad = pivot < 0 ? -1 : kTile * k + pivot;
}

// solve(k), by halves of tiles.
template <int kWarps>
__device__ __forceinline__ void solve_tiles(float* tiles, float* panel, int count, int k, const KeptFactor& kept) {
  const float* const x = lower_tile(tiles, k, k);
  for (int unit = warp_id(); unit < 2 * (count - 1); unit += kWarps) {
    const int other = unit / 2;
    if (other < k) {
      warp_solve_row(x, lower_tile(tiles, k, other), unit % 2);
      continue;
    }
    const int i = other + 1;
    float* const to = panel + (i - 1) * kTileFloats;
    warp_solve_column(x, lower_tile(tiles, i, k), to, unit % 2);
    if (kept.data == nullptr) continue;
    __syncwarp();
    const int row = unit % 2 * 16 + lane_id() / 2;
    for (int c = lane_id() % 2; kTile * i + row < kept.n && c < kTile; c += 2)
      kept.data[(kTile * i + row) * kept.ld + kTile * k + c] = to[row * kTilePitch + c];
  }
}

// update(k). The next diagonal tile is warp 0's, the others are dealt to the other warps.
template <int kWarps>
__device__ __forceinline__ void update_tiles(float* tiles, const float* panel, int count, int k) {
  int turn = 0;
  for (int i = k + 1; i < count; ++i)
    for (int j = 0; j <= i; ++j) {
      const bool diagonal = i == k + 1 && j == i;
      const int warp = diagonal ? 0 : 1 + turn++ % (kWarps - 1);
      if (warp == warp_id()) update_tile(tiles, panel, i, j, k);
    }
}

// The sweep, by kWarps warps. `tiles` holds A and is complete and visible; it becomes X = L^-1, visible to all.
// `panel` has a tile less than there are rows of tiles. Returns the first bad pivot or -1, the same in all threads.
template <int kWarps>
__device__ __forceinline__ int invert_lower(float* tiles, float* panel, int count, const KeptFactor& kept,
                                            int* shared_bad) {
  static_assert(kWarps > 1, "one warp for the diagonal, others for the rest");
#pragma unroll 1
  for (int k = -1;;) {
    if (k >= 0) update_tiles<kWarps>(tiles, panel, count, k);
    ++k;
    if (warp_id() == 0) {
      __syncwarp();
      invert_tile(tiles, k, kept, shared_bad);
    }
    __syncthreads();
    if (*shared_bad >= 0) return *shared_bad;
    solve_tiles<kWarps>(tiles, panel, count, k, kept);
    __syncthreads();
    if (k + 1 == count) return -1;
  }
}

// Writes a piece of warp_tn, whose tile begins at (row0, column0) of a symmetric n x n matrix, and its mirror image.
// A tile on the diagonal is its own: its two halves are the same sums of the same products.
__device__ __forceinline__ void store_symmetric(const Piece& piece, int row0, int column0, int n, float* to,
                                                int64_t ld) {
  const int row = row0 + 4 * lane_ty(), column = column0 + 4 * lane_tx();
#pragma unroll
  for (int x = 0; x < 4; ++x)
#pragma unroll
    for (int y = 0; y < 8; y += 4) {
      const int j = column + 4 * y;
      if (row + x >= n) continue;
      float* const at = to + (row + x) * ld + j;
      if (j + 3 < n) {
        store4(at, piece[x][y], piece[x][y + 1], piece[x][y + 2], piece[x][y + 3]);
      } else {
#pragma unroll
        for (int e = 0; e < 3; ++e)
          if (j + e < n) at[e] = piece[x][y + e];
      }
    }
  if (row0 == column0) return;
#pragma unroll
  for (int y = 0; y < 8; ++y) {
    float* const at = to + (column + y % 4 + 16 * (y / 4)) * ld + row; // a column left of the diagonal: below n
    if (row + 3 < n) {
      store4(at, piece[0][y], piece[1][y], piece[2][y], piece[3][y]);
    } else {
#pragma unroll
      for (int e = 0; e < 3; ++e)
        if (row + e < n) at[e] = piece[e][y];
    }
  }
}

// A^-1 = X^T X, both triangles. Rows of tiles above i end before column i, so those sums are the short ones; the long
// ones are dealt first, there and back over the warps.
template <int kWarps>
__device__ __forceinline__ void write_inverse(float* tiles, int n, float* inverse, int64_t ld) {
  const int count = tiles_of(n);
  for (int t = 0; t < lower_tiles(count); ++t) {
    const int turn = t % kWarps, i = lower_row(t), j = t - lower_tiles(i);
    if ((t / kWarps % 2 == 0 ? turn : kWarps - 1 - turn) != warp_id()) continue;
    Piece piece;
    clear(piece);
    for (int m = i; m < count; ++m)
      warp_tn<kTilePitch, kTilePitch>(lower_tile(tiles, m, i), lower_tile(tiles, m, j), piece);
    store_symmetric(piece, kTile * i, kTile * j, n, inverse, ld);
  }
}

// L^-1 itself, by `threads` threads: the lower triangle of the tiles.
__device__ __forceinline__ void write_triangle(float* tiles, int n, float* to, int64_t ld, int thread, int threads) {
  for (int at = thread; at < lower_tiles(tiles_of(n)) * kTile * kTile; at += threads) {
    const int t = at / (kTile * kTile), i = lower_row(t), j = t - lower_tiles(i);
    const int r = at % (kTile * kTile) / kTile, c = at % kTile, row = kTile * i + r, column = kTile * j + c;
    if (row < n && column <= row) to[row * ld + column] = tiles[t * kTileFloats + r * kTilePitch + c];
  }
}

} // namespace lngd::cuda
#endif
