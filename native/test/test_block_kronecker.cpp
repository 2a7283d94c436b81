// SPDX-License-Identifier: Apache-2.0
//
// Block-diagonal Kronecker factors: B in blocks, SIGNAL damping and its reference, the rules of the trust ratio and of
// decay, NG+, each alone and together as the presets have them, beside the twin.
#include <cmath>
#include <string>

#include "single.hpp"
#include "training.hpp"

using namespace conformance;

namespace {

// A small network with an output layer. Its damping keeps condition numbers near 1e3 for batches as small as these.
Case base_case(const std::string& name, int preset_number = LNGD_PRESET_BLOCK_KRONECKER) {
  Case c;
  c.name = name;
  c.config = preset(preset_number, 100);
  c.config.block_size = 5;
  c.config.second_block_size = 4;
  c.config.statistics_interval = 2;
  c.config.inverse_interval = 2;
  c.layers = {dense(13, 7), dense(7, 11, false), dense(11, 6)};
  c.layers.back().output = LNGD_OUTPUT_SOFTMAX;
  c.layers.back().activation = LNGD_ACTIVATION_IDENTITY;
  c.batch = 21;
  c.steps = 6;
  return c;
}

std::vector<lngd_layer_config> convolutions() {
  return {with_geometry(convolution(3, 5, 3, 3), 1, 1, 1), with_geometry(convolution(4, 6, 3, 2), 2, 1, 0, 1, 2),
          with_geometry(convolution(5, 5, 3, 3), 1, 1, 1, 1, 5), convolution(6, 10, 1, 1)};
}

} // namespace

TEST(block_kronecker_presets) {
  for (const int which : {LNGD_PRESET_BLOCK_KRONECKER, LNGD_PRESET_BLOCK_KRONECKER_FIT, LNGD_PRESET_NGPLUS})
    for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS}) {
      Case c = base_case("preset " + std::to_string(which) + " update " + std::to_string(update), which);
      if (which == LNGD_PRESET_NGPLUS) c.config.second_block_size = 0;
      c.all_layouts = update == LNGD_UPDATE_WEIGHTS;
      c.refresh = update == LNGD_UPDATE_GRADIENTS;
      c.update = update;
      run_case(c);
    }
}

TEST(block_kronecker_blocks_of_the_second_factor) {
  int number = 0;
  for (const int approximation : {LNGD_APPROXIMATION_KFAC, LNGD_APPROXIMATION_TKFAC})
    for (const int block : {1, 3, 4, 128})
      for (const int damping : {LNGD_DAMPING_RELATIVE, LNGD_DAMPING_FACTORED, LNGD_DAMPING_SIGNAL}) {
        if (!takes(number++, 5)) continue;
        Case c = base_case("approximation " + std::to_string(approximation) + " blocks of " + std::to_string(block) +
                           " damping " + std::to_string(damping));
        c.config.approximation = approximation;
        c.config.second_block_size = block;
        c.config.damping = damping;
        c.steps = 3;
        run_case(c);
      }
}

TEST(block_kronecker_convolutions) {
  int number = 0;
  for (const int approximation : {LNGD_APPROXIMATION_KFAC, LNGD_APPROXIMATION_TKFAC})
    for (const ImageLayout layout : {ImageLayout::Nchw, ImageLayout::Nhwc, ImageLayout::Negative}) {
      if (!takes(number++, 3)) continue;
      Case c = base_case(std::string(image_layout_name(layout)) + " approximation " + std::to_string(approximation));
      c.config.approximation = approximation;
      c.config.second_block_size = 2;
      c.layers = convolutions();
      c.layers.push_back(dense(9, 4));
      c.image_layout = layout;
      c.batch = 6;
      c.steps = 3;
      run_case(c);
    }
}

// Several tiles and panels of B in blocks, and threads that repeat their bits.
SLOW_TEST(block_kronecker_large_on_threads) {
  for (const int threads : {1, 2, 3}) { // of the CPU
    if (threads > 1 && device() != LNGD_DEVICE_CPU) continue;
    Case c = base_case("threads " + std::to_string(threads));
    c.config.block_size = c.config.second_block_size = 128;
    c.layers = {dense(150, 290), dense(290, 40), with_geometry(convolution(16, 140, 3, 3), 1, 1, 1)};
    c.config.threads = threads;
    c.height = 9;
    c.width = 8;
    c.batch = 70;
    c.steps = 2;
    const std::vector<std::uint8_t> bits = run_case(c);
    CHECK(run_case(c) == bits);
  }
}

// Each rule alone, in RECIPE too, whose second factor is a vector.
TEST(block_kronecker_rules_alone) {
  for (const int which : {LNGD_PRESET_RECIPE, LNGD_PRESET_BLOCK_KRONECKER_FIT}) {
    const auto run = [which](const std::string& rule, const auto& change) {
      Case c = base_case(rule + " in preset " + std::to_string(which), which);
      if (which == LNGD_PRESET_RECIPE) c.config.second_block_size = 0;
      change(c.config);
      c.config.trust_ratio = 0.05; // steps large enough for the output layer's norm to grow and to shrink
      run_case(c);
    };
    run("soft trust", [](lngd_config& c) { c.soft_trust = 1; });
    run("bound of the output layer", [](lngd_config& c) { c.output_bound = 1; });
    run("decay in units of tau", [](lngd_config& c) { c.decay = LNGD_DECAY_TRUST, c.weight_decay = 0.5; });
    run("decay of the output layer", [](lngd_config& c) { c.weight_decay = 0.02, c.output_decay = 5; });
    run("second damping", [](lngd_config& c) { c.second_damping = 4; });
    run("one lambda a layer", [which](lngd_config& c) {
      c.damping_scope = LNGD_DAMPING_SCOPE_LAYER;
      if (which != LNGD_PRESET_RECIPE) c.damping = LNGD_DAMPING_RELATIVE, c.damping_factor = 1;
    });
  }
}

// A gradient that all but vanishes makes a step in proportion; one that grows makes no longer step than any other.
TEST(block_kronecker_soft_trust_shortens_small_steps) {
  lngd_config config = bare_config();
  config.trust = LNGD_TRUST_ALWAYS;
  config.trust_ratio = 0.01;
  config.soft_trust = 1;
  Single single(config, dense(2, 2, false, LNGD_ACTIVATION_IDENTITY));
  single.write(LNGD_FIELD_PHI, {1, 0, 0, 1});
  single.write(LNGD_FIELD_PSI, {1, 1});
  single.weights.fill(1); // ||W|| = 2
  const auto moved = [&single](double gradient) {
    single.weight_gradients.fill(gradient);
    const float before = single.weights.get(0, 0);
    REQUIRE_OK(single.step());
    return static_cast<double>(before - single.weights.get(0, 0)) / single.health().weight_norm;
  };
  const double full = 0.005;        // tau ||W|| over 4 equal elements: tau / 2 of ||W||
  const double rounding = 8 * kEps; // of the weights, which are near 1
  const double first = moved(1), second = moved(1), longer = moved(8), tiny = moved(0.01);
  CHECK_NEAR(first, full, rounding);  // its own average
  CHECK_NEAR(second, full, rounding); // 2 ||D|| / usual = 2
  CHECK_NEAR(longer, full, rounding); // never longer
  // ||D|| = c, c, 8 c and 0.01 c: after four steps v = 0.05 (0.95 ln 8 + ln 0.01) beside what ln c puts into all.
  const double usual = std::exp(0.05 * (0.95 * std::log(8) + std::log(0.01)) / (1 - std::pow(0.95, 4)));
  CHECK_NEAR(tiny, full * 2 * 0.01 / usual, rounding);
}

// An output layer that starts at zero must be able to leave it: its W_0 bounds nothing.
TEST(block_kronecker_zero_output_layer_grows) {
  lngd_config config = preset(LNGD_PRESET_BLOCK_KRONECKER, 100);
  Case c = base_case("zero");
  c.config = config;
  Training training(c);
  for (int t = 0; t < 3; ++t) training.step();
  training.compare();
  std::vector<lngd_layer_config> layers = c.layers;
  Optimizer optimizer(config, layers);
  Tensor w(6, 11), b(6), g(6, 11), gb(6), a(5, 11), signal(5, 6);
  Random random(5);
  a.fill(random_matrix(5, 11, &random));
  signal.fill(random_matrix(5, 6, &random));
  g.fill(1);
  lngd_binding binding{};
  binding.layer = 2;
  binding.weights = w.view(), binding.bias = b.view();
  binding.weight_gradients = g.view(), binding.bias_gradients = gb.view();
  lngd_plan* plan = nullptr;
  REQUIRE_OK(lngd_plan_create(optimizer.handle(), &binding, 1, LNGD_UPDATE_WEIGHTS, &plan));
  double norm = 0;
  for (int t = 0; t < 60; ++t) {
    REQUIRE_OK(lngd_observe(optimizer.handle(), 2, a.pointer(), signal.pointer(), LNGD_SIGNAL_GRADIENTS));
    REQUIRE_OK(lngd_step(plan, 1, nullptr));
    norm = optimizer.health(2).weight_norm;
  }
  // A bound of 1e-3 would stop it near 60 tau 1e-3 / (1 - 0.9), 8e-3; in proportion to ||W|| it grows on.
  CHECK(norm > 0.02);
  REQUIRE_OK(lngd_plan_destroy(plan));
}

// S0 is taken once, held, told, and can be set: the same factors then have other dampings.
TEST(block_kronecker_signal_reference) {
  Case c = base_case("reference");
  Training training(c);
  double reference = -1;
  REQUIRE_OK(lngd_get(training.optimizer().handle(), LNGD_SET_SIGNAL_REFERENCE, &reference));
  CHECK_EQ(reference, 0.0);
  training.step();
  REQUIRE_OK(lngd_get(training.optimizer().handle(), LNGD_SET_SIGNAL_REFERENCE, &reference));
  CHECK(reference > 0);
  for (int t = 0; t < 4; ++t) training.step();
  double later = 0;
  REQUIRE_OK(lngd_get(training.optimizer().handle(), LNGD_SET_SIGNAL_REFERENCE, &later));
  CHECK_EQ(later, reference);
  const double before = training.optimizer().health(0).lambda_phi_max;
  training.set(LNGD_SET_SIGNAL_REFERENCE, reference / 4); // gamma_l in half
  training.step();
  training.step();
  training.compare();
  const double ratio = training.optimizer().health(0).lambda_phi_max / before;
  CHECK(ratio > 0.3 && ratio < 0.8); // another average has been taken meanwhile
}

// A layer without a signal has the largest gamma and no say in S0; so has a network none of whose layers has one.
TEST(block_kronecker_layer_without_a_signal) {
  lngd_config config = preset(LNGD_PRESET_BLOCK_KRONECKER, 100);
  config.statistics_interval = config.inverse_interval = 1;
  Single single(config, dense(3, 2, false));
  single.write(LNGD_FIELD_PHI, {1, 0, 0, 0, 1, 0, 0, 0, 1});
  single.write(LNGD_FIELD_PSI, {1, 0, 0, 1});
  REQUIRE_OK(single.step());
  CHECK_EQ(single.health().lambda_phi_max, config.damping_max);
  CHECK_EQ(single.health().lambda_psi, config.second_damping * config.damping_max);
  double reference = -1;
  REQUIRE_OK(lngd_get(single.optimizer.handle(), LNGD_SET_SIGNAL_REFERENCE, &reference));
  CHECK_EQ(reference, 0.0);
}

TEST(block_kronecker_state_continues_bitwise) {
  for (const int which : {LNGD_PRESET_BLOCK_KRONECKER, LNGD_PRESET_NGPLUS}) {
    Case c = base_case("state", which);
    if (which == LNGD_PRESET_NGPLUS) c.config.second_block_size = 0;
    c.layers.push_back(with_geometry(convolution(4, 6, 3, 2), 2, 1, 0, 1, 2));
    c.config.inverse_interval = 3;
    c.config.trust_ratio = 0.05;
    c.config.trust = LNGD_TRUST_ALWAYS;
    c.batch = 8;
    for (int stop = 0; stop <= 4; stop += 2) {
      const Scope scope("preset " + std::to_string(which) + " saved after " + std::to_string(stop) + " steps");
      Training straight(c);
      for (int t = 0; t < stop; ++t) straight.step();
      const std::vector<std::uint8_t> state = straight.optimizer().state();
      Training resumed(c);
      if (stop != 2) resumed.step(); // one that has its own S0, and one that has none yet
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

TEST(block_kronecker_refusals) {
  const auto refused = [](const char* name, const auto& change, int which = LNGD_PRESET_BLOCK_KRONECKER) {
    const Scope scope(name);
    lngd_config config = preset(which, 100);
    change(config);
    lngd_layer_config layer = dense(3, 2);
    lngd_optimizer* handle = nullptr;
    CHECK_EQ(lngd_create(&config, &layer, 1, &handle), LNGD_INVALID_ARGUMENT);
    CHECK(std::string(lngd_last_error()).find(name) != std::string::npos);
    CHECK(handle == nullptr);
  };
  refused(
      "damping is", [](lngd_config& c) { c.damping = LNGD_DAMPING_SIGNAL; }, LNGD_PRESET_RECIPE);
  refused(
      "damping is", [](lngd_config& c) { c.damping = LNGD_DAMPING_SIGNAL; }, LNGD_PRESET_NGPLUS);
  refused("damping is", [](lngd_config& c) { c.damping = 4; });
  refused("second_block_size", [](lngd_config& c) { c.second_block_size = -1; });
  refused(
      "second_block_size", [](lngd_config& c) { c.second_block_size = 8; }, LNGD_PRESET_RECIPE);
  refused("damping_scope", [](lngd_config& c) { c.damping_scope = 2; });
  refused("decay is", [](lngd_config& c) { c.trust = LNGD_TRUST_OFF, c.soft_trust = c.output_bound = 0; });
  refused("soft_trust", [](lngd_config& c) { c.trust = LNGD_TRUST_OFF, c.decay = LNGD_DECAY_DECOUPLED; });
  refused("soft_trust", [](lngd_config& c) { c.soft_trust = 2; });
  refused("output_bound", [](lngd_config& c) { c.output_bound = -1; });
  refused("output_decay", [](lngd_config& c) { c.output_decay = -0.5; });
  refused("second_damping", [](lngd_config& c) { c.second_damping = 0; });
  refused("signal_reference", [](lngd_config& c) { c.signal_reference = -1; });
  refused("orthogonalise", [](lngd_config& c) { c.orthogonalise = 2; });
  refused(
      "orthogonalise", [](lngd_config& c) { c.orthogonalise = 1; }, LNGD_PRESET_RECIPE);
  refused("orthogonalise", [](lngd_config& c) { c.orthogonalise = 1, c.rate = LNGD_RATE_EMPIRICAL; });
  refused(
      "fisher", [](lngd_config& c) { c.fisher = LNGD_FISHER_EXPECTED; }, LNGD_PRESET_NGPLUS);
  refused(
      "rate", [](lngd_config& c) { c.rate = LNGD_RATE_KRONECKER; }, LNGD_PRESET_NGPLUS);
}
