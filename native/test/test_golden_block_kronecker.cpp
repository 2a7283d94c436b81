// SPDX-License-Identifier: Apache-2.0
//
// Preset BLOCK_KRONECKER against its golden vectors: a network of two layers over four steps, the library and the twin.
#include <memory>
#include <string>
#include <vector>

#include "fixture.hpp"
#include "golden_block_kronecker.hpp"

using namespace conformance;
namespace golden = golden_block_kronecker;

namespace {

lngd_config golden_config() {
  lngd_config config = preset(LNGD_PRESET_BLOCK_KRONECKER, 100);
  config.block_size = golden::kBlock;
  config.second_block_size = golden::kSecondBlock;
  config.statistics_interval = golden::kStatisticsInterval;
  config.inverse_interval = golden::kInverseInterval;
  config.trust_ratio = golden::kTrustRatio;
  return config;
}

// What the preset itself has to be.
void check_preset(const lngd_config& config) {
  CHECK_EQ(config.damping_factor, golden::kDampingFactor);
  CHECK_EQ(config.damping_min, golden::kDampingMin);
  CHECK_EQ(config.damping_max, golden::kDampingMax);
  CHECK_EQ(config.damping_floor, golden::kDampingFloor);
  CHECK_EQ(config.second_damping, golden::kSecondDamping);
  CHECK_EQ(config.rho, golden::kRho);
  CHECK_EQ(config.weight_decay, golden::kWeightDecay);
  CHECK_EQ(config.output_decay, golden::kOutputDecay);
  CHECK_EQ(config.momentum, golden::kMomentum);
}

std::vector<lngd_layer_config> golden_layers() {
  std::vector<lngd_layer_config> layers;
  for (const golden::Layer& layer : golden::kLayers) {
    layers.push_back(dense(layer.inputs, layer.outputs));
    layers.back().activation = LNGD_ACTIVATION_IDENTITY;
    if (layer.output) layers.back().output = LNGD_OUTPUT_SOFTMAX;
  }
  return layers;
}

twin::Matrix matrix(std::int64_t rows, std::int64_t cols, const std::vector<double>& values) {
  twin::Matrix result(rows, cols);
  REQUIRE(result.values.size() == values.size());
  result.values = values;
  return result;
}

// A layer's tensors in the library.
struct Held {
  std::int64_t m, d;
  Tensor weights, bias, weight_gradients, bias_gradients;

  explicit Held(const golden::Layer& layer)
      : m(layer.outputs),
        d(layer.inputs + 1),
        weights(m, d - 1),
        bias(m),
        weight_gradients(m, d - 1),
        bias_gradients(m) {
    put(weights, bias, layer.weights);
  }
  void put(Tensor& left, Tensor& last, const std::vector<double>& values) const {
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < d; ++j)
        (j < d - 1 ? left : last).set(i, j < d - 1 ? j : 0, values[static_cast<std::size_t>(i * d + j)]);
  }
  twin::Matrix all_weights() const {
    twin::Matrix w(m, d);
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < d; ++j) w(i, j) = j < d - 1 ? weights.get(i, j) : bias.get(i);
    return w;
  }
  lngd_binding binding(int layer) const {
    lngd_binding b{};
    b.layer = layer;
    b.weights = weights.view(), b.bias = bias.view();
    b.weight_gradients = weight_gradients.view(), b.bias_gradients = bias_gradients.view();
    return b;
  }
};

// Relative to the norm of each.
void near(const twin::Matrix& got, const twin::Matrix& want, double tolerance) {
  CHECK_WITHIN(distance(got, want), tolerance * twin::norm(want));
}

} // namespace

TEST(golden_block_kronecker_library) {
  const lngd_config config = golden_config();
  check_preset(config);
  const Optimizer optimizer(config, golden_layers());
  std::vector<std::unique_ptr<Held>> held;
  std::vector<lngd_binding> bindings;
  for (const golden::Layer& layer : golden::kLayers) {
    held.push_back(std::make_unique<Held>(layer));
    bindings.push_back(held.back()->binding(static_cast<int>(held.size()) - 1));
  }
  lngd_plan* plan = nullptr;
  REQUIRE_OK(lngd_plan_create(optimizer.handle(), bindings.data(), static_cast<int>(bindings.size()),
                              LNGD_UPDATE_WEIGHTS, &plan));
  // Condition numbers stay below 100; a handful of roundings in each of float32's sums.
  const double tolerance = 100 * kEps;
  for (int t = 0; t < golden::kSteps; ++t) {
    for (std::size_t l = 0; l < held.size(); ++l) {
      const golden::Layer& layer = golden::kLayers[l];
      const golden::LayerStep& step = layer.steps[static_cast<std::size_t>(t)];
      Tensor inputs(golden::kSamples, layer.inputs), signal(golden::kSamples, layer.outputs);
      inputs.fill(matrix(golden::kSamples, layer.inputs, step.inputs));
      signal.fill(matrix(golden::kSamples, layer.outputs, step.gradients_of_samples));
      held[l]->put(held[l]->weight_gradients, held[l]->bias_gradients, step.gradient);
      REQUIRE_OK(lngd_observe(optimizer.handle(), static_cast<int>(l), inputs.pointer(), signal.pointer(),
                              LNGD_SIGNAL_GRADIENTS));
    }
    REQUIRE_OK(lngd_step(plan, 1 - t / 8.0, nullptr));
    for (std::size_t l = 0; l < held.size(); ++l) {
      const Scope scope("step " + std::to_string(t) + " layer " + std::to_string(l));
      const golden::LayerStep& want = golden::kLayers[l].steps[static_cast<std::size_t>(t)];
      const Held& have = *held[l];
      const int index = static_cast<int>(l);
      const lngd_health health = optimizer.health(index);
      CHECK_NEAR(health.lambda_phi_min, want.lambda_phi, 16 * kEps * want.lambda_phi); // sums of a dozen terms
      CHECK_NEAR(health.lambda_phi_max, want.lambda_phi, 16 * kEps * want.lambda_phi);
      CHECK_NEAR(health.lambda_psi, want.lambda_psi, 16 * kEps * want.lambda_psi);
      near(optimizer.read(index, LNGD_FIELD_DIRECTION, have.m, have.d), matrix(have.m, have.d, want.direction),
           tolerance);
      near(optimizer.read(index, LNGD_FIELD_MOMENTUM, have.m, have.d), matrix(have.m, have.d, want.momentum),
           tolerance);
      near(have.all_weights(), matrix(have.m, have.d, want.weights), tolerance);
    }
  }
  double reference = 0;
  REQUIRE_OK(lngd_get(optimizer.handle(), LNGD_SET_SIGNAL_REFERENCE, &reference));
  CHECK_NEAR(reference, golden::kSignalReference, 16 * kEps * golden::kSignalReference);
  REQUIRE_OK(lngd_plan_destroy(plan));
}

TEST(golden_block_kronecker_twin) {
  const std::vector<lngd_layer_config> layers = golden_layers();
  std::vector<twin::Layer> twins;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const golden::Layer& layer = golden::kLayers[l];
    twins.emplace_back(golden_config(), layers[l], static_cast<int>(l), static_cast<int>(layers.size()));
    twins.back().set_weights(matrix(layer.outputs, layer.inputs + 1, layer.weights));
  }
  const double tolerance = 1e-12; // double precision, condition numbers below 100
  for (int t = 0; t < golden::kSteps; ++t) {
    for (std::size_t l = 0; l < layers.size(); ++l) {
      const golden::Layer& layer = golden::kLayers[l];
      const golden::LayerStep& step = layer.steps[static_cast<std::size_t>(t)];
      twins[l].observe(matrix(golden::kSamples, layer.inputs, step.inputs),
                       matrix(golden::kSamples, layer.outputs, step.gradients_of_samples), LNGD_SIGNAL_GRADIENTS);
      if (t == 0) twins[l].set_signal_reference(golden::kSignalReference);
    }
    for (std::size_t l = 0; l < layers.size(); ++l) {
      const Scope scope("step " + std::to_string(t) + " layer " + std::to_string(l));
      const golden::LayerStep& want = golden::kLayers[l].steps[static_cast<std::size_t>(t)];
      twin::Layer& have = twins[l];
      have.step(1 - t / 8.0, matrix(have.rows(), have.columns(), want.gradient), nullptr, nullptr);
      CHECK_NEAR(have.health().lambda_phi_max, want.lambda_phi, tolerance);
      CHECK_NEAR(have.health().lambda_psi, want.lambda_psi, tolerance);
      near(have.direction(), matrix(have.rows(), have.columns(), want.direction), tolerance);
      near(have.momentum(), matrix(have.rows(), have.columns(), want.momentum), tolerance);
      near(have.weights(), matrix(have.rows(), have.columns(), want.weights), tolerance);
    }
  }
}
