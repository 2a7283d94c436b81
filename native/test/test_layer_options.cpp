// SPDX-License-Identifier: Apache-2.0
//
// Options of a single layer: rate_multiplier, decay_multiplier, trust_off. Runs beside the twin, and against networks
// of one layer whose whole configuration says the same.
#include <cstring>
#include <limits>
#include <string>

#include "training.hpp"

using namespace conformance;

namespace {

std::vector<lngd_layer_config> layers_of(int output = LNGD_OUTPUT_HIDDEN) {
  return {dense(7, 5, true, LNGD_ACTIVATION_TANH), dense(5, 6, false, LNGD_ACTIVATION_TANH),
          dense(6, 3, true, LNGD_ACTIVATION_IDENTITY, output)};
}

// Bits of a run of one layer; without health, which tells of the trust ratio what it would have been.
std::vector<std::uint8_t> bits_of(const lngd_config& config, const lngd_layer_config& layer) {
  Case c;
  c.config = config;
  c.layers = {layer};
  Training training(c);
  for (int t = 0; t < 4; ++t) training.step(1 - 0.1 * t);
  std::vector<std::uint8_t> bytes;
  const auto append = [&bytes](const void* data, std::size_t size) {
    const auto* begin = static_cast<const std::uint8_t*>(data);
    bytes.insert(bytes.end(), begin, begin + size);
  };
  const twin::Matrix w = training.weights(0);
  append(w.values.data(), w.values.size() * sizeof(double));
  const std::vector<float> momentum = training.optimizer().read(0, LNGD_FIELD_MOMENTUM);
  append(momentum.data(), momentum.size() * sizeof(float));
  return bytes;
}

void refused(const lngd_config& config, const lngd_layer_config& layer, const std::string& name) {
  lngd_optimizer* out = nullptr;
  CHECK_EQ(lngd_create(&config, &layer, 1, &out), LNGD_INVALID_ARGUMENT);
  const std::string message = lngd_last_error();
  CHECK(message.find("layers[0]." + name) == 0 && message.find("allowed") != std::string::npos);
}

std::uint64_t hash_of(const lngd_layer_config& layer) {
  const Optimizer optimizer(preset(LNGD_PRESET_RECIPE, 20), {layer});
  std::uint64_t hash = 0;
  std::memcpy(&hash, optimizer.state().data() + 16, sizeof hash); // behind magic, version and layers
  return hash;
}

} // namespace

TEST(layer_options_beside_the_twin) {
  for (const int trust : {LNGD_TRUST_ALWAYS, LNGD_TRUST_CAP, LNGD_TRUST_OFF})
    for (const int decay : {LNGD_DECAY_DECOUPLED, LNGD_DECAY_COUPLED, LNGD_DECAY_TRUST}) {
      if (trust == LNGD_TRUST_OFF && decay == LNGD_DECAY_TRUST) continue; // refused
      Case c;
      c.name = "trust " + std::to_string(trust) + ", decay " + std::to_string(decay);
      c.config = preset(LNGD_PRESET_RECIPE, 30);
      c.config.trust = trust;
      c.config.decay = decay;
      c.config.learning_rate = trust == LNGD_TRUST_ALWAYS ? 1 : 0.05;
      c.config.weight_decay = 0.2;
      c.config.trust_depth_slope = 1.3;
      c.layers = layers_of(LNGD_OUTPUT_SOFTMAX);
      c.layers[0].rate_multiplier = 0.3;
      c.layers[0].decay_multiplier = 2.5;
      c.layers[1].rate_multiplier = 0.02;
      c.layers[1].trust_off = 1;
      c.layers[1].decay_multiplier = 0;
      c.layers[2].rate_multiplier = 1.7;
      c.all_layouts = true;
      run_case(c);
    }
}

// Twice as much of one is half as much of the other: powers of two change no rounding.
TEST(layer_options_are_those_of_a_configuration) {
  for (const int which : {LNGD_PRESET_RECIPE, LNGD_PRESET_RECIPE_EMPIRICAL, LNGD_PRESET_PAPER, LNGD_PRESET_KFAC,
                          LNGD_PRESET_NGPLUS, LNGD_PRESET_BLOCK_KRONECKER, LNGD_PRESET_BLOCK_KRONECKER_FIT})
    for (const int decay : {LNGD_DECAY_DECOUPLED, LNGD_DECAY_COUPLED, LNGD_DECAY_TRUST})
      for (const int orthogonalise : {0, 1}) {
        const Scope scope("preset " + std::to_string(which) + ", decay " + std::to_string(decay) + ", orthogonalise " +
                          std::to_string(orthogonalise));
        lngd_config config = preset(which, 30);
        const bool kronecker = which == LNGD_PRESET_BLOCK_KRONECKER || which == LNGD_PRESET_BLOCK_KRONECKER_FIT;
        if ((orthogonalise && !kronecker) || (decay == LNGD_DECAY_TRUST && config.trust == LNGD_TRUST_OFF)) continue;
        config.orthogonalise = orthogonalise;
        config.decay = decay;
        config.weight_decay = 0.125;
        lngd_config other = config;
        other.learning_rate *= 0.25;
        other.weight_decay *= 8;
        lngd_layer_config plain = dense(7, 5, true, LNGD_ACTIVATION_TANH), layer = plain;
        layer.rate_multiplier = 0.25;
        layer.decay_multiplier = 8;
        CHECK(bits_of(config, layer) == bits_of(other, plain));
        CHECK(bits_of(config, layer) != bits_of(config, plain));
        if (orthogonalise || decay == LNGD_DECAY_TRUST) continue;
        // Without a trust ratio the steps are as long as D is.
        config.learning_rate = other.learning_rate = 0.01;
        layer = plain;
        layer.trust_off = 1;
        other = config;
        other.trust = LNGD_TRUST_OFF;
        other.soft_trust = other.output_bound = 0;
        CHECK(bits_of(config, layer) == bits_of(other, plain));
        if (config.trust == LNGD_TRUST_ALWAYS) CHECK(bits_of(config, layer) != bits_of(config, plain));
      }
}

TEST(layer_options_freeze) {
  for (const int trust : {LNGD_TRUST_ALWAYS, LNGD_TRUST_CAP})
    for (const int decay : {LNGD_DECAY_DECOUPLED, LNGD_DECAY_COUPLED, LNGD_DECAY_TRUST}) {
      Case c;
      c.config = preset(LNGD_PRESET_RECIPE, 30);
      c.config.trust = trust;
      c.config.decay = decay;
      c.config.weight_decay = 0.5;
      c.layers = layers_of();
      c.layers[1].rate_multiplier = 0;
      Training training(c);
      const twin::Matrix before = training.weights(1), other = training.weights(0);
      for (int t = 0; t < 4; ++t) training.step();
      CHECK_EQ(largest_difference(training.weights(1), before), 0.0);
      CHECK_GT(largest_difference(training.weights(0), other), 0.0);
      const lngd_health health = training.optimizer().health(1);
      CHECK_EQ(health.skipped_steps, 0);
      CHECK_GT(health.statistics_updates, 0);
      CHECK_EQ(largest_difference(training.optimizer().read(1, LNGD_FIELD_AVERAGE, before.rows, before.cols), before),
               0.0);
    }
}

TEST(layer_options_misuse_and_state) {
  lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
  for (const double bad : {-0.1, 1e7, std::numeric_limits<double>::quiet_NaN()}) {
    lngd_layer_config layer = dense(5, 3);
    layer.rate_multiplier = bad;
    refused(config, layer, "rate_multiplier");
    layer = dense(5, 3);
    layer.decay_multiplier = bad;
    refused(config, layer, "decay_multiplier");
  }
  lngd_layer_config layer = dense(5, 3);
  for (const int bad : {-1, 2}) {
    layer.trust_off = bad;
    refused(config, layer, "trust_off");
  }
  layer.trust_off = 1;
  config = preset(LNGD_PRESET_BLOCK_KRONECKER, 20);
  config.orthogonalise = 1;
  refused(config, layer, "trust_off");
  // Each is part of the hash, so a state of other options is refused.
  const lngd_layer_config plain = dense(5, 3);
  CHECK_EQ(plain.rate_multiplier, 1.0);
  CHECK_EQ(plain.decay_multiplier, 1.0);
  CHECK_EQ(plain.trust_off, 0);
  std::vector<std::uint64_t> hashes = {hash_of(plain), hash_of(layer)};
  for (double lngd_layer_config::*const field :
       {&lngd_layer_config::rate_multiplier, &lngd_layer_config::decay_multiplier})
    for (const double value : {0.5, 0.25}) {
      layer = plain;
      layer.*field = value;
      hashes.push_back(hash_of(layer));
    }
  for (std::size_t i = 0; i < hashes.size(); ++i)
    for (std::size_t k = 0; k < i; ++k) CHECK_NE(hashes[i], hashes[k]);
}
