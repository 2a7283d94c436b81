// SPDX-License-Identifier: Apache-2.0
//
// KFAC and TKFAC: the second factor as a matrix, beside the twin, in dense layers and convolutions.
#include <limits>
#include <string>

#include "single.hpp"
#include "training.hpp"

using namespace conformance;

namespace {

const char* name_of(int approximation) {
  const char* const names[] = {"LNGD", "KFAC", "TKFAC", "EKFAC"};
  return names[approximation];
}

constexpr int kApproximations[] = {LNGD_APPROXIMATION_KFAC, LNGD_APPROXIMATION_TKFAC};
// EKFAC has a twin of its own (test_eigenbasis.cpp) and runs on the CPU; what needs no twin is tested with all that the
// device has.
std::vector<int> all() {
  std::vector<int> approximations = {LNGD_APPROXIMATION_KFAC, LNGD_APPROXIMATION_TKFAC};
  if (device() == LNGD_DEVICE_CPU) approximations.push_back(LNGD_APPROXIMATION_EKFAC);
  return approximations;
}

// Statistics and inverses every other step. The presets' lambda of 0.01 would leave condition numbers near 1e3 for
// batches as small as these.
Case base_case(const std::string& what, int approximation) {
  Case c;
  c.name = std::string(name_of(approximation)) + ", " + what;
  c.config = preset(LNGD_PRESET_KFAC + approximation - LNGD_APPROXIMATION_KFAC, 50);
  c.config.damping_factor = 0.1;
  c.config.statistics_interval = 2;
  c.config.inverse_interval = 2;
  c.layers = {dense(13, 7), dense(7, 11, false), dense(1, 1)};
  c.batch = 21;
  c.steps = 5;
  return c;
}

std::vector<lngd_layer_config> convolutions() {
  return {with_geometry(convolution(3, 5, 3, 3), 1, 1, 1), with_geometry(convolution(4, 6, 3, 2), 2, 1, 0, 1, 2),
          with_geometry(convolution(5, 5, 3, 3), 1, 1, 1, 1, 5), convolution(6, 4, 1, 1),
          with_geometry(convolution(3, 4, 3, 3), 2, 1, 1, 2)};
}

} // namespace

TEST(second_factor_dense) {
  int number = 0;
  for (const int approximation : kApproximations)
    for (const int block : {0, 1, 5, 128})
      for (const int damping : {LNGD_DAMPING_FACTORED, LNGD_DAMPING_RELATIVE, LNGD_DAMPING_ABSOLUTE}) {
        if (!takes(number++, 5)) continue;
        Case c = base_case("blocks of " + std::to_string(block) + " damping " + std::to_string(damping), approximation);
        c.config.block_size = block;
        c.config.damping = damping;
        c.config.damping_min = 0.05;
        c.config.damping_max = 0.5;
        run_case(c);
      }
}

// B of several tiles of the statistics and of the products, and of several panels of the inverse.
TEST(second_factor_wider_than_a_tile) {
  for (const int approximation : kApproximations) {
    Case c = base_case("wide", approximation);
    c.layers = {dense(9, 140)};
    c.batch = 20;
    c.steps = 1;
    run_case(c);
  }
}

TEST(second_factor_convolutions) {
  int number = 0;
  for (const int approximation : kApproximations)
    for (const ImageLayout layout : {ImageLayout::Nchw, ImageLayout::Nhwc, ImageLayout::Negative})
      for (const int block : {0, 8}) {
        if (!takes(number++, 5)) continue;
        Case c =
            base_case(std::string(image_layout_name(layout)) + " blocks of " + std::to_string(block), approximation);
        c.layers = convolutions();
        c.layers.push_back(dense(9, 4));
        c.image_layout = layout;
        c.config.block_size = block;
        c.batch = 6;
        c.steps = 3;
        run_case(c);
      }
}

// Sums and counts: parts of a batch add exactly, up to rounding, and a limit on samples counts over the parts.
TEST(second_factor_micro_batches_and_sample_limits) {
  int number = 0;
  for (const int approximation : kApproximations)
    for (const int limit : {0, 1, 4, 50})
      for (const int parts : {1, 2, 6}) {
        if (!takes(number++, 5)) continue;
        Case c = base_case("limit " + std::to_string(limit) + " in " + std::to_string(parts) + " parts", approximation);
        c.layers = {dense(6, 5), with_geometry(convolution(4, 6, 3, 2), 2, 1, 0, 1, 2)};
        c.config.statistics_samples = limit;
        c.micro_batches = parts;
        c.batch = 6;
        c.steps = 3;
        run_case(c);
      }
}

// Everything that follows D is LNGD's.
TEST(second_factor_with_everything_else) {
  int number = 0;
  for (const int approximation : kApproximations)
    for (const int rate : {LNGD_RATE_NONE, LNGD_RATE_EMPIRICAL})
      for (const int trust : {LNGD_TRUST_OFF, LNGD_TRUST_CAP, LNGD_TRUST_ALWAYS})
        for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS}) {
          if (!takes(number++, 5)) continue;
          Case c = base_case(
              "rate " + std::to_string(rate) + " trust " + std::to_string(trust) + " update " + std::to_string(update),
              approximation);
          c.layers = {dense(13, 7), with_geometry(convolution(4, 6, 3, 2), 2, 1, 0, 1, 2)};
          c.all_layouts = true;
          c.config.rate = rate;
          c.config.trust = trust;
          c.config.trust_ratio = 0.01;
          c.config.weight_decay = 0.01;
          c.config.decay = trust == LNGD_TRUST_CAP ? LNGD_DECAY_COUPLED : LNGD_DECAY_DECOUPLED;
          c.config.nesterov = trust == LNGD_TRUST_CAP;
          c.config.averaging = 1;
          c.refresh = update == LNGD_UPDATE_GRADIENTS;
          c.update = update;
          c.batch = 8;
          run_case(c);
        }
}

// Sizes beyond one panel, one tile of SYRK, one small inverse, one strip of columns; each thread count repeats its
// bits.
SLOW_TEST(second_factor_large_on_threads) {
  for (const int approximation : kApproximations)
    for (const int threads : {1, 2, 3}) { // of the CPU
      if (threads > 1 && device() != LNGD_DEVICE_CPU) continue;
      Case c = base_case("threads " + std::to_string(threads), approximation);
      c.layers = {dense(150, 290), dense(290, 40), with_geometry(convolution(16, 40, 3, 3), 1, 1, 1)};
      c.config.threads = threads;
      c.height = 14;
      c.width = 15;
      c.batch = 70;
      c.steps = 1;
      const std::vector<std::uint8_t> bits = run_case(c);
      CHECK(run_case(c) == bits);
    }
}

TEST(second_factor_state_continues_bitwise) {
  for (const int approximation : all()) {
    Case c = base_case("state", approximation);
    c.layers = {dense(6, 5), with_geometry(convolution(4, 6, 3, 2), 2, 1, 0, 1, 2)};
    c.config.inverse_interval = 3;
    c.batch = 8;
    for (int stop = 0; stop <= 4; ++stop) {
      if (!takes(stop, 3)) continue;
      const Scope scope(c.name + " saved after " + std::to_string(stop) + " steps");
      Training straight(c);
      for (int t = 0; t < stop; ++t) straight.step();
      const std::vector<std::uint8_t> state = straight.optimizer().state();
      Training resumed(c);
      resumed.step();
      REQUIRE_OK(
          lngd_state_restore(resumed.optimizer().handle(), state.data(), static_cast<std::int64_t>(state.size())));
      resumed.adopt_weights(straight);
      for (int t = 0; t < 4; ++t) {
        straight.step();
        resumed.step();
        CHECK(resumed.bits() == straight.bits());
      }
    }
  }
}

// A state of another approximation is refused, also where all arrays have the same sizes.
TEST(second_factor_state_of_another_approximation_is_refused) {
  lngd_config config = preset(LNGD_PRESET_KFAC);
  const Optimizer kfac(config, {dense(3, 2)});
  const std::vector<std::uint8_t> state = kfac.state();
  config.approximation = LNGD_APPROXIMATION_TKFAC;
  const Optimizer tkfac(config, {dense(3, 2)});
  CHECK_EQ(lngd_state_restore(tkfac.handle(), state.data(), static_cast<std::int64_t>(state.size())),
           LNGD_BAD_STATE_DATA);
}

namespace {

lngd_config second_config(int approximation) {
  lngd_config config = bare_config();
  config.approximation = approximation;
  config.fisher = LNGD_FISHER_PROVIDED;
  config.damping = LNGD_DAMPING_FACTORED;
  config.damping_factor = 0.04;
  return config;
}

} // namespace

// NaN, Inf and overflow in either tensor keep the update out of both averages, also where the other side of the row is
// zero, and the next one is taken as if nothing had been.
TEST(second_factor_poisoned_updates_are_kept_out) {
  const double bad[] = {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), 1e30};
  for (const int approximation : all())
    for (const double value : bad)
      for (const bool in_signal : {false, true})
        for (const double other : {0.0, 1.0}) {
          // 1e30 with nothing on the other side adds nothing to TKFAC's factors.
          if (approximation == LNGD_APPROXIMATION_TKFAC && other == 0 && value == 1e30) continue;
          const Scope scope(std::string(name_of(approximation)) + " value " + std::to_string(value) +
                            (in_signal ? " in g" : " in a") + " other " + std::to_string(other));
          lngd_layer_config layer = dense(3, 2, false);
          Single single(second_config(approximation), layer);
          Random random(3);
          Tensor inputs(4, 3), signal(4, 2);
          inputs.fill(random_matrix(4, 3, &random));
          signal.fill(random_matrix(4, 2, &random));
          REQUIRE_OK(single.observe(inputs, signal, LNGD_SIGNAL_GRADIENTS));
          REQUIRE_OK(single.step());
          const std::vector<float> phi = single.optimizer.read(0, LNGD_FIELD_PHI);
          const std::vector<float> psi = single.optimizer.read(0, LNGD_FIELD_PSI);
          Tensor bad_inputs(4, 3), bad_signal(4, 2);
          bad_inputs.fill(in_signal ? other : 1);
          bad_signal.fill(in_signal ? 1 : other);
          (in_signal ? bad_signal : bad_inputs).set(2, 1, value);
          REQUIRE_OK(single.observe(bad_inputs, bad_signal, LNGD_SIGNAL_GRADIENTS));
          REQUIRE_OK(single.step());
          CHECK(single.optimizer.read(0, LNGD_FIELD_PHI) == phi);
          CHECK(single.optimizer.read(0, LNGD_FIELD_PSI) == psi);
          CHECK_EQ(single.health().skipped_statistics, 1);
          REQUIRE_OK(single.observe(inputs, signal, LNGD_SIGNAL_GRADIENTS));
          REQUIRE_OK(single.step());
          CHECK(single.optimizer.read(0, LNGD_FIELD_PHI) == phi); // rho is 0: the same batch, the same average
          CHECK_EQ(single.health().statistics_updates, 2);
        }
}

// A second factor that is not positive definite: ten times the damping until it is, and the old inverse where it never
// becomes so, told as the block after those of Phi.
TEST(second_factor_retries_and_failures) {
  lngd_config config = second_config(LNGD_APPROXIMATION_KFAC);
  config.damping = LNGD_DAMPING_ABSOLUTE;
  config.damping_min = config.damping_max = 1;
  Single single(config, dense(2, 2, false));
  single.weight_gradients.fill(1);
  single.write(LNGD_FIELD_PHI, {1, 0, 0, 1});
  single.write(LNGD_FIELD_PSI, {1, 0, 0, -50}); // eigenvalue -50: 1 and 10 do not lift it, 100 does
  REQUIRE_OK(single.step());
  CHECK_EQ(single.health().retries, 2);
  CHECK_EQ(single.health().last_failed_block, 1);
  CHECK_EQ(single.health().last_failed_pivot, 1);
  CHECK_EQ(single.health().lambda_psi, 100.0);
  CHECK_EQ(single.health().lambda_phi_max, 1.0);
  CHECK_EQ(single.health().failed_inverses, 0);
  const std::vector<float> inverse = single.optimizer.read(0, LNGD_FIELD_PSI_INVERSE);
  CHECK_NEAR(inverse[0], 1.0 / 101, 4 * kEps / 101); // a handful of roundings in a 2 x 2 inverse
  CHECK_NEAR(inverse[3], 1.0 / 50, 4 * kEps / 50);
  single.write(LNGD_FIELD_PSI, {1, 0, 0, -1e9f}); // beyond 1e6
  REQUIRE_OK(single.step());
  CHECK_EQ(single.health().failed_inverses, 1);
  CHECK(single.optimizer.read(0, LNGD_FIELD_PSI_INVERSE) == inverse);
}

// A layer without any second inverse waits for one.
TEST(second_factor_without_an_inverse_does_not_move) {
  lngd_config config = second_config(LNGD_APPROXIMATION_KFAC);
  config.damping = LNGD_DAMPING_ABSOLUTE;
  config.damping_min = config.damping_max = 1;
  Single single(config, dense(2, 2, false));
  single.weight_gradients.fill(1);
  single.write(LNGD_FIELD_PHI, {1, 0, 0, 1});
  single.write(LNGD_FIELD_PSI, {1, 0, 0, -1e9f});
  REQUIRE_OK(single.step());
  CHECK_EQ(single.health().skipped_steps, 1);
  CHECK_EQ(single.weights.get(0, 0), 0.0f);
}

TEST(second_factor_refusals) {
  const auto refused = [](const char* name, lngd_config config, int layer_fisher = -1) {
    const Scope scope(name);
    lngd_layer_config layer = dense(3, 2);
    layer.fisher = layer_fisher;
    lngd_optimizer* handle = nullptr;
    CHECK_EQ(lngd_create(&config, &layer, 1, &handle), LNGD_INVALID_ARGUMENT);
    CHECK(std::string(lngd_last_error()).find(name) != std::string::npos);
    CHECK(handle == nullptr);
  };
  for (const int approximation : all()) {
    lngd_config config = second_config(approximation);
    config.fisher = LNGD_FISHER_EXPECTED;
    refused("fisher", config);
    config.fisher = LNGD_FISHER_SAMPLED;
    refused("fisher", config);
    config = second_config(approximation);
    refused("layers[0].fisher", config, LNGD_FISHER_SAMPLED);
    config.rate = LNGD_RATE_KRONECKER;
    refused("rate", config);
  }
  for (const int other : {LNGD_DEVICE_CUDA, LNGD_DEVICE_CUDA_EMULATED}) {
    lngd_config config = second_config(LNGD_APPROXIMATION_EKFAC);
    config.device = other;
    refused("device", config);
    refused("LNGD_APPROXIMATION_EKFAC", config);
  }
  lngd_config config = bare_config();
  config.damping = LNGD_DAMPING_FACTORED;
  refused("damping", config);
  config = bare_config();
  config.approximation = -1;
  refused("approximation", config);
}
