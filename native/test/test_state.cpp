// SPDX-License-Identifier: Apache-2.0
//
// Save and restore: bitwise continuation at every phase of the schedule, refusal of data that is not a state of this
// optimizer.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "training.hpp"

using namespace conformance;

namespace {

// T_FIM 2 and T_INV 3: after 6 steps every phase of both has been seen. With inverses older than the averages a restore
// that recomputed them would give other bits.
Case state_case(int which) {
  Case c;
  c.name = "preset " + std::to_string(which);
  c.config = preset(which, 30);
  c.config.statistics_interval = 2;
  c.config.inverse_interval = 3;
  c.config.block_size = which == LNGD_PRESET_RECIPE ? 8 : 0;
  c.config.rho = 0.7;
  c.config.seed = 77;
  c.layers = {dense(13, 9, true, LNGD_ACTIVATION_TANH),
              dense(9, 4, true, LNGD_ACTIVATION_IDENTITY, LNGD_OUTPUT_SOFTMAX)};
  c.batch = 12;
  return c;
}

lngd_status restore(Optimizer& optimizer, const std::vector<std::uint8_t>& state) {
  return lngd_state_restore(optimizer.handle(), state.data(), static_cast<std::int64_t>(state.size()));
}

} // namespace

TEST(state_continues_bitwise_at_every_phase) {
  for (int which = LNGD_PRESET_RECIPE; which <= LNGD_PRESET_PAPER; ++which) {
    const Case c = state_case(which);
    for (int stop = 0; stop <= 7; ++stop) {
      if (!takes(stop, 3)) continue;
      const Scope scope(c.name + " saved after " + std::to_string(stop) + " steps");
      Training straight(c);
      for (int t = 0; t < stop; ++t) straight.step();
      const std::vector<std::uint8_t> state = straight.optimizer().state();

      Training resumed(c);
      resumed.step(); // whatever it held before must be gone
      REQUIRE_OK(restore(resumed.optimizer(), state));
      resumed.adopt_weights(straight);
      CHECK(resumed.optimizer().state() == state);
      for (int t = 0; t < 7; ++t) {
        straight.step();
        resumed.step();
        CHECK(resumed.bits() == straight.bits());
      }
      CHECK(resumed.optimizer().state() == straight.optimizer().state());
    }
  }
}

TEST(state_carries_settings) {
  const Case c = state_case(LNGD_PRESET_RECIPE);
  Training one(c), two(c);
  const double values[] = {0.5, 0.8, 0.01, 3, 1e-6, 2e-4, 2e-2, 0.6, 1e-5, 0.03, 4, 9}; // in the order of lngd_setting
  // The upper bound first: damping_min may not pass damping_max on the way.
  REQUIRE_OK(lngd_set(one.optimizer().handle(), LNGD_SET_DAMPING_MAX, values[LNGD_SET_DAMPING_MAX]));
  for (int setting = 0; setting <= LNGD_SET_INVERSE_INTERVAL; ++setting)
    REQUIRE_OK(lngd_set(one.optimizer().handle(), setting, values[setting]));
  REQUIRE_OK(restore(two.optimizer(), one.optimizer().state()));
  for (int setting = 0; setting <= LNGD_SET_INVERSE_INTERVAL; ++setting) {
    double value = 0;
    REQUIRE_OK(lngd_get(two.optimizer().handle(), setting, &value));
    CHECK_EQ(value, values[setting]);
  }
}

// Restoring in the middle of an update drops its sums.
TEST(state_restore_drops_half_an_update) {
  const Case c = state_case(LNGD_PRESET_RECIPE);
  Training straight(c), disturbed(c);
  const std::vector<std::uint8_t> fresh = straight.optimizer().state();
  Tensor inputs(5, 13), signal(5, 9);
  inputs.fill(3.0);
  signal.fill(0.5);
  REQUIRE_OK(
      lngd_observe(disturbed.optimizer().handle(), 0, inputs.pointer(), signal.pointer(), LNGD_SIGNAL_PRE_ACTIVATIONS));
  std::int64_t bytes = 0;
  std::vector<std::uint8_t> buffer(fresh.size());
  CHECK_EQ(
      lngd_state_save(disturbed.optimizer().handle(), buffer.data(), static_cast<std::int64_t>(buffer.size()), &bytes),
      LNGD_INVALID_STATE);
  REQUIRE_OK(restore(disturbed.optimizer(), fresh));
  straight.step();
  disturbed.step();
  CHECK(straight.bits() == disturbed.bits());
}

TEST(state_corrupted_is_refused_and_changes_nothing) {
  const Case c = state_case(LNGD_PRESET_RECIPE);
  Training source(c), target(c);
  for (int t = 0; t < 3; ++t) source.step();
  for (int t = 0; t < 2; ++t) target.step();
  const std::vector<std::uint8_t> good = source.optimizer().state(), before = target.optimizer().state();
  Random random(9);
  std::vector<std::size_t> places;
  for (std::size_t place = 0; place < std::min<std::size_t>(good.size(), 256); ++place) places.push_back(place);
  for (int i = 0; i < 200; ++i) places.push_back(random.bits() % good.size());
  for (std::size_t back = 1; back <= 16; ++back) places.push_back(good.size() - back);
  for (const std::size_t place : places) {
    const Scope scope("bit flipped in byte " + std::to_string(place));
    std::vector<std::uint8_t> bad = good;
    bad[place] = static_cast<std::uint8_t>(bad[place] ^ (1u << (place % 8)));
    CHECK_EQ(restore(target.optimizer(), bad), LNGD_BAD_STATE_DATA);
    CHECK_NE(std::strlen(lngd_last_error()), std::size_t{0});
  }
  CHECK(target.optimizer().state() == before);
  CHECK_EQ(restore(target.optimizer(), good), LNGD_OK);
  CHECK(target.optimizer().state() == good);
}

TEST(state_truncated_or_foreign_is_refused) {
  const Case c = state_case(LNGD_PRESET_RECIPE);
  Training source(c), target(c);
  source.step();
  const std::vector<std::uint8_t> good = source.optimizer().state(), before = target.optimizer().state();
  for (std::size_t size = 0; size < good.size(); size += size < 64 ? 1 : 97) {
    // A copy of just that size, so that a read beyond it is one beyond the allocation.
    const std::vector<std::uint8_t> part(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    std::uint8_t nothing = 0;
    CHECK_EQ(
        lngd_state_restore(target.optimizer().handle(), size ? part.data() : &nothing, static_cast<std::int64_t>(size)),
        LNGD_BAD_STATE_DATA);
  }
  std::vector<std::uint8_t> longer = good;
  longer.push_back(0);
  CHECK_EQ(restore(target.optimizer(), longer), LNGD_BAD_STATE_DATA);
  CHECK_EQ(restore(target.optimizer(), std::vector<std::uint8_t>(good.size(), 0)), LNGD_BAD_STATE_DATA);
  CHECK_EQ(lngd_state_restore(target.optimizer().handle(), good.data(), -1), LNGD_INVALID_ARGUMENT);
  CHECK(target.optimizer().state() == before);
}

TEST(state_of_another_configuration_is_refused) {
  const Case c = state_case(LNGD_PRESET_RECIPE);
  Training source(c);
  source.step();
  const std::vector<std::uint8_t> state = source.optimizer().state();
  const auto refused = [&state](const char* what, const Case& other) {
    const Scope scope(what);
    Training target(other);
    const std::vector<std::uint8_t> before = target.optimizer().state();
    CHECK_EQ(restore(target.optimizer(), state), LNGD_BAD_STATE_DATA);
    CHECK(target.optimizer().state() == before);
  };
  Case other = c;
  other.config.block_size = 4;
  refused("block_size", other);
  other = c;
  other.config.seed = 78;
  refused("seed", other);
  other = c;
  other.config.fisher = LNGD_FISHER_SAMPLED;
  refused("fisher", other);
  other = c;
  other.config.averaging = 0;
  refused("averaging", other);
  other = c;
  other.layers.pop_back();
  refused("fewer layers", other);
  other = c;
  other.layers[0] = dense(9, 13, true, LNGD_ACTIVATION_TANH); // the same number of weights
  refused("another shape", other);
  other = c;
  other.layers[0].activation = LNGD_ACTIVATION_SIGMOID;
  refused("another activation", other);
  // Settings and threads are not part of what shapes a state.
  other = c;
  other.config.learning_rate = 0.5;
  other.config.threads = 2;
  Training target(other);
  CHECK_OK(restore(target.optimizer(), state));
}

TEST(state_buffer_too_small) {
  Training one(state_case(LNGD_PRESET_RECIPE));
  std::int64_t size = 0, written = -5;
  REQUIRE_OK(lngd_state_size(one.optimizer().handle(), &size));
  std::vector<std::uint8_t> buffer(static_cast<std::size_t>(size), 0xAB);
  CHECK_EQ(lngd_state_save(one.optimizer().handle(), buffer.data(), size - 1, &written), LNGD_INVALID_ARGUMENT);
  CHECK_EQ(written, -5);
  CHECK(std::all_of(buffer.begin(), buffer.end(), [](std::uint8_t byte) { return byte == 0xAB; }));
}

// The size does not depend on the phase, so that a caller may allocate once.
TEST(state_size_is_constant) {
  Training one(state_case(LNGD_PRESET_RECIPE_FIT));
  const std::size_t size = one.optimizer().state().size();
  for (int t = 0; t < 4; ++t) {
    one.step();
    CHECK_EQ(one.optimizer().state().size(), size);
  }
}
