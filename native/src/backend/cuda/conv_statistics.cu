// SPDX-License-Identifier: Apache-2.0
// conv_statistics: layer_statistics for convolutions, with implicit im2col. Every output position of a sample is a row;
// its patch (channel, kh, kw) is gathered by the load stage of weighted_syrk and nowhere else. Launches:
//
//   pixel_squares      (pixel_squares.cu) s(n, y, x) = sum over the channels of a group of a^2, so that
//   fisher_rows        has c of a patch as a sum over kh x kw numbers and not over channels as well
//   weighted_syrk      Phi_g += sum_nt r_nt a_nt a_nt^T for every group
//   finish_statistics
#include "backend/cuda/conv_loader.cuh"
#include "backend/cuda/fisher_rows.cuh"
#include "backend/cuda/statistics.h"
#include "backend/cuda/statistics_plan.h"
#include "backend/cuda/syrk_launch.cuh"

namespace lngd::cuda {
namespace {

// The rows of a convolution for fisher_rows.
struct ConvSource {
  static constexpr int kRows = 32; // a whole line of positions that lie side by side
  const float* signal;
  int64_t stride; // of its channels
  int64_t signal_sample, signal_y, signal_x;
  bool signal_by_rows, inputs_by_rows;
  ConvRows conv;
  const float* squares; // groups x samples x height x width
  int64_t pixels;

  __device__ int64_t signal_at(int row) const {
    const ConvPosition p = conv.position(row);
    return p.sample * signal_sample + p.oy * signal_y + p.ox * signal_x;
  }
  __device__ double input_square(int group, int row, int part, int parts) const {
    const ConvPosition p = conv.position(row);
    const float* const of_sample = squares + group * pixels + int64_t{p.sample} * conv.height * conv.width;
    const int top = conv.top(p), left = conv.left(p), across = conv.geometry.kernel[1];
    double sum = 0;
    for (int tap = part; tap < conv.geometry.kernel[0] * across; tap += parts) {
      const int y = top + tap / across * conv.geometry.dilation[0], x = left + tap % across * conv.geometry.dilation[1];
      if (conv.inside(y, x)) sum += static_cast<double>(of_sample[int64_t{y} * conv.width + x]);
    }
    return sum;
  }
};

StatisticsPlan plan_of(const LayerShape& shape, const Activations& inputs, int64_t samples, int32_t multiprocessors,
                       void* memory) {
  const int64_t positions = shape.conv.positions(0, inputs.height) * shape.conv.positions(1, inputs.width);
  const int64_t pixels = samples * inputs.height * inputs.width;
  return statistics_plan(shape, samples * positions, ConvSource::kRows, shape.groups * pixels, multiprocessors, memory);
}

// Groups are the grid's second dimension. How far a kernel may reach is lngd_create's to check.
bool fits(const LayerShape& shape, const Activations& inputs, int64_t samples) {
  const int64_t positions = shape.conv.positions(0, inputs.height) * shape.conv.positions(1, inputs.width);
  const int64_t most = std::max(positions, int64_t{inputs.height} * inputs.width);
  return positions > 0 && samples <= kMostRows / most && shape.groups <= 65535;
}

// The two launches that all of it begins with.
cudaError_t launch_rows(const ConvStatisticsArgs& args, const StatisticsPlan& plan, const FisherRows& out,
                        cudaStream_t stream) {
  const LayerShape& shape = *args.shape;
  const cudaError_t error = launch_pixel_squares(shape, args.inputs, args.samples, plan.extra, stream);
  if (error != cudaSuccess) return error;
  const ConvRows rows(shape.conv, args.inputs, args.samples);
  const int64_t* const s = args.signal.stride;
  const int32_t groups = static_cast<int32_t>(shape.groups), outputs = static_cast<int32_t>(shape.outputs);
  const RowPass<ConvSource> pass{{args.signal.data, s[1], s[0], s[2], s[3], s[1] != 1, true, rows, plan.extra,
                                  args.samples * args.inputs.height * args.inputs.width},
                                 fisher_model(shape, args.signal_kind),
                                 PhiloxStream(args.seed, shape.index, args.step),
                                 static_cast<uint64_t>(args.first_sample) * rows.positions.divisor,
                                 rows.rows,
                                 outputs,
                                 outputs / groups,
                                 plan.block_chunks,
                                 shape.bias,
                                 plan.weights,
                                 plan.psi,
                                 plan.denominator,
                                 out};
  return launch_fisher_rows_kernel(pass, plan.row_blocks, groups, stream);
}

// The plan of a call in its workspace; an error where it has no room there.
cudaError_t plan_call(const ConvStatisticsArgs& args, const StatisticsWorkspace& workspace, StatisticsPlan& plan) {
  if (!fits(*args.shape, args.inputs, args.samples)) return cudaErrorInvalidValue;
  plan = plan_of(*args.shape, args.inputs, args.samples, workspace.multiprocessors, workspace.memory);
  return plan.bytes > workspace.bytes ? cudaErrorInvalidValue : cudaSuccess;
}

} // namespace

cudaError_t prepare_conv_statistics(int32_t shared_bytes) {
  cudaError_t error = prepare_pixel_squares();
  if (error == cudaSuccess) error = prepare_fisher_rows<ConvSource>();
  if (error == cudaSuccess) error = prepare_weighted_syrk<ConvLoader>(shared_bytes);
  return error == cudaSuccess ? prepare_finish_statistics() : error;
}

size_t conv_statistics_workspace(const LayerShape& shape, const Activations& inputs, int64_t samples,
                                 int32_t multiprocessors) {
  return fits(shape, inputs, samples) ? plan_of(shape, inputs, samples, multiprocessors, nullptr).bytes : 0;
}

cudaError_t launch_syrk(const LayerShape& shape, const Activations& inputs, int64_t samples, const SyrkJob& job,
                        Precision precision, cudaStream_t stream) {
  const ConvLoader loader = conv_loader(shape, inputs, ConvRows(shape.conv, inputs, samples));
  const SyrkArgs<ConvLoader> syrk{loader, job.grid, job.weights, job.sum, job.tiles, 0};
  return launch_weighted_syrk(syrk, syrk_class(shape.blocks), precision, job.shared_bytes, stream);
}

cudaError_t launch_conv_statistics(const ConvStatisticsArgs& args, const StatisticsWorkspace& workspace,
                                   Precision precision, cudaStream_t stream) {
  const LayerShape& shape = *args.shape;
  if (args.samples == 0) return cudaSuccess;
  StatisticsPlan plan;
  cudaError_t error = plan_call(args, workspace, plan);
  if (error != cudaSuccess) return error;
  error = launch_rows(args, plan, {}, stream);
  if (error != cudaSuccess) return error;
  const SyrkJob job{plan.grid, plan.weights, args.memory->phi_sum, plan.tiles, workspace.shared_bytes};
  error = launch_syrk(shape, args.inputs, args.samples, job, precision, stream);
  if (error != cudaSuccess) return error;
  return launch_finish_statistics(shape, *args.memory, plan, args.samples, stream);
}

cudaError_t launch_conv_fisher_rows(const ConvStatisticsArgs& args, const StatisticsWorkspace& workspace,
                                    const FisherRows& out, cudaStream_t stream) {
  if (args.samples == 0) return cudaSuccess;
  StatisticsPlan plan;
  const cudaError_t error = plan_call(args, workspace, plan);
  return error == cudaSuccess ? launch_rows(args, plan, out, stream) : error;
}

} // namespace lngd::cuda
