// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>

#include "numbers.cuh"
#include "step.hpp"

namespace bench {
namespace {

constexpr int32_t kDeviceMemory = 2; // DLPack's kDLCUDA
constexpr int64_t kStatisticsInterval[] = {20, 100}, kInverseInterval = 100;
constexpr uint32_t kWeights = 1, kGradients = 2, kBiasGradients = 3, kInputs = 4, kSignal = 5;

void ok(lngd_status status) {
  if (status != LNGD_OK) throw Failed(std::string(lngd_status_name(status)) + ": " + lngd_last_error());
}

bool is_full(const Preset& preset) { return preset.block == 0; }

lngd_layer_config layer_config(const Layer& l) {
  lngd_layer_config c{};
  if (l.conv) {
    const int32_t kernel[] = {static_cast<int32_t>(l.kernel), static_cast<int32_t>(l.kernel)};
    ok(lngd_conv_init(2, l.inputs, l.outputs, kernel, &c));
    for (int axis = 0; axis < 2; ++axis) {
      c.stride[axis] = static_cast<int32_t>(l.stride);
      c.padding_before[axis] = c.padding_after[axis] = static_cast<int32_t>(l.padding);
    }
    c.groups = static_cast<int32_t>(l.groups);
  } else {
    ok(lngd_layer_init(l.inputs, l.outputs, &c));
  }
  c.bias = l.bias ? 1 : 0;
  c.activation = l.activation == "relu" ? LNGD_ACTIVATION_RELU : LNGD_ACTIVATION_IDENTITY;
  c.output = l.activation == "softmax" ? LNGD_OUTPUT_SOFTMAX : LNGD_OUTPUT_HIDDEN;
  return c;
}

} // namespace

// The arrays behind the lngd_tensors: shapes have to live as long as they do.
struct Training::Tensors {
  std::array<int64_t, 4> input_shape, signal_shape;
  std::array<int64_t, 2> weight_shape;
  std::array<int64_t, 1> bias_shape;
  lngd_tensor inputs{}, signal{};
  lngd_binding binding{};
};

namespace {

template <size_t N>
lngd_tensor tensor(float* data, std::array<int64_t, N>& shape, int32_t ndim) {
  lngd_tensor t{};
  t.data = data;
  t.device_type = kDeviceMemory;
  t.ndim = ndim;
  t.dtype_code = 2;
  t.dtype_bits = 32;
  t.dtype_lanes = 1;
  t.shape = shape.data();
  return t;
}

} // namespace

Training::Training(const std::vector<Layer>& layers, const Preset& preset, int32_t device, bool overlap)
    : preset_(preset), kfac_(std::string(preset.name) == kKfac.name), device_(device) {
  // Long enough that the trust ratio hardly moves the weights while it is timed.
  ok(lngd_config_init(kfac_ ? LNGD_PRESET_KFAC : LNGD_PRESET_RECIPE, 1000000, &config_));
  if (kfac_) config_.learning_rate = 1e-6; // nor here
  config_.device = device;
  config_.overlap = overlap ? 1 : 0;
  config_.block_size = static_cast<int32_t>(preset.block);
  config_.statistics_samples = 0; // the batch that is passed holds just those
  config_.statistics_interval = static_cast<int32_t>(kStatisticsInterval[is_full(preset) && !kfac_ ? 1 : 0]);
  config_.inverse_interval = static_cast<int32_t>(kInverseInterval);
  for (const Layer& l : layers) layer_configs_.push_back(layer_config(l));
  ok(lngd_create(&config_, layer_configs_.data(), static_cast<int32_t>(layers.size()), &optimizer_));
  try {
    make(layers);
  } catch (...) {
    lngd_destroy(optimizer_);
    throw;
  }
}

Training::~Training() {
  lngd_synchronize(optimizer_);
  for (const Tensors& t : tensors_)
    for (const lngd_tensor* tensor : {&t.inputs, &t.signal, &t.binding.weights, &t.binding.bias,
                                      &t.binding.weight_gradients, &t.binding.bias_gradients})
      if (tensor->data) lngd_device_free(optimizer_, tensor->data);
  lngd_destroy(optimizer_); // and the plan with it
}

float* Training::device_random(int64_t count, uint32_t seed, float scale) {
  std::vector<float> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) values[static_cast<size_t>(i)] = scale * uniform(seed, static_cast<uint64_t>(i));
  void* memory = nullptr;
  ok(lngd_device_allocate(optimizer_, count * 4, &memory));
  ok(lngd_device_copy(optimizer_, memory, values.data(), count * 4));
  return static_cast<float*>(memory);
}

void Training::make(const std::vector<Layer>& layers) {
  tensors_.resize(layers.size());
  std::vector<lngd_binding> bindings;
  for (size_t i = 0; i < layers.size(); ++i) {
    const Layer& l = layers[i];
    Tensors& t = tensors_[i];
    // The positions of a dense layer (tokens) are rows of its batch.
    const int64_t n = l.conv ? l.samples(preset_) : l.samples(preset_) * l.positions();
    const int64_t columns = l.inputs / l.groups * l.kernel * l.kernel;
    t.input_shape = {n, l.inputs, l.height, l.width};
    t.signal_shape = {n, l.outputs, l.conv ? l.out_height() : 1, l.conv ? l.out_width() : 1};
    t.weight_shape = {l.outputs, columns};
    t.bias_shape = {l.outputs};
    const int32_t ndim = l.conv ? 4 : 2;
    const int64_t area = l.conv ? l.height * l.width : 1, out_area = l.conv ? l.out_height() * l.out_width() : 1;
    const uint32_t seed = static_cast<uint32_t>(16 * i);
    t.inputs = tensor(device_random(n * l.inputs * area, seed + kInputs, 1.0f), t.input_shape, ndim);
    t.signal = tensor(device_random(n * l.outputs * out_area, seed + kSignal, 1.0f), t.signal_shape, ndim);
    t.binding.layer = static_cast<int32_t>(i);
    t.binding.weights = tensor(device_random(l.outputs * columns, seed + kWeights, 0.1f), t.weight_shape, 2);
    t.binding.weight_gradients = tensor(device_random(l.outputs * columns, seed + kGradients, 1.0f), t.weight_shape, 2);
    if (l.bias) {
      t.binding.bias = tensor(device_random(l.outputs, seed + kWeights, 0.1f), t.bias_shape, 1);
      t.binding.bias_gradients = tensor(device_random(l.outputs, seed + kBiasGradients, 1.0f), t.bias_shape, 1);
    }
    bindings.push_back(t.binding);
  }
  ok(lngd_plan_create(optimizer_, bindings.data(), static_cast<int32_t>(bindings.size()), LNGD_UPDATE_WEIGHTS, &plan_));
}

int64_t Training::cycle() const { return kInverseInterval; }

void Training::step() {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    uint32_t bits = 0;
    const int32_t layer = static_cast<int32_t>(i);
    ok(lngd_needs(optimizer_, layer, &bits));
    if (bits & LNGD_NEEDS_STATISTICS)
      ok(lngd_observe(optimizer_, layer, &tensors_[i].inputs, &tensors_[i].signal,
                      kfac_ ? LNGD_SIGNAL_GRADIENTS : LNGD_SIGNAL_PRE_ACTIVATIONS));
  }
  ok(lngd_step(plan_, 1.0, nullptr));
}

void Training::synchronize() const { ok(lngd_synchronize(optimizer_)); }

// By how much (B + lambda_B I) D (A + lambda_A I) misses G, over some columns of a layer: m x d operations a column for
// the product with A and m x m for that with B, where a row of the result would want all of D (A + lambda_A I).
double Training::kfac_residual(int32_t layer) const {
  const size_t index = static_cast<size_t>(layer);
  const lngd_layer_config& c = layer_configs_[index];
  const int64_t m = c.outputs, inputs = tensors_[index].weight_shape[1], d = inputs + c.bias;
  const int64_t groups = c.kind == LNGD_LAYER_CONVOLUTION ? c.groups : 1, height = m / groups;
  const auto read = [&](int32_t field, int64_t count) {
    std::vector<float> values(static_cast<size_t>(count));
    ok(lngd_layer_read(optimizer_, layer, field, values.data(), count, nullptr));
    return values;
  };
  const std::vector<float> a = read(LNGD_FIELD_PHI, groups * d * d), b = read(LNGD_FIELD_PSI, m * height),
                           direction = read(LNGD_FIELD_DIRECTION, m * d);
  double worst = 0;
  for (int64_t g = 0; g < groups; ++g) {
    const float *const ga = a.data() + g * d * d, *const gb = b.data() + g * height * height;
    double a_mean = 0, b_mean = 0;
    for (int64_t i = 0; i < d; ++i) a_mean += ga[i * (d + 1)] / static_cast<double>(d);
    for (int64_t i = 0; i < height; ++i) b_mean += gb[i * (height + 1)] / static_cast<double>(height);
    const double pi = std::sqrt(a_mean / b_mean), root = std::sqrt(config_.damping_factor);
    const double lambda_a = std::max(root * pi, config_.damping_floor);
    const double lambda_b = std::max(root / pi, config_.damping_floor);
    double difference = 0, largest = 0;
    std::vector<double> t(static_cast<size_t>(height));
    for (int64_t j = 0; j < d; j += std::max<int64_t>(1, d / 4)) {
      for (int64_t i = 0; i < height; ++i) {
        const float* const row = direction.data() + (g * height + i) * d;
        double sum = lambda_a * row[j];
        for (int64_t k = 0; k < d; ++k) sum += static_cast<double>(row[k]) * ga[k * d + j];
        t[static_cast<size_t>(i)] = sum;
      }
      for (int64_t i = 0; i < height; ++i) {
        double sum = lambda_b * t[static_cast<size_t>(i)];
        for (int64_t k = 0; k < height; ++k) sum += gb[i * height + k] * t[static_cast<size_t>(k)];
        const int64_t row = g * height + i;
        const double gradient =
            j < inputs
                ? uniform(static_cast<uint32_t>(16 * layer) + kGradients, static_cast<uint64_t>(row * inputs + j))
                : uniform(static_cast<uint32_t>(16 * layer) + kBiasGradients, static_cast<uint64_t>(row));
        difference = std::max(difference, std::fabs(sum - gradient));
        largest = std::max(largest, std::fabs(gradient));
      }
    }
    // NaN must not pass as the smaller one.
    const double relative = difference / largest;
    if (!(relative <= worst)) worst = relative;
  }
  return worst;
}

double Training::residual() const {
  double worst = 0;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (kfac_) {
      const double relative = kfac_residual(static_cast<int32_t>(i));
      if (!(relative <= worst)) worst = relative;
      continue;
    }
    const lngd_layer_config& c = layer_configs_[i];
    const int64_t m = c.outputs, inputs = tensors_[i].weight_shape[1], d = inputs + c.bias;
    const int64_t groups = c.kind == LNGD_LAYER_CONVOLUTION ? c.groups : 1;
    const int32_t layer = static_cast<int32_t>(i);
    const auto read = [&](int32_t field, int64_t count) {
      std::vector<float> values(static_cast<size_t>(count));
      ok(lngd_layer_read(optimizer_, layer, field, values.data(), count, nullptr));
      return values;
    };
    const std::vector<float> phi = read(LNGD_FIELD_PHI, groups * d * d), psi = read(LNGD_FIELD_PSI, m),
                             direction = read(LNGD_FIELD_DIRECTION, m * d);
    lngd_health health{};
    health.struct_size = sizeof health;
    ok(lngd_layer_health(optimizer_, layer, &health));
    const lngd::BlockLayout blocks(d, preset_.block);
    for (int64_t row = 0; row < m; row += std::max<int64_t>(1, m / 4)) {
      const float* const g_phi = phi.data() + row / (m / groups) * d * d;
      for (int64_t k = 0; k < blocks.count(); ++k) {
        const int64_t begin = blocks.begin(k), size = blocks.size(k);
        double trace = 0;
        for (int64_t j = begin; j < begin + size; ++j) trace += g_phi[j * d + j];
        const double lambda =
            std::max(config_.damping_factor * trace / static_cast<double>(size), config_.damping_floor);
        double difference = 0, largest = 0;
        for (int64_t j = begin; j < begin + size; ++j) {
          double sum = lambda * direction[static_cast<size_t>(row * d + j)];
          for (int64_t l = begin; l < begin + size; ++l)
            sum += static_cast<double>(g_phi[l * d + j]) * direction[static_cast<size_t>(row * d + l)];
          const double gradient =
              j < inputs ? uniform(static_cast<uint32_t>(16 * i) + kGradients, static_cast<uint64_t>(row * inputs + j))
                         : uniform(static_cast<uint32_t>(16 * i) + kBiasGradients, static_cast<uint64_t>(row));
          const double product = (psi[static_cast<size_t>(row)] + health.lambda_psi) * sum;
          difference = std::max(difference, std::fabs(product - gradient));
          largest = std::max(largest, std::fabs(gradient));
        }
        // NaN must not pass as the smaller one.
        const double relative = difference / largest;
        if (!(relative <= worst)) worst = relative;
      }
    }
  }
  return worst;
}

void Training::check_health() const {
  for (size_t i = 0; i < tensors_.size(); ++i) {
    lngd_health h{};
    h.struct_size = sizeof h;
    ok(lngd_layer_health(optimizer_, static_cast<int32_t>(i), &h));
    if (h.skipped_steps || h.failed_inverses || h.skipped_statistics)
      throw Failed("layer " + std::to_string(i) + ": " + std::to_string(h.skipped_steps) + " steps and " +
                   std::to_string(h.skipped_statistics) + " statistics were skipped, " +
                   std::to_string(h.failed_inverses) + " inverses failed");
  }
}

} // namespace bench
