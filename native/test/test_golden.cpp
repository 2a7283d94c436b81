// SPDX-License-Identifier: Apache-2.0
//
// A golden vector against the library and against the twin: a number that both take from the same misreading of the
// formulas would pass everywhere else.
#include <cmath>
#include <string>
#include <vector>

#include "golden_vector.hpp"
#include "single.hpp"

using namespace conformance;

namespace {

constexpr std::int64_t kSamples = 8, kWidth = 4, kColumns = 5, kRows = 3;

template <std::size_t Size>
twin::Matrix matrix(std::int64_t rows, std::int64_t cols, const double (&values)[Size]) {
  twin::Matrix result(rows, cols);
  REQUIRE(result.values.size() == Size);
  result.values.assign(values, values + Size);
  return result;
}

twin::Matrix left_columns(const twin::Matrix& a, std::int64_t cols) {
  twin::Matrix result(a.rows, cols);
  for (std::int64_t i = 0; i < a.rows; ++i)
    for (std::int64_t j = 0; j < cols; ++j) result(i, j) = a(i, j);
  return result;
}

lngd_config golden_config(int rate) {
  lngd_config config = preset(LNGD_PRESET_PAPER);
  config.fisher = LNGD_FISHER_PROVIDED;
  config.rho = golden::kRho;
  config.damping_min = golden::kDampingMin;
  config.damping_max = golden::kDampingMax;
  config.mu = golden::kMu;
  config.learning_rate = golden::kLearningRate;
  config.momentum = golden::kMomentum;
  config.weight_decay = golden::kWeightDecay;
  config.decay = LNGD_DECAY_DECOUPLED;
  config.rate = rate;
  config.statistics_interval = config.inverse_interval = 1;
  return config;
}

struct Outcome {
  twin::Matrix phi, psi, phi_inverse, psi_inverse, direction, momentum, weights;
  lngd_health health;
};

Outcome by_library(int rate, bool averaged) {
  Single one(golden_config(rate), dense(kWidth, kRows, true, LNGD_ACTIVATION_TANH));
  const auto floats = [](const auto& values) { return std::vector<float>(std::begin(values), std::end(values)); };
  one.write(LNGD_FIELD_MOMENTUM, floats(golden::kMomentumBefore));
  if (averaged) {
    one.write(LNGD_FIELD_PHI, floats(golden::kPhiBefore));
    one.write(LNGD_FIELD_PSI, floats(golden::kPsiBefore));
  }
  const twin::Matrix inputs = matrix(kSamples, kColumns, golden::kInputs);
  const twin::Matrix weights = matrix(kRows, kColumns, golden::kWeights),
                     gradient = matrix(kRows, kColumns, golden::kGradient);
  Tensor a(kSamples, kWidth), g(kSamples, kRows), deltas(kSamples, kRows);
  a.fill(left_columns(inputs, kWidth));
  g.fill(matrix(kSamples, kRows, golden::kSampleGradients));
  deltas.fill(matrix(kSamples, kRows, golden::kDeltas));
  one.weights.fill(left_columns(weights, kWidth));
  one.weight_gradients.fill(left_columns(gradient, kWidth));
  for (std::int64_t i = 0; i < kRows; ++i) {
    one.bias.set(i, 0, weights(i, kWidth));
    one.bias_gradients.set(i, 0, gradient(i, kWidth));
  }
  REQUIRE_OK(one.observe(a, g, LNGD_SIGNAL_GRADIENTS));
  const lngd_samples samples{a.view(), deltas.view()};
  REQUIRE_OK(lngd_step(one.plan, 1, &samples));
  Outcome outcome;
  outcome.phi = one.optimizer.read(0, LNGD_FIELD_PHI, kColumns, kColumns);
  outcome.psi = one.optimizer.read(0, LNGD_FIELD_PSI, kRows, 1);
  outcome.phi_inverse = one.optimizer.read(0, LNGD_FIELD_PHI_INVERSE, kColumns, kColumns);
  outcome.psi_inverse = one.optimizer.read(0, LNGD_FIELD_PSI_INVERSE, kRows, 1);
  outcome.direction = one.optimizer.read(0, LNGD_FIELD_DIRECTION, kRows, kColumns);
  outcome.momentum = one.optimizer.read(0, LNGD_FIELD_MOMENTUM, kRows, kColumns);
  outcome.weights = twin::Matrix(kRows, kColumns);
  for (std::int64_t i = 0; i < kRows; ++i)
    for (std::int64_t j = 0; j < kColumns; ++j)
      outcome.weights(i, j) = j < kWidth ? one.weights.get(i, j) : one.bias.get(i);
  outcome.health = one.health();
  return outcome;
}

Outcome by_twin(int rate, bool averaged) {
  twin::Layer layer(golden_config(rate), dense(kWidth, kRows, true, LNGD_ACTIVATION_TANH), 0, 1);
  layer.set_weights(matrix(kRows, kColumns, golden::kWeights));
  layer.set_momentum(matrix(kRows, kColumns, golden::kMomentumBefore));
  if (averaged)
    layer.set_averages(matrix(kColumns, kColumns, golden::kPhiBefore), matrix(kRows, 1, golden::kPsiBefore).values);
  const twin::Matrix inputs = left_columns(matrix(kSamples, kColumns, golden::kInputs), kWidth);
  const twin::Matrix deltas = matrix(kSamples, kRows, golden::kDeltas);
  layer.observe(inputs, matrix(kSamples, kRows, golden::kSampleGradients), LNGD_SIGNAL_GRADIENTS);
  layer.step(1, matrix(kRows, kColumns, golden::kGradient), &inputs, &deltas);
  Outcome outcome;
  outcome.phi = layer.phi();
  outcome.psi = twin::Matrix(kRows, 1);
  outcome.psi.values = layer.psi();
  outcome.phi_inverse = layer.phi_inverse();
  outcome.psi_inverse = twin::Matrix(kRows, 1);
  outcome.psi_inverse.values = layer.psi_inverse();
  outcome.direction = layer.direction();
  outcome.momentum = layer.momentum();
  outcome.weights = layer.weights();
  outcome.health = layer.health();
  return outcome;
}

// Relative to the norm of each field.
void compare_outcome(const Outcome& got, bool empirical, const golden::Update& want, double tolerance) {
  const auto field = [tolerance](const twin::Matrix& ours, const twin::Matrix& wanted) {
    CHECK_WITHIN(distance(ours, wanted), tolerance * twin::norm(wanted));
  };
  field(got.phi, matrix(kColumns, kColumns, want.phi));
  field(got.psi, matrix(kRows, 1, want.psi));
  field(got.phi_inverse, matrix(kColumns, kColumns, want.phi_inverse));
  field(got.psi_inverse, matrix(kRows, 1, want.psi_inverse));
  field(got.direction, matrix(kRows, kColumns, want.direction));
  field(got.momentum, matrix(kRows, kColumns, empirical ? want.empirical_momentum : want.kronecker_momentum));
  field(got.weights, matrix(kRows, kColumns, empirical ? want.empirical_weights : want.kronecker_weights));
  const double curvature = empirical ? want.empirical_curvature : want.kronecker_curvature;
  const double alpha = empirical ? want.empirical_alpha : want.kronecker_alpha;
  CHECK_NEAR(got.health.lambda_phi_max, want.lambda_phi, tolerance * want.lambda_phi);
  CHECK_NEAR(got.health.lambda_psi, want.lambda_psi, tolerance * want.lambda_psi);
  CHECK_NEAR(got.health.inner_product, want.inner_product, tolerance * want.inner_product);
  CHECK_NEAR(got.health.curvature, curvature, tolerance * curvature);
  CHECK_NEAR(got.health.alpha, alpha, tolerance * alpha);
}

} // namespace

TEST(golden_vector) {
  for (const bool averaged : {false, true})
    for (const int rate : {int{LNGD_RATE_EMPIRICAL}, int{LNGD_RATE_KRONECKER}}) {
      const Scope scope(std::string(averaged ? "averaged" : "first") + " update, rate " + std::to_string(rate));
      const golden::Update& want = averaged ? golden::kAveragedUpdate : golden::kFirstUpdate;
      const bool empirical = rate == LNGD_RATE_EMPIRICAL;
      {
        // The condition number is below 20 and the golden numbers are good to 1e-14.
        const Scope who("twin");
        compare_outcome(by_twin(rate, averaged), empirical, want, 1e-12);
      }
      // 8 samples in float32: 20 times some units in the last place.
      const Scope who("library");
      compare_outcome(by_library(rate, averaged), empirical, want, 40 * kEps);
    }
}
