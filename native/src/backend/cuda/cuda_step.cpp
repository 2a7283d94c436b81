// SPDX-License-Identifier: Apache-2.0
// The kernels of a step in the backend table: which stream, after what, with which tables.
#include "backend/cuda/cuda_step.h"

#include "backend/cuda/cuda_plan.h"

namespace lngd::cuda {
namespace {

// A table of flags, one a layer.
template <class Due>
const int32_t* write_due(CudaContext& context, const StepArgs& args, ChangingTable& table, Due due) {
  CudaPlan& plan = cuda(args.plan);
  for (int32_t i = 0; i < args.count; ++i) plan.flags[static_cast<size_t>(i)] = due(args.layers[i]) ? 1 : 0;
  table.write(context.calls, plan.flags.data(), plan.flags.size() * sizeof(int32_t), context.side());
  return table.at<int32_t>();
}

const RateLayer* rate_table(const CudaPlan& plan, const StepArgs& args) {
  const bool own = args.captured && args.config->rate == LNGD_RATE_EMPIRICAL;
  return own ? plan.captured_rates.back().at<RateLayer>() : plan.rates.at<RateLayer>();
}

} // namespace

void running_average(Context& base, const StepArgs& args) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  CudaPlan& plan = cuda(args.plan);
  context.side_after_step();
  if (args.scaling.on_device()) context.side_after_caller(); // who wrote it there
  const StepSettings settings = step_settings(*args.config, args.factor, args.scaling);
  context.calls("launch store_settings",
                [&] { return launch_store_settings(settings, plan.settings + 1, context.side()); });
  if (args.scaling.on_device())
    context.calls("launch gradient_scale",
                  [&] { return launch_gradient_scale(plan.settings + 1, nullptr, 0, 0, nullptr, context.side()); });
  const int32_t* const due =
      write_due(context, args, plan.average_due, [](const StepLayer& layer) { return layer.average_due; });
  context.calls("launch running_average", [&] {
    return launch_running_average(plan.settings + 1, plan.average_layers, due, plan.layers, plan.averages,
                                  plan.average_count, context.side());
  });
  context.side_changed();
}

void factor_inverse(Context& base, const StepArgs& args) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  CudaPlan& plan = cuda(args.plan);
  context.side_after_step();
  const DampingRule rule{damping_rules(*args.config), damped_by_layer(*args.config) ? plan.lambdas : nullptr};
  const int32_t* const due =
      write_due(context, args, plan.inverse_due, [](const StepLayer& layer) { return layer.inverse_due; });
  if (rule.given)
    context.calls("launch layer_damping", [&] {
      return launch_layer_damping(plan.damped, plan.damped_count, rule.rules, due, plan.lambdas, context.side());
    });
  context.calls("launch factor_inverse", [&] {
    return launch_factor_inverse(*plan.factor_plan, plan.factors, rule, due, plan.results, context.side());
  });
  context.calls("launch diagonal_inverse", [&] {
    return launch_diagonal_inverse(plan.diagonals, plan.diagonal_count, rule, due, plan.results, context.side());
  });
  context.calls("launch factor_records", [&] {
    return launch_factor_records(plan.factor_layers, plan.layers, rule, due, plan.results, context.side());
  });
  context.side_changed();
}

void begin_step(Context& base, const StepArgs& args) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  CudaPlan& plan = cuda(args.plan);
  plan.wrote_weights = plan.wrote_gradients = false;
  if (args.captured) return; // begin_replay does both for each launch of the graph
  context.caller_after_side();
  const StepSettings settings = step_settings(*args.config, args.factor, args.scaling);
  context.calls("launch store_settings",
                [&] { return launch_store_settings(settings, plan.settings, context.caller); });
}

void begin_replay(Context& base, const StepArgs& args) {
  begin_step(base, args);
  cuda(base).step_unmarked();
}

double gradient_norm(Context* base, const Plan* plan) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  double norm = 0;
  const double* const from = static_cast<const CudaPlan*>(plan)->gradient_norm;
  context.calls("cudaMemcpyAsync",
                [&] { return cudaMemcpyAsync(&norm, from, sizeof norm, cudaMemcpyDeviceToHost, context.caller); });
  context.calls("cudaStreamSynchronize", [&] { return cudaStreamSynchronize(context.caller); });
  return norm;
}

bool capturable(const Plan* plan) { return !static_cast<const CudaPlan*>(plan)->mirrors.any(); }

void precondition(Context& base, const StepArgs& args) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  CudaPlan& plan = cuda(args.plan);
  plan.mirrors.upload(context.calls, Mirrors::kGradients, context.caller);
  plan.mirrors.upload(context.calls, Mirrors::kWeights, context.caller);
  const double largest = args.config->gradient_clipping;
  if (largest > 0)
    context.calls("launch gradient_squares", [&] {
      return launch_gradient_squares(plan.device_layers, plan.updates, plan.update_count, plan.gradient_squares,
                                     context.caller);
    });
  // In a graph always: whether the scaling will lie on the device when it is launched, nobody knows now.
  if (largest > 0 || args.scaling.on_device() || args.captured)
    context.calls("launch gradient_scale", [&] {
      return launch_gradient_scale(plan.settings, plan.gradient_squares, largest > 0 ? plan.update_count : 0, largest,
                                   plan.gradient_norm, context.caller);
    });
  context.calls("launch parameter_sums", [&] {
    return launch_parameter_sums(plan.settings, plan.device_layers,
                                 plan.updates + plan.update_count - plan.parameter_task_count,
                                 plan.parameter_task_count, plan.parameter_sums, context.caller);
  });
  const DirectionTile* const diagonal_tiles = plan.tiles + plan.tile_count + plan.output_tile_count;
  if (args.config->orthogonalise != 0) {
    context.calls("launch orthogonal", [&] {
      return launch_orthogonal(plan.settings, plan.device_layers, plan.orthogonal, plan.tiles, plan.tile_count,
                               plan.tiles + plan.tile_count, plan.output_tile_count, diagonal_tiles,
                               plan.diagonal_tile_count, plan.sums + plan.tile_count, context.direction_precision,
                               context.caller);
    });
    return;
  }
  if (plan.output_tile_count > 0) {
    context.calls("launch dense_precondition", [&] {
      return launch_dense_precondition(plan.settings, plan.device_layers, plan.seconds, plan.tiles, plan.tile_count,
                                       plan.tiles + plan.tile_count, plan.output_tile_count, diagonal_tiles,
                                       plan.diagonal_tile_count, plan.sums + plan.tile_count, context.caller);
    });
    return;
  }
  context.calls("launch precondition", [&] {
    return launch_precondition(plan.settings, plan.device_layers, plan.tiles, plan.tile_count, plan.sums,
                               context.direction_precision, context.caller);
  });
  context.calls("launch diagonal_precondition", [&] {
    return launch_diagonal_precondition(plan.settings, plan.device_layers, diagonal_tiles, plan.diagonal_tile_count,
                                        plan.sums + plan.tile_count, context.caller);
  });
}

void layer_rate(Context& base, const StepArgs& args) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  CudaPlan& plan = cuda(args.plan);
  if (!prepare_rates(context, plan, args)) return;
  const RateLayer* const layers = rate_table(plan, args);
  const bool empirical = args.config->rate == LNGD_RATE_EMPIRICAL;
  if (empirical) {
    const auto* const tasks =
        reinterpret_cast<const ProjectionTask*>(reinterpret_cast<const char*>(layers) + rate_projections_offset(plan));
    const int32_t dense = plan.dense_projections, conv = plan.conv_projections,
                  all = static_cast<int32_t>(plan.projections.size());
    context.calls("launch rate_projections",
                  [&] { return launch_rate_projections(layers, tasks, dense, context.caller); });
    context.calls("launch conv_rate_projections",
                  [&] { return launch_conv_rate_projections(layers, tasks + dense, conv, context.caller); });
    context.calls("launch embedding_rate_projections", [&] {
      return launch_embedding_rate_projections(layers, tasks + dense + conv, all - dense - conv, context.caller);
    });
  }
  context.calls("launch layer_rate", [&] {
    return launch_layer_rate(plan.settings, layers, plan.layers, plan.tiles, plan.sums, context.caller);
  });
  if (empirical && !args.captured) context.staging.end(context.calls, context.caller);
}

void apply_update(Context& base, const StepArgs& args) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  CudaPlan& plan = cuda(args.plan);
  const bool gradients = args.update == LNGD_UPDATE_GRADIENTS;
  context.calls("launch apply_update", [&] {
    return launch_apply_update(plan.settings, plan.device_layers, plan.updates, plan.update_count, gradients,
                               context.caller, args.config->orthogonalise != 0);
  });
  (gradients ? plan.wrote_gradients : plan.wrote_weights) = true;
}

void swap_averages(Context& base, const StepArgs& args) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  CudaPlan& plan = cuda(args.plan);
  plan.mirrors.upload(context.calls, Mirrors::kWeights, context.caller);
  context.calls("launch swap_averages", [&] {
    return launch_swap_averages(plan.device_layers, plan.updates, plan.update_count, context.caller);
  });
  plan.wrote_weights = true;
}

void end_step(Context& base, const StepArgs& args) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  CudaPlan& plan = cuda(args.plan);
  if (args.captured) return;
  context.step_done();
  if (!plan.mirrors.any()) return;
  const bool weights = plan.wrote_weights && plan.mirrors.has(Mirrors::kWeights);
  const bool gradients = plan.wrote_gradients && plan.mirrors.has(Mirrors::kGradients);
  if (weights) plan.mirrors.download(context.calls, Mirrors::kWeights, context.caller);
  if (gradients) plan.mirrors.download(context.calls, Mirrors::kGradients, context.caller);
  // A download has waited. What was uploaded and not downloaded must have been read before the pinned copies are filled
  // again. (Waiting once more after a download was wrong: where that failed, the caller's tensors had changed.)
  if (!weights && !gradients)
    context.calls("cudaStreamSynchronize", [&] { return cudaStreamSynchronize(context.caller); });
}

} // namespace lngd::cuda
