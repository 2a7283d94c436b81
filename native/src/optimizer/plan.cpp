// SPDX-License-Identifier: Apache-2.0
#include "optimizer/plan.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "optimizer/error.h"

namespace lngd {
namespace {

using Clock = std::chrono::steady_clock;

// Adds the time since `from` to a counter and moves on.
void lap(Clock::time_point& from, int64_t& counter) {
  const Clock::time_point now = Clock::now();
  counter += std::chrono::nanoseconds(now - from).count();
  from = now;
}

} // namespace

StepPlan::StepPlan(Optimizer& optimizer, const std::vector<Binding>& bindings, int32_t update)
    : optimizer_(optimizer), update_(update) {
  require(update == LNGD_UPDATE_WEIGHTS || update == LNGD_UPDATE_GRADIENTS, "update is ", update,
          ", allowed is 0 or 1");
  for (const Binding& binding : bindings) {
    Layer& layer = optimizer.layer(binding.layer);
    require(std::find(layers_.begin(), layers_.end(), &layer) == layers_.end(), "bindings has layer ", binding.layer,
            " twice, allowed is once");
    layers_.push_back(&layer);
    StepLayer step{};
    step.shape = &layer.shape;
    step.memory = &layer.memory;
    step.weights = binding.weights;
    step.bias = binding.bias;
    step.weight_gradients = binding.weight_gradients;
    step.bias_gradients = binding.bias_gradients;
    steps_.push_back(step);
  }
  samples_.resize(steps_.size());
  optimizer.plans_.push_back(this);
  plan_ = optimizer.backend_->plan_create(optimizer.context_, steps_.data(), size(), optimizer.config_);
  if (!plan_) {
    optimizer.plans_.pop_back();
    fail(LNGD_OUT_OF_MEMORY, "no memory for the workspaces of a plan of ", size(), " layers");
  }
}

StepPlan::~StepPlan() {
  if (plan_) optimizer_.backend_->plan_destroy(optimizer_.context_, plan_);
  auto& plans = optimizer_.plans_;
  plans.erase(std::remove(plans.begin(), plans.end(), this), plans.end());
}

int64_t StepPlan::bytes() const {
  return optimizer_.backend_->plan_bytes(plan_) +
         static_cast<int64_t>(steps_.size() * (sizeof(StepLayer) + sizeof(Layer*)));
}

bool StepPlan::needs_samples() const { return optimizer_.config_.rate == LNGD_RATE_EMPIRICAL; }

void StepPlan::step(double factor, const Samples* samples) {
  require(std::isfinite(factor) && factor >= 0, "factor is ", factor, ", allowed is a finite number of 0 or more");
  const lngd_config& config = optimizer_.config_;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = *layers_[i];
    if (layer.swapped)
      fail(LNGD_INVALID_STATE, "averaged weights of layer ", layer.shape.index,
           " are swapped in; swap them back with lngd_swap_averages before the next step");
    require(!needs_samples() || samples,
            "samples is NULL, allowed is one entry for each binding: the rate is EMPIRICAL");
  }
  bool any_average = false, any_inverse = false;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = *layers_[i];
    StepLayer& step = steps_[i];
    step.average_due = layer.observed_samples > 0;
    // Also as soon as there is a first average, and after a factor was written from outside.
    step.inverse_due = layer.steps % config.inverse_interval == 0 || layer.inverse_stale || !layer.has_inverse;
    any_average |= step.average_due;
    any_inverse |= step.inverse_due;
    if (samples) {
      step.sample_inputs = samples[i].inputs;
      step.sample_deltas = samples[i].deltas;
      step.conv_inputs = samples[i].conv_inputs;
      step.conv_deltas = samples[i].conv_deltas;
      step.samples = samples[i].count;
    }
  }
  const Backend& backend = *optimizer_.backend_;
  Context& context = *optimizer_.context_;
  lngd_times& times = optimizer_.times_;
  const StepArgs args{steps_.data(), size(), update_, &config, factor, plan_};
  Clock::time_point time = Clock::now();
  if (any_average) backend.running_average(context, args), lap(time, times.statistics);
  if (any_inverse) backend.factor_inverse(context, args), lap(time, times.inverse);
  backend.precondition(context, args), lap(time, times.precondition);
  backend.layer_rate(context, args), lap(time, times.rate);
  backend.apply_update(context, args), lap(time, times.update);
  for (size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = *layers_[i];
    ++layer.steps;
    layer.observed_samples = 0;
    if (steps_[i].inverse_due) layer.inverse_stale = false;
    // Neither is ever lost again: once both are there, a step has nothing to ask of the device.
    if ((steps_[i].average_due || steps_[i].inverse_due) && !(layer.has_average && layer.has_inverse)) {
      LayerRecord record;
      backend.read(&context, &record, layer.memory.record, sizeof record);
      layer.has_average = record.has_average != 0;
      layer.has_inverse = record.has_inverse != 0;
    }
    layer.has_direction |= layer.has_inverse;
  }
  optimizer_.check_device();
}

bool StepPlan::swap_averages() {
  const Backend& backend = *optimizer_.backend_;
  Context& context = *optimizer_.context_;
  if (!optimizer_.config_.averaging)
    fail(LNGD_INVALID_STATE, "averaging is off in the configuration: there are no averaged weights to swap in");
  // A layer that has not moved has no average yet: it stays as it is (the kernel looks at its record too).
  bool moved = false, swapped = false;
  for (Layer* layer : layers_) {
    LayerRecord record;
    backend.read(&context, &record, layer->memory.record, sizeof record);
    if (record.moves == 0) continue;
    moved = true;
    layer->swapped = !layer->swapped;
    swapped |= layer->swapped;
  }
  if (!moved) return false;
  backend.swap_averages(context, StepArgs{steps_.data(), size(), update_, &optimizer_.config_, 0.0, plan_});
  return swapped;
}

} // namespace lngd
