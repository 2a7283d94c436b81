// SPDX-License-Identifier: Apache-2.0
//
// Thread counts: each agrees with the twin, and gives the same bits from run to run.
#include <string>

#include "training.hpp"

using namespace conformance;

namespace {

Case threads_case(int which, int threads) {
  Case c;
  c.name = "preset " + std::to_string(which) + " threads " + std::to_string(threads);
  c.config = preset(which, 30);
  c.config.threads = threads;
  c.config.statistics_interval = 2;
  c.config.inverse_interval = 2;
  if (which == LNGD_PRESET_RECIPE) c.config.block_size = 32;
  // Unequal layers, more of them than threads.
  c.layers = {dense(150, 40, true, LNGD_ACTIVATION_RELU), dense(40, 70, true, LNGD_ACTIVATION_TANH),
              dense(70, 33, false, LNGD_ACTIVATION_SIGMOID),
              dense(33, 10, true, LNGD_ACTIVATION_IDENTITY, LNGD_OUTPUT_SOFTMAX)};
  c.batch = 70;
  c.steps = 3;
  return c;
}

} // namespace

TEST(threads_agree_with_twin_and_repeat_their_bits) {
  for (const int which : {LNGD_PRESET_RECIPE, LNGD_PRESET_PAPER})
    for (const int threads : {1, 2, 3}) {
      const Case c = threads_case(which, threads);
      const std::vector<std::uint8_t> first = run_case(c);
      for (int again = 0; again < (quick() ? 1 : 3); ++again) {
        Training training(c);
        for (int t = 0; t < c.steps; ++t) training.step(1 - 0.1 * t / c.steps);
        CHECK(training.bits() == first);
      }
    }
}

TEST(threads_more_than_work) {
  Case c = threads_case(LNGD_PRESET_RECIPE, 16);
  c.layers = {dense(1, 1, false)};
  c.batch = 3;
  run_case(c);
}

TEST(threads_resolved_in_config) {
  require_cpu_backend(); // which AUTO may take
  for (const int threads : {0, 1, 3}) {
    lngd_config config = preset(LNGD_PRESET_RECIPE);
    config.threads = threads;
    config.device = LNGD_DEVICE_AUTO;
    const Optimizer optimizer(config, {dense(2, 2)});
    lngd_config now{};
    now.struct_size = sizeof now;
    REQUIRE_OK(lngd_get_config(optimizer.handle(), &now));
    if (threads > 0 && now.device == LNGD_DEVICE_CPU)
      CHECK_EQ(now.threads, threads);
    else
      CHECK_GE(now.threads, 1);
    CHECK_NE(now.device, static_cast<int>(LNGD_DEVICE_AUTO));
    CHECK_EQ(now.trust_ratio, config.trust_ratio);
  }
}

// Several optimizers with threads of their own, made and destroyed in turn.
TEST(threads_come_and_go_with_optimizers) {
  for (int round = 0; round < (quick() ? 5 : 30); ++round) {
    Case c = threads_case(LNGD_PRESET_RECIPE, 1 + round % 3);
    c.layers.resize(2);
    Training one(c), two(c);
    one.step();
    two.step();
    CHECK(one.bits() == two.bits());
  }
}
