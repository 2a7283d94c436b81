// SPDX-License-Identifier: Apache-2.0
//
// Sequences of calls, valid ones and misuse, on one optimizer. After each: the status is one that the call can have, an
// error has a message and has changed nothing, a read-out has changed nothing, weights are finite, and nothing beside
// the tensors was written to.
#include "calls.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

namespace fuzz {
namespace {

// What a call may change where it succeeds.
enum class Changes { Nothing, Optimizer, Tensors };

struct Call {
  const char* name;
  Changes changes;
  std::function<lngd_status(World&, Random&)> make;
};

// One thing about a tensor that is wrong, and that can be seen without reading its elements.
void spoil(lngd_tensor& tensor, std::vector<std::int64_t>& shape, Random& random) {
  shape.assign(tensor.shape, tensor.shape + tensor.ndim);
  tensor.shape = shape.data();
  const std::size_t axis = static_cast<std::size_t>(random.below(static_cast<std::int64_t>(shape.size())));
  switch (random.below(7)) {
    case 0:
      tensor.data = nullptr;
      break;
    case 1:
      tensor.ndim = random.of({0, -1, 5, 1000000});
      break;
    case 2:
      tensor.dtype_bits = random.of<std::uint8_t>({16, 64, 0});
      break;
    case 3:
      tensor.dtype_code = random.of<std::uint8_t>({0, 1, 4, 255});
      break;
    case 4:
      tensor.device_type = random.of({0, 2, 4, 13, -1});
      break;
    case 5:
      shape[axis] = random.of<std::int64_t>({0, -1, INT64_MAX, INT64_MIN, std::int64_t{1} << 40});
      break;
    default:
      tensor.shape = nullptr;
      break;
  }
}

std::int32_t any_layer(const World& world, Random& random) {
  const auto count = static_cast<std::int32_t>(world.layers.size());
  return random.once_in(8) ? random.of({-1, -2, count, count + 1, INT32_MAX, INT32_MIN})
                           : static_cast<std::int32_t>(random.below(count));
}

bool is_layer(const World& world, std::int32_t layer) {
  return layer >= 0 && layer < static_cast<std::int32_t>(world.layers.size());
}

lngd_status observe(World& world, Random& random) {
  const std::int32_t layer = any_layer(world, random);
  const auto i = static_cast<std::size_t>(is_layer(world, layer) ? layer : 0);
  const std::int64_t samples = random.between(1, 5);
  const auto inputs = world.inputs(i, samples), signal = world.signal(i, random.once_in(10) ? samples + 1 : samples);
  inputs->fill(random, random.once_in(2));
  signal->fill(random, random.once_in(2));
  if (world.layers[i].kind == LNGD_LAYER_EMBEDDING && !random.once_in(5))
    for (std::int64_t n = 0; n < samples; ++n)
      inputs->data()[n] = static_cast<float>(random.below(world.layers[i].inputs));
  lngd_tensor a = inputs->view(), s = signal->view();
  std::vector<std::int64_t> shape;
  if (random.once_in(6)) spoil(random.once_in(2) ? a : s, shape, random);
  const std::int32_t kind = random.once_in(10) ? random.whole() : world.signal_kind(i);
  const lngd_status status =
      lngd_observe(world.optimizer, layer, random.once_in(50) ? nullptr : &a, random.once_in(50) ? nullptr : &s, kind);
  if (!inputs->guards_intact() || !signal->guards_intact()) found("memory beside a batch was written to");
  return status;
}

lngd_status step(World& world, Random& random) {
  if (random.once_in(3)) world.fill_gradients(random, random.once_in(2));
  const double factor = random.once_in(6) ? random.setting() : random.uniform();
  std::vector<std::unique_ptr<Buffer>> buffers;
  std::vector<lngd_samples> samples;
  std::vector<std::int64_t> shape;
  for (std::size_t i = 0; i < world.layers.size(); ++i) {
    const std::int64_t count = random.between(1, 4);
    buffers.push_back(world.inputs(i, count));
    buffers.push_back(world.signal(i, count));
    for (std::size_t k = buffers.size() - 2; k < buffers.size(); ++k) buffers[k]->fill(random, random.once_in(2));
    samples.push_back({buffers[buffers.size() - 2]->view(), buffers.back()->view()});
  }
  if (random.once_in(8)) spoil(samples[0].deltas, shape, random);
  return lngd_step(world.plan, factor, random.once_in(2) ? nullptr : samples.data());
}

// A scale that is one or not, in a number or a tensor, and a flag that is mostly not set.
lngd_status gradient_scale(World& world, Random& random) {
  world.scale.data()[0] =
      random.of({1.0f, 1.0f, 2.0f, 65536.0f, 0.0f, -1.0f, 1e-38f, 1e-20f, 1e20f, 3e38f, INFINITY, NAN});
  world.found_inf.data()[0] = random.once_in(4) ? random.number() : 0.0f;
  lngd_tensor scale = world.scale.view(), flag = world.found_inf.view();
  std::vector<std::int64_t> shape;
  if (random.once_in(8)) spoil(random.once_in(2) ? scale : flag, shape, random);
  return lngd_set_gradient_scale(world.optimizer, random.once_in(2) ? 1.0 : random.setting(),
                                 random.once_in(2) ? nullptr : &scale,
                                 random.once_in(20) ? random.whole() : static_cast<std::int32_t>(random.below(2)),
                                 random.once_in(2) ? nullptr : &flag);
}

lngd_status plan(World& world, Random& random) {
  std::vector<lngd_binding> all = world.bindings();
  std::vector<std::int64_t> shape;
  if (random.once_in(2)) {
    lngd_binding& one = all[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(all.size())))];
    spoil(random.once_in(2) ? one.weights : one.weight_gradients, shape, random);
  }
  if (random.once_in(4)) all[0].layer = any_layer(world, random);
  const auto count = static_cast<std::int32_t>(all.size());
  lngd_plan* other = nullptr;
  const lngd_status status = lngd_plan_create(world.optimizer, random.once_in(20) ? nullptr : all.data(),
                                              random.once_in(10) ? random.of({0, -1, INT32_MIN}) : count,
                                              random.once_in(10) ? random.whole() : world.update, &other);
  if (status == LNGD_OK && lngd_plan_destroy(other) != LNGD_OK) found("a plan cannot be destroyed");
  return status;
}

lngd_status rebind(World& world, Random& random) {
  std::vector<void*> weights, biases, weight_gradients, bias_gradients;
  for (const auto& layer : world.tensors) {
    weights.push_back(layer->weights.data());
    biases.push_back(layer->bias.data());
    weight_gradients.push_back(layer->weight_gradients.data());
    bias_gradients.push_back(layer->bias_gradients.data());
  }
  if (random.once_in(5)) weights[0] = nullptr;
  const auto count = static_cast<std::int32_t>(weights.size());
  return lngd_plan_rebind(world.plan, random.once_in(5) ? random.whole() : count,
                          random.once_in(3) ? nullptr : weights.data(), random.once_in(3) ? nullptr : biases.data(),
                          random.once_in(3) ? nullptr : weight_gradients.data(),
                          random.once_in(3) ? nullptr : bias_gradients.data());
}

lngd_status create(World& world, Random& random) {
  lngd_config config = world.config;
  std::vector<lngd_layer_config> layers = world.layers;
  double* const reals[] = {&config.learning_rate,
                           &config.momentum,
                           &config.weight_decay,
                           &config.damping_factor,
                           &config.damping_floor,
                           &config.damping_min,
                           &config.damping_max,
                           &config.rho,
                           &config.mu,
                           &config.trust_ratio,
                           &config.trust_depth_slope,
                           &config.output_decay,
                           &config.second_damping,
                           &config.signal_reference,
                           &config.averaging_window,
                           &config.gradient_clipping};
  std::int32_t* const wholes[] = {&config.fisher,
                                  &config.damping,
                                  &config.trust,
                                  &config.rate,
                                  &config.decay,
                                  &config.nesterov,
                                  &config.averaging,
                                  &config.block_size,
                                  &config.statistics_samples,
                                  &config.rate_samples,
                                  &config.approximation,
                                  &config.second_block_size,
                                  &config.soft_trust,
                                  &config.output_bound,
                                  &config.orthogonalise,
                                  &config.precision,
                                  &config.statistics_interval,
                                  &config.inverse_interval};
  for (std::int64_t k = random.between(1, 3); k > 0; --k) {
    if (random.once_in(2))
      *reals[random.below(static_cast<std::int64_t>(std::size(reals)))] = random.setting();
    else
      *wholes[random.below(static_cast<std::int64_t>(std::size(wholes)))] = random.whole();
  }
  lngd_layer_config& layer = layers[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(layers.size())))];
  std::int32_t* const of_layer[] = {&layer.kind,
                                    &layer.bias,
                                    &layer.activation,
                                    &layer.output,
                                    &layer.fisher,
                                    &layer.groups,
                                    &layer.rank,
                                    &layer.stride[0],
                                    &layer.dilation[1],
                                    &layer.padding,
                                    &layer.padding_before[0],
                                    &layer.method,
                                    &layer.trust_off};
  double* const real_of_layer[] = {&layer.learning_rate,   &layer.weight_decay,    &layer.beta1,
                                   &layer.beta2,           &layer.epsilon,         &layer.momentum,
                                   &layer.rate_multiplier, &layer.decay_multiplier};
  if (random.once_in(3))
    *real_of_layer[random.below(static_cast<std::int64_t>(std::size(real_of_layer)))] = random.setting();
  if (random.once_in(2)) *of_layer[random.below(static_cast<std::int64_t>(std::size(of_layer)))] = random.whole();
  if (random.once_in(5)) layer.inputs = random.of<std::int64_t>({0, -1, (1 << 24) + 1, INT64_MAX, INT64_MIN});
  lngd_optimizer* other = nullptr;
  const lngd_status status = lngd_create(&config, layers.data(), static_cast<std::int32_t>(layers.size()), &other);
  if (status == LNGD_OK && lngd_destroy(other) != LNGD_OK) found("an optimizer cannot be destroyed");
  if (status != LNGD_OK && other != nullptr) found("a handle from a create that failed");
  return status;
}

lngd_status read_field(World& world, Random& random) {
  const std::int32_t layer = any_layer(world, random), field = static_cast<std::int32_t>(random.between(-1, 8));
  std::int64_t count = 0;
  lngd_status status = lngd_layer_read(world.optimizer, layer, field, nullptr, 0, &count);
  if (status != LNGD_OK) return status;
  std::vector<float> values(static_cast<std::size_t>(count) + 1, 7.0f);
  status =
      lngd_layer_read(world.optimizer, layer, field, values.data(), random.once_in(5) ? count - 1 : count, nullptr);
  if (values.back() != 7.0f) found("a read-out writes more than it says");
  return status;
}

lngd_status write_field(World& world, Random& random) {
  const std::int32_t layer = any_layer(world, random);
  const std::int32_t field =
      random.of<std::int32_t>({LNGD_FIELD_PHI, LNGD_FIELD_PSI, LNGD_FIELD_MOMENTUM, LNGD_FIELD_SECOND_MOMENT, 99, -1});
  std::int64_t count = 0;
  if (lngd_layer_read(world.optimizer, layer, field, nullptr, 0, &count) != LNGD_OK) count = 3;
  std::vector<float> values(static_cast<std::size_t>(count) + 1);
  for (float& value : values) value = static_cast<float>(random.uniform());
  return lngd_layer_write(world.optimizer, layer, field, values.data(), random.once_in(4) ? count + 1 : count);
}

lngd_status restore(World& world, Random& random) {
  if (world.saved.empty()) world.saved = world.state();
  if (world.saved.empty()) return LNGD_OK;
  return lngd_state_restore(world.optimizer, world.saved.data(),
                            static_cast<std::int64_t>(world.saved.size()) - (random.once_in(3) ? random.below(40) : 0));
}

lngd_status save(World& world, Random&) {
  const std::vector<unsigned char> now = world.state();
  if (!now.empty()) world.saved = now;
  return LNGD_OK;
}

// Closes the sums and stands for the other ranks.
lngd_status close_sums(World& world, Random& random) {
  lngd_sums view{};
  view.struct_size = random.once_in(20) ? static_cast<std::uint32_t>(random.bits()) : sizeof view;
  lngd_status status = lngd_get_sums(world.optimizer, &view);
  if (status != LNGD_OK) return status;
  std::int64_t offset = 0, count = 0;
  const std::int32_t layer = any_layer(world, random);
  if (lngd_sum_range(world.optimizer, layer, random.once_in(5) ? random.whole() : LNGD_SUM_COUNTS, &offset, &count) ==
          LNGD_OK &&
      (offset < 0 || count < 0 || offset + count > std::max(view.double_count, view.float_count)))
    found("a range of the sums lies outside of them");
  status = lngd_sums_close(world.optimizer);
  if (status != LNGD_OK) return status;
  const auto ranks = static_cast<float>(random.between(1, 3));
  for (std::int64_t i = 0; i < view.float_count; ++i) view.floats[i] *= ranks;
  for (std::int64_t i = 0; i < view.double_count; ++i) view.doubles[i] *= static_cast<double>(ranks);
  const auto anywhere = random.below(view.double_count);
  if (random.once_in(8)) view.doubles[anywhere] = random.once_in(2) ? random.setting() : std::nan("");
  return LNGD_OK;
}

// New owners, for which the plan has to go and come. This is one of two ranks; as a rule it owns all, so that steps go
// on: what the other one owns never comes, and only a restored state forgets it.
lngd_status share_inverses(World& world, Random& random) {
  const bool all = !random.once_in(4);
  std::vector<std::int32_t> owners;
  for (std::size_t i = 0; i < world.layers.size(); ++i)
    owners.push_back(random.once_in(30) ? random.whole() : static_cast<std::int32_t>(all ? 1 : random.below(2)));
  const auto count = static_cast<std::int32_t>(owners.size());
  if (random.once_in(5)) // refused: there is a plan
    return lngd_share_inverses(world.optimizer, owners.data(), random.once_in(3) ? random.whole() : count, 1);
  if (lngd_plan_destroy(world.plan) != LNGD_OK) found("a plan cannot be destroyed");
  const bool stop = random.once_in(3);
  const lngd_status status = lngd_share_inverses(world.optimizer, stop ? nullptr : owners.data(), stop ? 0 : count,
                                                 random.once_in(10) ? random.whole() : 1);
  const std::string message = lngd_last_error();
  world.make_plan();
  if (status != LNGD_OK && message.empty()) found("an error without a message");
  return status;
}

// What another rank may send: anything, into ranges that are not this one's.
lngd_status broadcast_inverses(World& world, Random& random) {
  lngd_inverses view{};
  view.struct_size = random.once_in(20) ? static_cast<std::uint32_t>(random.bits()) : sizeof view;
  const lngd_status status = lngd_get_inverses(world.optimizer, &view);
  if (status != LNGD_OK) return status;
  std::int64_t offset = 0, count = 0;
  double operations = 0;
  const std::int32_t owner = random.once_in(5) ? random.whole() : 0;
  if (lngd_inverse_cost(world.optimizer, any_layer(world, random), &operations, &count) == LNGD_OK &&
      !(operations >= 0 && count >= 0 && count <= view.float_count))
    found("the cost of an inversion is out of range");
  if (lngd_inverse_range(world.optimizer, owner, &offset, &count) != LNGD_OK) return LNGD_OK;
  if (offset < 0 || count < 0 || offset + count > view.float_count)
    found("a range of the inverses lies outside of them");
  if (view.rank >= 0 && owner != view.rank)
    for (std::int64_t i = offset; i < offset + count; ++i) view.floats[i] = random.number();
  return LNGD_OK;
}

lngd_status handles(World& world, Random& random) {
  // A handle of another kind, none, or garbage.
  const std::uintptr_t garbage = random.once_in(2) ? reinterpret_cast<std::uintptr_t>(world.plan) : random.bits();
  auto* const wrong = reinterpret_cast<lngd_optimizer*>(random.once_in(4) ? 0 : garbage);
  std::int32_t count = 0;
  const lngd_status status = lngd_layer_count(wrong, &count);
  if (status != LNGD_INVALID_HANDLE && wrong != world.optimizer) found("garbage was taken for a handle");
  return status;
}

const Call kCalls[] = {
    {"observe", Changes::Optimizer, observe},
    {"observe", Changes::Optimizer, observe},
    {"observe", Changes::Optimizer, observe},
    {"step", Changes::Tensors, step},
    {"step", Changes::Tensors, step},
    {"set_gradient_scale", Changes::Optimizer, gradient_scale},
    {"gradient_norm", Changes::Nothing,
     [](World& w, Random& r) {
       double norm = 0;
       return lngd_gradient_norm(w.plan, r.once_in(20) ? nullptr : &norm);
     }},
    {"refresh", Changes::Optimizer, [](World& w, Random&) { return lngd_refresh(w.plan); }},
    {"swap_averages", Changes::Tensors, [](World& w, Random&) { return lngd_swap_averages(w.plan, nullptr); }},
    {"discard", Changes::Optimizer, [](World& w, Random& r) { return lngd_discard(w.optimizer, any_layer(w, r)); }},
    {"sums_close", Changes::Optimizer, close_sums},
    {"sums_reduced", Changes::Optimizer, [](World& w, Random&) { return lngd_sums_reduced(w.optimizer); }},
    {"sums_reduced", Changes::Optimizer, [](World& w, Random&) { return lngd_sums_reduced(w.optimizer); }},
    {"set_reduction", Changes::Optimizer,
     [](World& w, Random& r) {
       return lngd_set_reduction(w.optimizer, r.once_in(5) ? r.whole() : static_cast<std::int32_t>(r.below(2)));
     }},
    {"set_sample_offset", Changes::Optimizer,
     [](World& w, Random& r) { return lngd_set_sample_offset(w.optimizer, r.once_in(3) ? r.whole() : r.below(99)); }},
    {"share_inverses", Changes::Optimizer, share_inverses},
    {"broadcast_inverses", Changes::Optimizer, broadcast_inverses},
    {"inverses_received", Changes::Optimizer, [](World& w, Random&) { return lngd_inverses_received(w.optimizer); }},
    {"inverses_received", Changes::Optimizer, [](World& w, Random&) { return lngd_inverses_received(w.optimizer); }},
    {"plan_create", Changes::Nothing, plan},
    {"plan_rebind", Changes::Nothing, rebind},
    {"create", Changes::Nothing, create},
    {"set", Changes::Optimizer,
     [](World& w, Random& r) {
       return lngd_set(w.optimizer, r.once_in(10) ? r.whole() : static_cast<std::int32_t>(r.below(13)), r.setting());
     }},
    {"layer_read", Changes::Nothing, read_field},
    {"layer_write", Changes::Optimizer, write_field},
    {"state_save", Changes::Nothing, save},
    {"state_restore", Changes::Optimizer, restore},
    {"handles", Changes::Nothing, handles},
    {"layer_health", Changes::Nothing,
     [](World& w, Random& r) {
       lngd_health health{};
       health.struct_size = r.once_in(5) ? static_cast<std::uint32_t>(r.bits()) : sizeof health;
       return lngd_layer_health(w.optimizer, any_layer(w, r), &health);
     }},
    {"memory_report", Changes::Nothing,
     [](World& w, Random&) {
       lngd_memory memory{};
       memory.struct_size = sizeof memory;
       return lngd_memory_report(w.optimizer, &memory);
     }},
};

} // namespace

std::string one_call(World& world, Random& random) {
  const Call& call = kCalls[random.below(static_cast<std::int64_t>(std::size(kCalls)))];
  const World::Snapshot before = world.snapshot();
  lngd_status status = LNGD_OK;
  try {
    status = call.make(world, random);
    const World::Snapshot after = world.snapshot();
    if (status < LNGD_OK || status > LNGD_DEVICE_LOST) found("status " + std::to_string(status));
    if (status == LNGD_INTERNAL) found(std::string("LNGD_INTERNAL: ") + lngd_last_error());
    if (status != LNGD_OK && std::string(lngd_last_error()).empty()) found("an error without a message");
    // Gradients are what the caller has changed himself before a step that fails.
    const bool same_weights = before.state == after.state && before.weights == after.weights;
    if (status != LNGD_OK && !same_weights) found(std::string("a failed call changed something: ") + lngd_last_error());
    if (call.changes == Changes::Nothing && !(before == after)) found("a call that only looks changed something");
    if (call.changes == Changes::Optimizer && before.weights != after.weights) found("weights were changed");
    if (!world.weights_finite()) found("weights are not finite");
    world.check_guards();
  } catch (const Found& problem) {
    throw Found{std::string(call.name) + ": " + problem.what};
  }
  return call.name;
}

} // namespace fuzz
