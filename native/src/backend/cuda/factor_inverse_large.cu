// SPDX-License-Identifier: Apache-2.0
// factor_inverse for matrices of more than 128 rows: the sweep of factor_block.cuh once more, with panels of 128
// columns in place of tiles of 32, and many blocks of threads a matrix. All matrices of a wave go through it together:
//
//   begin          lambda, and the first diagonal tile
//   solve(k)       P_i = A_ik X_kk^T         X_kj = -X_kk T_kj
//   update(k)      A_ij -= P_i P_j^T         T_ij += P_i X_kj       T_ik = P_i X_kk
//                  and, by the first block, diagonal tile k + 1 from its update to its inverse
//   product        A^-1 = X^T X
//   finish         the result; retries
//
// 2 p + 2 launches for p panels. The diagonal tiles are a chain of p links, each hidden behind the rest of an update.
// The host is never asked. Whether tile k could be factorised is a flag in the workspace that later launches read; with
// it down they return at once, and the inverse, written by `product`, stays as it was.
//
// Retries are made in `finish` by one block of threads a matrix: slow (n^3 operations on one
// multiprocessor: 4 ms for 1152 rows on H100, 0.3 s for 4608), and it happens only to damping that is set too small.
// Rejected: six more rounds of launches that return at once, which would cost every call 12 p empty launches, 0.7 ms
// for 36 panels.
//
// What 4608 rows should cost (not measured yet): n^3 = 98 G operations at two thirds of the float rate for loads from
// shared memory and some loss at the edges, 38 TFLOP/s on H100 or 2.6 ms; on A100, whose rate is half of that a
// multiprocessor, 15 TFLOP/s or 6.5 ms. Updates move five tiles' worth of bytes for a product of two, the product
// three halves of that: 6.6 GB in all, 2.5 TB/s at that speed, most of it from the L2 cache.
//
// The workspace holds a header, a flag a panel, the lower tiles of 128 x 128 and the panel P. Phi itself is read in
// step 0, so it is not copied. A block of threads makes a piece of 128 x 64 from slices of 32 that come by cp.async in
// two stages.
#include "backend/cuda/factor_block.cuh"
#include "backend/cuda/factor_damping.cuh"

namespace lngd::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = 32 * kWarps;
constexpr int kColumns = kPanel / 2; // of a piece; its rows are kPanel
constexpr int kSlice = 32;
constexpr int kLeftFloats = kPanel * kTilePitch; // a slice of the left operand along its rows, the larger way
constexpr int kStageFloats = kLeftFloats + kColumns * kTilePitch;
constexpr int kDiagonalFloats = (lower_tiles(kPanel / kTile) + kPanel / kTile) * kTileFloats;
constexpr int kSharedFloats = kDiagonalFloats > 2 * kStageFloats ? kDiagonalFloats : 2 * kStageFloats;
constexpr size_t kSharedBytes = kSharedFloats * sizeof(float);
// Slices that are not along the rows: 32 rows of kPanel or kColumns.
constexpr int kLeftPitch = kPanel + 4, kRightPitch = kColumns + 4;
static_assert(kSlice * kLeftPitch <= kLeftFloats && kSlice * kRightPitch <= kColumns * kTilePitch, "stage layout");

struct Header {
  double lambda;
  int32_t due;
  int32_t failed_pivot;
};
static_assert(sizeof(Header) == kFactorHeader * sizeof(float), "the plan counts it");

// A part of a matrix in global memory; what is outside of it is 0.
struct Part {
  const float* data;
  int64_t ld;
  int rows, columns;
};

struct Large {
  const FactorTask& task;
  float* work;

  __device__ Large(const FactorTask& t, float* workspace) : task(t), work(workspace + t.work) {}
  __device__ Header& header() const { return *reinterpret_cast<Header*>(work); }
  // Whether diagonal tiles 0..k are inverted.
  __device__ int32_t& ok(int k) const { return reinterpret_cast<int32_t*>(work + kFactorHeader)[k]; }
  __device__ int rows(int i) const { return min(kPanel, task.size - kPanel * i); }
  __device__ float* tile(int i, int j) const {
    const int flags = (kFactorHeader + task.panels + 15) / 16 * 16;
    return work + flags + (int64_t{1} * i * (i + 1) / 2 + j) * kPanel * kPanel;
  }
  __device__ float* panel(int i) const { return tile(task.panels, i); }
  __device__ Part part(int i, int j) const { return {tile(i, j), kPanel, rows(i), rows(j)}; }
  __device__ Part panel_part(int i) const { return {panel(i), kPanel, rows(i), kPanel}; }
  // What step k finds at (i, j) of A: step 0 finds Phi, without its damping.
  __device__ Part before(int i, int j, int k) const {
    if (k > 0) return part(i, j);
    return {task.phi + kPanel * i * task.ld + kPanel * j, task.ld, rows(i), rows(j)};
  }
};

__device__ __forceinline__ Part columns_from(Part p, int column) {
  p.data += column;
  p.columns -= column;
  return p;
}
__device__ __forceinline__ Part rows_from(Part p, int row) {
  p.data += row * p.ld;
  p.rows -= row;
  return p;
}

// kRows x kWidth elements from (row0, column0) of the part into shared memory.
template <int kRows, int kWidth, int kPitch>
__device__ __forceinline__ void load_slice(const Part& part, int row0, int column0, float* to) {
  for (int at = static_cast<int>(threadIdx.x); at < kRows * kWidth / 4; at += kThreads) {
    const int r = at / (kWidth / 4), c = at % (kWidth / 4) * 4;
    const int row = row0 + r, column = column0 + c;
    const int valid = row < part.rows ? max(0, min(4, part.columns - column)) : 0;
    cp_async_16(to + r * kPitch + c, valid > 0 ? part.data + row * part.ld + column : part.data, 4 * valid);
  }
}

enum class Form { NT, NN, TN };

// A warp's 32 x 32 of a piece.
struct Place {
  int row, column;
  __device__ Place() : row(warp_id() / 2 * kTile), column(warp_id() % 2 * kTile) {}
};

// piece += left right over `slices` of the summed index. `part_of(s, left, right)` gives the parts of slice s and
// returns where in them it begins.
template <Form kForm, class PartOf>
__device__ __forceinline__ void multiply(int slices, float* shared, Piece& piece, PartOf part_of) {
  const Place place;
  const auto load = [&](int s) {
    float* const stage = shared + s % 2 * kStageFloats;
    Part left, right;
    const int k = part_of(s, left, right);
    if (kForm == Form::TN) {
      load_slice<kSlice, kPanel, kLeftPitch>(left, k, 0, stage);
    } else {
      load_slice<kPanel, kSlice, kTilePitch>(left, 0, k, stage);
    }
    if (kForm == Form::NT) {
      load_slice<kColumns, kSlice, kTilePitch>(right, 0, k, stage + kLeftFloats);
    } else {
      load_slice<kSlice, kColumns, kRightPitch>(right, k, 0, stage + kLeftFloats);
    }
  };
  clear(piece);
  load(0);
  cp_async_commit();
  for (int s = 0; s < slices; ++s) {
    if (s + 1 < slices) load(s + 1);
    cp_async_commit(); // an empty group at the end, so that the wait below always means the same
    cp_async_wait<1>();
    __syncthreads();
    const float* const left = shared + s % 2 * kStageFloats;
    const float* const right = left + kLeftFloats;
    if (kForm == Form::NT) {
      warp_nt<kTilePitch, kTilePitch>(left + place.row * kTilePitch, right + place.column * kTilePitch, piece);
    } else if (kForm == Form::NN) {
      warp_nn<kTilePitch, kRightPitch>(left + place.row * kTilePitch, right + place.column, piece);
    } else {
      warp_tn<kLeftPitch, kRightPitch>(left + place.row, right + place.column, piece);
    }
    __syncthreads(); // the next turn loads into this stage
  }
}

// to(r, c) = of(r, c, sum), for the elements of a piece inside `rows` x `columns`.
template <class Of>
__device__ __forceinline__ void store_piece(const Piece& piece, float* to, int rows, int columns, Of of) {
  const Place place;
#pragma unroll
  for (int x = 0; x < 4; ++x)
#pragma unroll
    for (int y = 0; y < 8; y += 4) {
      const int r = place.row + lane_ty() + 8 * x, c = place.column + 4 * lane_tx() + 4 * y;
      if (r >= rows) continue;
      float* const at = to + r * kPanel + c;
      if (c + 3 < columns) {
        store4(at, of(r, c, piece[x][y]), of(r, c + 1, piece[x][y + 1]), of(r, c + 2, piece[x][y + 2]),
               of(r, c + 3, piece[x][y + 3]));
      } else {
#pragma unroll
        for (int e = 0; e < 3; ++e)
          if (c + e < columns) at[e] = of(r, c + e, piece[x][y + e]);
      }
    }
}

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
  Piece piece;
  if (j > k) {
    const Part other = rows_from(m.panel_part(j), first), a = columns_from(m.before(i, j, k), first);
    multiply<Form::NT>(kPanel / kSlice, shared, piece, [&](int s, Part& left, Part& right) {
      left = p;
      right = other;
      return s * kSlice;
    });
    const bool damped = k == 0 && i == j;
    const Place place;
    // Only the lower triangle: above it there is nothing to read in Phi.
    if (i != j) {
      store_piece(piece, m.tile(i, j) + first, p.rows, columns,
                  [&](int r, int c, float sum) { return a.data[r * a.ld + c] - sum; });
      return;
    }
#pragma unroll
    for (int x = 0; x < 4; ++x)
#pragma unroll
      for (int y = 0; y < 8; ++y) {
        const int r = place.row + lane_ty() + 8 * x, c = place.column + 4 * lane_tx() + y % 4 + 16 * (y / 4);
        if (r >= p.rows || c + first > r) continue;
        float old = a.data[r * a.ld + c];
        if (damped && c + first == r) old = static_cast<float>(old + lambda);
        m.tile(i, j)[r * kPanel + first + c] = old - piece[x][y];
      }
    return;
  }
  const int begin = j == k ? first : 0; // rows of X_kk begin to count at the diagonal
  const Part x = columns_from(m.part(k, j), first);
  multiply<Form::NN>((kPanel - begin) / kSlice, shared, piece, [&](int s, Part& left, Part& right) {
    left = p;
    right = x;
    return begin + s * kSlice;
  });
  float* const to = m.tile(i, j) + first;
  if (j == k) {
    store_piece(piece, to, p.rows, columns, [](int, int, float sum) { return sum; });
  } else {
    store_piece(piece, to, p.rows, columns, [&](int r, int c, float sum) { return to[r * kPanel + c] + sum; });
  }
}

// Task t of the product: rows of panel i, half the columns of panel j, from rows of X below i. Deep ones first.
__device__ __forceinline__ void product_task(const Large& m, int t, float* shared) {
  const int i = row_of_half(t), j = (t - i * (i + 1)) / 2, first = kColumns * (t % 2);
  if (kPanel * j + first >= m.task.size) return;
  const int skipped = j == i ? first / kSlice : 0; // X_ii is 0 above its diagonal
  const int slices = (m.task.size - kPanel * i + kSlice - 1) / kSlice - skipped;
  Piece piece;
  multiply<Form::TN>(slices, shared, piece, [&](int s, Part& left, Part& right) {
    const int k = (s + skipped) * kSlice, row = i + k / kPanel;
    left = m.part(row, i);
    right = columns_from(m.part(row, j), first);
    return k % kPanel;
  });
  const Place place;
  const int row = kPanel * i + place.row, column = kPanel * j + first + place.column;
  if (row >= column) store_symmetric(piece, row, column, m.task.size, m.task.inverse, m.task.ld);
}

// tr(Phi) / n by the whole block.
__device__ double block_mean_diagonal(const FactorTask& task, double* of_warp) {
  double sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < task.size; i += kThreads) sum += task.phi[i * task.ld + i];
  sum = warp_sum(sum);
  if (lane_id() == 0) of_warp[warp_id()] = sum;
  __syncthreads();
  sum = 0;
  for (int warp = 0; warp < kWarps; ++warp) sum += of_warp[warp];
  return sum / task.size;
}

// The matrix m of a launch whose tasks hold the block's: starts[m] <= block < starts[m + 1].
__device__ __forceinline__ int find_matrix(const int32_t* starts, int matrices, int block) {
  int low = 0, high = matrices;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (starts[middle] <= block) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

__global__ void __launch_bounds__(kThreads, 2)
    begin_kernel(const FactorTask* tasks, float* workspace, DampingRule rule, const int32_t* due) {
  SIMT_DYNAMIC_SHARED(float, shared);
  __shared__ int bad;
  __shared__ double of_warp[kWarps];
  const Large m(tasks[blockIdx.x], workspace);
  const bool wanted = is_due(m.task.record, due, m.task.layer);
  const double lambda = !wanted      ? 0.0
                        : rule.given ? rule.given[m.task.result]
                                     : damping(rule, block_mean_diagonal(m.task, of_warp));
  if (threadIdx.x == 0) {
    m.header() = {lambda, wanted ? 1 : 0, -1};
    if (!wanted) m.ok(0) = 0;
  }
  __syncthreads();
  if (wanted) diagonal_task(m, 0, lambda, shared, &bad);
}

__global__ void __launch_bounds__(kThreads, 2)
    solve_kernel(const FactorTask* tasks, const int32_t* starts, int matrices, int k, float* workspace) {
  SIMT_DYNAMIC_SHARED(float, shared);
  const int index = find_matrix(starts, matrices, static_cast<int>(blockIdx.x));
  const Large m(tasks[index], workspace);
  if (m.ok(k)) solve_task(m, k, static_cast<int>(blockIdx.x) - starts[index], shared);
}

__global__ void __launch_bounds__(kThreads, 2)
    update_kernel(const FactorTask* tasks, const int32_t* starts, int matrices, int k, float* workspace) {
  SIMT_DYNAMIC_SHARED(float, shared);
  __shared__ int bad;
  const int index = find_matrix(starts, matrices, static_cast<int>(blockIdx.x));
  const int t = static_cast<int>(blockIdx.x) - starts[index];
  const Large m(tasks[index], workspace);
  if (m.ok(k)) {
    update_task(m, k, t, m.header().lambda, shared, &bad);
  } else if (t == 0 && threadIdx.x == 0) {
    m.ok(k + 1) = 0;
  }
}

__global__ void __launch_bounds__(kThreads, 2)
    product_kernel(const FactorTask* tasks, const int32_t* starts, int matrices, float* workspace) {
  SIMT_DYNAMIC_SHARED(float, shared);
  const int index = find_matrix(starts, matrices, static_cast<int>(blockIdx.x));
  const Large m(tasks[index], workspace);
  if (m.ok(m.task.panels - 1)) product_task(m, static_cast<int>(blockIdx.x) - starts[index], shared);
}

// What `finish` makes by itself. Each is thousands of cycles, so a call costs nothing; all in one function would spill.
__device__ __attribute__((noinline)) void solve_alone(Large m, int k, float* shared) {
  for (int t = 0; t < 2 * (m.task.panels - 1); ++t) solve_task(m, k, t, shared);
}

__device__ __attribute__((noinline)) void diagonal_alone(Large m, double lambda, float* shared, int* shared_bad) {
  diagonal_task(m, 0, lambda, shared, shared_bad);
}

__device__ __attribute__((noinline)) void update_alone(Large m, int k, double lambda, float* shared, int* shared_bad) {
  const int panels = m.task.panels, count = panels * (panels + 1) - (k + 1) * (k + 2) - 1;
  for (int t = 0; t < count; ++t) update_task(m, k, t, lambda, shared, shared_bad);
}

__device__ __attribute__((noinline)) void product_alone(Large m, float* shared) {
  for (int t = 0; t < m.task.panels * (m.task.panels + 1); ++t) product_task(m, t, shared);
}

// One try by one block of threads. Its steps are barriers where they were launches.
__device__ bool invert_alone(const Large& m, double lambda, float* shared, int* shared_bad) {
  diagonal_alone(m, lambda, shared, shared_bad);
  for (int k = 0; k < m.task.panels; ++k) {
    if (!m.ok(k)) return false;
    solve_alone(m, k, shared);
    __syncthreads();
    update_alone(m, k, lambda, shared, shared_bad);
    __syncthreads();
  }
  product_alone(m, shared);
  return true;
}

__global__ void __launch_bounds__(kThreads, 1)
    finish_kernel(const FactorTask* tasks, float* workspace, FactorResult* results) {
  SIMT_DYNAMIC_SHARED(float, shared);
  __shared__ int bad;
  const Large m(tasks[blockIdx.x], workspace);
  FactorResult result{0.0, 0, -1, 0};
  if (m.header().due) { // the same in the whole block
    double lambda = m.header().lambda;
    bool done = m.ok(m.task.panels - 1) != 0;
    result.failed_pivot = m.header().failed_pivot;
    __syncthreads(); // a retry writes what was read here
    while (!done && result.retries < kFactorRetries) {
      ++result.retries;
      lambda *= 10;
      done = invert_alone(m, lambda, shared, &bad);
      __syncthreads();
      if (!done) result.failed_pivot = m.header().failed_pivot;
      __syncthreads();
    }
    result.lambda = done ? lambda : 0.0;
    result.renewed = done;
  }
  if (threadIdx.x == 0) results[m.task.result] = result;
}

} // namespace

cudaError_t prepare_large_factors() {
  const auto ask = [](auto* kernel) {
    return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(kSharedBytes));
  };
  cudaError_t error = ask(begin_kernel);
  if (error == cudaSuccess) error = ask(solve_kernel);
  if (error == cudaSuccess) error = ask(update_kernel);
  if (error == cudaSuccess) error = ask(product_kernel);
  return error == cudaSuccess ? ask(finish_kernel) : error;
}

cudaError_t launch_large_factors(const FactorPlan& plan, const FactorTables& tables, const DampingRule& rule,
                                 const int32_t* due, FactorResult* results, cudaStream_t stream) {
  cudaError_t error = cudaSuccess;
  const dim3 threads(kThreads);
  const auto grid = [](int32_t blocks) { return dim3(static_cast<unsigned>(blocks)); };
  for (const FactorWave& wave : plan.waves()) {
    const FactorTask* const tasks = tables.tasks + wave.range.first;
    float* const work = tables.workspace;
    error = launch(begin_kernel, grid(wave.range.count), threads, kSharedBytes, stream, tasks, work, rule, due);
    for (size_t k = 0; k < wave.solve.size() && error == cudaSuccess; ++k) {
      const FactorLaunch& solve = wave.solve[k];
      error = launch(solve_kernel, grid(solve.blocks), threads, kSharedBytes, stream, tasks,
                     tables.starts + solve.starts, solve.matrices, static_cast<int>(k), work);
      if (error != cudaSuccess || k == wave.update.size()) continue;
      const FactorLaunch& update = wave.update[k];
      error = launch(update_kernel, grid(update.blocks), threads, kSharedBytes, stream, tasks,
                     tables.starts + update.starts, update.matrices, static_cast<int>(k), work);
    }
    if (error != cudaSuccess) return error;
    const FactorLaunch& product = wave.product;
    error = launch(product_kernel, grid(product.blocks), threads, kSharedBytes, stream, tasks,
                   tables.starts + product.starts, product.matrices, work);
    if (error == cudaSuccess)
      error = launch(finish_kernel, grid(wave.range.count), threads, kSharedBytes, stream, tasks, work, results);
    if (error != cudaSuccess) return error;
  }
  return error;
}

} // namespace lngd::cuda
