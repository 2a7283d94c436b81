// SPDX-License-Identifier: Apache-2.0
#include "world.hpp"

#include <cmath>
#include <cstring>

namespace fuzz {
namespace {

constexpr float kGuardValue = 12345.678f;

std::int64_t elements(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return count;
}

bool same(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) // by bits: NaN is the same as itself
    if (a[i].size() != b[i].size() || std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)) != 0)
      return false;
  return true;
}

void require(lngd_status status, const char* what) {
  if (status != LNGD_OK) found(std::string(what) + " of something valid: " + lngd_last_error());
}

std::int64_t columns(const lngd_layer_config& layer) {
  if (layer.kind != LNGD_LAYER_CONVOLUTION) return layer.inputs;
  return layer.inputs / layer.groups * layer.kernel[0] * layer.kernel[1];
}

} // namespace

void found(const std::string& what) { throw Found{what}; }

Buffer::Buffer(std::vector<std::int64_t> shape)
    : shape_(std::move(shape)), memory_(static_cast<std::size_t>(elements(shape_)) + 2 * kGuard, kGuardValue) {
  for (std::size_t i = kGuard; i + kGuard < memory_.size(); ++i) memory_[i] = 0;
}

lngd_tensor Buffer::view() {
  lngd_tensor tensor{};
  tensor.data = data();
  tensor.device_type = 1;
  tensor.ndim = static_cast<std::int32_t>(shape_.size());
  tensor.dtype_code = 2;
  tensor.dtype_bits = 32;
  tensor.dtype_lanes = 1;
  tensor.shape = shape_.data();
  return tensor;
}

void Buffer::fill(Random& random, bool finite) {
  for (std::size_t i = kGuard; i + kGuard < memory_.size(); ++i) {
    memory_[i] = random.number();
    if (finite && !std::isfinite(memory_[i])) memory_[i] = 1;
  }
}

void Buffer::fill_ordinary(Random& random) {
  for (std::size_t i = kGuard; i + kGuard < memory_.size(); ++i)
    memory_[i] = static_cast<float>(random.uniform() - 0.5);
}

bool Buffer::guards_intact() const {
  for (std::size_t i = 0; i < kGuard; ++i)
    if (memory_[i] != kGuardValue || memory_[memory_.size() - 1 - i] != kGuardValue) return false;
  return true;
}

bool Buffer::finite() const {
  for (std::size_t i = kGuard; i + kGuard < memory_.size(); ++i)
    if (!std::isfinite(memory_[i])) return false;
  return true;
}

World::World(Random& random, std::int32_t device) {
  const auto which = static_cast<std::int32_t>(random.between(LNGD_PRESET_RECIPE, LNGD_PRESET_NGPLUS));
  require(lngd_config_init(which, random.between(1, 50), &config), "lngd_config_init");
  config.device = device;
  config.threads = static_cast<std::int32_t>(random.between(1, 2));
  config.block_size = random.of({0, 1, 3, 5, 128});
  if (config.second_block_size != 0) config.second_block_size = random.of({1, 2, 128});
  config.statistics_samples = random.of({0, 1, 3});
  config.statistics_interval = static_cast<std::int32_t>(random.between(1, 4));
  config.inverse_interval = static_cast<std::int32_t>(random.between(1, 4));
  config.averaging = static_cast<std::int32_t>(random.below(2));
  if (which == LNGD_PRESET_BLOCK_KRONECKER || which == LNGD_PRESET_BLOCK_KRONECKER_FIT)
    config.orthogonalise = static_cast<std::int32_t>(random.below(2));
  config.gradient_clipping = random.of({0.0, 0.0, 1e-30, 0.5, 1e30});
  choose_layers(random);
  require(lngd_create(&config, layers.data(), static_cast<std::int32_t>(layers.size()), &optimizer), "lngd_create");
  for (const lngd_layer_config& layer : layers) {
    const std::int64_t m = layer.outputs, d = columns(layer);
    tensors.push_back(
        std::make_unique<LayerTensors>(LayerTensors{Buffer({m, d}), Buffer({m}), Buffer({m, d}), Buffer({m})}));
    for (Buffer* buffer : {&tensors.back()->weights, &tensors.back()->bias}) buffer->fill_ordinary(random);
  }
  update = random.once_in(3) ? LNGD_UPDATE_GRADIENTS : LNGD_UPDATE_WEIGHTS;
  fill_gradients(random, true);
  make_plan();
}

void World::make_plan() {
  const std::vector<lngd_binding> all = bindings();
  plan = nullptr;
  require(lngd_plan_create(optimizer, all.data(), static_cast<std::int32_t>(all.size()), update, &plan),
          "lngd_plan_create");
}

World::~World() {
  if (plan) lngd_plan_destroy(plan);
  if (optimizer) lngd_destroy(optimizer);
}

void World::choose_layers(Random& random) {
  const std::int64_t count = random.between(1, 3);
  for (std::int64_t i = 0; i < count; ++i) {
    lngd_layer_config layer;
    const std::int64_t inputs = random.between(1, 7), outputs = random.between(1, 7);
    const std::int32_t kernel[2] = {static_cast<std::int32_t>(random.between(1, 3)), 2};
    const bool embeddings = config.approximation <= LNGD_APPROXIMATION_TKFAC;
    if (random.once_in(4)) {
      require(lngd_parameter_init(random.between(1, 40), &layer), "lngd_parameter_init");
      layer.method = static_cast<std::int32_t>(random.below(2));
      layer.learning_rate = random.of({1e-3, 0.3, 1e6});
      layer.weight_decay = random.of({0.0, 0.1, 1e30});
      layer.beta1 = random.of({0.0, 0.9, 0.999999});
      layer.beta2 = random.of({0.0, 0.999, 0.999999});
      layer.epsilon = random.of({1e-16, 1e-8, 1e6});
      layer.momentum = random.of({0.0, 0.9, 0.999999});
      layers.push_back(layer);
      continue;
    }
    if (random.once_in(4)) {
      require(lngd_conv_init(static_cast<std::int32_t>(random.between(1, 2)), inputs, outputs, kernel, &layer),
              "lngd_conv_init");
      layer.padding = random.once_in(2) ? LNGD_PADDING_SAME : LNGD_PADDING_EXPLICIT;
      layer.stride[0] = static_cast<std::int32_t>(random.between(1, 2));
    } else if (embeddings && random.once_in(5)) {
      require(lngd_embedding_init(inputs, outputs, &layer), "lngd_embedding_init");
    } else {
      require(lngd_layer_init(inputs, outputs, &layer), "lngd_layer_init");
      layer.bias = static_cast<std::int32_t>(random.below(2));
      layer.activation =
          random.of<std::int32_t>({LNGD_ACTIVATION_IDENTITY, LNGD_ACTIVATION_RELU, LNGD_ACTIVATION_TANH});
      if (i + 1 == count && random.once_in(2)) {
        layer.activation = LNGD_ACTIVATION_IDENTITY;
        layer.output = random.of<std::int32_t>({LNGD_OUTPUT_SOFTMAX, LNGD_OUTPUT_SIGMOID, LNGD_OUTPUT_SQUARED_ERROR});
      }
    }
    layer.rate_multiplier = random.of({0.0, 1.0, 1.0, 3.0, 1e6});
    layer.decay_multiplier = random.of({0.0, 1.0, 1.0, 3.0, 1e6});
    layer.trust_off = config.orthogonalise == 0 && random.once_in(4) ? 1 : 0;
    layers.push_back(layer);
  }
}

std::unique_ptr<Buffer> World::inputs(std::size_t i, std::int64_t samples) const {
  const lngd_layer_config& layer = layers[i];
  if (layer.kind == LNGD_LAYER_EMBEDDING) return std::make_unique<Buffer>(std::vector<std::int64_t>{samples});
  if (layer.kind != LNGD_LAYER_CONVOLUTION)
    return std::make_unique<Buffer>(std::vector<std::int64_t>{samples, layer.inputs});
  std::vector<std::int64_t> shape{samples, layer.inputs, 5};
  if (layer.rank == 2) shape.push_back(4);
  return std::make_unique<Buffer>(shape);
}

std::unique_ptr<Buffer> World::signal(std::size_t i, std::int64_t samples) const {
  const lngd_layer_config& layer = layers[i];
  std::vector<std::int64_t> shape{samples, layer.outputs};
  for (int axis = 0; layer.kind == LNGD_LAYER_CONVOLUTION && axis < layer.rank; ++axis) {
    const std::int64_t size = axis == 0 ? 5 : 4, stride = layer.stride[axis];
    shape.push_back(layer.padding == LNGD_PADDING_SAME ? (size + stride - 1) / stride
                                                       : (size - layer.kernel[axis]) / stride + 1);
  }
  return std::make_unique<Buffer>(shape);
}

std::int32_t World::signal_kind(std::size_t i) const {
  const std::int32_t fisher = layers[i].fisher >= 0 ? layers[i].fisher : config.fisher;
  return fisher == LNGD_FISHER_PROVIDED ? LNGD_SIGNAL_GRADIENTS : LNGD_SIGNAL_PRE_ACTIVATIONS;
}

std::vector<lngd_binding> World::bindings() {
  std::vector<lngd_binding> all(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    all[i] = {};
    all[i].layer = static_cast<std::int32_t>(i);
    all[i].weights = tensors[i]->weights.view();
    all[i].weight_gradients = tensors[i]->weight_gradients.view();
    all[i].bias = tensors[i]->bias.view();
    all[i].bias_gradients = tensors[i]->bias_gradients.view();
  }
  return all;
}

void World::fill_gradients(Random& random, bool finite) {
  for (const auto& layer : tensors) {
    layer->weight_gradients.fill(random, finite);
    layer->bias_gradients.fill(random, finite);
  }
}

std::vector<unsigned char> World::state() const {
  std::int64_t bytes = 0;
  if (lngd_state_size(optimizer, &bytes) != LNGD_OK) found("the size of a state cannot be told");
  std::vector<unsigned char> state(static_cast<std::size_t>(bytes));
  if (lngd_state_save(optimizer, state.data(), bytes, nullptr) != LNGD_OK) state.clear();
  return state;
}

bool World::Snapshot::operator==(const Snapshot& other) const {
  return state == other.state && same(weights, other.weights) && same(gradients, other.gradients);
}

World::Snapshot World::snapshot() {
  Snapshot now;
  now.state = state();
  for (const auto& layer : tensors) {
    now.weights.push_back(layer->weights.memory());
    now.weights.push_back(layer->bias.memory());
    now.gradients.push_back(layer->weight_gradients.memory());
    now.gradients.push_back(layer->bias_gradients.memory());
  }
  return now;
}

bool World::weights_finite() const {
  for (const auto& layer : tensors)
    if (!layer->weights.finite() || !layer->bias.finite()) return false;
  return true;
}

void World::check_guards() const {
  for (const auto& layer : tensors)
    for (const Buffer* buffer : {&layer->weights, &layer->bias, &layer->weight_gradients, &layer->bias_gradients})
      if (!buffer->guards_intact()) found("memory beside a tensor was written to");
}

} // namespace fuzz
