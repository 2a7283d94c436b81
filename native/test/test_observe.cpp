// SPDX-License-Identifier: Apache-2.0
//
// Ways of observing that must not matter: layouts, micro-batches, signal kinds, the strided entry; and the sample
// limit.
#include <cmath>
#include <string>

#include "single.hpp"
#include "training.hpp"

using namespace conformance;

namespace {

Case base_case(const std::string& name) {
  Case c;
  c.name = name;
  c.config = preset(LNGD_PRESET_RECIPE_EMPIRICAL, 50);
  c.config.block_size = 16;
  c.config.statistics_interval = 2;
  c.config.inverse_interval = 2;
  c.config.weight_decay = 0.01;
  c.layers = {dense(21, 13, true, LNGD_ACTIVATION_TANH), dense(13, 18, false, LNGD_ACTIVATION_ELU),
              dense(18, 4, true, LNGD_ACTIVATION_IDENTITY, LNGD_OUTPUT_SOFTMAX)};
  c.batch = 20;
  c.steps = 4;
  return c;
}

} // namespace

TEST(layouts_of_all_tensors) {
  for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS})
    for (const Layout layout : kLayouts) {
      Case c = base_case(std::string("layout ") + layout_name(layout) + " update " + std::to_string(update));
      c.layout = layout;
      c.update = update;
      run_case(c);
    }
}

TEST(layouts_mixed) {
  for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS})
    for (const int fisher : {LNGD_FISHER_EXPECTED, LNGD_FISHER_SAMPLED, LNGD_FISHER_PROVIDED}) {
      Case c = base_case("mixed layouts");
      c.all_layouts = true;
      c.update = update;
      c.config.fisher = fisher;
      run_case(c);
    }
}

TEST(observe_strided_equals_observe) {
  Case c = base_case("tensors");
  const std::vector<std::uint8_t> tensors = run_case(c);
  c.strided_observe = true;
  CHECK(run_case(c) == tensors);
}

TEST(observe_micro_batches_equal_one_batch) {
  for (const int fisher : {LNGD_FISHER_EXPECTED, LNGD_FISHER_SAMPLED, LNGD_FISHER_PROVIDED})
    for (const int parts : {2, 3, 7, 20}) {
      Case c = base_case("fisher " + std::to_string(fisher) + " in " + std::to_string(parts) + " parts");
      c.config.fisher = fisher;
      c.micro_batches = parts;
      run_case(c); // against the twin, which also counts samples over the parts
    }
}

TEST(observe_sample_limit) {
  for (const int limit : {1, 3, 19, 20, 21, 1000})
    for (const int parts : {1, 3}) {
      Case c = base_case("limit " + std::to_string(limit) + " in " + std::to_string(parts) + " parts");
      c.config.statistics_samples = limit;
      c.config.fisher = LNGD_FISHER_SAMPLED;
      c.micro_batches = parts;
      run_case(c);
    }
}

// Samples beyond the limit are not looked at: a NaN there is harmless.
TEST(observe_ignores_samples_beyond_the_limit) {
  lngd_config config = bare_config();
  config.statistics_samples = 4;
  Single one(config, dense(3, 2, true, LNGD_ACTIVATION_IDENTITY));
  Tensor inputs(6, 3), signal(6, 2);
  inputs.fill(1.0);
  for (std::int64_t j = 0; j < 3; ++j) inputs.set(5, j, NAN);
  REQUIRE_OK(one.observe(inputs, signal));
  REQUIRE_OK(one.step());
  CHECK_EQ(one.health().skipped_statistics, 0);
  CHECK_EQ(one.health().statistics_updates, 1);
}

TEST(observe_from_outputs) {
  for (const int activation :
       {LNGD_ACTIVATION_IDENTITY, LNGD_ACTIVATION_RELU, LNGD_ACTIVATION_LEAKY_RELU, LNGD_ACTIVATION_ELU,
        LNGD_ACTIVATION_TANH, LNGD_ACTIVATION_SIGMOID, LNGD_ACTIVATION_SOFTPLUS})
    for (const int output : {LNGD_OUTPUT_SOFTMAX, LNGD_OUTPUT_SIGMOID, LNGD_OUTPUT_SOFTMAX_GAUSSIAN}) {
      const int fisher = activation % 2 == 0 ? LNGD_FISHER_EXPECTED : LNGD_FISHER_SAMPLED;
      Case c = base_case("outputs of activation " + std::to_string(activation) + " output " + std::to_string(output));
      c.config.fisher = fisher;
      c.layers[0] = dense(21, 13, true, activation);
      c.layers[1] = dense(13, 18, true, activation);
      c.layers[2].output = output;
      c.signal_kind = LNGD_SIGNAL_OUTPUTS;
      run_case(c);
    }
}

// Observing where nothing is asked for changes nothing, and lngd_needs says when.
TEST(observe_follows_needs) {
  lngd_config config = bare_config();
  config.statistics_interval = 3;
  Single one(config, dense(3, 2, true, LNGD_ACTIVATION_IDENTITY));
  Tensor inputs(5, 3), signal(5, 2);
  Random random(4);
  for (int step = 0; step < 7; ++step) {
    const Scope scope("step " + std::to_string(step));
    inputs.fill(random_matrix(5, 3, &random));
    CHECK_EQ(one.optimizer.needs_statistics(0), step % 3 == 0);
    REQUIRE_OK(one.observe(inputs, signal));
    REQUIRE_OK(one.step());
    CHECK_EQ(one.health().statistics_updates, step / 3 + 1);
  }
  std::uint32_t bits = 0;
  REQUIRE_OK(lngd_needs(one.optimizer.handle(), 0, &bits));
  CHECK_EQ(bits & LNGD_NEEDS_DELTAS, 0u);
  config.rate = LNGD_RATE_EMPIRICAL;
  const Single empirical(config, dense(3, 2));
  REQUIRE_OK(lngd_needs(empirical.optimizer.handle(), 0, &bits));
  CHECK_EQ(bits, LNGD_NEEDS_DELTAS | LNGD_NEEDS_STATISTICS);
}

// A layer that was never observed asks at every step and does not move.
TEST(observe_forgotten_layer_waits) {
  Single one(preset(LNGD_PRESET_RECIPE), dense(3, 2));
  one.weights.fill(2.0);
  one.weight_gradients.fill(1.0);
  for (int step = 0; step < 3; ++step) {
    CHECK(one.optimizer.needs_statistics(0));
    REQUIRE_OK(one.step());
    CHECK_EQ(one.health().skipped_steps, step + 1);
    CHECK_EQ(one.health().last_step_skipped, 1);
    CHECK_EQ(one.weights.get(1, 2), 2.0f);
  }
  Tensor inputs(5, 3), signal(5, 2);
  inputs.fill(1.0);
  signal.fill(1.0);
  REQUIRE_OK(one.observe(inputs, signal));
  REQUIRE_OK(one.step());
  CHECK_EQ(one.health().last_step_skipped, 0);
  CHECK_NE(one.weights.get(1, 2), 2.0f);
}
