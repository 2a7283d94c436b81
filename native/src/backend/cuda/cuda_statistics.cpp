// SPDX-License-Identifier: Apache-2.0
// Statistics in the backend table: staging of host tensors, the order of streams, the workspace.
#include <algorithm>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_step.h"
#include "backend/cuda/embedding.h"
#include "backend/cuda/second_factor.h"

namespace lngd::cuda {
namespace {

// Samples for which reserve_statistics makes room where the configuration takes all of a batch. A larger batch makes
// its own at its first coming.
constexpr int64_t kReservedSamples = 256;

StatisticsWorkspace workspace(const CudaContext& context) {
  return {context.workspace, context.workspace_bytes, context.multiprocessors, context.shared_bytes};
}

// Room for the layer's statistics; lngd_fisher_rows goes the way of LNGD whatever the second factor.
size_t dense_workspace(const CudaContext& context, const LayerShape& shape, int64_t samples) {
  const size_t rows = layer_statistics_workspace(shape, samples, context.multiprocessors);
  if (!shape.second_matrix()) return rows;
  return std::max(rows, paired_statistics_workspace(shape, samples, context.multiprocessors));
}

size_t workspace_needed(const CudaContext& context, const StatisticsArgs& args) {
  return dense_workspace(context, *args.shape, args.samples);
}
size_t workspace_needed(const CudaContext& context, const ConvStatisticsArgs& args) {
  const LayerShape& shape = *args.shape;
  const auto rows_workspace = shape.embedding ? embedding_statistics_workspace : conv_statistics_workspace;
  const size_t rows = rows_workspace(shape, args.inputs, args.samples, context.multiprocessors);
  if (!shape.second_matrix()) return rows;
  return std::max(rows, paired_statistics_workspace(shape, args.inputs, args.samples, context.multiprocessors));
}

// Columns (channels, of images) of the inputs.
int64_t input_columns(const StatisticsArgs& args) { return args.shape->inputs; }
int64_t input_columns(const ConvStatisticsArgs& args) { return conv_channels(*args.shape); }

cudaError_t launch(const StatisticsArgs& args, const CudaContext& context) {
  if (args.shape->second_matrix())
    return launch_paired_statistics(args, workspace(context), precision_of(args.precision), context.side());
  return launch_layer_statistics(args, workspace(context), precision_of(args.precision), context.side());
}
cudaError_t launch(const ConvStatisticsArgs& args, const CudaContext& context) {
  if (args.shape->second_matrix())
    return launch_paired_statistics(args, workspace(context), precision_of(args.precision), context.side());
  if (args.shape->embedding) return launch_embedding_statistics(args, workspace(context), context.side());
  return launch_conv_statistics(args, workspace(context), precision_of(args.precision), context.side());
}

cudaError_t launch_rows(const StatisticsArgs& args, const CudaContext& context, const FisherRows& out) {
  return launch_fisher_rows(args, workspace(context), out, context.side());
}
cudaError_t launch_rows(const ConvStatisticsArgs& args, const CudaContext& context, const FisherRows& out) {
  if (args.shape->embedding) return launch_embedding_fisher_rows(args, workspace(context), out, context.side());
  return launch_conv_fisher_rows(args, workspace(context), out, context.side());
}

// The batch on the device: host tensors staged, the order of streams kept, the workspace large enough.
template <class Args>
bool begin_batch(CudaContext& context, Args& args) {
  const int64_t columns = input_columns(args), outputs = args.shape->outputs;
  if (!context.reserve_workspace(workspace_needed(context, args))) return false;
  const size_t bytes =
      Staging::needed(args.inputs, args.samples, columns) + Staging::needed(args.signal, args.samples, outputs);
  if (!context.staging.begin(context.calls, bytes)) return false;
  if (args.inputs.device || args.signal.device) context.side_after_caller();
  args.inputs = context.staging.place(args.inputs, args.samples, columns);
  args.signal = context.staging.place(args.signal, args.samples, outputs);
  return context.staging.upload(context.calls, context.side());
}

void end_batch(CudaContext& context) {
  context.side_changed();
  context.staging.end(context.calls, context.side());
}

template <class Args>
void add_statistics(Context& base, const Args& args, const char* name) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  Args batch = args;
  if (!begin_batch(context, batch)) return;
  context.calls(name, [&] { return launch(batch, context); });
  end_batch(context);
}

// `rows` of q; r and c have `groups` numbers in each.
template <class Args>
void fetch_rows(Context& base, const Args& args, int64_t rows, int64_t groups, const FisherRows& out) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  Args batch = args;
  const size_t q = static_cast<size_t>(rows * args.shape->outputs), rc = static_cast<size_t>(rows * groups);
  void* memory = nullptr;
  if (!context.allocate(&memory, (q + 2 * rc) * sizeof(float))) return;
  float* const floats = static_cast<float*>(memory);
  const FisherRows device{out.q ? floats : nullptr, out.r ? floats + q : nullptr, out.c ? floats + q + rc : nullptr};
  if (begin_batch(context, batch)) {
    context.calls("launch fisher_rows", [&] { return launch_rows(batch, context, device); });
    end_batch(context);
    const auto fetch = [&context](float* to, const float* from, size_t count) {
      if (!to) return;
      context.calls("cudaMemcpyAsync", [&] {
        return cudaMemcpyAsync(to, from, count * sizeof(float), cudaMemcpyDeviceToHost, context.side());
      });
    };
    fetch(out.q, device.q, q);
    fetch(out.r, device.r, rc);
    fetch(out.c, device.c, rc);
    context.calls("cudaStreamSynchronize", [&] { return cudaStreamSynchronize(context.side()); });
  }
  cudaFree(memory);
}

} // namespace

bool reserve_statistics(Context* base, const LayerShape& shape) {
  CudaContext& context = cuda(base);
  if (shape.positional()) return context.calls.ok(); // what it needs depends on the images, or the positions
  const DeviceScope scope(context);
  const int64_t samples = context.statistics_samples > 0 ? context.statistics_samples : kReservedSamples;
  return context.reserve_workspace(dense_workspace(context, shape, samples));
}

void layer_statistics(Context& base, const StatisticsArgs& args) {
  add_statistics(base, args, "launch layer_statistics");
}

void conv_statistics(Context& base, const ConvStatisticsArgs& args) {
  add_statistics(base, args, "launch conv_statistics");
}

void fisher_rows(Context& base, const StatisticsArgs& args, const FisherRows& out) {
  fetch_rows(base, args, args.samples, 1, out);
}

void conv_fisher_rows(Context& base, const ConvStatisticsArgs& args, const FisherRows& out) {
  fetch_rows(base, args, args.samples * args.signal.height * args.signal.width, args.shape->groups, out);
}

void discard_statistics(Context& base, const LayerShape& shape, LayerMemory& memory) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  const auto clear = [&context](void* at, size_t bytes) {
    context.calls("cudaMemsetAsync", [&] { return cudaMemsetAsync(at, 0, bytes, context.side()); });
  };
  if (shape.blocks.is_diagonal)
    clear(memory.phi_diagonal_sum, static_cast<size_t>(shape.d) * sizeof(double));
  else
    clear(memory.phi_sum, static_cast<size_t>(shape.blocks.floats()) * sizeof(float));
  if (shape.second_matrix()) {
    clear(memory.second_sum, static_cast<size_t>(shape.second_floats()) * sizeof(float));
    clear(memory.totals, static_cast<size_t>(2 * shape.groups + 1) * sizeof(double));
  } else {
    clear(memory.psi_sum, static_cast<size_t>(shape.outputs) * sizeof(double));
  }
  clear(memory.denominator, static_cast<size_t>(shape.groups) * sizeof(double));
  clear(&memory.record->samples, sizeof memory.record->samples);
  clear(&memory.record->poisoned, sizeof memory.record->poisoned);
  context.side_changed();
}

void publish_counts(Context& base, const LayerRecord* records, double* counts, int32_t layers) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  context.calls("launch publish_counts",
                [&] { return launch_publish_counts(records, counts, layers, context.side()); });
  context.side_changed();
  context.caller_after_side();
}

void take_counts(Context& base, LayerRecord* records, const double* counts, int32_t layers) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  context.side_after_caller();
  context.calls("launch take_counts", [&] { return launch_take_counts(records, counts, layers, context.side()); });
  context.side_changed();
}

} // namespace lngd::cuda
