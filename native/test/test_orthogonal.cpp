// SPDX-License-Identifier: Apache-2.0
//
// Whitened orthogonalisation beside its twin (orthogonal.hpp): layers, options, scale, what is not finite, state.
#include <cmath>
#include <limits>
#include <string>

#include "orthogonal.hpp"
#include "training.hpp"

using namespace conformance;

namespace {

Case training_case(const std::string& name) {
  Case c;
  c.name = name;
  c.config = preset(LNGD_PRESET_BLOCK_KRONECKER, 50);
  c.config.orthogonalise = 1;
  c.config.nesterov = 1;
  c.config.block_size = c.config.second_block_size = 5;
  c.config.statistics_interval = 2;
  c.config.inverse_interval = 3;
  c.layers = {dense(6, 5), with_geometry(convolution(4, 6, 3, 2), 2, 1, 0, 1, 2), dense(3, 17, false)};
  c.batch = 8;
  return c;
}

} // namespace

TEST(orthogonal_dense) {
  int number = 0;
  const lngd_layer_config layers[] = {dense(13, 7),        dense(7, 13, false), dense(1, 1),         dense(1, 9, false),
                                      dense(31, 1, false), dense(16, 17),       dense(33, 19, false)};
  for (const lngd_layer_config& layer : layers)
    for (const int block : {0, 1, 5})
      for (const int second_block : {0, 3})
        for (const int nesterov : {0, 1}) {
          if (!takes(number++, 5)) continue;
          OrthogonalCase c;
          c.name = std::to_string(layer.outputs) + " x " + std::to_string(layer.inputs) + " blocks " +
                   std::to_string(block) + " and " + std::to_string(second_block) + " nesterov " +
                   std::to_string(nesterov);
          c.layer = layer;
          c.layout = kLayouts[static_cast<std::size_t>(number) % std::size(kLayouts)];
          c.config.block_size = block;
          c.config.second_block_size = second_block;
          c.config.nesterov = nesterov;
          Orthogonal(c).run();
        }
}

TEST(orthogonal_groups) {
  int number = 0;
  for (const int groups : {1, 2, 6})
    for (const int bias : {0, 1})
      for (const int block : {0, 4}) {
        if (!takes(number++, 5)) continue;
        OrthogonalCase c;
        c.name = std::to_string(groups) + " groups, bias " + std::to_string(bias) + ", block " + std::to_string(block);
        c.layer = with_geometry(convolution(6, 18, 3, 2), 1, 1, 1, 1, groups);
        c.layer.bias = bias;
        c.config.block_size = c.config.second_block_size = block;
        Orthogonal(c).run();
      }
}

TEST(orthogonal_decay_and_damping) {
  int number = 0;
  for (const int decay : {LNGD_DECAY_DECOUPLED, LNGD_DECAY_COUPLED, LNGD_DECAY_TRUST})
    for (const int approximation : {LNGD_APPROXIMATION_KFAC, LNGD_APPROXIMATION_TKFAC})
      for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS}) {
        if (!takes(number++, 3)) continue;
        OrthogonalCase c;
        c.name = "decay " + std::to_string(decay) + " update " + std::to_string(update);
        c.layout = kLayouts[static_cast<std::size_t>(number) % std::size(kLayouts)];
        c.update = update;
        c.config.approximation = approximation;
        c.config.decay = decay;
        c.config.weight_decay = 0.3;
        c.config.second_damping = 3;
        c.config.momentum = decay == LNGD_DECAY_COUPLED ? 0.5 : 0;
        Orthogonal(c).run();
      }
}

// Blocks that all threads invert, matrices of several tiles that all threads multiply, wide and tall.
SLOW_TEST(orthogonal_large_on_threads) {
  for (const int threads : {1, 2}) { // of the CPU
    if (threads > 1 && device() != LNGD_DEVICE_CPU) continue;
    for (const bool tall : {false, true}) {
      OrthogonalCase c;
      c.name = std::string(tall ? "tall" : "wide") + ", threads " + std::to_string(threads);
      c.layer = tall ? dense(270, 530) : dense(529, 270);
      c.config.threads = threads;
      c.config.second_block_size = tall ? 128 : 0;
      c.config.block_size = tall ? 0 : 128;
      c.steps = 2;
      Orthogonal first(c), second(c);
      first.run();
      second.run();
      CHECK(first.weights().values == second.weights().values);
    }
  }
}

// The length of the averaged gradient drops out, also where its squares leave float's range.
TEST(orthogonal_does_not_see_the_scale_of_gradients) {
  twin::Matrix wanted;
  for (const double scale : {1.0, 1e-25, 1e25}) {
    const Scope scope("scale " + std::to_string(scale));
    OrthogonalCase c;
    Orthogonal layer(c);
    twin::Matrix momentum = layer.momentum(), gradient = layer.random_gradient();
    for (double& value : momentum.values) value *= scale;
    for (double& value : gradient.values) value *= scale;
    layer.write(LNGD_FIELD_MOMENTUM, momentum);
    layer.write(LNGD_FIELD_PHI, layer.covariances(14));
    layer.write(LNGD_FIELD_PSI, layer.covariances(7));
    layer.step(1, gradient);
    if (scale == 1) wanted = layer.direction();
    // Scaled numbers are rounded anew, 3 u in x, which the steps amplify by up to 173, the slope at the largest
    // singular value; 24.8 at the smallest.
    CHECK_WITHIN(distance(layer.direction(), wanted), 173 * 100 * kEps * norm(wanted));
  }
}

// D is 0, the weights only decay, and the momentum becomes the mean of nothing.
TEST(orthogonal_zero_gradient) {
  OrthogonalCase c;
  c.config.weight_decay = 0.125;
  Orthogonal layer(c);
  layer.write(LNGD_FIELD_MOMENTUM, twin::Matrix(7, 14));
  layer.write(LNGD_FIELD_PHI, layer.covariances(14));
  layer.write(LNGD_FIELD_PSI, layer.covariances(7));
  layer.step(1, twin::Matrix(7, 14));
  CHECK_EQ(layer.health().direction_norm, 0.0);
  CHECK_EQ(norm(layer.momentum()), 0.0);
}

// A step that is skipped leaves weights and momentum as they were, bit by bit, and the next one is as if it had not
// been.
TEST(orthogonal_skips_what_is_not_finite) {
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
    for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS}) {
      lngd_config config = orthogonal_config();
      config.averaging = 1;
      Single single(config, dense(3, 5), update);
      Single undisturbed(config, dense(3, 5), update);
      Random random(3);
      const twin::Matrix weights = random_matrix(5, 3, &random);
      for (Single* one : {&single, &undisturbed}) {
        one->weights.fill(weights);
        one->write(LNGD_FIELD_PHI, {2, 0, 0, 0, 0, 3, 1, 0, 0, 1, 4, 0, 0, 0, 0, 1});
        std::vector<float> psi(25, 0.25f);
        for (std::size_t i = 0; i < 5; ++i) psi[6 * i] = 1;
        one->write(LNGD_FIELD_PSI, psi);
        Random same(4);
        one->weight_gradients.fill(random_matrix(5, 3, &same));
        one->bias_gradients.fill(0.5);
        REQUIRE_OK(one->step());
      }
      const std::vector<float> momentum = single.optimizer.read(0, LNGD_FIELD_MOMENTUM);
      const std::vector<float> average = single.optimizer.read(0, LNGD_FIELD_AVERAGE);
      const twin::Matrix before = single.weights.values();
      single.weight_gradients.fill(random_matrix(5, 3, &random));
      single.weight_gradients.set(4, 1, bad);
      REQUIRE_OK(single.step());
      CHECK_EQ(single.health().last_step_skipped, 1);
      CHECK(single.optimizer.read(0, LNGD_FIELD_MOMENTUM) == momentum);
      CHECK(single.optimizer.read(0, LNGD_FIELD_AVERAGE) == average);
      CHECK_EQ(largest_difference(single.weights.values(), before), 0.0);
      if (update == LNGD_UPDATE_GRADIENTS) CHECK_EQ(norm(single.weight_gradients.values()), 0.0);
      for (Single* one : {&single, &undisturbed}) {
        Random same(5);
        one->weight_gradients.fill(random_matrix(5, 3, &same));
        one->bias_gradients.fill(-1);
        REQUIRE_OK(one->step());
      }
      CHECK(single.optimizer.read(0, LNGD_FIELD_MOMENTUM) == undisturbed.optimizer.read(0, LNGD_FIELD_MOMENTUM));
      CHECK(single.optimizer.read(0, LNGD_FIELD_DIRECTION) == undisturbed.optimizer.read(0, LNGD_FIELD_DIRECTION));
    }
}

// Factors that are not positive definite: ten times the damping until they are; the old triangle where they never are.
TEST(orthogonal_retries_and_failures) {
  lngd_config config = orthogonal_config();
  config.damping = LNGD_DAMPING_ABSOLUTE;
  config.damping_min = config.damping_max = 1;
  config.inverse_interval = 1;
  Single single(config, dense(2, 2, false));
  single.weight_gradients.fill(1);
  single.write(LNGD_FIELD_PHI, {3, 0, 0, 8});
  single.write(LNGD_FIELD_PSI, {1, 0, 0, -50}); // eigenvalue -50: 1 and 10 do not lift it, 100 does
  REQUIRE_OK(single.step());
  CHECK_EQ(single.health().retries, 2);
  CHECK_EQ(single.health().last_failed_block, 1);
  CHECK_EQ(single.health().last_failed_pivot, 1);
  CHECK_EQ(single.health().lambda_psi, 100.0);
  CHECK_EQ(single.health().skipped_steps, 0);
  const std::vector<float> phi = single.optimizer.read(0, LNGD_FIELD_PHI_INVERSE);
  const std::vector<float> psi = single.optimizer.read(0, LNGD_FIELD_PSI_INVERSE);
  // 1 / sqrt of the damped diagonal: a handful of roundings.
  CHECK_NEAR(phi[0], 1 / std::sqrt(4.0), 4 * kEps);
  CHECK_NEAR(phi[3], 1 / std::sqrt(9.0), 4 * kEps);
  CHECK_NEAR(psi[0], 1 / std::sqrt(101.0), 4 * kEps);
  CHECK_NEAR(psi[3], 1 / std::sqrt(50.0), 4 * kEps);
  single.write(LNGD_FIELD_PSI, {1, 0, 0, -1e9f}); // beyond 1e6
  REQUIRE_OK(single.step());
  CHECK_EQ(single.health().failed_inverses, 1);
  CHECK(single.optimizer.read(0, LNGD_FIELD_PSI_INVERSE) == psi);
}

// A triangle is not symmetric: what lngd_layer_read gives is C^-1, with C C^T = Phi + lambda I.
TEST(orthogonal_triangles_are_read_as_they_are) {
  lngd_config config = orthogonal_config();
  config.damping = LNGD_DAMPING_ABSOLUTE;
  config.damping_min = config.damping_max = 1;
  Single single(config, dense(2, 1, false));
  single.write(LNGD_FIELD_PHI, {3, 2, 2, 9});
  single.write(LNGD_FIELD_PSI, {1});
  REQUIRE_OK(single.step());
  // [4 2; 2 10] = C C^T, C = [2 0; 1 3], C^-1 = [1/2 0; -1/6 1/3]
  const std::vector<float> inverse = single.optimizer.read(0, LNGD_FIELD_PHI_INVERSE);
  CHECK_NEAR(inverse[0], 0.5, 4 * kEps);
  CHECK_EQ(inverse[1], 0.0f);
  CHECK_NEAR(inverse[2], -1.0 / 6, 4 * kEps);
  CHECK_NEAR(inverse[3], 1.0 / 3, 4 * kEps);
}

// Observed factors, averages, micro-batches: a run that is saved and restored goes on with the same bits, and so does a
// second run.
TEST(orthogonal_state_continues_bitwise) {
  for (const int parts : {1, 3})
    for (int stop = 0; stop <= 4; ++stop) {
      if (!takes(stop, 3)) continue;
      Case c = training_case("state");
      c.micro_batches = parts;
      const Scope scope("saved after " + std::to_string(stop) + " steps, " + std::to_string(parts) + " parts");
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

TEST(orthogonal_state_of_another_direction_is_refused) {
  lngd_config config = orthogonal_config();
  const Optimizer with(config, {dense(3, 2)});
  const std::vector<std::uint8_t> state = with.state();
  config.orthogonalise = 0;
  const Optimizer without(config, {dense(3, 2)});
  CHECK_EQ(lngd_state_restore(without.handle(), state.data(), static_cast<std::int64_t>(state.size())),
           LNGD_BAD_STATE_DATA);
}

// Where the caller subtracts the update himself, the weights, momenta and averages have the same bits.
TEST(orthogonal_updates_of_both_kinds_have_the_same_bits) {
  for (const int decay : {LNGD_DECAY_TRUST, LNGD_DECAY_COUPLED}) {
    std::vector<std::uint8_t> wanted;
    for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS}) {
      Case c = training_case("update " + std::to_string(update));
      c.update = update;
      c.config.decay = decay;
      Training run(c);
      for (int t = 0; t < c.steps; ++t) run.step();
      if (wanted.empty()) wanted = run.bits();
      CHECK(run.bits() == wanted);
    }
  }
}

TEST(orthogonal_refusals) {
  const auto refused = [](lngd_config config) {
    const lngd_layer_config layer = dense(3, 2);
    lngd_optimizer* handle = nullptr;
    CHECK_EQ(lngd_create(&config, &layer, 1, &handle), LNGD_INVALID_ARGUMENT);
    CHECK(std::string(lngd_last_error()).find("orthogonalise") != std::string::npos);
    CHECK(handle == nullptr);
  };
  lngd_config config = orthogonal_config();
  config.orthogonalise = 2;
  refused(config);
  config = orthogonal_config();
  config.trust = LNGD_TRUST_CAP;
  refused(config);
  config = orthogonal_config();
  config.rate = LNGD_RATE_EMPIRICAL;
  refused(config);
  config = orthogonal_config();
  config.approximation = LNGD_APPROXIMATION_LNGD;
  config.fisher = LNGD_FISHER_EXPECTED;
  refused(config);
}
