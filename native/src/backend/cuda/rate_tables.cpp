// SPDX-License-Identifier: Apache-2.0
// The table of the layer rates: all that a step's launches need to know of its per-sample tensors, which are others at
// every step. RateLayers, ProjectionTasks, then room for partial sums.
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

// Where the samples of this step lie on the device. Returns whether the number of rows has changed for a layer.
bool place_samples(CudaContext& context, CudaPlan& plan, const StepArgs& args) {
  bool changed = false;
  for (int32_t i = 0; i < plan.layers; ++i) {
    const StepLayer& layer = args.layers[i];
    const LayerShape& shape = *layer.shape;
    RateLayer& rate = plan.rate_layers[static_cast<size_t>(i)];
    const int64_t samples = rate.samples;
    const int32_t positions = rate.positions;
    rate.samples = layer.samples;
    rate.used = rate_samples(*args.config, layer.samples);
    if (layer.samples > 0 && shape.positional()) {
      const Activations inputs = context.staging.place(layer.conv_inputs, layer.samples, conv_channels(shape));
      const Activations deltas = context.staging.place(layer.conv_deltas, layer.samples, shape.outputs);
      if (shape.embedding) {
        rate.positions = inputs.width;
        rate.indices = inputs;
        rate.conv_deltas = deltas;
      } else {
        set_rate_patches(shape, inputs, deltas, layer.samples, rate);
      }
    } else if (layer.samples > 0) {
      rate.sample_inputs = context.staging.place(layer.sample_inputs, layer.samples, shape.inputs);
      rate.sample_deltas = context.staging.place(layer.sample_deltas, layer.samples, shape.outputs);
    }
    changed |= rate.samples != samples || rate.positions != positions;
  }
  return changed;
}

size_t staged_bytes(const StepLayer& layer) {
  const LayerShape& shape = *layer.shape;
  if (layer.samples == 0) return 0;
  if (shape.positional())
    return Staging::needed(layer.conv_inputs, layer.samples, conv_channels(shape)) +
           Staging::needed(layer.conv_deltas, layer.samples, shape.outputs);
  return Staging::needed(layer.sample_inputs, layer.samples, shape.inputs) +
         Staging::needed(layer.sample_deltas, layer.samples, shape.outputs);
}

// The projections of dense layers, then those of convolutions, then those of embeddings: a launch each.
void list_projections(CudaPlan& plan, const StepArgs& args) {
  plan.projections.clear();
  plan.partials = 0;
  const auto append = [&](auto belongs) {
    for (int32_t i = 0; i < plan.layers; ++i) {
      const RateLayer& rate = plan.rate_layers[static_cast<size_t>(i)];
      if (rate.samples > 0 && belongs(*args.layers[i].shape)) append_projection_tasks(i, rate, plan.projections);
    }
    return static_cast<int32_t>(plan.projections.size());
  };
  plan.dense_projections = append([](const LayerShape& shape) { return !shape.positional(); });
  plan.conv_projections = append([](const LayerShape& shape) { return shape.convolution; }) - plan.dense_projections;
  append([](const LayerShape& shape) { return shape.embedding; });
  for (const RateLayer& rate : plan.rate_layers)
    if (rate.samples > 0) plan.partials += rate_partials(rate);
}

bool stage_samples(CudaContext& context, CudaPlan& plan, const StepArgs& args) {
  size_t bytes = 0;
  for (int32_t i = 0; i < plan.layers; ++i) bytes += staged_bytes(args.layers[i]);
  if (!context.staging.begin(context.calls, bytes)) return false;
  if (place_samples(context, plan, args)) list_projections(plan, args);
  return context.staging.upload(context.calls, context.caller);
}

// `partials`: of the table that the image is made for.
void fill_image(CudaPlan& plan, double* partials, const Offsets& o) {
  int64_t partial = 0;
  for (RateLayer& rate : plan.rate_layers) {
    rate.partial = partials + partial;
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
    if (!empirical) return calls.ok(); // the table that every step uses, whose size never changes
    CapturedTable& table = plan.captured_rates.emplace_back(); // freed with the plan, also where what follows fails
    if (!table.create(calls, o.end)) return false;
    fill_image(plan, table.at<double>(o.partials), o);
    return table.send(calls, plan.rate_image.data(), o.partials, context.caller);
  }
  if (!plan.rates.reserve(calls, o.end)) return false;
  fill_image(plan, plan.rates.at<double>(o.partials), o);
  return plan.rates.write(calls, plan.rate_image.data(), o.partials, context.caller);
}

} // namespace lngd::cuda
