// SPDX-License-Identifier: Apache-2.0
// layer_statistics of an embedding, whose a_nt is the one-hot code of an index k_nt, in three launches:
//
//   fisher_rows         r_nt = sum_i q_nti; parts of psi_i += sum_nt c q_nti and of the denominator; c = 1, 2 with a
//   bias add_diagonal        Phi_kk += sum over (n, t) with k_nt = k of r_nt; of a bias Phi_bb += sum_nt r_nt
//   finish_statistics   the parts in order; samples and poisoned
//
// An index that is none gives its row a c of NaN, which poisons the update.
//
// Sums by index in an order that does not change: a block owns a range of indices and goes through all rows, 256 at a
// time; the rows that fall into its range are listed in their order, and the thread that owns an index adds its own.
// The sums are those of one thread that goes through the rows, as on the CPU. Atomics on doubles would add in any
// order; a sort by index costs several passes over memory and launches.
//
// Counts for 32,768 indices and 2,048 rows (64 samples x 32 positions): 128 blocks read the 16 KB of indices and r, 2
// MB from the second cache, in 8 turns of two barriers; a block lists 16 rows on average, 2,048 if all rows have one
// index.
#include <cmath>

#include "backend/cuda/conv_rows.cuh"
#include "backend/cuda/embedding.h"
#include "backend/cuda/embedding_index.cuh"
#include "backend/cuda/fisher_rows.cuh"
#include "backend/cuda/statistics_plan.h"

namespace lngd::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kMostRange = 2048; // indices of a block: 16 KB of sums

// The rows of an embedding for fisher_rows.
struct EmbeddingSource {
  static constexpr int kRows = 32;
  const float* signal;
  int64_t stride; // of its outputs
  int64_t signal_sample, signal_position;
  bool signal_by_rows, inputs_by_rows;
  Activations indices;
  Divisor positions;
  int32_t vocabulary;

  __device__ int64_t signal_at(int row) const {
    const int n = positions.divide(row);
    return n * signal_sample + positions.remainder(row, n) * signal_position;
  }
  __device__ double input_square(int /*group*/, int row, int part, int /*parts*/) const {
    if (part != 0) return 0.0;
    const int n = positions.divide(row);
    return embedding_index(indices, n, positions.remainder(row, n), vocabulary) >= 0 ? 1.0
                                                                                     : static_cast<double>(nanf(""));
  }
};

struct DiagonalArgs {
  Activations indices;
  Divisor positions;
  const float* r; // rows
  double* sum;    // vocabulary, then that of the bias
  int32_t rows, vocabulary;
  int32_t range; // indices of a block, a multiple of kThreads; the last block of all takes the bias
  bool bias;
};

// What a row adds, and to which of the block's indices.
struct Listed {
  int32_t index;
  float r;
};

// Row `row` of the batch; index -1 where it is not of this block.
__device__ __forceinline__ Listed take_row(const DiagonalArgs& args, int64_t number, int first) {
  if (number >= args.rows) return {-1, 0.0f};
  const int row = static_cast<int>(number), n = args.positions.divide(row);
  const int32_t k = embedding_index(args.indices, n, args.positions.remainder(row, n), args.vocabulary);
  if (k < first || k - first >= args.range) return {-1, 0.0f};
  return {k - first, args.r[row]};
}

__device__ void add_bias(const DiagonalArgs& args, double (&of_warp)[kWarps]) {
  double sum = 0;
#pragma unroll 4
  for (int64_t row = static_cast<int>(threadIdx.x); row < args.rows; row += kThreads)
    sum += static_cast<double>(args.r[row]);
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int warp = 1; warp < kWarps; ++warp) sum += of_warp[warp];
  args.sum[args.vocabulary] += sum;
}

__global__ void __launch_bounds__(kThreads) add_diagonal_kernel(const DiagonalArgs args) {
  SIMT_DYNAMIC_SHARED(double, sums); // range
  __shared__ Listed list[kThreads];
  __shared__ double of_warp[kWarps];
  __shared__ int32_t counts[2][kWarps]; // in turns: a slow thread may still read those of the turn before
  if (args.bias && blockIdx.x == gridDim.x - 1) return add_bias(args, of_warp); // the whole block
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const int first = static_cast<int>(blockIdx.x) * args.range, range = min(args.range, args.vocabulary - first);
  for (int i = thread; i < range; i += kThreads) sums[i] = args.sum[first + i]; // read and written by its owner alone
  Listed mine = take_row(args, thread, first);
  int turn = 0;
  for (int64_t row0 = 0; row0 < args.rows; row0 += kThreads, turn ^= 1) {
    const Listed next = take_row(args, row0 + kThreads + thread, first); // under way while this turn is summed
    const unsigned hits = __ballot_sync(kFullWarp, mine.index >= 0);
    if (lane == 0) counts[turn][warp] = __popc(hits);
    __syncthreads(); // and everyone is done with the list of the turn before
    int before = 0, all = 0;
    for (int w = 0; w < kWarps; ++w) {
      if (w == warp) before = all;
      all += counts[turn][w];
    }
    if (all > 0) { // the same in the whole block
      if (mine.index >= 0) list[before + __popc(hits & ((1u << lane) - 1))] = mine;
      __syncthreads();
      for (int i = 0; i < all; ++i)
        if (list[i].index % kThreads == thread) sums[list[i].index] += static_cast<double>(list[i].r);
    }
    mine = next;
  }
  for (int i = thread; i < range; i += kThreads) args.sum[first + i] = sums[i];
}

// The indices of a block: few enough for two blocks on a multiprocessor, as far as there are that many.
int32_t index_range(int64_t vocabulary, int32_t multiprocessors) {
  const int64_t each = vocabulary / (2 * int64_t{multiprocessors} * kThreads);
  return static_cast<int32_t>(std::min<int64_t>(kMostRange, std::max<int64_t>(1, each) * kThreads));
}

// Where the parts lie in the workspace; the grid has nothing for weighted_syrk.
StatisticsPlan plan_of(const LayerShape& shape, int64_t rows, int32_t multiprocessors, void* memory) {
  StatisticsPlan plan{};
  const int32_t chunks = ceil_div(rows, EmbeddingSource::kRows);
  const int32_t most = std::max(1, std::min(chunks, 2 * multiprocessors));
  plan.block_chunks = ceil_div(chunks, most);
  plan.row_blocks = ceil_div(chunks, plan.block_chunks);
  size_t at = 0;
  const auto take = [&](size_t bytes) {
    unsigned char* const place = static_cast<unsigned char*>(memory) + at;
    at += (bytes + 255) / 256 * 256;
    return static_cast<void*>(memory ? place : nullptr);
  };
  plan.weights = static_cast<float*>(take(sizeof(float) * static_cast<size_t>(rows)));
  plan.psi = static_cast<double*>(take(sizeof(double) * static_cast<size_t>(most * shape.outputs)));
  plan.denominator = static_cast<double*>(take(sizeof(double) * static_cast<size_t>(most)));
  plan.extra = static_cast<float*>(take(sizeof(float) * static_cast<size_t>(rows))); // r
  plan.bytes = at;
  plan.grid.splits = 1;
  return plan;
}

bool fits(const Activations& inputs, int64_t samples) {
  return inputs.width > 0 && samples <= kMostRows / int64_t{inputs.width};
}

cudaError_t launch_rows(const ConvStatisticsArgs& args, const StatisticsPlan& plan, const FisherRows& out,
                        cudaStream_t stream) {
  const LayerShape& shape = *args.shape;
  const int64_t* const s = args.signal.stride;
  const int64_t positions = args.inputs.width;
  const int32_t outputs = static_cast<int32_t>(shape.outputs);
  RowPass<EmbeddingSource> pass{{args.signal.data, s[1], s[0], s[3], s[1] != 1, true, args.inputs, Divisor(positions),
                                 static_cast<int32_t>(shape.inputs)},
                                fisher_model(shape, args.signal_kind),
                                PhiloxStream(args.seed, shape.index, args.step),
                                static_cast<uint64_t>(args.first_sample * positions),
                                static_cast<int32_t>(args.samples * positions),
                                outputs,
                                outputs,
                                plan.block_chunks,
                                shape.bias,
                                plan.weights,
                                plan.psi,
                                plan.denominator,
                                out};
  return launch_fisher_rows_kernel(pass, plan.row_blocks, 1, stream);
}

cudaError_t plan_call(const ConvStatisticsArgs& args, const StatisticsWorkspace& workspace, StatisticsPlan& plan) {
  if (!fits(args.inputs, args.samples)) return cudaErrorInvalidValue;
  plan = plan_of(*args.shape, args.samples * args.inputs.width, workspace.multiprocessors, workspace.memory);
  return plan.bytes > workspace.bytes ? cudaErrorInvalidValue : cudaSuccess;
}

} // namespace

cudaError_t prepare_embedding_statistics() {
  const cudaError_t error = prepare_fisher_rows<EmbeddingSource>();
  return error == cudaSuccess ? prepare_kernel(add_diagonal_kernel) : error;
}

size_t embedding_statistics_workspace(const LayerShape& shape, const Activations& inputs, int64_t samples,
                                      int32_t multiprocessors) {
  return fits(inputs, samples) ? plan_of(shape, samples * inputs.width, multiprocessors, nullptr).bytes : 0;
}

cudaError_t launch_embedding_statistics(const ConvStatisticsArgs& args, const StatisticsWorkspace& workspace,
                                        cudaStream_t stream) {
  const LayerShape& shape = *args.shape;
  if (args.samples == 0) return cudaSuccess;
  StatisticsPlan plan;
  cudaError_t error = plan_call(args, workspace, plan);
  if (error == cudaSuccess) error = launch_rows(args, plan, {nullptr, plan.extra, nullptr}, stream);
  if (error == cudaSuccess)
    error = launch_add_diagonal(shape, *args.memory, args.inputs, args.samples, plan.extra, workspace.multiprocessors,
                                stream);
  return error == cudaSuccess ? launch_finish_statistics(shape, *args.memory, plan, args.samples, stream) : error;
}

cudaError_t launch_add_diagonal(const LayerShape& shape, const LayerMemory& memory, const Activations& indices,
                                int64_t samples, const float* weights, int32_t multiprocessors, cudaStream_t stream) {
  const int32_t range = index_range(shape.inputs, multiprocessors);
  const DiagonalArgs diagonal{indices,
                              Divisor(indices.width),
                              weights,
                              memory.phi_diagonal_sum,
                              static_cast<int32_t>(samples * indices.width),
                              static_cast<int32_t>(shape.inputs),
                              range,
                              shape.bias};
  const int32_t blocks = ceil_div(shape.inputs, range) + (shape.bias ? 1 : 0);
  return launch(add_diagonal_kernel, dim3(static_cast<unsigned>(blocks)), dim3(kThreads),
                static_cast<size_t>(range) * sizeof(double), stream, diagonal);
}

cudaError_t launch_embedding_fisher_rows(const ConvStatisticsArgs& args, const StatisticsWorkspace& workspace,
                                         const FisherRows& out, cudaStream_t stream) {
  if (args.samples == 0) return cudaSuccess;
  StatisticsPlan plan;
  const cudaError_t error = plan_call(args, workspace, plan);
  return error == cudaSuccess ? launch_rows(args, plan, out, stream) : error;
}

} // namespace lngd::cuda
