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

constexpr const char* kFields[4] = {"weights", "bias", "weight_gradients", "bias_gradients"};

std::array<Strided*, 4> tensors(StepLayer& step) {
  return {&step.weights, &step.bias, &step.weight_gradients, &step.bias_gradients};
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
    step.rows = binding.rows;
    step.columns = binding.columns;
    steps_.push_back(step);
    next_.push_back({step.weights.data, step.bias.data, step.weight_gradients.data, step.bias_gradients.data});
  }
  extents_.reserve(4 * steps_.size());
  check_overlap(next_);
  samples_.resize(steps_.size());
  elsewhere_.resize(steps_.size());
  optimizer.require_no_capture();
  optimizer.plans_.push_back(this);
  plan_ = optimizer.backend_->plan_create(optimizer.context_, steps_.data(), size(), optimizer.config_);
  if (!plan_) {
    optimizer.plans_.pop_back();
    optimizer.check_device();
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
         static_cast<int64_t>(steps_.size() * (sizeof(StepLayer) + sizeof(Layer*) + sizeof(Samples) +
                                               4 * (sizeof(float*) + sizeof(Extent))));
}

void StepPlan::check_overlap(const std::vector<std::array<float*, 4>>& addresses) {
  extents_.clear();
  for (int32_t i = 0; i < size(); ++i) {
    StepLayer& step = steps_[static_cast<size_t>(i)];
    const std::array<Strided*, 4> views = tensors(step);
    for (size_t k = 0; k < views.size(); ++k) {
      const bool vector = k % 2 == 1, gradient = k >= 2;
      if (vector && !step.shape->bias) continue;
      Strided view = *views[k];
      view.data = addresses[static_cast<size_t>(i)][k];
      // Weights are written by lngd_step or, with LNGD_UPDATE_GRADIENTS, by lngd_swap_averages.
      const bool written = !gradient || update_ == LNGD_UPDATE_GRADIENTS;
      extents_.push_back(extent(view, step.rows, vector ? 1 : step.columns, written, i, kFields[k]));
    }
  }
  require_disjoint(extents_);
}

void StepPlan::rebind(const Addresses& addresses) {
  optimizer_.require_no_capture();
  bool changed = !bound_;
  for (size_t i = 0; i < steps_.size(); ++i) {
    const std::array<Strided*, 4> views = tensors(steps_[i]);
    for (size_t k = 0; k < views.size(); ++k) {
      float* const before = views[k]->data;
      next_[i][k] = before;
      if (!addresses[k] || !before) continue; // a layer without bias has no vectors
      float* const after = static_cast<float*>(addresses[k][i]);
      require(after != nullptr, kFields[k], "[", i, "] is NULL, allowed is a valid address");
      require(!views[k]->device || reinterpret_cast<uintptr_t>(after) % sizeof(float) == 0, kFields[k], "[", i, "] is ",
              static_cast<const void*>(after), ", allowed is a multiple of 4 in device memory");
      next_[i][k] = after;
      changed |= after != before;
    }
  }
  require(bound_ || std::find(addresses.begin(), addresses.end(), nullptr) == addresses.end(),
          "an array is NULL, allowed are addresses of all tensors after a rebind that failed");
  if (!changed) return;
  check_overlap(next_);
  for (size_t i = 0; i < steps_.size(); ++i) {
    const std::array<Strided*, 4> views = tensors(steps_[i]);
    for (size_t k = 0; k < views.size(); ++k) views[k]->data = next_[i][k];
  }
  bound_ = false;
  optimizer_.backend_->plan_rebind(*optimizer_.context_, plan_, steps_.data(), size());
  optimizer_.check_device();
  bound_ = true;
}

void StepPlan::check_bound() const {
  if (!bound_)
    fail(LNGD_INVALID_STATE, "the device failed while lngd_plan_rebind was under way; rebind all tensors of the plan, ",
         "or destroy it");
}

bool StepPlan::needs_samples() const {
  return optimizer_.config_.rate == LNGD_RATE_EMPIRICAL &&
         !std::all_of(layers_.begin(), layers_.end(), [](const Layer* layer) { return layer->shape.parameter; });
}

void StepPlan::check_steppable(double factor) const {
  require(std::isfinite(factor) && factor >= 0, "factor is ", factor, ", allowed is a finite number of 0 or more");
  check_bound();
  for (const Layer* layer : layers_)
    if (layer->swapped)
      fail(LNGD_INVALID_STATE, "averaged weights of layer ", layer->shape.index,
           " are swapped in; swap them back with lngd_swap_averages before the next step");
}

void StepPlan::check_sums() const {
  if (optimizer_.sums_closed_)
    fail(LNGD_INVALID_STATE, "the sums are closed: call lngd_sums_reduced once they hold the total of all ranks, or ",
         "drop them by lngd_discard of all layers");
  if (!optimizer_.reduction_) return;
  for (const Layer* layer : layers_)
    if (optimizer_.awaits(*layer) && !layer->refreshed && !layer->reduced)
      fail(LNGD_INVALID_STATE, "layer ", layer->shape.index, " waits for the sums of all ranks (lngd_set_reduction): ",
           "call lngd_sums_close, add the sums of all ranks, and call lngd_sums_reduced");
}

StepArgs StepPlan::arguments(double factor, bool captured) {
  return StepArgs{steps_.data(), size(), update_, &optimizer_.config_, factor, plan_, captured, scaling_};
}

// Neither flag is ever lost again: once both are there, a step has nothing to ask of the device. Nor has it before the
// layer's first average.
void StepPlan::read_progress() {
  for (size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = *layers_[i];
    if (!(steps_[i].average_due || steps_[i].inverse_due) || (layer.has_average && layer.has_inverse)) continue;
    LayerRecord record;
    optimizer_.read(&record, layer.memory.record, sizeof record);
    layer.has_average = record.has_average != 0;
    layer.has_inverse = record.has_inverse != 0;
  }
}

// A layer that will still be observed is left to the step, but for shared inverses: those a step cannot take.
void StepPlan::mark_due(bool early) {
  const lngd_config& config = optimizer_.config_;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = *layers_[i];
    const bool waiting = optimizer_.needs(layer) & LNGD_NEEDS_STATISTICS && layer.observed_samples == 0;
    const bool now = !layer.shape.parameter && !layer.refreshed && !(early && waiting && !optimizer_.shared());
    steps_[i].average_due = now && layer.observed_samples > 0;
    // Also after a first average, or another one where no inverse could be made yet, and after a factor was written
    // from outside. Without any average there is nothing to invert: a layer that nobody observes costs no launch, and
    // no question to the device whether it has an inverse now.
    const bool inverse = now && (layer.has_average || steps_[i].average_due) &&
                         (layer.steps % config.inverse_interval == 0 || layer.inverse_stale ||
                          (!layer.has_inverse && steps_[i].average_due));
    steps_[i].inverse_due = inverse && optimizer_.owns(layer);
    elsewhere_[i] = inverse && !steps_[i].inverse_due;
  }
}

void StepPlan::check_inverses() const {
  if (!optimizer_.shared()) return;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const int32_t index = layers_[i]->shape.index;
    if (layers_[i]->awaiting)
      fail(LNGD_INVALID_STATE, "layer ", index, " waits for its inverses, which are shared among ranks: broadcast the ",
           "range of owner ", optimizer_.owners_[static_cast<size_t>(index)], ", and call lngd_inverses_received");
    if (steps_[i].inverse_due || elsewhere_[i])
      fail(LNGD_INVALID_STATE, "the inverses of layer ", index, " are due, and shared among ranks: call lngd_refresh, ",
           "broadcast the ranges of their owners, and call lngd_inverses_received before the step");
  }
}

// Running averages and inverses that are due.
void StepPlan::update_factors(bool early) {
  bool any_average = false, any_inverse = false, any_own = false;
  for (size_t i = 0; i < layers_.size(); ++i) {
    any_average |= steps_[i].average_due;
    any_own |= steps_[i].inverse_due;
    any_inverse |= steps_[i].inverse_due || elsewhere_[i];
  }
  const Backend& backend = *optimizer_.backend_;
  Context& context = *optimizer_.context_;
  const StepArgs args = arguments(0.0, false);
  // If it fails half-way: the sums are lost, and the inverses have to be made again.
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (steps_[i].average_due) {
      layers_[i]->observed_samples = 0;
      layers_[i]->torn = layers_[i]->failed = true;
      layers_[i]->reduced = false;
    }
    if (steps_[i].inverse_due || elsewhere_[i]) layers_[i]->inverse_stale = true;
  }
  Clock::time_point time = Clock::now();
  if (any_average) backend.running_average(context, args), lap(time, optimizer_.times_.statistics);
  if (any_inverse) optimizer_.take_signal_reference(); // on all ranks, whoever inverts
  if (any_own) backend.factor_inverse(context, args), lap(time, optimizer_.times_.inverse);
  optimizer_.check_device();
  for (size_t i = 0; i < layers_.size(); ++i) {
    const bool inverse = steps_[i].inverse_due || elsewhere_[i];
    if (steps_[i].average_due) layers_[i]->torn = layers_[i]->failed = false;
    if (inverse) layers_[i]->inverse_stale = false;
    layers_[i]->awaiting |= inverse && optimizer_.shared();
    // Where the rest of this step fails, another try of it must not ask for the sums of the other ranks again.
    layers_[i]->refreshed |= (early || optimizer_.reduction_) && (steps_[i].average_due || inverse);
  }
  read_progress();
}

void StepPlan::count_step() {
  stepped_ = true;
  for (Layer* layer : layers_) {
    ++layer->steps;
    layer->refreshed = layer->reduced = false;
    layer->has_direction |= layer->has_inverse;
  }
}

void StepPlan::step(double factor, const Samples* samples) {
  check_steppable(factor);
  require(!needs_samples() || samples, "samples is NULL, allowed is one entry for each binding: the rate is EMPIRICAL");
  const Backend& backend = *optimizer_.backend_;
  Context& context = *optimizer_.context_;
  const bool captured = backend.capturing(&context);
  optimizer_.check_device();
  bool on_device = true;
  for (size_t i = 0; samples && i < layers_.size(); ++i) {
    steps_[i].sample_inputs = samples[i].inputs;
    steps_[i].sample_deltas = samples[i].deltas;
    steps_[i].conv_inputs = samples[i].conv_inputs;
    steps_[i].conv_deltas = samples[i].conv_deltas;
    steps_[i].samples = samples[i].count;
    if (layers_[i]->shape.parameter) continue;
    on_device &= layers_[i]->shape.positional() ? samples[i].conv_inputs.device && samples[i].conv_deltas.device
                                                : samples[i].inputs.device && samples[i].deltas.device;
  }
  scaling_ = optimizer_.scaling(true);
  if (captured && !(on_device && backend.capturable(plan_)))
    fail(LNGD_INVALID_STATE, "the stream of lngd_set_stream is being captured, and a tensor of this step lies in host ",
         "memory; allowed is device memory for all of them");
  if (!captured) {
    check_sums();
    mark_due(false);
    check_inverses();
    update_factors(false);
  }
  lngd_times& times = optimizer_.times_;
  const StepArgs args = arguments(factor, captured);
  Clock::time_point time = Clock::now();
  backend.begin_step(context, args);
  backend.precondition(context, args), lap(time, times.precondition);
  backend.layer_rate(context, args), lap(time, times.rate);
  backend.apply_update(context, args);
  backend.end_step(context, args), lap(time, times.update);
  // The CPU goes on after a layer that lacked memory: the others have moved. CUDA stops before anything has.
  const bool taken = optimizer_.config_.device == LNGD_DEVICE_CPU;
  if (taken) count_step();
  optimizer_.check_device();
  if (!taken && !captured) count_step();
}

void StepPlan::refresh() {
  optimizer_.require_no_capture();
  check_sums();
  scaling_ = optimizer_.scaling(false);
  mark_due(true);
  update_factors(true);
  if (optimizer_.shared()) optimizer_.publish_inverses();
}

bool StepPlan::replay(double factor) {
  check_steppable(factor);
  optimizer_.require_no_capture();
  check_sums();
  for (const Layer* layer : layers_)
    if (layer->awaiting) return false; // as the step will say
  const Backend& backend = *optimizer_.backend_;
  if (!backend.capturable(plan_)) return false;
  const lngd_config& config = optimizer_.config_;
  for (const Layer* layer : layers_) {
    if (layer->shape.parameter) continue;
    const bool due = layer->steps % config.statistics_interval == 0 || layer->steps % config.inverse_interval == 0;
    if (!layer->has_inverse || layer->inverse_stale || layer->observed_samples > 0 || (due && !layer->refreshed))
      return false;
  }
  scaling_ = optimizer_.scaling(true);
  backend.begin_replay(*optimizer_.context_, arguments(factor, false));
  optimizer_.check_device();
  count_step();
  return true;
}

double StepPlan::gradient_norm() const {
  if (!(optimizer_.config_.gradient_clipping > 0))
    fail(LNGD_INVALID_STATE, "gradient_clipping is 0 in the configuration: no norm is taken of the gradients");
  if (!stepped_) fail(LNGD_INVALID_STATE, "the plan has taken no step yet, whose gradients would have a norm");
  optimizer_.require_no_capture();
  const double norm = optimizer_.backend_->gradient_norm(optimizer_.context_, plan_);
  optimizer_.check_device();
  return norm;
}

bool StepPlan::swap_averages() {
  const Backend& backend = *optimizer_.backend_;
  Context& context = *optimizer_.context_;
  if (!optimizer_.config_.averaging)
    fail(LNGD_INVALID_STATE, "averaging is off in the configuration: there are no averaged weights to swap in");
  check_bound();
  // A layer that has not moved has no average yet: it stays as it is (the kernel looks at its record too).
  std::vector<Layer*> moved;
  for (Layer* layer : layers_) {
    LayerRecord record;
    optimizer_.read(&record, layer->memory.record, sizeof record);
    if (record.moves > 0) moved.push_back(layer);
  }
  if (moved.empty()) return false;
  scaling_ = {};
  const StepArgs args = arguments(0.0, false);
  backend.begin_step(context, args);
  backend.swap_averages(context, args);
  backend.end_step(context, args);
  optimizer_.check_device();
  bool swapped = false;
  for (Layer* layer : moved) {
    layer->swapped = !layer->swapped;
    swapped |= layer->swapped;
  }
  return swapped;
}

} // namespace lngd
