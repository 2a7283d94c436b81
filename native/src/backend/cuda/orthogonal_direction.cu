// SPDX-License-Identifier: Apache-2.0
// The products of whitened orthogonalisation (orthogonal.h says in which order). One kernel for all that are plain
// products of strided matrices; the first and the last, which read the caller's tensors, are kernels of their own.
//
// An operand lies along its rows (16 bytes at a copy) or along its columns (4 bytes, a warp over 8 rows of 4 columns,
// whole sectors): every slice is used by 8 warps for 6144 cycles of tensor cores on A100, for which 16 copies a thread
// are little. Transposed copies of Z and D, which would be read by quads, were rejected: memory for another two
// matrices and as many launches that only move.
#include "backend/cuda/averaged_gradient.cuh"
#include "backend/cuda/diagonal_inputs.h"
#include "backend/cuda/orthogonal.h"
#include "backend/quintic.h"

namespace lngd::cuda {
namespace {

// Columns [k0, k0 + kSlice) of the first kRows rows of a matrix; 0 beyond `rows` and `depth`.
template <int kRows>
__device__ __forceinline__ void load_view(const MatrixView& m, Along way, int rows, int depth, float* to, int k0) {
  const int thread = static_cast<int>(threadIdx.x);
  if (way == Along::Quads) {
    for (int i = thread; i < kRows * kSlice / 4; i += kProductThreads) {
      const int row = i / (kSlice / 4), k = i % (kSlice / 4) * 4;
      const int valid = row < rows ? max(0, min(4, depth - k0 - k)) : 0;
      cp_async_16(to + row * kPitch + k, valid > 0 ? m.data + row * m.rs + k0 + k : m.data, 4 * valid);
    }
    return;
  }
  const auto load = [&](int row, int k) {
    const bool inside = row < rows && k0 + k < depth;
    cp_async_4(to + row * kPitch + k, inside ? m.data + row * m.rs + (k0 + k) * m.cs : m.data, inside ? 4 : 0);
  };
  if (way == Along::Columns) {
    for (int row = thread / 32; row < kRows; row += kProductThreads / 32) load(row, thread % 32);
  } else {
    for (int row = thread / 32 * 8 + thread % 8; row < kRows; row += kProductThreads / 4)
      for (int k = thread % 32 / 8; k < kSlice; k += 4) load(row, k);
  }
}

__device__ __forceinline__ Along along(const MatrixView& m) { return cuda::along(m.data, m.rs, m.cs); }

// C = A B^T for one tile.
template <Products Count>
__device__ __forceinline__ void multiply_views(float* shared, const MatrixView& a, const MatrixView& b, int rows,
                                               int columns, int depth, bool active, float (&acc)[2][4][4]) {
  const Along way_a = along(a), way_b = along(b);
  multiply_tile<Count>(
      shared, (depth + kSlice - 1) / kSlice, active,
      [&](float* slot, int k0) { load_view<kProductRows>(a, way_a, rows, depth, slot, k0); },
      [&](float* slot, int k0) { load_view<kProductColumns>(b, way_b, columns, depth, slot, k0); }, acc);
}

// Whether this warp has elements of a tile.
__device__ __forceinline__ bool has_elements(int rows, int columns) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  return warp / 4 * 32 < rows && warp % 4 * 32 < columns;
}

// Calls store(row, column, count, x): `count` (1 or 2) neighbours of a row of the tile.
template <class Store>
__device__ __forceinline__ void for_pairs(const float (&acc)[2][4][4], int rows, int columns, const Store& store) {
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int high = 0; high < 2; ++high) {
      const int row = product_row(i, high);
      if (row >= rows) continue;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int column = product_column(j);
        if (column < columns)
          store(row, column, min(2, columns - column), make_float2(acc[i][j][2 * high], acc[i][j][2 * high + 1]));
      }
    }
}

// A tile to rows of any alignment.
__device__ __forceinline__ void store_tile(float* c, int64_t ldc, int rows, int columns, const float (&acc)[2][4][4]) {
  const bool pairs = reinterpret_cast<uintptr_t>(c) % 8 == 0; // ldc is even
  for_pairs(acc, rows, columns, [&](int row, int column, int count, const float2& x) {
    float* const to = c + row * ldc + column;
    if (pairs && count == 2) {
      *reinterpret_cast<float2*>(to) = x;
    } else {
      to[0] = x.x;
      if (count == 2) to[1] = x.y;
    }
  });
}

// A tile of a symmetric result: what is on and below the diagonal, to both of its places. of(row, column, x): what
// becomes of a sum.
template <class Of>
__device__ __forceinline__ void store_symmetric(const OrthogonalTile& at, const float (&acc)[2][4][4], const Of& of) {
  for_pairs(acc, at.rows, at.columns, [&](int row, int column, int count, const float2& x) {
    for (int e = 0; e < count; ++e) {
      const int i = at.row0 + row, j = at.column0 + column + e;
      if (j > i) continue;
      const float value = of(row, column + e, e == 0 ? x.x : x.y);
      at.c[row * at.ldc + column + e] = value;
      if (j < i) at.mirror[(column + e) * at.ldc + row] = value;
    }
  });
}

// What becomes of a tile: it is stored; and its squares are added up; of a symmetric result likewise; a polynomial.
enum class Finish { Store, Squares, Symmetric, Gram, Polynomial };

template <Finish kFinish, Products Count>
__global__ void __launch_bounds__(kProductThreads, 2)
    orthogonal_product_kernel(const DeviceLayer* layers, const OrthogonalTile* tiles, double* squares,
                              Quintic quintic) {
  SIMT_DYNAMIC_SHARED(float, shared);
  __shared__ double of_warp[kProductThreads / 32];
  const OrthogonalTile at = tiles[blockIdx.x];
  if (!layers[at.layer].record->has_inverse) return; // the whole block; layer_rate skips the layer
  constexpr bool kSymmetric = kFinish != Finish::Store && kFinish != Finish::Squares;
  double sum = 0; // of squares: in double, where none of a float overflows or vanishes
  const int warp = static_cast<int>(threadIdx.x) / 32;
  bool active = has_elements(at.rows, at.columns);
  if (kSymmetric) active = active && at.column0 + warp % 4 * 32 <= at.row0 + warp / 4 * 32 + 31;
  float acc[2][4][4] = {};
  multiply_views<Count>(shared, at.a, at.b, at.rows, at.columns, at.depth, active, acc);
  if constexpr (kFinish == Finish::Symmetric) {
    const float scale = at.scale != nullptr ? *at.scale : 1.0f;
    if (active) store_symmetric(at, acc, [scale](int, int, float x) { return scale * x; });
  } else if constexpr (kFinish == Finish::Gram) {
    if (active)
      store_symmetric(at, acc, [&](int row, int column, float x) {
        const double square = static_cast<double>(x) * x;
        sum += at.column0 + column < at.row0 + row ? 2 * square : square;
        return x;
      });
  } else if constexpr (kFinish == Finish::Polynomial) {
    // A is S, from the tile's first row on.
    if (active)
      store_symmetric(at, acc, [&](int row, int column, float x) {
        const int j = at.column0 + column;
        const float diagonal = j == at.row0 + row ? quintic.a : 0.0f;
        return fmaf(quintic.c, x, fmaf(quintic.b, at.a.data[row * at.a.rs + j], diagonal));
      });
  } else {
    if (active) store_tile(at.c, at.ldc, at.rows, at.columns, acc);
  }
  if constexpr (kFinish == Finish::Squares) {
    if (active)
      for_pairs(acc, at.rows, at.columns, [&](int, int, int count, const float2& x) {
        const double low = x.x, high = count == 2 ? x.y : 0.0f;
        sum += low * low + high * high;
      });
  }
  if constexpr (kFinish == Finish::Squares || kFinish == Finish::Gram) {
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) of_warp[warp] = sum;
    __syncthreads();
    if (threadIdx.x != 0) return;
    sum = 0;
    for (int w = 0; w < kProductThreads / 32; ++w) sum += of_warp[w];
    squares[blockIdx.x] = sum;
  }
}

// Z = D / ||D||_F, or S = S / ||S||_F where it lies. In double, for the norm may be far outside of float's range; an
// infinite norm makes the infinite elements NaN.
__global__ void __launch_bounds__(kProductThreads)
    normalise_kernel(const DeviceLayer* layers, const NormaliseTask* tasks, const double* squares) {
  __shared__ double of_warp[kProductThreads / 32];
  const NormaliseTask task = tasks[blockIdx.x];
  if (!layers[task.layer].record->has_inverse) return; // the whole block
  const int thread = static_cast<int>(threadIdx.x);
  double square = 0; // every block adds them in the same order
  for (int i = thread; i < task.squares; i += kProductThreads) square += squares[task.first_square + i];
  square = warp_sum(square);
  if (thread % 32 == 0) of_warp[thread / 32] = square;
  __syncthreads();
  square = 0;
  for (int w = 0; w < kProductThreads / 32; ++w) square += of_warp[w];
  const double norm = sqrt(square), scale = norm > 0 ? 1.0 / norm : norm;
  if (thread == 0 && task.root != nullptr) *task.root = norm > 0 ? static_cast<float>(1.0 / sqrt(norm)) : 1.0f;
  for (int i = thread; i < task.rows * task.columns; i += kProductThreads) {
    const int64_t element = i / task.columns * task.ld + i % task.columns;
    task.to[element] = static_cast<float>(scale * task.from[element]);
  }
}

__global__ void __launch_bounds__(kProductThreads, 2)
    whiten_rows_kernel(const StepSettings* settings, const DeviceLayer* layers, float* const* z,
                       const DirectionTile* tiles) {
  SIMT_DYNAMIC_SHARED(float, shared);
  __shared__ float reading[2];
  const DirectionTile at = tiles[blockIdx.x];
  const DeviceLayer& layer = layers[at.layer];
  if (!layer.record->has_inverse) return; // the whole block
  const int rows = min(kProductRows, at.row_end - at.row0), columns = min(kProductColumns, at.size - at.column0);
  const int depth = at.column0 + columns; // rows of T_A end at its diagonal
  const TileView g(layer.weight_gradients, layer.bias_gradients, layer.inputs, at.row0, at.begin);
  const TileView w(layer.weights, layer.bias, layer.inputs, at.row0, at.begin);
  const AveragedGradient x({g, w, reading, at.inverse, rows, depth, read_as(*settings, layer, 0, reading)},
                           layer.momentum + at.row0 * layer.ldw + at.begin, layer.ldw, *settings);
  const Along found = cuda::along(g.data, g.rs, g.cs), way = found == Along::Rows ? Along::Rows : Along::Columns;
  const float* const triangle = at.inverse + at.column0 * at.ld;
  float acc[2][4][4] = {};
  multiply_tile(
      shared, (depth + kSlice - 1) / kSlice, has_elements(rows, columns),
      [&](float* slot, int k0) { load_rows(x, way, slot, k0); },
      [&](float* slot, int k0) { load_columns(triangle, at.ld, columns, depth, slot, k0); }, acc);
  store_tile(z[at.layer] + at.row0 * layer.ldw + at.begin + at.column0, layer.ldw, rows, columns, acc);
}

// D = T_B^T Z: row i of T_B^T begins at its diagonal.
__global__ void __launch_bounds__(kProductThreads, 2)
    back_columns_kernel(const StepSettings* settings, const DeviceLayer* layers, float* const* z,
                        const DirectionTile* tiles, DirectionSums* sums) {
  SIMT_DYNAMIC_SHARED(float, shared);
  __shared__ float reading[2];
  __shared__ DirectionSums of_warp[kProductThreads / 32];
  const DirectionTile at = tiles[blockIdx.x];
  const DeviceLayer& layer = layers[at.layer];
  if (!layer.record->has_inverse) return;             // the whole block
  const int first = at.row0 - (at.row_end - at.size); // in the block
  const int rows = min(kProductRows, at.row_end - at.row0), columns = layer.inputs + layer.bias_column - at.column0;
  const MatrixView a{at.inverse + first * (at.ld + 1), 1, at.ld};
  const MatrixView b{z[at.layer] + at.row0 * layer.ldw + at.column0, 1, layer.ldw};
  const bool active = has_elements(rows, columns);
  float acc[2][4][4] = {};
  multiply_views<Products::Three>(shared, a, b, rows, columns, at.size - first, active, acc);
  const TileView g(layer.weight_gradients, layer.bias_gradients, layer.inputs, at.row0, at.column0);
  const TileView w(layer.weights, layer.bias, layer.inputs, at.row0, at.column0);
  const TileGradient gradient{g, w, reading, nullptr, rows, columns, read_as(*settings, layer, 0, reading)};
  store_sums(store_direction(layer, at, gradient, active, acc), of_warp, sums + blockIdx.x);
}

// The launches of one step; after an error no more are made.
struct Launches {
  const DeviceLayer* layers;
  const OrthogonalPlan& plan;
  cudaStream_t stream;
  cudaError_t error = cudaSuccess;

  template <Finish kFinish, Products Count>
  void product(OrthogonalProduct which, double* squares = nullptr, const Quintic& quintic = {}) {
    if (error != cudaSuccess) return;
    const OrthogonalTileList& list = plan.products.of(which);
    if (list.count == 0) return;
    error = launch(orthogonal_product_kernel<kFinish, Count>, dim3(static_cast<unsigned>(list.count)),
                   dim3(kProductThreads), kProductBytes, stream, layers, list.tiles, squares, quintic);
  }
  void normalise(const NormaliseList& list) {
    if (error != cudaSuccess || list.count == 0) return;
    error = launch(normalise_kernel, dim3(static_cast<unsigned>(list.count)), dim3(kProductThreads), 0, stream, layers,
                   list.tasks, list.squares);
  }
  template <Products Count>
  void newton_schulz() {
    product<Finish::Gram, Count>(OrthogonalProduct::Gram, plan.normalise_gram.squares);
    normalise(plan.normalise_gram);
    product<Finish::Polynomial, Count>(OrthogonalProduct::First, nullptr, kFirstQuintic);
    product<Finish::Symmetric, Count>(OrthogonalProduct::R);
    product<Finish::Symmetric, Count>(OrthogonalProduct::GramNext);
    product<Finish::Polynomial, Count>(OrthogonalProduct::Second, nullptr, kSecondQuintic);
    product<Finish::Symmetric, Count>(OrthogonalProduct::Both);
    product<Finish::Store, Count>(OrthogonalProduct::Apply);
  }
};

template <Products Count>
cudaError_t prepare_newton_schulz() {
  cudaError_t error = prepare_product(orthogonal_product_kernel<Finish::Gram, Count>);
  if (error == cudaSuccess) error = prepare_product(orthogonal_product_kernel<Finish::Polynomial, Count>);
  if (error == cudaSuccess) error = prepare_product(orthogonal_product_kernel<Finish::Symmetric, Count>);
  return error != cudaSuccess ? error : prepare_product(orthogonal_product_kernel<Finish::Store, Count>);
}

} // namespace

cudaError_t prepare_orthogonal() {
  cudaError_t error = prepare_product(whiten_rows_kernel);
  if (error == cudaSuccess) error = prepare_product(back_columns_kernel);
  if (error == cudaSuccess) error = prepare_product(orthogonal_product_kernel<Finish::Squares, Products::Three>);
  if (error == cudaSuccess) error = prepare_kernel(normalise_kernel);
  if (error == cudaSuccess) error = prepare_newton_schulz<Products::One>();
  return error != cudaSuccess ? error : prepare_newton_schulz<Products::Three>();
}

cudaError_t launch_orthogonal(const StepSettings* settings, const DeviceLayer* layers, const OrthogonalPlan& plan,
                              const DirectionTile* input_tiles, int32_t inputs, const DirectionTile* output_tiles,
                              int32_t outputs, const DirectionTile* diagonal_tiles, int32_t diagonals,
                              DirectionSums* sums, Precision precision, cudaStream_t stream) {
  if (outputs == 0) return cudaSuccess;
  const auto grid = [](int32_t blocks) { return dim3(static_cast<unsigned>(blocks)); };
  Launches to{layers, plan, stream};
  to.error = launch_diagonal_averages(settings, layers, diagonal_tiles, diagonals, stream);
  if (to.error == cudaSuccess && inputs > 0)
    to.error = launch(whiten_rows_kernel, grid(inputs), dim3(kProductThreads), kProductBytes, stream, settings, layers,
                      plan.z, input_tiles);
  to.product<Finish::Squares, Products::Three>(OrthogonalProduct::WhitenColumns, plan.normalise.squares);
  to.normalise(plan.normalise);
  precision == Precision::Tf32 ? to.newton_schulz<Products::One>() : to.newton_schulz<Products::Three>();
  to.product<Finish::Store, Products::Three>(OrthogonalProduct::BackRows);
  if (to.error != cudaSuccess) return to.error;
  return launch(back_columns_kernel, grid(outputs), dim3(kProductThreads), kProductBytes, stream, settings, layers,
                plan.z, output_tiles, sums);
}

} // namespace lngd::cuda
