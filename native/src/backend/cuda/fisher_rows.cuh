// SPDX-License-Identifier: Apache-2.0
// The row pass of the statistics: r_n = sum_i q_ni, c_n = ||a_n||^2, and the parts of psi_i = sum_n c_n q_ni and of
// sum_n c_n r_n, in one pass over the signal.
//
// A block takes kRows rows at a time (dense: samples; convolution: output positions). q goes through a tile of shared
// memory, written along whichever index is contiguous in the caller's memory, and is summed from there both ways: over
// i for r, over n for psi. c_n of up to kBatchRows rows is taken before; then the columns are gone through, and of each
// panel of columns all of these rows, so that psi stays in registers and is written once for a batch (chunk by chunk,
// as first written, it was read and written in double for every 8 or 32 rows: half as many bytes again as the signal
// has). What a block has of psi and of the denominator goes to the workspace, and finish_statistics adds it up in the
// order of the blocks: no atomics, the same bits each time.
//
// Source (layer_statistics.cu, conv_statistics.cu) says where a row lies:
//   kRows                          rows at a time
//   signal(row) + i * stride       element i of a row's signal
//   signal_by_rows, inputs_by_rows neighbouring rows are neighbours in memory, so lanes run over rows
//   input_square(group, row, p, P) the p-th of P parts of c of a row, without the bias
#ifndef LNGD_BACKEND_CUDA_FISHER_ROWS_CUH
#define LNGD_BACKEND_CUDA_FISHER_ROWS_CUH

#include "backend/cuda/fisher_row.cuh"
#include "backend/cuda/simt.cuh"

namespace lngd::cuda {

constexpr int kRowThreads = 256;
constexpr int kBatchRows = 256;

template <class Source>
struct RowPass {
  Source source;
  FisherModel model;
  PhiloxStream stream;
  uint64_t first_row;   // of SAMPLED: rows of this update seen before
  int32_t rows;         // of this batch
  int32_t outputs;      // m
  int32_t group_size;   // outputs of a group; blockIdx.y is the group
  int32_t block_chunks; // chunks of kRows rows that a block takes
  bool bias;
  float* weights;      // groups x rows: sqrt(r)
  double* psi;         // blocks x m
  double* denominator; // blocks x groups
  FisherRows out;      // of lngd_fisher_rows: rows x m, rows x groups

  // The number of element 0 of a group's row.
  __device__ uint64_t first_element(int group, int row) const {
    return (first_row + static_cast<uint64_t>(row)) * static_cast<uint64_t>(outputs) +
           static_cast<uint64_t>(group * group_size);
  }
};

// Over the P neighbouring threads of a row, in all of them.
template <int P>
__device__ __forceinline__ double row_sum(double value) {
#pragma unroll
  for (int distance = P / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(kFullWarp, value, distance);
  return value;
}

template <class Source, bool Sampled>
struct RowTile {
  static constexpr int kRows = Source::kRows;
  static constexpr int kParts = kRowThreads / kRows; // threads of a row
  static constexpr int kColumns = 4096 / kRows;      // a tile is 4096 elements: 16 loads in flight in each thread
  static constexpr int kPitch = kColumns + 8;        // 4 rows at once, or lanes over 8 rows: few bank conflicts
  static constexpr int kSums = (kColumns + kRowThreads - 1) / kRowThreads; // columns of a thread
  static_assert(kParts <= 32, "a row's threads are in one warp");
  static_assert(kBatchRows % kRows == 0, "a batch is whole chunks");

  float q[kRows * kPitch];
  float eps[Sampled ? kRows * kPitch : 1];
  double part[kRowThreads];
  // Of the batch's rows.
  int64_t base[kBatchRows]; // of the signal
  double r[kBatchRows];
  float c[kBatchRows];
  RowParameters row[kBatchRows];
};

// c of the rows of a chunk, and where their signals lie; `at` is the chunk's first row in the batch.
template <class Source, bool Sampled>
__device__ void take_inputs(const RowPass<Source>& pass, RowTile<Source, Sampled>& tile, int group, int row0, int at) {
  using Tile = RowTile<Source, Sampled>;
  const int thread = static_cast<int>(threadIdx.x);
  const bool by_rows = pass.source.inputs_by_rows;
  const int row = by_rows ? thread % Tile::kRows : thread / Tile::kParts;
  const int part = by_rows ? thread / Tile::kRows : thread % Tile::kParts;
  tile.part[row * Tile::kParts + part] =
      row0 + row < pass.rows ? pass.source.input_square(group, row0 + row, part, Tile::kParts) : 0.0;
  if (thread < Tile::kRows) {
    tile.base[at + thread] = row0 + thread < pass.rows
                                 ? pass.source.signal_at(row0 + thread) + group * pass.group_size * pass.source.stride
                                 : 0;
    tile.r[at + thread] = 0;
  }
  __syncthreads();
  const double c = row_sum<Tile::kParts>(tile.part[thread]) + (pass.bias ? 1.0 : 0.0);
  if (thread % Tile::kParts == 0) tile.c[at + thread / Tile::kParts] = static_cast<float>(c);
  if (pass.model.row_first()) { // over all outputs: groups share a softmax
    for (int r = thread / 32; r < Tile::kRows && row0 + r < pass.rows; r += kRowThreads / 32) {
      const float* const x = pass.source.signal + pass.source.signal_at(row0 + r);
      const uint64_t first = pass.first_element(0, row0 + r);
      const RowParameters parameters = row_parameters<Sampled>(pass.model, pass.stream, pass.outputs, first,
                                                               [&](int32_t i) { return x[i * pass.source.stride]; });
      if (thread % 32 == 0) tile.row[at + r] = parameters;
    }
  }
  __syncthreads();
}

// The normals of the tile's elements. A thread makes the four of one Philox block, so that none is made twice.
template <class Source>
__device__ void fill_normals(const RowPass<Source>& pass, RowTile<Source, true>& tile, int group, int row0,
                             int column0) {
  using Tile = RowTile<Source, true>;
  constexpr int kQuads = Tile::kColumns / 4 + 1; // a row need not begin with a block
  if (!pass.model.normals()) return;
  const int columns = min(Tile::kColumns, pass.group_size - column0);
  for (int at = static_cast<int>(threadIdx.x); at < Tile::kRows * kQuads; at += kRowThreads) {
    const int row = at / kQuads;
    const uint64_t first = pass.first_element(group, row0 + row) + static_cast<uint64_t>(column0);
    const uint64_t quad = first / 4 + static_cast<uint64_t>(at % kQuads);
    if (row0 + row >= pass.rows || quad * 4 >= first + static_cast<uint64_t>(columns)) continue;
    float four[4];
    pass.stream.normals(quad, four);
#pragma unroll
    for (uint64_t lane = 0; lane < 4; ++lane) {
      const int64_t column = static_cast<int64_t>(quad * 4 + lane - first);
      if (column >= 0 && column < columns) tile.eps[row * Tile::kPitch + static_cast<int>(column)] = four[lane];
    }
  }
}

// Which element of a tile a thread takes in its k-th turn, along the contiguous index; a narrow tile takes fewer turns.
template <class Tile>
struct TileOrder {
  bool by_rows;
  int shift; // log2 of the columns, rounded up
  int turns;

  __device__ TileOrder(bool rows_first, int columns)
      : by_rows(rows_first), shift(columns > 1 ? 32 - __clz(min(columns, Tile::kColumns) - 1) : 0) {
    turns = max(1, (Tile::kRows << shift) / kRowThreads);
  }
  __device__ int row(int k) const {
    const int at = static_cast<int>(threadIdx.x) + k * kRowThreads;
    return by_rows ? at % Tile::kRows : at >> shift;
  }
  __device__ int column(int k) const {
    const int at = static_cast<int>(threadIdx.x) + k * kRowThreads;
    return by_rows ? at / Tile::kRows : at & ((1 << shift) - 1);
  }
};

// q of the tile's columns, 0 in rows beyond the last. The signal comes first, all loads at once, and waits in the place
// of its q.
template <class Source, bool Sampled>
__device__ void fill_squares(const RowPass<Source>& pass, RowTile<Source, Sampled>& tile, int group, int row0, int at,
                             int column0) {
  using Tile = RowTile<Source, Sampled>;
  constexpr int kMostTurns = Tile::kRows * Tile::kColumns / kRowThreads;
  const int columns = min(Tile::kColumns, pass.group_size - column0), rows = pass.rows - row0;
  const TileOrder<Tile> order(pass.source.signal_by_rows, columns);
#pragma unroll
  for (int k = 0; k < kMostTurns; ++k) {
    const int row = order.row(k), column = order.column(k);
    if (k >= order.turns || row >= Tile::kRows || column >= columns) continue;
    float x = 0;
    if (row < rows) x = pass.source.signal[tile.base[at + row] + (column0 + column) * pass.source.stride];
    tile.q[row * Tile::kPitch + column] = x;
  }
#pragma unroll 1
  for (int k = 0; k < order.turns; ++k) {
    const int row = order.row(k), column = order.column(k), i = column0 + column;
    if (row >= min(Tile::kRows, rows) || column >= columns) continue;
    float& q = tile.q[row * Tile::kPitch + column];
    const uint64_t element = pass.first_element(group, row0 + row) + static_cast<uint64_t>(i);
    float eps = 0;
    if constexpr (Sampled) {
      if (pass.model.normals()) eps = tile.eps[row * Tile::kPitch + column];
    }
    const int output = group * pass.group_size + i;
    q = fisher_square<Sampled>(pass.model, pass.stream, tile.row[at + row], q, output, element, eps);
    if (pass.out.q) pass.out.q[int64_t{row0 + row} * pass.outputs + output] = q;
  }
}

template <class Source, bool Sampled>
__global__ void __launch_bounds__(kRowThreads, Sampled ? 1 : 2) fisher_rows_kernel(const RowPass<Source> pass) {
  using Tile = RowTile<Source, Sampled>;
  __shared__ Tile tile;
  const int thread = static_cast<int>(threadIdx.x), group = static_cast<int>(blockIdx.y);
  const int block = static_cast<int>(blockIdx.x), my_row = thread / Tile::kParts, my_part = thread % Tile::kParts;
  const int64_t block_rows = int64_t{pass.block_chunks} * Tile::kRows, first = block * block_rows;
  const int last = static_cast<int>(min(int64_t{pass.rows}, first + block_rows));
  double* const psi = pass.psi + int64_t{block} * pass.outputs + group * pass.group_size;
  double denominator = 0;
  for (int batch = static_cast<int>(first); batch < last; batch += kBatchRows) {
    const int rows = min(kBatchRows, last - batch);
    for (int at = 0; at < rows; at += Tile::kRows) take_inputs(pass, tile, group, batch + at, at);
    for (int column0 = 0; column0 < pass.group_size; column0 += Tile::kColumns) {
      const int columns = min(Tile::kColumns, pass.group_size - column0);
      double sums[Tile::kSums] = {};
      for (int at = 0; at < rows; at += Tile::kRows) {
        if constexpr (Sampled) {
          fill_normals(pass, tile, group, batch + at, column0);
          __syncthreads();
        }
        fill_squares(pass, tile, group, batch + at, at, column0);
        __syncthreads();
        float run = 0;
#pragma unroll 4
        for (int k = my_part; k < columns; k += Tile::kParts) run += tile.q[my_row * Tile::kPitch + k];
        const double r = row_sum<Tile::kParts>(static_cast<double>(run));
        if (my_part == 0) tile.r[at + my_row] += r;
#pragma unroll
        for (int i = 0; i < Tile::kSums; ++i) {
          const int k = thread + i * kRowThreads;
          if (k >= columns) continue;
          float sum = 0;
          for (int row = 0; row < Tile::kRows && at + row < rows; ++row)
            sum += tile.c[at + row] * tile.q[row * Tile::kPitch + k];
          sums[i] += static_cast<double>(sum);
        }
        __syncthreads(); // the tile has been read
      }
#pragma unroll
      for (int i = 0; i < Tile::kSums; ++i) {
        const int k = thread + i * kRowThreads;
        if (k < columns) psi[column0 + k] = batch == first ? sums[i] : psi[column0 + k] + sums[i];
      }
    }
    for (int row = thread; row < rows; row += kRowThreads) {
      const double r = tile.r[row];
      // With c as a float: where it overflows, psi has, and the update is kept out.
      denominator += static_cast<double>(tile.c[row]) * r;
      pass.weights[int64_t{group} * pass.rows + batch + row] = static_cast<float>(sqrt(r));
      const int64_t at = int64_t{batch + row} * gridDim.y + group;
      if (pass.out.r) pass.out.r[at] = static_cast<float>(r);
      if (pass.out.c) pass.out.c[at] = tile.c[row];
    }
  }
  denominator = warp_sum(denominator);
  if (thread % 32 == 0) tile.part[thread / 32] = denominator;
  __syncthreads();
  if (thread == 0) {
    double sum = 0;
    for (int warp = 0; warp < kRowThreads / 32; ++warp) sum += tile.part[warp];
    pass.denominator[block * static_cast<int>(gridDim.y) + group] = sum;
  }
}

template <class Source>
cudaError_t prepare_fisher_rows() {
  return prepare_kernels(0, fisher_rows_kernel<Source, false>, fisher_rows_kernel<Source, true>);
}

template <class Source>
cudaError_t launch_fisher_rows_kernel(const RowPass<Source>& pass, int blocks, int groups, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(groups));
  return pass.model.sampled ? launch(fisher_rows_kernel<Source, true>, grid, dim3(kRowThreads), 0, stream, pass)
                            : launch(fisher_rows_kernel<Source, false>, grid, dim3(kRowThreads), 0, stream, pass);
}

} // namespace lngd::cuda
#endif
