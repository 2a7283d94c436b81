// SPDX-License-Identifier: Apache-2.0
#include "network.hpp"

#include <algorithm>
#include <cstring>

#include "numbers.hpp"

namespace bench {

Network::Network(const lngd::Backend& from, std::vector<Layer> of, const Preset& with, int32_t threads, int32_t rate)
    : backend(from), layers(std::move(of)), preset(with) {
  // Long enough that the trust ratio hardly moves the weights while they are timed.
  lngd_config_init(LNGD_PRESET_RECIPE, 1000000, &config);
  config.device = LNGD_DEVICE_CPU;
  config.threads = threads;
  config.block_size = static_cast<int32_t>(preset.block);
  config.rate = rate;
  if (preset.second >= 0) {
    config.approximation = LNGD_APPROXIMATION_KFAC;
    config.fisher = LNGD_FISHER_PROVIDED;
    config.damping = LNGD_DAMPING_SIGNAL;
    config.second_block_size = static_cast<int32_t>(preset.second);
    config.damping_min = config.damping_max = 1; // gamma, whatever the signal
    config.signal_reference = 1;
    config.orthogonalise = config.nesterov = preset.orthogonalise ? 1 : 0;
  }
  lngd::Failure failure;
  context = backend.create(config, failure);
  if (!context) throw Failed(failure.message);
  shapes.resize(layers.size());
  memory.resize(layers.size());
  data.resize(layers.size());
  steps.resize(layers.size());
  try {
    for (size_t i = 0; i < layers.size(); ++i) make_layer(i);
    plan = backend.plan_create(context, steps.data(), static_cast<int32_t>(steps.size()), config);
    if (!plan) throw Failed("no memory for a plan");
  } catch (...) {
    for (void* p : owned_) backend.release(context, p);
    backend.destroy(context);
    throw;
  }
}

Network::~Network() {
  backend.plan_destroy(context, plan);
  for (void* p : owned_) backend.release(context, p);
  backend.destroy(context);
}

template <typename T>
T* Network::allocate(int64_t count) {
  void* const p = backend.allocate(context, static_cast<size_t>(count) * sizeof(T));
  if (!p) throw Failed("no memory");
  owned_.push_back(p);
  return static_cast<T*>(p);
}

void Network::make_layer(size_t index) {
  const Layer& l = layers[index];
  lngd::LayerShape& s = shapes[index];
  s = l.shape(preset);
  s.index = static_cast<int32_t>(index);
  lngd::LayerMemory& m = memory[index];
  m.record = allocate<lngd::LayerRecord>(1);
  m.phi_sum = allocate<float>(s.blocks.floats());
  m.phi = allocate<float>(s.blocks.floats());
  m.phi_inverse = allocate<float>(s.blocks.floats());
  m.lambda_phi = allocate<double>(s.blocks.count());
  if (s.second_matrix()) {
    m.second_sum = allocate<float>(s.second_floats());
    m.second = allocate<float>(s.second_floats());
    m.second_inverse = allocate<float>(s.second_floats());
    m.lambda_second = allocate<double>(s.second_count());
    m.totals = allocate<double>(2 * s.groups + 1);
  }
  m.psi_sum = allocate<double>(s.outputs);
  m.denominator = allocate<double>(s.groups);
  m.psi = allocate<float>(s.outputs);
  m.psi_inverse = allocate<float>(s.outputs);
  m.momentum = allocate<float>(s.outputs * s.ldw);
  m.direction = allocate<float>(s.outputs * s.ldw);
  m.average = allocate<float>(s.outputs * s.ldw);
  if (!backend.reserve_statistics(context, s)) throw Failed("no memory for statistics");
  LayerData& d = data[index];
  const uint32_t seed = static_cast<uint32_t>(16 * index);
  d.samples = l.conv ? l.samples(preset) : l.samples(preset) * l.positions();
  const int64_t rows = l.conv ? l.batch : l.batch * l.positions(); // the rate sees the whole batch
  d.weights = random_floats(s.outputs * s.inputs, seed + 1, 0.1f);
  d.weight_gradients = random_floats(s.outputs * s.inputs, seed + 2);
  d.bias = random_floats(s.outputs, seed + 3, 0.1f);
  d.bias_gradients = random_floats(s.outputs, seed + 4);
  d.inputs = random_floats(rows * l.inputs * (l.conv ? l.height * l.width : 1), seed + 5);
  d.signal = random_floats(rows * l.outputs * (l.conv ? l.positions() : 1), seed + 6);
  lngd::StepLayer& step = steps[index];
  step.shape = &s;
  step.memory = &m;
  step.rows = s.outputs;
  step.columns = s.inputs;
  step.weights = {d.weights.data(), s.inputs, 1, false};
  step.bias = {d.bias.data(), 1, 1, false};
  step.weight_gradients = {d.weight_gradients.data(), s.inputs, 1, false};
  step.bias_gradients = {d.bias_gradients.data(), 1, 1, false};
  step.average_due = step.inverse_due = true;
  step.samples = rows;
  if (l.conv) {
    step.conv_inputs = conv_args(index).inputs;
    step.conv_deltas = conv_args(index).signal;
  } else {
    step.sample_inputs = statistics_args(index).inputs;
    step.sample_deltas = statistics_args(index).signal;
  }
}

lngd::StepArgs Network::step_args() {
  return {steps.data(), static_cast<int32_t>(steps.size()), LNGD_UPDATE_WEIGHTS, &config, 1.0, plan, false};
}

lngd::StatisticsArgs Network::statistics_args(size_t i) {
  const lngd::LayerShape& s = shapes[i];
  return {&s,
          &memory[i],
          {data[i].inputs.data(), s.inputs, 1, false},
          {data[i].signal.data(), s.outputs, 1, false},
          signal_kind(),
          data[i].samples,
          0,
          0,
          1,
          LNGD_PRECISION_FP32};
}

lngd::ConvStatisticsArgs Network::conv_args(size_t i) {
  const Layer& l = layers[i];
  const auto nchw = [](std::vector<float>& values, int64_t channels, int64_t height, int64_t width) {
    lngd::Activations a;
    a.data = values.data();
    const int64_t strides[] = {channels * height * width, height * width, width, 1};
    std::copy(strides, strides + 4, a.stride);
    a.height = static_cast<int32_t>(height);
    a.width = static_cast<int32_t>(width);
    return a;
  };
  return {&shapes[i],
          &memory[i],
          nchw(data[i].inputs, l.inputs, l.height, l.width),
          nchw(data[i].signal, l.outputs, l.out_height(), l.out_width()),
          signal_kind(),
          data[i].samples,
          0,
          0,
          1,
          LNGD_PRECISION_FP32};
}

void Network::clear_sums() {
  for (size_t i = 0; i < layers.size(); ++i) {
    const lngd::LayerShape& s = shapes[i];
    std::memset(memory[i].phi_sum, 0, static_cast<size_t>(s.blocks.floats()) * sizeof(float));
    std::memset(memory[i].psi_sum, 0, static_cast<size_t>(s.outputs) * sizeof(double));
    if (s.second_matrix()) {
      std::memset(memory[i].second_sum, 0, static_cast<size_t>(s.second_floats()) * sizeof(float));
      std::memset(memory[i].totals, 0, static_cast<size_t>(2 * s.groups + 1) * sizeof(double));
    }
    std::memset(memory[i].denominator, 0, static_cast<size_t>(s.groups) * sizeof(double));
    memory[i].record->samples = 0;
    memory[i].record->poisoned = 0;
  }
}

void Network::prepare() {
  clear_sums();
  for (size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].conv)
      backend.conv_statistics(*context, conv_args(i));
    else
      backend.layer_statistics(*context, statistics_args(i));
  }
  backend.running_average(*context, step_args());
  backend.factor_inverse(*context, step_args());
  check();
}

void Network::check() {
  const lngd::Failure failure = backend.take_failure(context);
  if (failure.status != LNGD_OK) throw Failed(failure.message);
  for (size_t i = 0; i < layers.size(); ++i)
    if (memory[i].record->poisoned || memory[i].record->failed_inverses)
      throw Failed("layer " + layers[i].name + ": statistics or inverse failed");
}

} // namespace bench
