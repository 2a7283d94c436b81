// SPDX-License-Identifier: Apache-2.0
//
// Swapping averaged weights in and back; fields read and written; memory and times.
#include <cmath>
#include <string>
#include <vector>

#include "single.hpp"
#include "training.hpp"

using namespace conformance;

namespace {

Case averages_case() {
  Case c;
  c.config = preset(LNGD_PRESET_RECIPE, 30);
  c.config.statistics_interval = 2;
  c.config.inverse_interval = 2;
  c.layers = {dense(7, 5, true), dense(5, 3, false, LNGD_ACTIVATION_TANH)};
  c.all_layouts = true;
  return c;
}

} // namespace

TEST(averages_swap_in_and_back_to_the_same_bits) {
  for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS}) {
    Case c = averages_case();
    c.update = update;
    Training training(c), undisturbed(c);
    for (int t = 0; t < 4; ++t) {
      training.step();
      undisturbed.step();
    }
    const std::vector<std::uint8_t> before = training.bits();
    std::vector<twin::Matrix> weights, averages;
    for (int l = 0; l < training.count(); ++l) {
      weights.push_back(training.weights(l));
      averages.push_back(training.optimizer().read(l, LNGD_FIELD_AVERAGE, weights.back().rows, weights.back().cols));
    }
    std::int32_t swapped = -1;
    REQUIRE_OK(lngd_swap_averages(training.plan(), &swapped));
    CHECK_EQ(swapped, 1);
    for (int l = 0; l < training.count(); ++l) {
      const auto k = static_cast<std::size_t>(l);
      CHECK_EQ(largest_difference(training.weights(l), averages[k]), 0.0);
      CHECK_GT(largest_difference(training.weights(l), weights[k]), 0.0);
      // What the library holds is now the other set.
      CHECK_EQ(largest_difference(training.optimizer().read(l, LNGD_FIELD_AVERAGE, weights[k].rows, weights[k].cols),
                                  weights[k]),
               0.0);
    }
    CHECK_EQ(lngd_step(training.plan(), 1, nullptr), LNGD_INVALID_STATE);
    std::vector<std::uint8_t> buffer(1 << 20);
    CHECK_EQ(lngd_state_save(training.optimizer().handle(), buffer.data(), 1 << 20, nullptr), LNGD_INVALID_STATE);
    REQUIRE_OK(lngd_swap_averages(training.plan(), &swapped));
    CHECK_EQ(swapped, 0);
    CHECK(training.bits() == before);
    // And training goes on as if nothing had been.
    training.step();
    undisturbed.step();
    CHECK(training.bits() == undisturbed.bits());
  }
}

TEST(averages_before_the_first_step_nothing_is_swapped) {
  Training training(averages_case());
  const twin::Matrix weights = training.weights(0);
  std::int32_t swapped = -1;
  REQUIRE_OK(lngd_swap_averages(training.plan(), &swapped));
  CHECK_EQ(swapped, 0);
  REQUIRE_OK(lngd_swap_averages(training.plan(), nullptr));
  CHECK_EQ(largest_difference(training.weights(0), weights), 0.0);
  training.step();
  training.compare();
}

// A layer that has not moved yet has no average: it stays as it is while the others are swapped.
TEST(averages_of_a_layer_that_never_moved) {
  Case c = averages_case();
  Training training(c);
  Tensor inputs(4, 7), signal(4, 5);
  inputs.fill(1.0);
  signal.fill(1.0);
  REQUIRE_OK(
      lngd_observe(training.optimizer().handle(), 0, inputs.pointer(), signal.pointer(), LNGD_SIGNAL_PRE_ACTIVATIONS));
  training.fill_gradients(1.0);
  REQUIRE_OK(lngd_step(training.plan(), 1, nullptr));
  REQUIRE_OK(lngd_step(training.plan(), 1, nullptr));
  CHECK_EQ(training.optimizer().health(0).last_step_skipped, 0);
  CHECK_EQ(training.optimizer().health(1).skipped_steps, 2);
  const twin::Matrix moved = training.weights(0), waiting = training.weights(1);
  for (const int in : {1, 0}) {
    std::int32_t swapped = -1;
    REQUIRE_OK(lngd_swap_averages(training.plan(), &swapped));
    CHECK_EQ(swapped, in);
    CHECK_EQ(largest_difference(training.weights(1), waiting), 0.0);
    CHECK_EQ(largest_difference(training.weights(0), moved) > 0, in == 1);
  }
}

TEST(averages_off_cannot_be_swapped_or_read) {
  Case c = averages_case();
  c.config.averaging = 0;
  Training training(c);
  training.step();
  std::int32_t swapped = -1;
  CHECK_EQ(lngd_swap_averages(training.plan(), &swapped), LNGD_INVALID_STATE);
  CHECK_EQ(swapped, -1);
  std::vector<float> values(40);
  CHECK_EQ(lngd_layer_read(training.optimizer().handle(), 0, LNGD_FIELD_AVERAGE, values.data(), 40, nullptr),
           LNGD_INVALID_STATE);
}

TEST(fields_written_are_read_back) {
  Case c = averages_case();
  c.config.block_size = 3;
  Training training(c);
  training.step();
  Random random(12);
  for (const int field : {LNGD_FIELD_PHI, LNGD_FIELD_PSI, LNGD_FIELD_MOMENTUM, LNGD_FIELD_AVERAGE}) {
    const Scope scope("field " + std::to_string(field));
    std::vector<float> values = training.optimizer().read(0, field);
    for (float& value : values) value = random.normal_float();
    const auto count = static_cast<std::int64_t>(values.size());
    REQUIRE_OK(lngd_layer_write(training.optimizer().handle(), 0, field, values.data(), count));
    const std::vector<float> back = training.optimizer().read(0, field);
    if (field != LNGD_FIELD_PHI) {
      CHECK(back == values);
      continue;
    }
    for (std::size_t i = 0; i < 8; ++i)
      for (std::size_t j = 0; j < 8; ++j) // the lower triangle inside the blocks, mirrored
        CHECK_EQ(back[i * 8 + j], i / 3 != j / 3 ? 0.0f : i >= j ? values[i * 8 + j] : values[j * 8 + i]);
  }
}

// Warm start: the factors and momentum of one optimizer, written into another, give the same next step.
TEST(fields_carry_a_warm_start) {
  lngd_config config = preset(LNGD_PRESET_RECIPE);
  config.averaging = 0;
  Single one(config, dense(6, 4)), two(config, dense(6, 4));
  Tensor inputs(9, 6), signal(9, 4);
  Random random(1);
  inputs.fill(random_matrix(9, 6, &random));
  signal.fill(random_matrix(9, 4, &random));
  const twin::Matrix weights = random_matrix(4, 6, &random), gradients = random_matrix(4, 6, &random);
  one.weights.fill(weights);
  one.weight_gradients.fill(gradients);
  REQUIRE_OK(one.observe(inputs, signal));
  REQUIRE_OK(one.step());
  for (const int field : {LNGD_FIELD_PHI, LNGD_FIELD_PSI, LNGD_FIELD_MOMENTUM})
    two.write(field, one.optimizer.read(0, field));
  two.weights.fill(one.weights.values());
  two.bias.fill(one.bias.values());
  two.weight_gradients.fill(gradients);
  REQUIRE_OK(one.step());
  REQUIRE_OK(two.step());
  CHECK_EQ(largest_difference(one.weights.values(), two.weights.values()), 0.0);
  CHECK_EQ(largest_difference(one.bias.values(), two.bias.values()), 0.0);
}

// A factor written between two inversions is inverted by the next step, not T_INV steps later, also where the optimizer
// was saved and restored in between.
TEST(fields_written_renew_the_inverse) {
  lngd_config config = preset(LNGD_PRESET_RECIPE);
  config.inverse_interval = 100;
  for (const bool restored : {false, true}) {
    Single one(config, dense(2, 2, false)), two(config, dense(2, 2, false));
    one.write(LNGD_FIELD_PHI, {1, 0, 0, 1});
    one.write(LNGD_FIELD_PSI, {0.5f, 0.5f});
    REQUIRE_OK(one.step());
    CHECK_NEAR(one.optimizer.read(0, LNGD_FIELD_PHI_INVERSE, 2, 2)(0, 0), 0.5, 4 * kEps); // gamma = 1
    one.write(LNGD_FIELD_PHI, {3, 0, 0, 3});
    Single& next = restored ? two : one;
    if (restored) {
      const std::vector<std::uint8_t> state = one.optimizer.state();
      REQUIRE_OK(lngd_state_restore(two.optimizer.handle(), state.data(), static_cast<std::int64_t>(state.size())));
    }
    REQUIRE_OK(next.step());
    CHECK_EQ(next.health().inverse_updates, 2);
    CHECK_NEAR(next.optimizer.read(0, LNGD_FIELD_PHI_INVERSE, 2, 2)(0, 0), 1.0 / 6, 4 * kEps);
    REQUIRE_OK(next.step());
    CHECK_EQ(next.health().inverse_updates, 2);
  }
}

TEST(memory_report_adds_up_and_stays) {
  Case c = averages_case();
  Training training(c);
  lngd_memory first{};
  first.struct_size = sizeof first;
  training.step();
  REQUIRE_OK(lngd_memory_report(training.optimizer().handle(), &first));
  CHECK_EQ(first.total, first.factors + first.inverses + first.momentum + first.averages + first.workspace);
  CHECK_GE(first.factors, 4 * (8 * 8 + 5 * 5));
  CHECK_GE(first.inverses, 4 * (8 * 8 + 5 * 5));
  CHECK_GE(first.momentum, 4 * (5 * 8 + 3 * 5));
  CHECK_GE(first.averages, 4 * (5 * 8 + 3 * 5));
  for (int t = 0; t < 10; ++t) training.step();
  lngd_memory later{};
  later.struct_size = sizeof later;
  REQUIRE_OK(lngd_memory_report(training.optimizer().handle(), &later));
  CHECK_EQ(later.total, first.total); // a step allocates nothing
}

TEST(profile_counts_time) {
  Case c = averages_case();
  c.config.rate = LNGD_RATE_EMPIRICAL;
  Training training(c);
  lngd_times before{}, after{};
  before.struct_size = after.struct_size = sizeof before;
  REQUIRE_OK(lngd_profile(training.optimizer().handle(), &before));
  CHECK_EQ(before.statistics + before.inverse + before.precondition + before.rate + before.update, 0);
  training.step();
  REQUIRE_OK(lngd_profile(training.optimizer().handle(), &after));
  for (const std::int64_t time : {after.statistics, after.inverse, after.precondition, after.rate, after.update}) {
    CHECK_GT(time, 0);
    CHECK_LE(time, std::int64_t{60} * 1000 * 1000 * 1000);
  }
}
