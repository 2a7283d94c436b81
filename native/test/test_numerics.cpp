// SPDX-License-Identifier: Apache-2.0
//
// Numbers that are not: NaN and Inf in batches, gradients and deltas, dead layers, overflow, zero and extreme
// gradients.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "single.hpp"

using namespace conformance;

namespace {

const double kBad[] = {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                       -std::numeric_limits<double>::infinity()};

// A layer that has had one healthy update, with a batch at hand.
struct Healthy {
  Single one;
  Tensor inputs, signal;
  twin::Matrix phi, psi;

  explicit Healthy(lngd_config config, lngd_layer_config layer = dense(5, 3, true, LNGD_ACTIVATION_TANH),
                   int update = LNGD_UPDATE_WEIGHTS)
      : one(config, layer, update), inputs(7, 5), signal(7, 3) {
    Random random(2);
    inputs.fill(random_matrix(7, 5, &random));
    signal.fill(random_matrix(7, 3, &random));
    one.weights.fill(random_matrix(3, 5, &random));
    fill_gradients();
    REQUIRE_OK(one.observe(inputs, signal));
    REQUIRE_OK(one.step());
    REQUIRE(one.health().last_step_skipped == 0);
    phi = one.optimizer.read(0, LNGD_FIELD_PHI, 6, 6);
    psi = one.optimizer.read(0, LNGD_FIELD_PSI, 3, 1);
  }

  void fill_gradients() {
    Random random(3);
    one.weight_gradients.fill(random_matrix(3, 5, &random));
    one.bias_gradients.fill(random_matrix(3, 1, &random));
  }

  void check_averages_kept(int skipped) {
    CHECK_EQ(one.health().skipped_statistics, skipped);
    CHECK_EQ(largest_difference(one.optimizer.read(0, LNGD_FIELD_PHI, 6, 6), phi), 0.0);
    CHECK_EQ(largest_difference(one.optimizer.read(0, LNGD_FIELD_PSI, 3, 1), psi), 0.0);
    CHECK(twin::finite(one.weights.values()));
  }
};

} // namespace

TEST(numerics_bad_batch_is_kept_out) {
  int skipped = 0;
  Healthy h(bare_config());
  for (const double bad : kBad)
    for (const bool in_inputs : {true, false})
      for (const std::int64_t row : {0, 3, 6}) {
        const Scope scope(std::string(in_inputs ? "inputs " : "signal ") + show(bad) + " row " + std::to_string(row));
        // tanh(+-Inf) is a number and its derivative 0, so only NaN is bad among pre-activations.
        if (!in_inputs && !std::isnan(bad)) continue;
        Tensor& tensor = in_inputs ? h.inputs : h.signal;
        const double good = tensor.get(row, 1);
        tensor.set(row, 1, bad);
        REQUIRE_OK(h.one.observe(h.inputs, h.signal));
        REQUIRE_OK(h.one.step());
        tensor.set(row, 1, good);
        h.check_averages_kept(++skipped);
        CHECK_EQ(h.one.health().last_step_skipped, 0); // it goes on with the old factors
      }
  // And a good one is taken again.
  REQUIRE_OK(h.one.observe(h.inputs, h.signal));
  REQUIRE_OK(h.one.step());
  CHECK_EQ(h.one.health().statistics_updates, 2);
  CHECK_EQ(h.one.health().skipped_statistics, skipped);
}

TEST(numerics_one_bad_micro_batch_keeps_the_update_out) {
  for (const int bad_part : {0, 1, 2}) {
    Healthy h(bare_config());
    for (int part = 0; part < 3; ++part) {
      h.inputs.set(2, 2, part == bad_part ? NAN : 1.0);
      REQUIRE_OK(h.one.observe(h.inputs, h.signal));
    }
    REQUIRE_OK(h.one.step());
    h.check_averages_kept(1);
  }
}

TEST(numerics_bad_values_in_every_output_model) {
  for (const int output :
       {LNGD_OUTPUT_SOFTMAX, LNGD_OUTPUT_SIGMOID, LNGD_OUTPUT_SQUARED_ERROR, LNGD_OUTPUT_SOFTMAX_GAUSSIAN})
    for (const int fisher : {LNGD_FISHER_EXPECTED, LNGD_FISHER_SAMPLED}) {
      const Scope scope("output " + std::to_string(output) + " fisher " + std::to_string(fisher));
      lngd_config config = bare_config();
      config.fisher = fisher;
      // SQUARED_ERROR with tanh: with the identity a NaN in s does not enter q at all.
      const int activation = output == LNGD_OUTPUT_SQUARED_ERROR ? static_cast<int>(LNGD_ACTIVATION_TANH)
                                                                 : static_cast<int>(LNGD_ACTIVATION_IDENTITY);
      Healthy h(config, dense(5, 3, true, activation, output));
      h.signal.set(4, 1, NAN);
      REQUIRE_OK(h.one.observe(h.inputs, h.signal));
      REQUIRE_OK(h.one.step());
      h.check_averages_kept(1);
    }
  lngd_config config = bare_config();
  config.fisher = LNGD_FISHER_PROVIDED;
  Single one(config, dense(5, 3));
  Tensor inputs(2, 5), gradients(2, 3);
  inputs.fill(1.0);
  gradients.fill(1.0);
  gradients.set(1, 2, INFINITY);
  REQUIRE_OK(one.observe(inputs, gradients, LNGD_SIGNAL_GRADIENTS));
  REQUIRE_OK(one.step());
  CHECK_EQ(one.health().skipped_statistics, 1);
  CHECK_EQ(one.health().skipped_steps, 1); // it never had statistics
}

// Every entry is finite, their sum r a a^T is not in float32.
TEST(numerics_overflow_is_kept_out) {
  Healthy h(bare_config());
  h.inputs.fill(1e30);
  REQUIRE_OK(h.one.observe(h.inputs, h.signal));
  REQUIRE_OK(h.one.step());
  h.check_averages_kept(1);
}

// A dead layer (all q = 0) or zero input without bias contributes nothing.
TEST(numerics_dead_layer_is_kept_out) {
  Healthy h(bare_config(), dense(5, 3, true, LNGD_ACTIVATION_RELU));
  h.signal.fill(-1.0);
  REQUIRE_OK(h.one.observe(h.inputs, h.signal));
  REQUIRE_OK(h.one.step());
  h.check_averages_kept(1);

  Single one(bare_config(), dense(5, 3, false, LNGD_ACTIVATION_IDENTITY));
  Tensor zeros(4, 5), signal(4, 3);
  REQUIRE_OK(one.observe(zeros, signal));
  REQUIRE_OK(one.step());
  CHECK_EQ(one.health().skipped_statistics, 1);
  CHECK_EQ(one.health().statistics_updates, 0);
  CHECK_EQ(one.health().skipped_steps, 1);
}

// A unit that is dead beside live ones has psi = 0: lambda_Psi alone keeps its inverse finite.
TEST(numerics_dead_unit_gets_the_damping_alone) {
  lngd_config config = bare_config();
  config.damping = LNGD_DAMPING_RELATIVE;
  Single one(config, dense(4, 3, true, LNGD_ACTIVATION_RELU));
  Tensor inputs(6, 4), signal(6, 3);
  inputs.fill(1.0);
  signal.fill(1.0);
  for (std::int64_t n = 0; n < 6; ++n) signal.set(n, 1, -1);
  REQUIRE_OK(one.observe(inputs, signal));
  REQUIRE_OK(one.step());
  const twin::Matrix psi = one.optimizer.read(0, LNGD_FIELD_PSI, 3, 1);
  CHECK_EQ(psi(1, 0), 0.0);
  CHECK_NEAR(psi(0, 0), 0.5, 4 * kEps);
  CHECK_NEAR(one.optimizer.read(0, LNGD_FIELD_PSI_INVERSE, 3, 1)(1, 0), 3.0, 12 * kEps); // lambda = 1/m
}

TEST(numerics_bad_gradient_skips_the_layer_only) {
  for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS})
    for (const double bad : kBad)
      for (const int place : {0, 1, 2}) {
        const Scope scope(show(bad) + " place " + std::to_string(place) + " update " + std::to_string(update));
        lngd_config config = bare_config();
        config.momentum = 0.9;
        config.averaging = 1;
        Healthy h(config, dense(5, 3, true, LNGD_ACTIVATION_TANH), update);
        const twin::Matrix weights = h.one.weights.values();
        const std::vector<float> momentum = h.one.optimizer.read(0, LNGD_FIELD_MOMENTUM);
        const std::vector<float> average = h.one.optimizer.read(0, LNGD_FIELD_AVERAGE);
        h.fill_gradients();
        if (place == 2)
          h.one.bias_gradients.set(2, 0, bad);
        else
          h.one.weight_gradients.set(place, place * 4, bad);
        REQUIRE_OK(h.one.step());
        const lngd_health health = h.one.health();
        CHECK_EQ(health.skipped_steps, 1);
        CHECK_EQ(health.last_step_skipped, 1);
        CHECK_EQ(health.steps, 2);
        CHECK_EQ(largest_difference(h.one.weights.values(), weights), 0.0);
        CHECK(h.one.optimizer.read(0, LNGD_FIELD_MOMENTUM) == momentum);
        CHECK(h.one.optimizer.read(0, LNGD_FIELD_AVERAGE) == average);
        if (update == LNGD_UPDATE_GRADIENTS) {
          CHECK_EQ(twin::norm(h.one.weight_gradients.values()), 0.0);
          CHECK_EQ(twin::norm(h.one.bias_gradients.values()), 0.0);
        }
        h.fill_gradients();
        REQUIRE_OK(h.one.step());
        CHECK_EQ(h.one.health().last_step_skipped, 0);
        CHECK(twin::finite(h.one.weights.values()) && twin::finite(h.one.weight_gradients.values()));
      }
}

// In a plan of two layers the healthy one moves.
TEST(numerics_bad_gradient_leaves_other_layers_alone) {
  const Optimizer optimizer(
      bare_config(), {dense(2, 2, false, LNGD_ACTIVATION_IDENTITY), dense(2, 2, false, LNGD_ACTIVATION_IDENTITY)});
  Tensor inputs(3, 2), signal(3, 2), w0(2, 2), w1(2, 2), g0(2, 2), g1(2, 2);
  inputs.fill(1.0);
  g0.fill(1.0);
  g1.fill(1.0);
  g0.set(1, 1, NAN);
  lngd_binding bindings[2]{};
  bindings[0].weights = w0.view();
  bindings[0].weight_gradients = g0.view();
  bindings[1].layer = 1;
  bindings[1].weights = w1.view();
  bindings[1].weight_gradients = g1.view();
  lngd_plan* plan = nullptr;
  REQUIRE_OK(lngd_plan_create(optimizer.handle(), bindings, 2, LNGD_UPDATE_WEIGHTS, &plan));
  for (int layer = 0; layer < 2; ++layer)
    REQUIRE_OK(
        lngd_observe(optimizer.handle(), layer, inputs.pointer(), signal.pointer(), LNGD_SIGNAL_PRE_ACTIVATIONS));
  REQUIRE_OK(lngd_step(plan, 1, nullptr));
  CHECK_EQ(optimizer.health(0).last_step_skipped, 1);
  CHECK_EQ(optimizer.health(1).last_step_skipped, 0);
  CHECK_EQ(twin::norm(w0.values()), 0.0);
  CHECK_GT(twin::norm(w1.values()), 0.0);
  CHECK_OK(lngd_plan_destroy(plan));
}

// NaN in the deltas of EMPIRICAL spoils C, not the weights.
TEST(numerics_bad_deltas_do_not_reach_the_weights) {
  for (const int trust : {LNGD_TRUST_OFF, LNGD_TRUST_CAP, LNGD_TRUST_ALWAYS}) {
    lngd_config config = bare_config();
    config.rate = LNGD_RATE_EMPIRICAL;
    config.trust = trust;
    config.trust_ratio = trust == LNGD_TRUST_OFF ? 0 : 0.1;
    Single one(config, dense(3, 2));
    Tensor inputs(4, 3), signal(4, 2), deltas(4, 2);
    inputs.fill(1.0);
    signal.fill(1.0);
    deltas.fill(NAN);
    one.weights.fill(1.0);
    one.weight_gradients.fill(1.0);
    REQUIRE_OK(one.observe(inputs, signal));
    lngd_samples samples{inputs.view(), deltas.view()};
    REQUIRE_OK(lngd_step(one.plan, 1, &samples));
    CHECK(twin::finite(one.weights.values()));
    deltas.fill(1.0);
    REQUIRE_OK(one.observe(inputs, signal));
    REQUIRE_OK(lngd_step(one.plan, 1, &samples));
    CHECK(twin::finite(one.weights.values()));
    CHECK_EQ(one.health().last_step_skipped, 0);
  }
}

// Gradients of 0, of denormal and of huge size: finite weights, and under ALWAYS a step of the length asked for.
TEST(numerics_gradients_of_any_size) {
  for (const double size : {0.0, 1e-40, 1e-30, 1e-20, 1e15, 1e18}) {
    const Scope scope("size " + show(size));
    lngd_config config = bare_config();
    config.damping = LNGD_DAMPING_RELATIVE;
    config.trust = LNGD_TRUST_ALWAYS;
    config.trust_ratio = 0.1;
    Single one(config, dense(5, 3, false, LNGD_ACTIVATION_IDENTITY));
    Tensor inputs(6, 5), signal(6, 3);
    Random random(6);
    inputs.fill(random_matrix(6, 5, &random));
    one.weights.fill(1.0);
    one.weight_gradients.fill(size);
    REQUIRE_OK(one.observe(inputs, signal));
    const twin::Matrix before = one.weights.values();
    REQUIRE_OK(one.step());
    const double moved = distance(one.weights.values(), before);
    // Denormals: flushed to zero, or a coefficient that float cannot hold. Then nothing moves and the step may count as
    // skipped; a step half as long because of lost digits would be wrong.
    const bool denormal = size > 0 && size < 1e-37;
    if (size == 0 || (denormal && moved == 0)) {
      CHECK_EQ(moved, 0.0);
    } else {
      CHECK_NEAR(moved, 0.1 * std::sqrt(15.0), denormal ? 1e-2 : 1e-5);
    }
    if (!denormal) CHECK_EQ(one.health().last_step_skipped, 0);
  }
}

// Coefficient and norm of a step can be floats whose product is none: the step is skipped. Without a trust ratio, where
// momentum would stay infinite.
TEST(numerics_steps_longer_than_floats) {
  for (const double size : {1e11, 1e25, 3e38}) {
    const Scope scope("size " + show(size));
    lngd_config config = preset(LNGD_PRESET_PAPER);
    config.fisher = LNGD_FISHER_EXPECTED;
    config.rate = LNGD_RATE_NONE;
    config.learning_rate = 1e6;
    config.weight_decay = 0;
    config.damping_min = config.damping_max = config.damping_floor = 1e-12;
    Single one(config, dense(5, 3, true, LNGD_ACTIVATION_IDENTITY));
    Tensor inputs(6, 5), signal(6, 3);
    Random random(6);
    inputs.fill(1e-12); // the whole of Phi is below its damping
    one.weights.fill(random_matrix(3, 5, &random));
    one.weight_gradients.fill(size);
    REQUIRE_OK(one.observe(inputs, signal));
    const twin::Matrix before = one.weights.values();
    REQUIRE_OK(one.step());
    CHECK(twin::finite(one.weights.values()));
    CHECK(twin::finite(one.optimizer.read(0, LNGD_FIELD_MOMENTUM, 3, 6)));
    if (size > 1e20) {
      CHECK_EQ(one.health().last_step_skipped, 1);
      CHECK_EQ(largest_difference(one.weights.values(), before), 0.0);
    }
    // And the next one, of an ordinary gradient, is taken.
    one.weight_gradients.fill(1e-20);
    REQUIRE_OK(one.observe(inputs, signal));
    REQUIRE_OK(one.step());
    CHECK_EQ(one.health().last_step_skipped, 0);
    CHECK(twin::finite(one.weights.values()));
  }
}

// Weights of zero: the trust ratio works with a norm of 1e-3.
TEST(numerics_trust_of_zero_weights) {
  lngd_config config = bare_config();
  config.trust = LNGD_TRUST_ALWAYS;
  config.trust_ratio = 0.5;
  Single one(config, dense(5, 3, true, LNGD_ACTIVATION_IDENTITY));
  Tensor inputs(6, 5), signal(6, 3);
  inputs.fill(1.0);
  one.weight_gradients.fill(1.0);
  one.bias_gradients.fill(-2.0);
  REQUIRE_OK(one.observe(inputs, signal));
  REQUIRE_OK(one.step());
  const double moved = std::hypot(twin::norm(one.weights.values()), twin::norm(one.bias.values()));
  CHECK_NEAR(moved, 0.5e-3, 1e-8);
}
