// SPDX-License-Identifier: Apache-2.0
// layer_statistics: one observed batch of a dense layer into the sums of the coming update (paper eq. 3-5), in three
// launches:
//
//   fisher_rows        q in registers; sqrt(r_n); parts of psi_i += sum_n c_n q_ni and denominator += sum_n c_n r_n
//   weighted_syrk      Phi += sum_n r_n a_n a_n^T, the lower triangles of the diagonal blocks, on tensor cores
//   finish_statistics  the parts in order; samples and poisoned
#include "backend/cuda/fisher_rows.cuh"
#include "backend/cuda/squares.cuh"
#include "backend/cuda/statistics.h"
#include "backend/cuda/statistics_plan.h"
#include "backend/cuda/syrk_launch.cuh"

namespace lngd::cuda {
namespace {

// The rows of a dense layer: inputs and signal are strided matrices.
struct DenseSource {
  static constexpr int kRows = 8; // few: a batch of the default preset has 64 samples for all multiprocessors
  const float* signal;
  int64_t signal_rs, stride;
  Strided inputs;
  int32_t columns;
  bool signal_by_rows, inputs_by_rows;

  __device__ int64_t signal_at(int row) const { return row * signal_rs; }

  __device__ double input_square(int /*group*/, int row, int part, int parts) const {
    return sum_of_squares(inputs.data + row * inputs.rs, inputs.cs, columns, part, parts);
  }
};

// The inputs as operand of weighted_syrk.
struct DenseLoader {
  static constexpr bool kPlaces = false;
  Strided matrix;
  int32_t rows, inputs;
  bool by_rows, aligned;

  __device__ __forceinline__ bool quads(int column) const { return aligned && column % 4 == 0; }
  __device__ __forceinline__ SyrkColumn column(int /*group*/, int j) const { return {j * matrix.cs, 0, 0}; }
  __device__ __forceinline__ SyrkRow row(int64_t n) const {
    return {matrix.data + n * matrix.rs, n < rows ? 0 : -1, 0};
  }
  __device__ __forceinline__ bool inside(const SyrkRow& row, const SyrkColumn&) const { return row.y >= 0; }
};

StatisticsPlan plan_of(const LayerShape& shape, int64_t samples, int32_t multiprocessors, void* memory) {
  return statistics_plan(shape, samples, DenseSource::kRows, 0, multiprocessors, memory);
}

RowPass<DenseSource> row_pass(const StatisticsArgs& args, const StatisticsPlan& plan) {
  const LayerShape& shape = *args.shape;
  return {{args.signal.data, args.signal.rs, args.signal.cs, args.inputs, static_cast<int32_t>(shape.inputs),
           args.signal.rs == 1 && args.signal.cs != 1, args.inputs.rs == 1 && args.inputs.cs != 1},
          fisher_model(shape, args.signal_kind),
          PhiloxStream(args.seed, shape.index, args.step),
          static_cast<uint64_t>(args.first_sample),
          static_cast<int32_t>(args.samples),
          static_cast<int32_t>(shape.outputs),
          static_cast<int32_t>(shape.outputs),
          plan.block_chunks,
          shape.bias,
          plan.weights,
          plan.psi,
          plan.denominator,
          {}};
}

} // namespace

cudaError_t prepare_layer_statistics(int32_t shared_bytes) {
  cudaError_t error = prepare_fisher_rows<DenseSource>();
  if (error == cudaSuccess) error = prepare_weighted_syrk<DenseLoader>(shared_bytes);
  return error == cudaSuccess ? prepare_finish_statistics() : error;
}

size_t layer_statistics_workspace(const LayerShape& shape, int64_t samples, int32_t multiprocessors) {
  return plan_of(shape, samples, multiprocessors, nullptr).bytes;
}

cudaError_t launch_syrk(const LayerShape& shape, const Strided& a, int64_t samples, const SyrkJob& job,
                        Precision precision, cudaStream_t stream) {
  const DenseLoader loader{a, static_cast<int32_t>(samples), static_cast<int32_t>(shape.inputs), a.rs == 1 && a.cs != 1,
                           a.cs == 1 && a.rs % 4 == 0 && reinterpret_cast<uintptr_t>(a.data) % 16 == 0};
  const SyrkArgs<DenseLoader> syrk{loader, job.grid, job.weights, job.sum, job.tiles, 0};
  return launch_weighted_syrk(syrk, syrk_class(shape.blocks), precision, job.shared_bytes, stream);
}

cudaError_t launch_layer_statistics(const StatisticsArgs& args, const StatisticsWorkspace& workspace,
                                    Precision precision, cudaStream_t stream) {
  const LayerShape& shape = *args.shape;
  if (args.samples == 0) return cudaSuccess;
  if (args.samples > kMostRows) return cudaErrorInvalidValue;
  const StatisticsPlan plan = plan_of(shape, args.samples, workspace.multiprocessors, workspace.memory);
  if (plan.bytes > workspace.bytes) return cudaErrorInvalidValue;
  cudaError_t error = launch_fisher_rows_kernel(row_pass(args, plan), plan.row_blocks, 1, stream);
  if (error != cudaSuccess) return error;
  const SyrkJob job{plan.grid, plan.weights, args.memory->phi_sum, plan.tiles, workspace.shared_bytes};
  error = launch_syrk(shape, args.inputs, args.samples, job, precision, stream);
  if (error != cudaSuccess) return error;
  return launch_finish_statistics(shape, *args.memory, plan, args.samples, stream);
}

cudaError_t launch_fisher_rows(const StatisticsArgs& args, const StatisticsWorkspace& workspace, const FisherRows& out,
                               cudaStream_t stream) {
  if (args.samples == 0) return cudaSuccess;
  if (args.samples > kMostRows) return cudaErrorInvalidValue;
  const StatisticsPlan plan = plan_of(*args.shape, args.samples, workspace.multiprocessors, workspace.memory);
  if (plan.bytes > workspace.bytes) return cudaErrorInvalidValue;
  RowPass<DenseSource> pass = row_pass(args, plan);
  pass.out = out;
  return launch_fisher_rows_kernel(pass, plan.row_blocks, 1, stream);
}

} // namespace lngd::cuda
