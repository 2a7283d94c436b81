// SPDX-License-Identifier: Apache-2.0
// Statistics of a layer whose second factor is a matrix (second_factor.h), in up to seven launches:
//
//   square_rows      ||.||^2 of every pixel of the inputs and of the gradients, for each group of channels
//   paired_rows      c_n = ||a_n||^2 (of a patch: a sum over kh x kw pixels), r_n = ||g_n||^2; what a_n and g_n are
//                    multiplied by; parts of sum c r, sum c and sum r
//   weighted_syrk    A += sum a a^T, and add_tiles where its rows were split
//   weighted_syrk    B += sum g g^T, and the same
//   finish_paired    the parts in order; samples, rows and poisoned
//
// B is what weighted_syrk makes of a layer whose inputs are g: m columns of a dense layer, the channels of a 1 x 1
// convolution. So there is no second loader and no second kernel, and a g that lies channels-last comes by quads.
//
// A dense layer is a convolution over images of one pixel in all that follows. An embedding is one over images of a row
// of pixels, whose one channel is the index: ||a||^2 is 1 where the index is one and NaN, which poisons the update,
// where it is none; in place of the first SYRK add_diagonal (embedding_statistics.cu) adds 1, or r, at the index.
#include <cmath>

#include "backend/cuda/conv_rows.cuh"
#include "backend/cuda/embedding.h"
#include "backend/cuda/embedding_index.cuh"
#include "backend/cuda/second_factor.h"
#include "backend/cuda/simt.cuh"
#include "backend/cuda/squares.cuh"
#include "backend/cuda/statistics_plan.h"

namespace lngd::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

// ---------------------------------------------------------------- square_rows

// One tensor: out[group * pixels + pixel] = sum over the channels of a group of x^2.
struct SquareJob {
  Activations view;
  Divisor area, width;
  int32_t pixels, channels; // of a group
  bool by_channels;         // neighbouring channels are neighbours in memory: a warp takes a pixel
  int32_t vocabulary;       // of an embedding's indices; else 0
  double* out;
};

__host__ __device__ inline int pixels_a_block(const SquareJob& job) { return job.by_channels ? kWarps : 32; }

// Blocks [0, first_blocks) of the grid are the first job's, the others the second's.
struct SquareArgs {
  SquareJob first, second;
  int32_t first_blocks;
};

__global__ void __launch_bounds__(kThreads) square_rows_kernel(const SquareArgs args) {
  __shared__ double parts[kThreads];
  const bool second = static_cast<int>(blockIdx.x) >= args.first_blocks;
  const SquareJob& job = second ? args.second : args.first;
  const int block = static_cast<int>(blockIdx.x) - (second ? args.first_blocks : 0);
  const int thread = static_cast<int>(threadIdx.x), group = static_cast<int>(blockIdx.y);
  const int across = pixels_a_block(job), count = kThreads / across; // pixels; threads of each
  const int slot = job.by_channels ? thread / count : thread % across;
  const int part = job.by_channels ? thread % count : thread / across;
  const int64_t first = int64_t{block} * across;
  double sum = 0;
  if (first + slot < job.pixels) {
    const int pixel = static_cast<int>(first) + slot;
    const int sample = job.area.divide(pixel), at = job.area.remainder(pixel, sample);
    const int y = job.width.divide(at), x = job.width.remainder(at, y);
    const int64_t* const s = job.view.stride;
    const float* const from =
        job.view.data + sample * s[0] + int64_t{group} * job.channels * s[1] + y * s[2] + x * s[3];
    if (job.vocabulary == 0)
      sum = sum_of_squares(from, s[1], job.channels, part, count);
    else if (part == 0)
      sum = embedding_index(job.view, sample, x, job.vocabulary) >= 0 ? 1.0 : static_cast<double>(nanf(""));
  }
  parts[slot * count + part] = sum;
  __syncthreads();
  if (thread >= across || first + thread >= job.pixels) return;
  double total = 0;
  for (int p = 0; p < count; ++p) total += parts[thread * count + p];
  job.out[int64_t{group} * job.pixels + first + thread] = total;
}

SquareJob square_job(const Activations& view, int64_t samples, int64_t channels, double* out) {
  const int64_t area = int64_t{view.height} * view.width;
  return {view,
          Divisor(area),
          Divisor(view.width),
          static_cast<int32_t>(samples * area),
          static_cast<int32_t>(channels),
          view.stride[1] == 1 && view.stride[3] != 1,
          0,
          out};
}

SquareJob index_job(const Activations& indices, int64_t samples, int64_t vocabulary, double* out) {
  SquareJob job = square_job(indices, samples, 1, out);
  job.by_channels = false; // of one channel there are no neighbours
  job.vocabulary = static_cast<int32_t>(vocabulary);
  return job;
}

// ---------------------------------------------------------------- paired_rows

struct PairedArgs {
  ConvRows conv;
  const double* input_squares;  // groups x pixels of the inputs
  const double* signal_squares; // groups x rows
  int64_t pixels;
  int32_t rows, block_rows;     // in all; of a block
  bool bias, weighted;          // weighted: TKFAC, whose rows are sqrt(r) a and sqrt(c) g
  bool diagonal;                // an embedding, to whose sum r is added, and not the square of sqrt(r)
  float *a_weights, *g_weights; // groups x rows
  double* parts;                // blocks x groups x 3: sum c r, sum c, sum r
};

// c of a row, without the bias.
__device__ double patch_square(const PairedArgs& args, int group, int row) {
  const ConvPosition p = args.conv.position(row);
  const double* const from =
      args.input_squares + group * args.pixels + int64_t{p.sample} * args.conv.height * args.conv.width;
  const ConvGeometry& g = args.conv.geometry;
  const int top = args.conv.top(p), left = args.conv.left(p);
  double sum = 0;
  for (int ky = 0; ky < g.kernel[0]; ++ky)
    for (int kx = 0; kx < g.kernel[1]; ++kx) {
      const int y = top + ky * g.dilation[0], x = left + kx * g.dilation[1];
      if (args.conv.inside(y, x)) sum += from[int64_t{y} * args.conv.width + x];
    }
  return sum;
}

// A thread a row; grid: blocks x groups.
__global__ void __launch_bounds__(kThreads) paired_rows_kernel(const PairedArgs args) {
  __shared__ double of_warp[3][kWarps];
  const int thread = static_cast<int>(threadIdx.x), group = static_cast<int>(blockIdx.y);
  const int64_t first = int64_t{blockIdx.x} * args.block_rows, last = min(int64_t{args.rows}, first + args.block_rows);
  double product = 0, inputs = 0, signals = 0;
  for (int64_t row = first + thread; row < last; row += kThreads) {
    const int64_t at = int64_t{group} * args.rows + row;
    const double c = patch_square(args, group, static_cast<int>(row)) + (args.bias ? 1.0 : 0.0),
                 r = args.signal_squares[at];
    product += c * r;
    inputs += c;
    signals += r;
    float a_weight = 1.0f, g_weight = 1.0f;
    if (args.weighted) {
      a_weight = static_cast<float>(args.diagonal ? r : sqrt(r));
      g_weight = static_cast<float>(sqrt(c));
    }
    args.a_weights[at] = a_weight;
    args.g_weights[at] = g_weight;
  }
  product = warp_sum(product);
  inputs = warp_sum(inputs);
  signals = warp_sum(signals);
  if (thread % 32 == 0) {
    of_warp[0][thread / 32] = product;
    of_warp[1][thread / 32] = inputs;
    of_warp[2][thread / 32] = signals;
  }
  __syncthreads();
  if (thread >= 3) return;
  double sum = 0;
  for (int warp = 0; warp < kWarps; ++warp) sum += of_warp[thread][warp];
  args.parts[(int64_t{blockIdx.x} * gridDim.y + group) * 3 + thread] = sum;
}

// ---------------------------------------------------------------- finish_paired

struct FinishPaired {
  LayerRecord* record;
  const double* parts; // blocks x groups x 3
  double *denominator, *totals;
  int64_t samples;
  double rows;
  int32_t blocks, groups;
  bool weighted;
};

// One block; a warp takes a group. An element of a factor is bounded by sum c r for TKFAC, by sum c or sum r for KFAC:
// where one of these is NaN or may have left float's range, the update is poisoned.
__global__ void __launch_bounds__(kThreads) finish_paired_kernel(const FinishPaired args) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  bool bad = false;
  for (int group = warp; group < args.groups; group += kWarps) {
    double product = 0, inputs = 0, signals = 0;
    for (int block = lane; block < args.blocks; block += 32) {
      const double* const part = args.parts + (int64_t{block} * args.groups + group) * 3;
      product += part[0];
      inputs += part[1];
      signals += part[2];
    }
    double &all_product = args.denominator[group], &all_inputs = args.totals[group],
           &all_signals = args.totals[args.groups + group];
    product = warp_sum(product) + all_product;
    inputs = warp_sum(inputs) + all_inputs;
    signals = warp_sum(signals) + all_signals;
    bad |= args.weighted ? !(product < kOverflow) : !(inputs < kOverflow && signals < kOverflow);
    __syncwarp(); // all lanes have read them
    if (lane != 0) continue;
    all_product = product;
    all_inputs = inputs;
    all_signals = signals;
  }
  bad = __syncthreads_or(bad) != 0;
  if (threadIdx.x != 0) return;
  args.totals[2 * args.groups] += args.rows;
  args.record->samples += args.samples;
  if (bad) args.record->poisoned = 1;
}

// ---------------------------------------------------------------- the host's part

// A batch, dense or not.
struct Batch {
  const LayerShape& shape;
  Activations inputs, signal;
  int64_t samples;

  int64_t rows() const { return samples * signal.height * signal.width; }
  int64_t pixels() const { return samples * inputs.height * inputs.width; }
};

// Samples as images of one pixel, columns as channels.
Activations image_of(const Strided& rows) {
  Activations view;
  view.data = rows.data;
  view.stride[0] = rows.rs;
  view.stride[1] = rows.cs;
  view.device = rows.device;
  return view;
}

Batch batch_of(const StatisticsArgs& args) {
  return {*args.shape, image_of(args.inputs), image_of(args.signal), args.samples};
}
Batch batch_of(const ConvStatisticsArgs& args) { return {*args.shape, args.inputs, args.signal, args.samples}; }

// The layer whose inputs are g.
LayerShape signal_layer(const LayerShape& shape) {
  LayerShape layer{};
  layer.convolution = shape.positional();
  layer.inputs = shape.outputs / shape.groups;
  layer.d = layer.inputs;
  layer.groups = shape.groups;
  layer.blocks = shape.second;
  return layer;
}

struct PairedPlan {
  SyrkGrid a, b;
  int32_t row_blocks, block_rows;
  double *input_squares, *signal_squares, *parts;
  float *a_weights, *g_weights;
  float* tiles; // of A, then of B
  size_t bytes; // for these rows or fewer
};

PairedPlan paired_plan(const Batch& batch, int32_t multiprocessors, void* memory) {
  const LayerShape& shape = batch.shape;
  const int64_t rows = batch.rows(), groups = shape.groups;
  PairedPlan plan{};
  if (!shape.embedding) plan.a = syrk_grid(shape.blocks, rows);
  plan.b = syrk_grid(shape.second, rows);
  const int32_t chunks = ceil_div(rows, kThreads);
  const int32_t most = std::max(1, std::min(chunks, static_cast<int32_t>(2 * multiprocessors / groups)));
  plan.block_rows = ceil_div(chunks, most) * kThreads;
  plan.row_blocks = ceil_div(rows, plan.block_rows);
  size_t at = 0;
  const auto take = [&](auto*& array, int64_t count) {
    array = reinterpret_cast<std::remove_reference_t<decltype(array)>>(memory ? static_cast<unsigned char*>(memory) + at
                                                                              : nullptr);
    at += (static_cast<size_t>(count) * sizeof *array + 255) / 256 * 256;
  };
  const auto tile_floats = [&](const BlockLayout& blocks, const SyrkGrid& grid) {
    const int64_t splits = most_splits(grid, multiprocessors), tile = tile_of(syrk_class(blocks));
    return splits > 1 ? splits * grid.tasks * tile * tile : 0;
  };
  // Each of these grows with the rows, so that room for many is room for few.
  take(plan.input_squares, groups * batch.pixels());
  take(plan.signal_squares, groups * rows);
  take(plan.parts, int64_t{most} * groups * 3);
  take(plan.a_weights, groups * rows);
  take(plan.g_weights, groups * rows);
  const int64_t of_a = shape.embedding ? 0 : tile_floats(shape.blocks, plan.a);
  take(plan.tiles, std::max(of_a, tile_floats(shape.second, plan.b)));
  plan.bytes = at;
  if (!shape.embedding) choose_splits(plan.a, multiprocessors);
  choose_splits(plan.b, multiprocessors);
  return plan;
}

cudaError_t launch_rows(const Batch& batch, const PairedPlan& plan, cudaStream_t stream) {
  const LayerShape& shape = batch.shape;
  const int64_t taps = int64_t{shape.conv.kernel[0]} * shape.conv.kernel[1];
  const auto groups = static_cast<unsigned>(shape.groups);
  SquareArgs squares{shape.embedding ? index_job(batch.inputs, batch.samples, shape.inputs, plan.input_squares)
                                     : square_job(batch.inputs, batch.samples, shape.inputs / taps, plan.input_squares),
                     square_job(batch.signal, batch.samples, shape.outputs / shape.groups, plan.signal_squares), 0};
  squares.first_blocks = ceil_div(squares.first.pixels, pixels_a_block(squares.first));
  const int32_t blocks = squares.first_blocks + ceil_div(squares.second.pixels, pixels_a_block(squares.second));
  const cudaError_t error =
      launch(square_rows_kernel, dim3(static_cast<unsigned>(blocks), groups), dim3(kThreads), 0, stream, squares);
  if (error != cudaSuccess) return error;
  const PairedArgs rows{ConvRows(shape.conv, batch.inputs, batch.samples),
                        plan.input_squares,
                        plan.signal_squares,
                        batch.pixels(),
                        static_cast<int32_t>(batch.rows()),
                        plan.block_rows,
                        shape.bias,
                        shape.approximation == LNGD_APPROXIMATION_TKFAC,
                        shape.embedding,
                        plan.a_weights,
                        plan.g_weights,
                        plan.parts};
  return launch(paired_rows_kernel, dim3(static_cast<unsigned>(plan.row_blocks), groups), dim3(kThreads), 0, stream,
                rows);
}

template <class View>
cudaError_t launch_factor(const LayerShape& layer, const View& rows, int64_t samples, const SyrkJob& job,
                          Precision precision, cudaStream_t stream) {
  const cudaError_t error = launch_syrk(layer, rows, samples, job, precision, stream);
  return error == cudaSuccess ? launch_add_tiles(layer.blocks, job, stream) : error;
}

// A += the rows of a batch.
cudaError_t launch_inputs(const StatisticsArgs& args, const SyrkJob& job, const StatisticsWorkspace&,
                          Precision precision, cudaStream_t stream) {
  return launch_factor(*args.shape, args.inputs, args.samples, job, precision, stream);
}
cudaError_t launch_inputs(const ConvStatisticsArgs& args, const SyrkJob& job, const StatisticsWorkspace& workspace,
                          Precision precision, cudaStream_t stream) {
  if (!args.shape->embedding) return launch_factor(*args.shape, args.inputs, args.samples, job, precision, stream);
  return launch_add_diagonal(*args.shape, *args.memory, args.inputs, args.samples, job.weights,
                             workspace.multiprocessors, stream);
}

template <class Args>
cudaError_t launch_all(const Args& args, const StatisticsWorkspace& workspace, Precision precision,
                       cudaStream_t stream) {
  const Batch batch = batch_of(args);
  const LayerShape& shape = *args.shape;
  const LayerMemory& memory = *args.memory;
  const PairedPlan plan = paired_plan(batch, workspace.multiprocessors, workspace.memory);
  if (plan.bytes > workspace.bytes) return cudaErrorInvalidValue;
  cudaError_t error = launch_rows(batch, plan, stream);
  if (error == cudaSuccess)
    error = launch_inputs(args, {plan.a, plan.a_weights, memory.phi_sum, plan.tiles, workspace.shared_bytes}, workspace,
                          precision, stream);
  if (error == cudaSuccess)
    error = launch_factor(signal_layer(shape), args.signal, args.samples,
                          {plan.b, plan.g_weights, memory.second_sum, plan.tiles, workspace.shared_bytes}, precision,
                          stream);
  if (error != cudaSuccess) return error;
  const FinishPaired finish{memory.record,
                            plan.parts,
                            memory.denominator,
                            memory.totals,
                            args.samples,
                            static_cast<double>(batch.rows()),
                            plan.row_blocks,
                            static_cast<int32_t>(shape.groups),
                            shape.approximation == LNGD_APPROXIMATION_TKFAC};
  return launch(finish_paired_kernel, dim3(1), dim3(kThreads), 0, stream, finish);
}

} // namespace

cudaError_t prepare_paired_statistics() {
  return prepare_kernels(0, square_rows_kernel, paired_rows_kernel, finish_paired_kernel);
}

size_t paired_statistics_workspace(const LayerShape& shape, int64_t samples, int32_t multiprocessors) {
  return paired_plan({shape, {}, {}, samples}, multiprocessors, nullptr).bytes;
}

size_t paired_statistics_workspace(const LayerShape& shape, const Activations& inputs, int64_t samples,
                                   int32_t multiprocessors) {
  const size_t rows = shape.embedding ? embedding_statistics_workspace(shape, inputs, samples, multiprocessors)
                                      : conv_statistics_workspace(shape, inputs, samples, multiprocessors);
  if (rows == 0) return 0;
  Activations signal;
  signal.height = static_cast<int32_t>(shape.conv.positions(0, inputs.height));
  signal.width = static_cast<int32_t>(shape.conv.positions(1, inputs.width));
  return paired_plan({shape, inputs, signal, samples}, multiprocessors, nullptr).bytes;
}

cudaError_t launch_paired_statistics(const StatisticsArgs& args, const StatisticsWorkspace& workspace,
                                     Precision precision, cudaStream_t stream) {
  if (args.samples == 0) return cudaSuccess;
  if (args.samples > kMostRows) return cudaErrorInvalidValue;
  return launch_all(args, workspace, precision, stream);
}

cudaError_t launch_paired_statistics(const ConvStatisticsArgs& args, const StatisticsWorkspace& workspace,
                                     Precision precision, cudaStream_t stream) {
  if (args.samples == 0) return cudaSuccess;
  if (paired_statistics_workspace(*args.shape, args.inputs, args.samples, workspace.multiprocessors) == 0)
    return cudaErrorInvalidValue;
  return launch_all(args, workspace, precision, stream);
}

} // namespace lngd::cuda
