// SPDX-License-Identifier: Apache-2.0
// apply_update: momentum, weight decay, weights, averaged weights (spec section 7), all tensors of a plan at once:
//
//   zeta = coefficient D                                  M <- tau M + zeta
//   u = decay W - (M, or with Nesterov tau M + zeta)       coefficient and decay: layer_rate
//   W <- W - u      or, for frameworks that subtract, G <- u
//   avg <- avg + c/(c + t) ((W - u) - avg)                t = moves of the layer before this one
//
// With orthogonalise M averages gradients, of which layer_rate's D was made:
//
//   M <- tau M + (1 - tau) (s G + wd W)    u = decay W - zeta         wd: of coupled decay, else 0; s: scale of
//                                                                     the gradients (gradient_scale.h)
//
// W - u is rounded the same way in both modes, so a framework that subtracts u has the bits that the average was made
// of. The kernel is bound by memory: 4 streams read, 3 written. skipped layers: nothing moves, and G (where it is
// handed out) becomes 0. Parameters outside of any layer move by parameter_rules.h.
#include "backend/cpu/kernels/parameter.h"
#include "backend/cpu/kernels/precondition_rows.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

struct Coefficients {
  float zeta, momentum, momentum_part, zeta_part, decay, average;
  float fresh, coupled; // with orthogonalise: 1 - tau and wd
  float gradient;       // likewise: what G is multiplied by
};

Coefficients coefficients(const StepArgs& args, const StepLayer& layer) {
  const LayerRecord& record = *layer.memory->record;
  const lngd_config& c = *args.config;
  const float momentum = static_cast<float>(c.momentum);
  const double t = static_cast<double>(record.moves - 1); // layer_rate has counted this one
  Coefficients k{};
  k.zeta = static_cast<float>(record.coefficient);
  k.momentum = momentum;
  k.momentum_part = c.nesterov ? momentum : 1.0f;
  k.zeta_part = c.nesterov ? 1.0f : 0.0f;
  k.decay = static_cast<float>(record.decay);
  k.average = static_cast<float>(c.averaging_window / (c.averaging_window + t));
  if (c.orthogonalise != 0) {
    k.fresh = static_cast<float>(1.0 - c.momentum);
    k.coupled = coupled_decay(c, layer);
    k.gradient = cpu(args.plan).gradients.factor;
    k.momentum_part = 0;
    k.zeta_part = 1;
  }
  return k;
}

// a b + c as the compiler makes it of that sum alone: with a product for c it might round the other one.
LNGD_INLINE float fused(float a, float b, float c) {
#if defined(__FMA__)
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

// What momentum is of: updates zeta or, with orthogonalise, gradients, which may be scaled.
enum class Momentum { Updates, Gradients, Scaled };

// What is written, and what momentum is of.
template <bool Gradients, bool Averages, Momentum Of>
struct Mode {};

// One row of `count` elements with strides ws (weights) and gs (gradients). Written once, instantiated for each mode,
// and for contiguous rows, where the strides are known to be 1.
template <bool Contiguous, bool Gradients, bool Averages, Momentum Of>
LNGD_INLINE void update_row(Mode<Gradients, Averages, Of>, const Coefficients& k, int64_t count,
                            const float* __restrict d, float* __restrict momentum, float* __restrict average,
                            caller_float* __restrict w, int64_t ws, caller_float* __restrict g, int64_t gs) {
  if (Contiguous) ws = gs = 1;
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) {
    const float zeta = k.zeta * d[j];
    const float old = w[j * ws];
    const float moved = k.momentum * momentum[j] + (Of == Momentum::Updates ? zeta
                                                    : Of == Momentum::Gradients
                                                        ? k.fresh * (g[j * gs] + k.coupled * old)
                                                        : k.fresh * fused(k.coupled, old, k.gradient * g[j * gs]));
    momentum[j] = moved;
    const float u = k.decay * old - (k.momentum_part * moved + k.zeta_part * zeta);
    const float fresh = old - u;
    if (Gradients) {
      g[j * gs] = u;
    } else {
      w[j * ws] = fresh;
    }
    if (Averages) average[j] += k.average * (fresh - average[j]);
  }
}

template <bool Gradients, bool Averages, Momentum Of>
void update_rows(Mode<Gradients, Averages, Of> mode, const Coefficients& k, const StepLayer& layer,
                 const UpdateTask& task) {
  const LayerShape& shape = *layer.shape;
  for (int64_t row = task.row0; row < task.row1; ++row) {
    const int64_t offset = row * shape.ldw;
    const float* const d = layer.memory->direction + offset;
    float* const momentum = layer.memory->momentum + offset;
    float* const average = Averages ? layer.memory->average + offset : nullptr;
    caller_float* const w = at_mutable(layer.weights, row);
    caller_float* const g = at_mutable(layer.weight_gradients, row);
    const int64_t ws = layer.weights.cs, gs = layer.weight_gradients.cs;
    if (ws == 1 && gs == 1) {
      update_row<true>(mode, k, shape.inputs, d, momentum, average, w, ws, g, gs);
    } else {
      update_row<false>(mode, k, shape.inputs, d, momentum, average, w, ws, g, gs);
    }
    if (shape.bias)
      update_row<false>(mode, k, 1, d + shape.inputs, momentum + shape.inputs,
                        Averages ? average + shape.inputs : nullptr, at_mutable(layer.bias, row), 1,
                        at_mutable(layer.bias_gradients, row), 1);
  }
}

template <Momentum Of>
void update_task(const Coefficients& k, const StepLayer& layer, const UpdateTask& task, bool gradients, bool averages) {
  const auto update = [&](auto mode) { update_rows(mode, k, layer, task); };
  if (gradients)
    averages ? update(Mode<true, true, Of>{}) : update(Mode<true, false, Of>{});
  else
    averages ? update(Mode<false, true, Of>{}) : update(Mode<false, false, Of>{});
}

void zero_rows(const StepLayer& layer, const UpdateTask& task) {
  const LayerShape& shape = *layer.shape;
  for (int64_t row = task.row0; row < task.row1; ++row) {
    for (int64_t j = 0; j < shape.inputs; ++j) *at_mutable(layer.weight_gradients, row, j) = 0;
    if (shape.bias) *at_mutable(layer.bias_gradients, row) = 0;
  }
}

void run_task(const StepArgs& args, const UpdateTask& task) {
  const StepLayer& layer = args.layers[task.layer];
  const LayerRecord& record = *layer.memory->record;
  const bool gradients = args.update == LNGD_UPDATE_GRADIENTS;
  if (record.last_step_skipped) {
    if (gradients) layer.shape->parameter ? zero_parameter(layer, task) : zero_rows(layer, task);
    return;
  }
  if (layer.shape->parameter) return update_parameter(args, task);
  const Coefficients k = coefficients(args, layer);
  const bool averages = layer.memory->average != nullptr;
  if (args.config->orthogonalise == 0)
    update_task<Momentum::Updates>(k, layer, task, gradients, averages);
  else if (k.gradient == 1)
    update_task<Momentum::Gradients>(k, layer, task, gradients, averages);
  else
    update_task<Momentum::Scaled>(k, layer, task, gradients, averages);
}

void exchange_rows(const StepLayer& layer, const UpdateTask& task) {
  if (layer.shape->parameter) return exchange_parameter(layer, task);
  const LayerShape& shape = *layer.shape;
  const int64_t stride = layer.weights.cs;
  for (int64_t row = task.row0; row < task.row1; ++row) {
    caller_bits* const average = reinterpret_cast<caller_bits*>(layer.memory->average + row * shape.ldw);
    caller_bits* const w = reinterpret_cast<caller_bits*>(at_mutable(layer.weights, row));
    if (stride == 1)
      exchange(average, w, 1, shape.inputs);
    else
      exchange(average, w, stride, shape.inputs);
    if (shape.bias) exchange(average + shape.inputs, reinterpret_cast<caller_bits*>(at_mutable(layer.bias, row)), 1, 1);
  }
}

} // namespace

void apply_update(Context& base, const StepArgs& args) {
  CpuContext& context = cpu(base);
  const CpuPlan& plan = cpu(args.plan);
  const KernelScope scope(context, plan.work_update);
  context.pool.parallel_for(static_cast<int64_t>(plan.updates.size()), plan.work_update,
                            [&](int64_t task, int32_t) { run_task(args, plan.updates[static_cast<size_t>(task)]); });
}

void swap_averages(Context& base, const StepArgs& args) {
  CpuContext& context = cpu(base);
  const CpuPlan& plan = cpu(args.plan);
  const KernelScope scope(context, plan.work_update);
  context.pool.parallel_for(static_cast<int64_t>(plan.updates.size()), plan.work_update, [&](int64_t index, int32_t) {
    const UpdateTask& task = plan.updates[static_cast<size_t>(index)];
    const StepLayer& layer = args.layers[task.layer];
    if (layer.memory->record->moves > 0) exchange_rows(layer, task);
  });
}

} // namespace lngd::cpu::LNGD_ISA
