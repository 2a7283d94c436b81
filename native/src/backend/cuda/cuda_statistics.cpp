// SPDX-License-Identifier: Apache-2.0
// Statistics in the backend table: staging of host tensors, the order of streams, the workspace.
#include <cstdio>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_step.h"

namespace lngd::cuda {
namespace {

// Samples for which reserve_statistics makes room where the configuration takes all of a batch. A larger batch makes
// its own at its first coming.
constexpr int64_t kReservedSamples = 256;

StatisticsWorkspace workspace(const CudaContext& context) {
  return {context.workspace, context.workspace_bytes, context.multiprocessors};
}

// The batch on the device: host tensors staged, the order of streams kept, the workspace large enough.
bool begin_batch(CudaContext& context, StatisticsArgs& args) {
  const LayerShape& shape = *args.shape;
  const size_t needed = layer_statistics_workspace(shape, args.samples, context.multiprocessors);
  if (!context.reserve_workspace(needed)) return false;
  const size_t bytes = Staging::needed(args.inputs, args.samples, shape.inputs) +
                       Staging::needed(args.signal, args.samples, shape.outputs);
  if (!context.staging.begin(context.calls, bytes)) return false;
  if (args.inputs.device || args.signal.device) context.side_after_caller();
  args.inputs = context.staging.place(args.inputs, args.samples, shape.inputs);
  args.signal = context.staging.place(args.signal, args.samples, shape.outputs);
  return context.staging.upload(context.calls, context.side());
}

void refuse_convolution(CudaContext& context) {
  Failure failure;
  failure.status = LNGD_INVALID_ARGUMENT;
  std::snprintf(failure.message, sizeof failure.message,
                "the CUDA backend has no kernels for convolutions yet, allowed are dense layers");
  context.calls.fail(failure);
}

void end_batch(CudaContext& context) {
  context.side_changed();
  context.staging.end(context.calls, context.side());
}

} // namespace

bool reserve_statistics(Context* base, const LayerShape& shape) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  if (shape.convolution) {
    refuse_convolution(context);
    return false;
  }
  const int64_t samples = context.statistics_samples > 0 ? context.statistics_samples : kReservedSamples;
  return context.reserve_workspace(layer_statistics_workspace(shape, samples, context.multiprocessors));
}

void layer_statistics(Context& base, const StatisticsArgs& args) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  StatisticsArgs batch = args;
  if (!begin_batch(context, batch)) return;
  context.calls("launch layer_statistics",
                [&] { return launch_layer_statistics(batch, workspace(context), context.precision, context.side()); });
  end_batch(context);
}

void conv_statistics(Context& base, const ConvStatisticsArgs&) { refuse_convolution(cuda(base)); }

void conv_fisher_rows(Context& base, const ConvStatisticsArgs&, const FisherRows&) { refuse_convolution(cuda(base)); }

void discard_statistics(Context& base, const LayerShape& shape, LayerMemory& memory) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  const auto clear = [&context](void* at, size_t bytes) {
    context.calls("cudaMemsetAsync", [&] { return cudaMemsetAsync(at, 0, bytes, context.side()); });
  };
  clear(memory.phi_sum, static_cast<size_t>(shape.blocks.floats()) * sizeof(float));
  clear(memory.psi_sum, static_cast<size_t>(shape.outputs) * sizeof(double));
  clear(memory.denominator, static_cast<size_t>(shape.groups) * sizeof(double));
  clear(&memory.record->samples, sizeof memory.record->samples);
  clear(&memory.record->poisoned, sizeof memory.record->poisoned);
  context.side_changed();
}

void fisher_rows(Context& base, const StatisticsArgs& args, const FisherRows& out) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  StatisticsArgs batch = args;
  const size_t rows = static_cast<size_t>(args.samples), q = rows * static_cast<size_t>(args.shape->outputs);
  void* memory = nullptr;
  if (!context.allocate(&memory, (q + 2 * rows) * sizeof(float))) return;
  float* const floats = static_cast<float*>(memory);
  const FisherRows device{out.q ? floats : nullptr, out.r ? floats + q : nullptr, out.c ? floats + q + rows : nullptr};
  if (begin_batch(context, batch)) {
    context.calls("launch fisher_rows",
                  [&] { return launch_fisher_rows(batch, workspace(context), device, context.side()); });
    end_batch(context);
    const auto fetch = [&context](float* to, const float* from, size_t count) {
      if (!to) return;
      context.calls("cudaMemcpyAsync", [&] {
        return cudaMemcpyAsync(to, from, count * sizeof(float), cudaMemcpyDeviceToHost, context.side());
      });
    };
    fetch(out.q, device.q, q);
    fetch(out.r, device.r, rows);
    fetch(out.c, device.c, rows);
    context.calls("cudaStreamSynchronize", [&] { return cudaStreamSynchronize(context.side()); });
  }
  cudaFree(memory);
}

} // namespace lngd::cuda
