// SPDX-License-Identifier: Apache-2.0
//
// Embeddings beside the twin, which sees one-hot rows and a dense Phi: models, layouts, rates, presets, micro-batches,
// mixed networks, bits, state; and beside the library's own dense layer on the same one-hot rows.
#include <cmath>
#include <string>

#include "single.hpp"
#include "training.hpp"

using namespace conformance;

namespace {

lngd_layer_config embedding(std::int64_t vocabulary, std::int64_t outputs, bool bias = false,
                            int activation = LNGD_ACTIVATION_IDENTITY) {
  lngd_layer_config layer;
  REQUIRE_OK(lngd_embedding_init(vocabulary, outputs, &layer));
  layer.bias = bias;
  layer.activation = activation;
  return layer;
}

// Without and with a bias; several positions, and one.
Case base_case(const std::string& name, int which = 0) {
  Case c;
  c.name = name;
  c.config = preset(LNGD_PRESET_RECIPE_EMPIRICAL, 50);
  c.config.block_size = 8; // of no effect on an embedding
  c.config.statistics_samples = 0;
  c.config.statistics_interval = 2;
  c.config.inverse_interval = 2;
  c.config.seed = 99;
  c.layers = {embedding(which == 2 ? 40 : 19, 5, which > 0, LNGD_ACTIVATION_TANH)};
  c.width = which == 1 ? 1 : 7;
  c.batch = 12;
  c.steps = 3;
  return c;
}

} // namespace

TEST(embedding_models) {
  for (const int fisher : {LNGD_FISHER_EXPECTED, LNGD_FISHER_SAMPLED, LNGD_FISHER_PROVIDED})
    for (int activation = LNGD_ACTIVATION_IDENTITY; activation <= LNGD_ACTIVATION_SWISH; ++activation)
      for (int which = 0; which < 3; ++which) {
        Case c = base_case("fisher " + std::to_string(fisher) + " activation " + std::to_string(activation) +
                               " shape " + std::to_string(which),
                           which);
        c.config.fisher = fisher;
        c.layers[0].activation = activation;
        if (activation == LNGD_ACTIVATION_ELU) c.layers[0].activation_parameter = 1;
        c.steps = 1;
        run_case(c);
      }
  for (const int fisher : {LNGD_FISHER_EXPECTED, LNGD_FISHER_SAMPLED})
    for (const int output : {LNGD_OUTPUT_SOFTMAX, LNGD_OUTPUT_SIGMOID, LNGD_OUTPUT_SOFTMAX_GAUSSIAN})
      for (const int kind : {LNGD_SIGNAL_PRE_ACTIVATIONS, LNGD_SIGNAL_OUTPUTS}) {
        Case c = base_case("fisher " + std::to_string(fisher) + " output " + std::to_string(output) + " signal " +
                           std::to_string(kind));
        c.config.fisher = fisher;
        c.signal_kind = kind;
        c.layers[0] = embedding(19, 5);
        c.layers[0].output = output;
        c.steps = 1;
        run_case(c);
      }
}

TEST(embedding_layouts_and_micro_batches) {
  int number = 0;
  for (int which = 0; which < 3; ++which) {
    for (const Layout layout : kLayouts)
      for (const ImageLayout image_layout : {ImageLayout::Nchw, ImageLayout::Nhwc, ImageLayout::Negative}) {
        if (!takes(number++, 5)) continue;
        Case c = base_case(std::string("shape ") + std::to_string(which) + " in " + layout_name(layout) + " and " +
                               image_layout_name(image_layout),
                           which);
        c.layout = layout;
        c.image_layout = image_layout;
        c.steps = 2;
        run_case(c);
      }
    for (const int fisher : {LNGD_FISHER_EXPECTED, LNGD_FISHER_SAMPLED})
      for (const int limit : {0, 1, 5, 12, 50})
        for (const int parts : {1, 2, 5, 12}) {
          if (!takes(number++, 7)) continue;
          Case c = base_case("shape " + std::to_string(which) + " fisher " + std::to_string(fisher) + " limit " +
                                 std::to_string(limit) + " in " + std::to_string(parts) + " parts",
                             which);
          c.config.fisher = fisher;
          c.config.statistics_samples = limit;
          c.micro_batches = parts;
          run_case(c); // against the twin, which numbers samples over the parts
        }
  }
}

// EMPIRICAL sums over the positions of a sample before it squares.
TEST(embedding_rates_trust_and_decay) {
  for (int which = 0; which < 3; ++which)
    for (const int rate : {LNGD_RATE_NONE, LNGD_RATE_EMPIRICAL, LNGD_RATE_KRONECKER})
      for (const int trust : {LNGD_TRUST_OFF, LNGD_TRUST_CAP, LNGD_TRUST_ALWAYS})
        for (const int decay : {LNGD_DECAY_DECOUPLED, LNGD_DECAY_COUPLED}) {
          Case c = base_case("shape " + std::to_string(which) + " rate " + std::to_string(rate) + " trust " +
                                 std::to_string(trust) + " decay " + std::to_string(decay),
                             which);
          c.config.rate = rate;
          c.config.trust = trust;
          c.config.decay = decay;
          c.config.weight_decay = 0.01;
          c.config.rate_samples = which * 5; // all, then every other
          c.config.nesterov = which == 1;
          if (trust == LNGD_TRUST_OFF) c.config.learning_rate = 0.01;
          run_case(c);
        }
}

// The indices and the bias have one lambda, and so has psi; the rules of the step, which an embedding shares.
TEST(embedding_damped_by_layer_and_step_rules) {
  for (int which = 0; which < 3; ++which) {
    Case c = base_case("shape " + std::to_string(which), which);
    c.config = preset(LNGD_PRESET_RECIPE, 50);
    c.config.block_size = 4;
    c.config.damping_scope = LNGD_DAMPING_SCOPE_LAYER;
    c.config.second_damping = 3;
    c.config.soft_trust = 1;
    c.config.decay = LNGD_DECAY_TRUST;
    c.config.weight_decay = 0.3;
    c.config.statistics_interval = c.config.inverse_interval = 2;
    if (which == 1) c.layers.push_back(dense(5, 4, true));
    c.steps = 6;
    run_case(c);
  }
}

TEST(embedding_presets_and_updates) {
  for (int which = LNGD_PRESET_RECIPE; which <= LNGD_PRESET_PAPER; ++which)
    for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS})
      for (int shape = 0; shape < 3; ++shape) {
        Case c = base_case(
            "preset " + std::to_string(which) + " update " + std::to_string(update) + " shape " + std::to_string(shape),
            shape);
        c.config = preset(which, 50);
        c.config.statistics_interval = 2;
        c.config.inverse_interval = 3;
        c.config.weight_decay = 0.01;
        c.update = update;
        c.refresh = shape == 2;
        c.steps = 7;
        run_case(c);
      }
}

// Longer than one panel of rows, one run of floats and one tile of outputs; beside dense layers and a convolution,
// every tensor in another layout; the same bits again.
TEST(embedding_mixed_network_and_bits) {
  for (const int threads : {1, 2, 3}) { // of the CPU
    if (threads > 1 && device() != LNGD_DEVICE_CPU) continue;
    Case c = base_case("threads " + std::to_string(threads));
    c.config.threads = threads;
    c.layers = {embedding(700, 37, true), convolution_1d(3, 6, 3), embedding(11, 3),
                dense(6, 4, true, LNGD_ACTIVATION_IDENTITY, LNGD_OUTPUT_SOFTMAX)};
    c.all_layouts = true;
    c.width = 31;
    c.batch = 20;
    c.steps = 2;
    const std::vector<std::uint8_t> bits = run_case(c);
    Training again(c);
    for (int t = 0; t < c.steps; ++t) again.step(1 - 0.1 * t / c.steps);
    CHECK(again.bits() == bits);
  }
}

TEST(embedding_state_continues_bitwise) {
  for (int which = 0; which < 3; ++which) {
    Case c = base_case("shape " + std::to_string(which), which);
    c.config.inverse_interval = 3;
    c.config.fisher = LNGD_FISHER_SAMPLED;
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
    Case other = c;
    other.layers[0].kind = LNGD_LAYER_DENSE;
    const std::vector<std::uint8_t> dense_state = Training(other).optimizer().state();
    Training target(c);
    CHECK_EQ(lngd_state_restore(target.optimizer().handle(), dense_state.data(),
                                static_cast<std::int64_t>(dense_state.size())),
             LNGD_BAD_STATE_DATA);
  }
}

// What the layer is short for: a dense one without bias on one-hot rows, whose full Phi comes out diagonal.
TEST(embedding_is_a_dense_layer_on_one_hot_rows) {
  constexpr std::int64_t kVocabulary = 23, kOutputs = 6, kSamples = 40;
  for (const int rate : {LNGD_RATE_NONE, LNGD_RATE_EMPIRICAL, LNGD_RATE_KRONECKER}) {
    const Scope scope("rate " + std::to_string(rate));
    lngd_config config = preset(LNGD_PRESET_RECIPE_EMPIRICAL, 50);
    config.rate = rate;
    config.block_size = 0;
    config.statistics_samples = 0;
    Single ours(config, embedding(kVocabulary, kOutputs, false, LNGD_ACTIVATION_SIGMOID));
    Single theirs(config, dense(kVocabulary, kOutputs, false, LNGD_ACTIVATION_SIGMOID));
    Random random(5);
    twin::Matrix indices(kSamples, 1);
    for (double& index : indices.values) index = std::floor(random.uniform() * (kVocabulary - 2));
    Tensor index(kSamples), rows(kSamples, kVocabulary), signal(kSamples, kOutputs), deltas(kSamples, kOutputs);
    index.fill(indices);
    rows.fill(one_hot(indices, kVocabulary));
    signal.fill(random_matrix(kSamples, kOutputs, &random));
    deltas.fill(random_matrix(kSamples, kOutputs, &random));
    const twin::Matrix weights = random_matrix(kOutputs, kVocabulary, &random);
    twin::Matrix gradient(kOutputs, kVocabulary);
    for (std::int64_t n = 0; n < kSamples; ++n)
      for (std::int64_t i = 0; i < kOutputs; ++i)
        gradient(i, static_cast<std::int64_t>(indices(n, 0))) += deltas.get(n, i) / kSamples;
    for (Single* layer : {&ours, &theirs}) {
      layer->weights.fill(weights);
      layer->weight_gradients.fill(rounded(gradient));
      const Tensor& inputs = layer == &ours ? index : rows;
      REQUIRE_OK(layer->observe(inputs, signal)); // N indices and an N x m signal: one position
      const lngd_samples samples{inputs.view(), deltas.view()};
      REQUIRE_OK(lngd_step(layer->plan, 1, &samples));
    }
    const twin::Matrix phi = ours.optimizer.read(0, LNGD_FIELD_PHI, kVocabulary, 1);
    const twin::Matrix inverse = ours.optimizer.read(0, LNGD_FIELD_PHI_INVERSE, kVocabulary, 1);
    const twin::Matrix full = theirs.optimizer.read(0, LNGD_FIELD_PHI, kVocabulary, kVocabulary);
    const twin::Matrix full_inverse = theirs.optimizer.read(0, LNGD_FIELD_PHI_INVERSE, kVocabulary, kVocabulary);
    // A handful of terms in each sum, Cholesky of a diagonal matrix (a root and two divisions): 32 u.
    const double relative = 32 * kEps;
    for (std::int64_t i = 0; i < kVocabulary; ++i)
      for (std::int64_t j = 0; j < kVocabulary; ++j) {
        CHECK_NEAR(full(i, j), i == j ? phi(i, 0) : 0, relative * phi(i, 0));
        CHECK_NEAR(full_inverse(i, j), i == j ? inverse(i, 0) : 0, relative * inverse(i, 0));
      }
    const twin::Matrix direction = ours.optimizer.read(0, LNGD_FIELD_DIRECTION, kOutputs, kVocabulary);
    const twin::Matrix dense_direction = theirs.optimizer.read(0, LNGD_FIELD_DIRECTION, kOutputs, kVocabulary);
    for (std::int64_t i = 0; i < kOutputs; ++i)
      for (std::int64_t j = 0; j < kVocabulary; ++j) {
        CHECK_NEAR(direction(i, j), dense_direction(i, j), relative * std::fabs(dense_direction(i, j)));
        if (phi(j, 0) == 0) CHECK_EQ(direction(i, j), 0.0); // never met
      }
    // C is a difference of <D, G> and its parts in KRONECKER: 8 times that.
    CHECK_NEAR(ours.health().alpha, theirs.health().alpha, 8 * relative * std::fabs(theirs.health().alpha));
    CHECK_NEAR(ours.health().lambda_phi_min, theirs.health().lambda_phi_min, relative * theirs.health().lambda_phi_min);
    CHECK_WITHIN(distance(ours.weights.values(), theirs.weights.values()), 8 * relative * twin::norm(weights));
  }
}
