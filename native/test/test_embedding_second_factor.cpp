// SPDX-License-Identifier: Apache-2.0
//
// Embeddings whose second factor is a matrix (KFAC, TKFAC), beside the twin, which sees one-hot rows: statistics,
// dampings, layouts, micro-batches, wide layers, state; poison; refusals; and with whitened orthogonalisation.
#include <cmath>
#include <limits>
#include <string>

#include "orthogonal.hpp"
#include "training.hpp"

using namespace conformance;

namespace {

lngd_layer_config embedding(std::int64_t vocabulary, std::int64_t outputs, bool bias = false) {
  lngd_layer_config layer;
  REQUIRE_OK(lngd_embedding_init(vocabulary, outputs, &layer));
  layer.bias = bias;
  return layer;
}

constexpr int kApproximations[] = {LNGD_APPROXIMATION_KFAC, LNGD_APPROXIMATION_TKFAC};
const char* name_of(int approximation) { return approximation == LNGD_APPROXIMATION_KFAC ? "KFAC" : "TKFAC"; }

// As in test_second_factor.cpp: the presets' lambda would leave conditions near 1e3 for batches as small as these.
Case base_case(const std::string& what, int approximation, int which = 0) {
  Case c;
  c.name = std::string(name_of(approximation)) + ", " + what + ", shape " + std::to_string(which);
  c.config = preset(LNGD_PRESET_KFAC + approximation - LNGD_APPROXIMATION_KFAC, 50);
  c.config.damping_factor = 0.1;
  c.config.statistics_interval = 2;
  c.config.inverse_interval = 2;
  c.layers = {embedding(which == 2 ? 40 : 19, which == 2 ? 9 : 5, which > 0)};
  c.width = which == 1 ? 1 : 7;
  c.batch = 12;
  c.steps = 4;
  return c;
}

Case mixed_case(const std::string& what) {
  Case c;
  c.name = what;
  c.config = preset(LNGD_PRESET_BLOCK_KRONECKER, 50);
  c.config.orthogonalise = 1;
  c.config.nesterov = 1;
  c.config.block_size = c.config.second_block_size = 5;
  c.config.statistics_interval = 2;
  c.config.inverse_interval = 3;
  c.layers = {embedding(23, 6), dense(6, 5), embedding(7, 3, true), dense(3, 17, false)};
  c.batch = 8;
  return c;
}

} // namespace

TEST(embedding_second_factor_dampings_and_blocks) {
  int number = 0;
  for (const int approximation : kApproximations)
    for (int which = 0; which < 3; ++which)
      for (const int block : {0, 1, 4, 128})
        for (const int damping : {LNGD_DAMPING_FACTORED, LNGD_DAMPING_RELATIVE, LNGD_DAMPING_ABSOLUTE}) {
          if (!takes(number++, 7)) continue;
          Case c = base_case("blocks of " + std::to_string(block) + " damping " + std::to_string(damping),
                             approximation, which);
          c.config.second_block_size = block;
          c.config.damping = damping;
          c.config.damping_min = 0.05;
          c.config.damping_max = 0.5;
          run_case(c);
        }
}

// The damping of BLOCK_KRONECKER, whose alpha_l is over the vocabulary; with dense layers, of which S0 is too.
TEST(embedding_second_factor_damped_by_signal) {
  for (int which = 0; which < 3; ++which) {
    Case c = base_case("signal", LNGD_APPROXIMATION_KFAC, which);
    c.config = preset(LNGD_PRESET_BLOCK_KRONECKER, 50);
    c.config.second_block_size = 4;
    c.config.statistics_interval = c.config.inverse_interval = 2;
    c.layers.push_back(dense(5, 4));
    c.steps = 6;
    run_case(c);
  }
}

TEST(embedding_second_factor_layouts_and_micro_batches) {
  int number = 0;
  for (const int approximation : kApproximations)
    for (int which = 0; which < 3; ++which) {
      for (const Layout layout : kLayouts)
        for (const ImageLayout image_layout : {ImageLayout::Nchw, ImageLayout::Nhwc, ImageLayout::Negative}) {
          if (!takes(number++, 7)) continue;
          Case c = base_case(std::string(layout_name(layout)) + " and " + image_layout_name(image_layout),
                             approximation, which);
          c.layout = layout;
          c.image_layout = image_layout;
          c.steps = 2;
          run_case(c);
        }
      for (const int limit : {0, 1, 5, 50})
        for (const int parts : {1, 2, 5, 12}) {
          if (!takes(number++, 7)) continue;
          Case c = base_case("limit " + std::to_string(limit) + " in " + std::to_string(parts) + " parts",
                             approximation, which);
          c.config.statistics_samples = limit;
          c.micro_batches = parts;
          c.steps = 2;
          run_case(c);
        }
    }
}

TEST(embedding_second_factor_with_everything_else) {
  int number = 0;
  for (const int approximation : kApproximations)
    for (const int rate : {LNGD_RATE_NONE, LNGD_RATE_EMPIRICAL})
      for (const int trust : {LNGD_TRUST_OFF, LNGD_TRUST_CAP, LNGD_TRUST_ALWAYS})
        for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS}) {
          Case c = base_case(
              "rate " + std::to_string(rate) + " trust " + std::to_string(trust) + " update " + std::to_string(update),
              approximation, number % 3);
          if (!takes(number++, 5)) continue;
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

// Several panels of rows, runs of floats, blocks and tiles of outputs, blocks of indices; the same bits again.
TEST(embedding_second_factor_wide_and_bits) {
  for (const int threads : {1, 2, 3}) { // of the CPU
    if (threads > 1 && device() != LNGD_DEVICE_CPU) continue;
    Case c = base_case("threads " + std::to_string(threads), LNGD_APPROXIMATION_KFAC);
    c.config.threads = threads;
    c.config.second_block_size = 128;
    c.layers = {embedding(700, 150, true), dense(6, 4)};
    c.all_layouts = true;
    c.width = 17;
    c.batch = 20;
    c.steps = 2;
    const std::vector<std::uint8_t> bits = run_case(c);
    Training again(c);
    for (int t = 0; t < c.steps; ++t) again.step(1 - 0.1 * t / c.steps);
    CHECK(again.bits() == bits);
  }
}

// NaN, Inf and overflow in a gradient, and indices that are none, keep the update out of both averages.
TEST(embedding_second_factor_poisoned_updates_are_kept_out) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const struct {
    double index, gradient;
  } bad[] = {{nan, 1}, {-1, 1}, {5, 1}, {1.5, 1}, {1, nan}, {1, std::numeric_limits<double>::infinity()}, {1, 1e30}};
  for (const int approximation : kApproximations)
    for (const auto& value : bad) {
      const Scope scope(std::string(name_of(approximation)) + " index " + std::to_string(value.index) + " gradient " +
                        std::to_string(value.gradient));
      lngd_config config = bare_config();
      config.approximation = approximation;
      config.fisher = LNGD_FISHER_PROVIDED;
      config.damping = LNGD_DAMPING_FACTORED;
      config.damping_factor = 0.04;
      Single single(config, embedding(5, 2));
      Random random(3);
      Tensor indices(4, 1), signal(4, 2);
      indices.fill(1);
      signal.fill(random_matrix(4, 2, &random));
      REQUIRE_OK(single.observe(indices, signal, LNGD_SIGNAL_GRADIENTS));
      REQUIRE_OK(single.step());
      const std::vector<float> phi = single.optimizer.read(0, LNGD_FIELD_PHI);
      const std::vector<float> psi = single.optimizer.read(0, LNGD_FIELD_PSI);
      Tensor bad_indices(4, 1), bad_signal(4, 2);
      bad_indices.fill(2);
      bad_signal.fill(1);
      bad_indices.set(2, 0, value.index);
      bad_signal.set(2, 1, value.gradient);
      REQUIRE_OK(single.observe(bad_indices, bad_signal, LNGD_SIGNAL_GRADIENTS));
      REQUIRE_OK(single.step());
      CHECK(single.optimizer.read(0, LNGD_FIELD_PHI) == phi);
      CHECK(single.optimizer.read(0, LNGD_FIELD_PSI) == psi);
      CHECK_EQ(single.health().skipped_statistics, 1);
      REQUIRE_OK(single.observe(indices, signal, LNGD_SIGNAL_GRADIENTS));
      REQUIRE_OK(single.step());
      CHECK(single.optimizer.read(0, LNGD_FIELD_PHI) == phi); // rho is 0: the same batch, the same average
      CHECK_EQ(single.health().statistics_updates, 2);
    }
}

// The second factor's failures are told as blocks behind those of the indices and of the bias.
TEST(embedding_second_factor_retries_and_failures) {
  lngd_config config = bare_config();
  config.approximation = LNGD_APPROXIMATION_KFAC;
  config.fisher = LNGD_FISHER_PROVIDED;
  config.damping = LNGD_DAMPING_ABSOLUTE;
  config.damping_min = config.damping_max = 1;
  Single single(config, embedding(3, 2, true));
  single.weight_gradients.fill(1);
  single.write(LNGD_FIELD_PHI, {1, 0, 2, 1});
  single.write(LNGD_FIELD_PSI, {1, 0, 0, -50}); // eigenvalue -50: 1 and 10 do not lift it, 100 does
  REQUIRE_OK(single.step());
  CHECK_EQ(single.health().retries, 2);
  CHECK_EQ(single.health().last_failed_block, 2);
  CHECK_EQ(single.health().last_failed_pivot, 1);
  CHECK_EQ(single.health().lambda_psi, 100.0);
  CHECK_EQ(single.health().lambda_phi_max, 1.0);
  CHECK_EQ(single.health().skipped_steps, 0);
}

TEST(embedding_second_factor_state_continues_bitwise) {
  for (int stop = 0; stop <= 4; ++stop) {
    if (!takes(stop, 3)) continue;
    const Case c = mixed_case("state");
    const Scope scope("saved after " + std::to_string(stop) + " steps");
    Training straight(c);
    for (int t = 0; t < stop; ++t) straight.step();
    const std::vector<std::uint8_t> state = straight.optimizer().state();
    Training resumed(c);
    resumed.step();
    REQUIRE_OK(lngd_state_restore(resumed.optimizer().handle(), state.data(), static_cast<std::int64_t>(state.size())));
    resumed.adopt_weights(straight);
    for (int t = 0; t < 4; ++t) {
      straight.step();
      resumed.step();
      CHECK(resumed.bits() == straight.bits());
    }
  }
}

// A plan that has nothing but embeddings, and one of several: not orthogonalised, D = B^-1 x A^-1 with x averaged.
TEST(embedding_with_orthogonalise) {
  int number = 0;
  const lngd_layer_config layers[] = {embedding(19, 7), embedding(300, 5, true), embedding(1, 3), embedding(40, 150)};
  for (const lngd_layer_config& layer : layers)
    for (const int second_block : {0, 3})
      for (const int decay : {LNGD_DECAY_COUPLED, LNGD_DECAY_TRUST})
        for (const int nesterov : {0, 1}) {
          if (!takes(number++, 5)) continue;
          OrthogonalCase c;
          c.name = std::to_string(layer.inputs) + " indices, " + std::to_string(layer.outputs) + " outputs, blocks " +
                   std::to_string(second_block) + " decay " + std::to_string(decay);
          c.layer = layer;
          c.layout = kLayouts[static_cast<std::size_t>(number) % std::size(kLayouts)];
          c.config.second_block_size = layer.outputs > 100 ? 128 : second_block;
          c.config.decay = decay;
          c.config.weight_decay = 0.3;
          c.config.nesterov = nesterov;
          Orthogonal(c).run();
        }
}

// In one plan with a layer that is orthogonalised, each moves as it does alone, bit by bit.
TEST(embedding_with_orthogonalise_beside_a_dense_layer) {
  const lngd_layer_config layers[] = {embedding(23, 6), dense(6, 5, false)};
  const lngd_config config = orthogonal_config();
  const Optimizer together(config, {layers[0], layers[1]});
  Single alone_first(config, layers[0]), alone_second(config, layers[1]);
  Single* const alone[] = {&alone_first, &alone_second};
  Tensor weights[] = {{layers[0].outputs, layers[0].inputs}, {layers[1].outputs, layers[1].inputs}};
  Tensor gradients[] = {{layers[0].outputs, layers[0].inputs}, {layers[1].outputs, layers[1].inputs}};
  std::vector<lngd_binding> bindings(2);
  Random random(7);
  for (std::size_t l = 0; l < 2; ++l) {
    const std::int64_t m = layers[l].outputs, d = layers[l].inputs;
    for (Tensor* tensor : {&weights[l], &alone[l]->weights}) {
      Random same(l + 20);
      tensor->fill(random_matrix(m, d, &same));
    }
    bindings[l].layer = static_cast<std::int32_t>(l);
    bindings[l].weights = weights[l].view();
    bindings[l].weight_gradients = gradients[l].view();
    std::vector<float> phi(static_cast<std::size_t>(l == 0 ? d : d * d)), psi(static_cast<std::size_t>(m * m));
    for (std::int64_t i = 0; i < d; ++i)
      phi[static_cast<std::size_t>(l == 0 ? i : i * (d + 1))] = 1.0f + static_cast<float>(i % 4);
    for (std::int64_t i = 0; i < m; ++i) psi[static_cast<std::size_t>(i * (m + 1))] = 2.0f + static_cast<float>(i % 3);
    for (const auto& [field, values] : {std::pair(LNGD_FIELD_PHI, phi), std::pair(LNGD_FIELD_PSI, psi)}) {
      alone[l]->write(field, values);
      REQUIRE_OK(lngd_layer_write(together.handle(), static_cast<std::int32_t>(l), field, values.data(),
                                  static_cast<std::int64_t>(values.size())));
    }
  }
  lngd_plan* plan = nullptr;
  REQUIRE_OK(lngd_plan_create(together.handle(), bindings.data(), 2, LNGD_UPDATE_WEIGHTS, &plan));
  for (int t = 0; t < 3; ++t) {
    for (std::size_t l = 0; l < 2; ++l) {
      const twin::Matrix gradient = random_matrix(layers[l].outputs, layers[l].inputs, &random);
      gradients[l].fill(gradient);
      alone[l]->weight_gradients.fill(gradient);
      REQUIRE_OK(alone[l]->step());
    }
    REQUIRE_OK(lngd_step(plan, 1, nullptr));
    for (std::size_t l = 0; l < 2; ++l) {
      CHECK_EQ(alone[l]->health().skipped_steps, 0);
      CHECK_EQ(largest_difference(weights[l].values(), alone[l]->weights.values()), 0.0);
    }
  }
  lngd_plan_destroy(plan);
}

TEST(embedding_second_factor_refusals) {
  for (const int approximation : {LNGD_APPROXIMATION_EKFAC, LNGD_APPROXIMATION_NGPLUS}) {
    lngd_config config = bare_config();
    config.approximation = approximation;
    config.fisher = LNGD_FISHER_PROVIDED;
    const lngd_layer_config layer = embedding(5, 2);
    lngd_optimizer* handle = nullptr;
    CHECK_EQ(lngd_create(&config, &layer, 1, &handle), LNGD_INVALID_ARGUMENT);
    const std::string error = lngd_last_error();
    CHECK(error.find("layers[0].kind") != std::string::npos);
    CHECK(error.find("approximation " + std::to_string(approximation)) != std::string::npos);
    CHECK(handle == nullptr);
  }
}
