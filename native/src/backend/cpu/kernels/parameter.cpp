// SPDX-License-Identifier: Apache-2.0
// Parameters outside of any layer: what they do in precondition (sums), layer_rate, apply_update and swap_averages. The
// formulas are in parameter_rules.h. Bound by memory: 16 bytes an element read in the first pass; 16 read and 12
// written in the second, without averages.
#include "backend/cpu/kernels/parameter.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

// What an update does: written once, instantiated for each.
template <bool AdamW, bool Gradients, bool Averages>
struct Mode {};

// `count` elements with strides ws and gs; for contiguous ones these are known to be 1.
template <bool Contiguous, bool AdamW, bool Gradients, bool Averages>
LNGD_INLINE void update_run(Mode<AdamW, Gradients, Averages>, const ParameterStep& k, int64_t count,
                            float* __restrict momentum, float* __restrict second, float* __restrict average,
                            caller_float* __restrict w, int64_t ws, caller_float* __restrict g, int64_t gs) {
  if (Contiguous) ws = gs = 1;
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) {
    const float old = w[j * ws];
    float m = momentum[j], v = AdamW ? second[j] : 0.0f;
    const float u = parameter_update<AdamW>(k, old, k.gradient * g[j * gs], m, v);
    momentum[j] = m;
    if (AdamW) second[j] = v;
    const float fresh = old - u;
    if (Gradients) {
      g[j * gs] = u;
    } else {
      w[j * ws] = fresh;
    }
    if (Averages) average[j] += k.average * (fresh - average[j]);
  }
}

template <bool AdamW, bool Gradients, bool Averages>
void update_task(Mode<AdamW, Gradients, Averages> mode, const ParameterStep& k, const StepLayer& layer,
                 const UpdateTask& task) {
  const LayerMemory& memory = *layer.memory;
  const int64_t ws = layer.weights.cs, gs = layer.weight_gradients.cs;
  for_runs(layer, task, [&](int64_t element, int64_t count, int64_t row, int64_t column) {
    float* const second = AdamW ? memory.second_moment + element : nullptr;
    float* const average = Averages ? memory.average + element : nullptr;
    caller_float* const w = at_mutable(layer.weights, row, column);
    caller_float* const g = at_mutable(layer.weight_gradients, row, column);
    if (ws == 1 && gs == 1) {
      update_run<true>(mode, k, count, memory.momentum + element, second, average, w, ws, g, gs);
    } else {
      update_run<false>(mode, k, count, memory.momentum + element, second, average, w, ws, g, gs);
    }
  });
}

template <bool Contiguous>
LNGD_INLINE ParameterSums sum_run(const ParameterStep& k, int64_t count, const float* momentum, const float* second,
                                  const caller_float* w, int64_t ws, const caller_float* g, int64_t gs) {
  if (Contiguous) ws = gs = 1;
  double dg = 0, dd = 0, gg = 0, ww = 0;
#pragma omp simd reduction(+ : dg, dd, gg, ww)
  for (int64_t j = 0; j < count; ++j) {
    const float gradient = k.gradient * g[j * gs];
    float direction = gradient;
    if (second) {
      float m = momentum[j], v = second[j];
      direction = adam_direction(k, gradient, m, v);
    }
    const double d = direction, of_g = gradient, of_w = w[j * ws];
    dg += d * of_g;
    dd += d * d;
    gg += of_g * of_g;
    ww += of_w * of_w;
  }
  return {dg, dd, gg, ww};
}

ParameterSums sum_task(const StepLayer& layer, const UpdateTask& task, float scale) {
  const LayerMemory& memory = *layer.memory;
  const ParameterStep k = parameter_step(layer.shape->parameter_rules, memory.record->moves + 1, 0, 0, 1, scale);
  const int64_t ws = layer.weights.cs, gs = layer.weight_gradients.cs;
  ParameterSums sums{};
  for_runs(layer, task, [&](int64_t element, int64_t count, int64_t row, int64_t column) {
    const float* const momentum = memory.momentum + element;
    const float* const second = memory.second_moment ? memory.second_moment + element : nullptr;
    const caller_float* const w = at(layer.weights, row, column);
    const caller_float* const g = at(layer.weight_gradients, row, column);
    add(sums, ws == 1 && gs == 1 ? sum_run<true>(k, count, momentum, second, w, ws, g, gs)
                                 : sum_run<false>(k, count, momentum, second, w, ws, g, gs));
  });
  return sums;
}

} // namespace

void parameter_sums(CpuContext& context, const StepArgs& args) {
  CpuPlan& plan = cpu(args.plan);
  if (plan.parameters.empty()) return;
  const KernelScope scope(context, plan.work_parameters);
  context.pool.parallel_for(static_cast<int64_t>(plan.parameters.size()), plan.work_parameters,
                            [&](int64_t index, int32_t) {
                              const UpdateTask& task = plan.parameters[static_cast<size_t>(index)];
                              plan.parameter_sums[static_cast<size_t>(index)] =
                                  sum_task(args.layers[task.layer], task, plan.gradients.factor);
                            });
}

void rate_parameter(const StepArgs& args, int32_t index) {
  const CpuPlan& plan = cpu(args.plan);
  ParameterSums sums{};
  for (size_t i = 0; i < plan.parameters.size(); ++i) // in the order of the tasks, whoever did them
    if (plan.parameters[i].layer == index) add(sums, plan.parameter_sums[i]);
  const StepLayer& layer = args.layers[index];
  lngd::rate_parameter(layer.shape->parameter_rules, args.factor, sums, *layer.memory->record);
}

void update_parameter(const StepArgs& args, const UpdateTask& task) {
  const StepLayer& layer = args.layers[task.layer];
  const LayerRecord& record = *layer.memory->record;
  const ParameterStep k = parameter_step(layer.shape->parameter_rules, record.moves, record.coefficient, record.decay,
                                         args.config->averaging_window, cpu(args.plan).gradients.factor);
  const bool gradients = args.update == LNGD_UPDATE_GRADIENTS, averages = layer.memory->average != nullptr;
  const auto update = [&](auto mode) { update_task(mode, k, layer, task); };
  if (layer.shape->adamw()) {
    if (gradients)
      averages ? update(Mode<true, true, true>{}) : update(Mode<true, true, false>{});
    else
      averages ? update(Mode<true, false, true>{}) : update(Mode<true, false, false>{});
  } else if (gradients) {
    averages ? update(Mode<false, true, true>{}) : update(Mode<false, true, false>{});
  } else {
    averages ? update(Mode<false, false, true>{}) : update(Mode<false, false, false>{});
  }
}

void zero_parameter(const StepLayer& layer, const UpdateTask& task) {
  for_runs(layer, task, [&](int64_t, int64_t count, int64_t row, int64_t column) {
    for (int64_t j = 0; j < count; ++j) *at_mutable(layer.weight_gradients, row, column + j) = 0;
  });
}

void exchange_parameter(const StepLayer& layer, const UpdateTask& task) {
  for_runs(layer, task, [&](int64_t element, int64_t count, int64_t row, int64_t column) {
    exchange(reinterpret_cast<caller_bits*>(layer.memory->average + element),
             reinterpret_cast<caller_bits*>(at_mutable(layer.weights, row, column)), layer.weights.cs, count);
  });
}

} // namespace lngd::cpu::LNGD_ISA
