// SPDX-License-Identifier: Apache-2.0
// The table of the layer rates: all that a step's launches need to know of its per-sample tensors, which are others at
// every step. RateLayers, ProjectionTasks, then room for partial sums.
#include <cstdio>

#include "backend/cuda/cuda_plan.h"

namespace lngd::cuda {
namespace {

size_t rounded(size_t bytes) { return (bytes + 255) / 256 * 256; }

struct Offsets {
  size_t projections, partials, end;
};

Offsets offsets(const CudaPlan& plan) {
  Offsets o;
  o.projections = rounded(plan.rate_layers.size() * sizeof(RateLayer));
  o.partials = o.projections + rounded(plan.projections.size() * sizeof(ProjectionTask));
  o.end = o.partials + static_cast<size_t>(plan.partials) * sizeof(double);
  return o;
}

// Where the samples of this step lie on the device. Returns whether their number has changed for a layer.
bool place_samples(CudaContext& context, CudaPlan& plan, const StepArgs& args) {
  bool changed = false;
  for (int32_t i = 0; i < plan.layers; ++i) {
    const StepLayer& layer = args.layers[i];
    RateLayer& rate = plan.rate_layers[static_cast<size_t>(i)];
    changed |= rate.samples != layer.samples;
    rate.samples = layer.samples;
    rate.used = rate_samples(*args.config, layer.samples);
    if (layer.samples == 0) continue;
    rate.sample_inputs = context.staging.place(layer.sample_inputs, layer.samples, layer.shape->inputs);
    rate.sample_deltas = context.staging.place(layer.sample_deltas, layer.samples, layer.shape->outputs);
  }
  return changed;
}

bool stage_samples(CudaContext& context, CudaPlan& plan, const StepArgs& args) {
  size_t bytes = 0;
  for (int32_t i = 0; i < plan.layers; ++i) {
    const StepLayer& layer = args.layers[i];
    if (layer.samples == 0) continue;
    bytes += Staging::needed(layer.sample_inputs, layer.samples, layer.shape->inputs) +
             Staging::needed(layer.sample_deltas, layer.samples, layer.shape->outputs);
  }
  if (!context.staging.begin(context.calls, bytes)) return false;
  if (place_samples(context, plan, args)) {
    plan.projections.clear();
    plan.partials = 0;
    for (int32_t i = 0; i < plan.layers; ++i) {
      const RateLayer& rate = plan.rate_layers[static_cast<size_t>(i)];
      if (rate.samples == 0) continue;
      append_projection_tasks(i, rate, plan.projections);
      plan.partials += rate_partials(rate);
    }
  }
  return context.staging.upload(context.calls, context.caller);
}

void fill_image(CudaPlan& plan, const ChangingTable& table, const Offsets& o) {
  int64_t partial = 0;
  for (RateLayer& rate : plan.rate_layers) {
    rate.partial = table.at<double>(o.partials) + partial;
    if (rate.samples > 0) partial += rate_partials(rate);
  }
  plan.rate_image.assign(o.partials, 0);
  std::memcpy(plan.rate_image.data(), plan.rate_layers.data(), plan.rate_layers.size() * sizeof(RateLayer));
  if (!plan.projections.empty())
    std::memcpy(plan.rate_image.data() + o.projections, plan.projections.data(),
                plan.projections.size() * sizeof(ProjectionTask));
}

} // namespace

size_t rate_projections_offset(const CudaPlan& plan) { return offsets(plan).projections; }

bool prepare_rates(CudaContext& context, CudaPlan& plan, const StepArgs& args) {
  Calls& calls = context.calls;
  const bool empirical = args.config->rate == LNGD_RATE_EMPIRICAL;
  if (empirical && !stage_samples(context, plan, args)) return false;
  const Offsets o = offsets(plan);
  if (args.captured) {
    if (!empirical) return calls.ok(); // the table that every step uses
    if (o.end > plan.captured_rates.bytes()) {
      Failure failure;
      failure.status = LNGD_INVALID_STATE;
      std::snprintf(failure.message, sizeof failure.message,
                    "the step to be captured has more samples than any before it, and memory cannot be made during a "
                    "capture: take a step of that size first");
      calls.fail(failure);
      return false;
    }
    fill_image(plan, plan.captured_rates, o);
    return plan.captured_rates.capture(calls, plan.rate_image.data(), o.partials, context.caller);
  }
  if (empirical && !plan.captured_rates.reserve(calls, o.end)) return false;
  if (!plan.rates.reserve(calls, o.end)) return false;
  fill_image(plan, plan.rates, o);
  return plan.rates.write(calls, plan.rate_image.data(), o.partials, context.caller);
}

} // namespace lngd::cuda
