// SPDX-License-Identifier: Apache-2.0
// Entry points of a plan: bindings, step, averaged weights.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "abi/guard.h"
#include "abi/handles.h"
#include "abi/tensor.h"

using namespace lngd;      // NOLINT: entry points only
using namespace lngd::abi; // NOLINT

namespace {

Binding check_binding(const Optimizer& optimizer, const lngd_binding& in, const std::string& at) {
  const LayerShape& shape = optimizer.layer(in.layer).shape;
  const lngd_layer_config& config = optimizer.layer(in.layer).config;
  Binding out{};
  out.layer = in.layer;
  if (shape.parameter) {
    const ParameterPair pair = parameter_pair(optimizer, &in.weights, &in.weight_gradients, at, shape.inputs);
    out.weights = pair.weights;
    out.weight_gradients = pair.gradients;
    out.rows = pair.rows;
    out.columns = pair.columns;
    return out;
  }
  out.rows = shape.outputs;
  out.columns = shape.inputs;
  const auto take = [&](const lngd_tensor& tensor, const char* field) {
    const std::string name = at + field;
    const Strided view = weight_matrix(optimizer, &tensor, name.c_str(), config, shape);
    require_distinct(view, shape.outputs, shape.inputs, name.c_str());
    return view;
  };
  const auto take_vector = [&](const lngd_tensor& tensor, const char* field) {
    if (!shape.bias) return Strided{};
    const std::string name = at + field;
    const Strided view = vector(optimizer, &tensor, name.c_str(), shape.outputs);
    require_distinct(view, shape.outputs, 1, name.c_str());
    return view;
  };
  out.weights = take(in.weights, "weights");
  out.bias = take_vector(in.bias, "bias");
  out.weight_gradients = take(in.weight_gradients, "weight_gradients");
  out.bias_gradients = take_vector(in.bias_gradients, "bias_gradients");
  return out;
}

} // namespace

extern "C" {

lngd_status lngd_plan_create(lngd_optimizer* handle, const lngd_binding* bindings, int32_t count, int32_t update,
                             lngd_plan** out) {
  return guard([&] {
    const Locked locked(handle);
    require_pointer(bindings, "bindings");
    require_pointer(out, "out");
    require(count >= 1 && count <= locked.optimizer().layer_count(), "count is ", count, ", allowed is 1 to ",
            locked.optimizer().layer_count());
    std::vector<Binding> checked;
    for (int32_t i = 0; i < count; ++i)
      checked.push_back(check_binding(locked.optimizer(), bindings[i], "bindings[" + std::to_string(i) + "]."));
    auto plan = std::make_unique<StepPlan>(locked.optimizer(), checked, update);
    *out = publish(plan.get(), handle);
    plan.release();
  });
}

lngd_status lngd_plan_destroy(lngd_plan* handle) {
  return guard([&] {
    const Locked locked(handle, Locked::kToDestroy);
    retire(handle);
    delete &locked.plan();
  });
}

lngd_status lngd_plan_rebind(lngd_plan* handle, int32_t count, void* const* weights, void* const* biases,
                             void* const* weight_gradients, void* const* bias_gradients) {
  return guard([&] {
    const Locked locked(handle);
    StepPlan& plan = locked.plan();
    require(count == plan.size(), "count is ", count, ", allowed is ", plan.size(), ", the bindings of the plan");
    plan.rebind({weights, biases, weight_gradients, bias_gradients});
  });
}

lngd_status lngd_step(lngd_plan* handle, double factor, const lngd_samples* samples) {
  return guard([&] {
    const Locked locked(handle);
    StepPlan& plan = locked.plan();
    if (!samples || !plan.needs_samples()) {
      plan.step(factor, nullptr);
      return;
    }
    Samples* checked = plan.sample_buffer();
    for (int32_t i = 0; i < plan.size(); ++i) {
      // Names in a buffer, not in strings: a step does not allocate.
      char name[48];
      const LayerShape& shape = plan.layer(i).shape;
      if (shape.parameter) {
        checked[i] = {};
        continue;
      }
      std::snprintf(name, sizeof name, "samples[%d].inputs", i);
      if (shape.positional()) {
        const lngd_layer_config& config = plan.layer(i).config;
        const Images images = positional_inputs(plan.optimizer(), &samples[i].inputs, name, config, shape);
        std::snprintf(name, sizeof name, "samples[%d].deltas", i);
        const Activations deltas =
            positional_outputs(plan.optimizer(), &samples[i].deltas, name, config, shape, images);
        checked[i] = {{}, {}, images.view, deltas, images.samples};
        continue;
      }
      const Matrix a = batch(plan.optimizer(), &samples[i].inputs, name, shape.inputs);
      std::snprintf(name, sizeof name, "samples[%d].deltas", i);
      const Matrix delta = matrix(plan.optimizer(), &samples[i].deltas, name, a.rows, shape.outputs);
      checked[i] = {a.view, delta.view, {}, {}, a.rows};
    }
    plan.step(factor, checked);
  });
}

lngd_status lngd_refresh(lngd_plan* handle) {
  return guard([&] { Locked(handle).plan().refresh(); });
}

lngd_status lngd_replay(lngd_plan* handle, double factor, int32_t* allowed) {
  return guard([&] {
    require_pointer(allowed, "allowed");
    *allowed = Locked(handle).plan().replay(factor);
  });
}

lngd_status lngd_gradient_norm(const lngd_plan* handle, double* norm) {
  return guard([&] {
    require_pointer(norm, "norm");
    *norm = Locked(handle).plan().gradient_norm();
  });
}

lngd_status lngd_swap_averages(lngd_plan* handle, int32_t* swapped) {
  return guard([&] {
    const bool in = Locked(handle).plan().swap_averages();
    if (swapped) *swapped = in;
  });
}

} // extern "C"
