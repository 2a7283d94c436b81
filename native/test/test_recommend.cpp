// SPDX-License-Identifier: Apache-2.0
//
// lngd_recommend and the settings of the presets that follow from the length of a run.
#include <cmath>
#include <cstring>
#include <string>

#include "fixture.hpp"
#include "images.hpp"

using namespace conformance;

namespace {

lngd_layer_config output(std::int64_t inputs, std::int64_t outputs, int model) {
  lngd_layer_config layer = dense(inputs, outputs);
  layer.output = model;
  layer.activation = LNGD_ACTIVATION_IDENTITY;
  return layer;
}

struct Recommended {
  lngd_config config;
  std::string reason;

  Recommended(const std::vector<lngd_layer_config>& layers, std::int64_t steps, std::int64_t batch) {
    char text[512];
    std::memset(&config, 0, sizeof config);
    REQUIRE_OK(lngd_recommend(layers.data(), static_cast<std::int32_t>(layers.size()), steps, batch, &config, text,
                              sizeof text));
    reason = text;
    const Optimizer accepted(config, layers); // lngd_create takes it
  }
  bool says(const char* text) const { return reason.find(text) != std::string::npos; }
};

// As lngd_config_init writes it, without the device and threads of the tests.
lngd_config plain(int which, std::int64_t steps) {
  lngd_config config;
  REQUIRE_OK(lngd_config_init(which, steps, &config));
  return config;
}

bool same(const lngd_config& a, const lngd_config& b) { return std::memcmp(&a, &b, sizeof a) == 0; }

} // namespace

TEST(recommend_by_the_output_model) {
  const std::vector<lngd_layer_config> hidden = {dense(784, 256), dense(256, 128)};
  const auto with = [&hidden](lngd_layer_config last) {
    std::vector<lngd_layer_config> layers = hidden;
    layers.push_back(last);
    return layers;
  };
  for (const int model : {LNGD_OUTPUT_SOFTMAX, LNGD_OUTPUT_SIGMOID, LNGD_OUTPUT_SOFTMAX_GAUSSIAN}) {
    const Recommended found(with(output(128, 10, model)), 1410, 256);
    CHECK(same(found.config, plain(LNGD_PRESET_BLOCK_KRONECKER, 1410)));
    CHECK(found.says("BLOCK_KRONECKER: "));
  }
  for (const int model : {LNGD_OUTPUT_SQUARED_ERROR, LNGD_OUTPUT_HIDDEN}) {
    const Recommended found(with(output(128, 10, model)), 1410, 256);
    CHECK(same(found.config, plain(LNGD_PRESET_BLOCK_KRONECKER_FIT, 1410)));
  }
  const Recommended autoencoder(with(output(128, 784, LNGD_OUTPUT_SIGMOID)), 1501, 256);
  CHECK(same(autoencoder.config, plain(LNGD_PRESET_BLOCK_KRONECKER_FIT, 1501)));
  CHECK(autoencoder.says("autoencoder"));
  lngd_config orthogonal = plain(LNGD_PRESET_BLOCK_KRONECKER_FIT, 800);
  orthogonal.orthogonalise = 1;
  orthogonal.damping_factor = 5;
  orthogonal.trust_ratio = 0.7 / std::sqrt(850.0);
  CHECK(same(Recommended(with(output(128, 784, LNGD_OUTPUT_SIGMOID)), 800, 250).config, orthogonal));
}

TEST(recommend_by_batch_steps_and_layers) {
  const std::vector<lngd_layer_config> mlp = {dense(784, 256), dense(256, 128), output(128, 10, LNGD_OUTPUT_SOFTMAX)};
  const Recommended few(mlp, 70, 4096);
  CHECK_EQ(few.config.orthogonalise, 1);
  CHECK_EQ(few.config.damping_factor, 5.0);
  CHECK(few.says("orthogonalisation"));
  CHECK_EQ(few.config.trust_ratio, 0.7 / std::sqrt(120.0));
  CHECK_EQ(Recommended(mlp, 354, 1024).config.orthogonalise, 1);
  CHECK_EQ(Recommended(mlp, 705, 512).config.orthogonalise, 0); // too dear
  CHECK_EQ(few.config.weight_decay, 0.2);
  CHECK_EQ(Recommended(mlp, 1901, 4096).config.orthogonalise, 0); // longer than was tried
  const lngd_layer_config classes = output(40, 10, LNGD_OUTPUT_SOFTMAX);
  CHECK_EQ(Recommended({dense(40, 40), classes}, 70, 256).config.orthogonalise, 1);
  CHECK_EQ(Recommended({dense(40, 40), classes}, 70, 255).config.orthogonalise, 0); // smaller than was tried
  // 4 p^2 q + 10 p^3 is 14 p^3 of a square layer: more than 0.45 of 6 p^2 N where p > 0.19 N.
  const lngd_layer_config last = output(1000, 10, LNGD_OUTPUT_SOFTMAX);
  CHECK_EQ(Recommended({dense(1000, 1000), last}, 70, 4096).config.orthogonalise, 0);
  const std::vector<lngd_layer_config> regression = {dense(8, 32), output(32, 1, LNGD_OUTPUT_SQUARED_ERROR)};
  CHECK_EQ(Recommended(regression, 500, 8).config.soft_trust, 1);
  CHECK_EQ(Recommended(regression, 500, 32).config.soft_trust, 0);
  const std::vector<lngd_layer_config> images = {convolution(1, 16, 5, 5), output(400, 10, LNGD_OUTPUT_SOFTMAX)};
  const Recommended convolutional(images, 240, 64);
  CHECK_EQ(convolutional.config.statistics_samples, 64);
  CHECK_EQ(convolutional.config.statistics_interval, 6); // 240 / 40
  CHECK_EQ(convolutional.config.inverse_interval, 12);   // 240 / 20
  lngd_layer_config words;
  REQUIRE_OK(lngd_embedding_init(1000, 16, &words));
  const Recommended text({words, output(16, 2, LNGD_OUTPUT_SOFTMAX)}, 500, 64);
  CHECK(same(text.config, plain(LNGD_PRESET_BLOCK_KRONECKER, 500)));
  // A small Transformer's step of 64 sentences, 832 tokens. The table has no part in the share.
  REQUIRE_OK(lngd_embedding_init(50000, 128, &words));
  const std::vector<lngd_layer_config> tokens = {words, dense(128, 128), output(128, 2000, LNGD_OUTPUT_SOFTMAX)};
  CHECK_EQ(Recommended(tokens, 628, 832).config.orthogonalise, 1);
  CHECK_EQ(Recommended({words}, 500, 64).config.orthogonalise, 0); // of a network that is nothing else
}

TEST(recommend_intervals_by_the_length_of_the_run) {
  const auto intervals = [](std::int64_t steps, int statistics, int inverses) {
    const lngd_config config = preset(LNGD_PRESET_BLOCK_KRONECKER, steps);
    CHECK_EQ(config.statistics_interval, statistics);
    CHECK_EQ(config.inverse_interval, inverses);
  };
  intervals(16, 1, 1);
  intervals(200, 2, 10);
  intervals(1410, 6, 25);
  intervals(0, 6, 25); // not known
  CHECK_EQ(preset(LNGD_PRESET_BLOCK_KRONECKER, 350).trust_ratio, 0.17 / 20);
  CHECK_EQ(preset(LNGD_PRESET_BLOCK_KRONECKER_FIT, 300).trust_ratio, 0.2 / 20);
  CHECK_EQ(preset(LNGD_PRESET_BLOCK_KRONECKER, 0).trust_ratio, 0.0);
}

TEST(recommend_refusals) {
  const lngd_layer_config layer = output(3, 2, LNGD_OUTPUT_SOFTMAX);
  lngd_config config;
  std::memset(&config, 0x5A, sizeof config);
  const lngd_config before = config;
  const auto refused = [](int status, const char* name) {
    CHECK_EQ(status, LNGD_INVALID_ARGUMENT);
    CHECK(std::string(lngd_last_error()).find(name) != std::string::npos);
  };
  refused(lngd_recommend(nullptr, 1, 10, 10, &config, nullptr, 0), "layers");
  refused(lngd_recommend(&layer, 0, 10, 10, &config, nullptr, 0), "count");
  refused(lngd_recommend(&layer, 1, 0, 10, &config, nullptr, 0), "total_steps");
  refused(lngd_recommend(&layer, 1, 10, 0, &config, nullptr, 0), "batch");
  refused(lngd_recommend(&layer, 1, 10, 10, nullptr, nullptr, 0), "config");
  refused(lngd_recommend(&layer, 1, 10, 10, &config, nullptr, 8), "reason");
  lngd_layer_config bad = layer;
  bad.activation = LNGD_ACTIVATION_TANH;
  refused(lngd_recommend(&bad, 1, 10, 10, &config, nullptr, 0), "layers[0].activation");
  CHECK_EQ(std::memcmp(&config, &before, sizeof config), 0);
  char text[8];
  REQUIRE_OK(lngd_recommend(&layer, 1, 10, 10, &config, text, sizeof text));
  CHECK_EQ(std::strlen(text), sizeof text - 1); // cut, not overrun
}
