// SPDX-License-Identifier: Apache-2.0
//
// lngd_discard: what was observed and dropped leaves no trace, whatever the layer.
#include <limits>
#include <string>
#include <vector>

#include "images.hpp"
#include "single.hpp"

using namespace conformance;

namespace {

struct Kind {
  const char* name;
  lngd_config config;
  lngd_layer_config layer;
};

std::vector<Kind> kinds() {
  const auto config = [](int which) {
    lngd_config c = preset(which, 20);
    c.block_size = 4;
    c.statistics_samples = 0;
    return c;
  };
  lngd_layer_config embedding;
  REQUIRE_OK(lngd_embedding_init(9, 4, &embedding));
  const lngd_layer_config layer = dense(7, 4), images = with_geometry(convolution(4, 4, 2, 2), 1, 0, 0, 1, 2);
  std::vector<Kind> all = {{"dense", config(LNGD_PRESET_RECIPE), layer},
                           {"convolution", config(LNGD_PRESET_RECIPE), images},
                           {"embedding", config(LNGD_PRESET_RECIPE), embedding},
                           {"KFAC", config(LNGD_PRESET_KFAC), layer},
                           {"TKFAC of a convolution", config(LNGD_PRESET_TKFAC), images},
                           {"block Kronecker", config(LNGD_PRESET_BLOCK_KRONECKER), layer}};
  lngd_config ekfac = config(LNGD_PRESET_EKFAC);
  ekfac.block_size = 0;
  if (device() == LNGD_DEVICE_CPU) all.push_back({"EKFAC", ekfac, layer});
  return all;
}

constexpr std::int64_t kSamples = 6, kHeight = 4, kWidth = 3;

// One batch of a kind, as a function of the seed.
lngd_status observe(const Kind& kind, Single& single, std::uint64_t seed, bool poison = false) {
  Random random(seed);
  const lngd_layer_config& layer = kind.layer;
  const int signal_kind =
      kind.config.fisher == LNGD_FISHER_PROVIDED ? LNGD_SIGNAL_GRADIENTS : LNGD_SIGNAL_PRE_ACTIVATIONS;
  lngd_optimizer* const optimizer = single.optimizer.handle();
  if (layer.kind == LNGD_LAYER_CONVOLUTION) {
    const Geometry g = geometry(layer, kHeight, kWidth);
    ImageTensor inputs(kSamples, layer.inputs, kHeight, kWidth, ImageLayout::Nchw);
    ImageTensor signal(kSamples, layer.outputs, g.out_height, g.out_width, ImageLayout::Nchw);
    inputs.fill(random_matrix(kSamples, layer.inputs * kHeight * kWidth, &random));
    signal.fill(random_matrix(kSamples, layer.outputs * g.positions(), &random));
    if (poison) inputs.set(0, 0, 0, 0, std::numeric_limits<double>::quiet_NaN());
    return lngd_observe(optimizer, 0, inputs.pointer(), signal.pointer(), signal_kind);
  }
  const bool embedding = layer.kind == LNGD_LAYER_EMBEDDING;
  Tensor inputs(kSamples, embedding ? 1 : layer.inputs), indices(kSamples), signal(kSamples, layer.outputs);
  inputs.fill(random_matrix(kSamples, embedding ? 1 : layer.inputs, &random));
  for (std::int64_t n = 0; n < kSamples; ++n)
    indices.set(n, 0, static_cast<double>(random.bits() % static_cast<std::uint64_t>(layer.inputs)));
  signal.fill(random_matrix(kSamples, layer.outputs, &random));
  if (poison) (embedding ? indices : inputs).set(1, 0, std::numeric_limits<double>::quiet_NaN());
  return lngd_observe(optimizer, 0, (embedding ? indices : inputs).pointer(), signal.pointer(), signal_kind);
}

void fill(Single& single, std::uint64_t seed) {
  Random random(seed);
  for (Tensor* t : {&single.weights, &single.weight_gradients, &single.bias, &single.bias_gradients})
    t->fill(random_matrix(t->rows(), t->cols(), &random));
}

} // namespace

TEST(discard_leaves_no_trace) {
  for (const Kind& kind : kinds())
    for (const bool poison : {false, true}) {
      const Scope scope(std::string(kind.name) + (poison ? ", a batch with NaN" : ""));
      Single plain(kind.config, kind.layer), discarding(kind.config, kind.layer);
      for (Single* single : {&plain, &discarding}) {
        fill(*single, 5);
        for (int t = 0; t < 3; ++t) {
          if (single == &discarding) {
            REQUIRE_OK(observe(kind, *single, 100 + static_cast<std::uint64_t>(t), poison));
            REQUIRE_OK(observe(kind, *single, 200 + static_cast<std::uint64_t>(t)));
            REQUIRE_OK(lngd_discard(single->optimizer.handle(), t == 1 ? LNGD_ALL_LAYERS : 0));
          }
          REQUIRE_OK(observe(kind, *single, static_cast<std::uint64_t>(t)));
          REQUIRE_OK(single->step());
        }
      }
      CHECK(plain.weights.bytes() == discarding.weights.bytes());
      CHECK(plain.optimizer.state() == discarding.optimizer.state());
      CHECK_EQ(discarding.health().skipped_statistics, 0);
    }
}

// The update is a new one: as many samples as before, no half-done update that keeps the state from being saved.
TEST(discard_begins_the_update_anew) {
  lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
  config.statistics_samples = kSamples;
  const Kind kind{"dense", config, dense(7, 4)};
  Single single(config, kind.layer);
  fill(single, 5);
  REQUIRE_OK(lngd_discard(single.optimizer.handle(), 0)); // of nothing
  REQUIRE_OK(observe(kind, single, 1));                   // all samples that the update takes
  std::int64_t bytes = 0;
  REQUIRE_OK(lngd_state_size(single.optimizer.handle(), &bytes));
  std::vector<std::uint8_t> state(static_cast<std::size_t>(bytes));
  CHECK_EQ(lngd_state_save(single.optimizer.handle(), state.data(), bytes, nullptr), LNGD_INVALID_STATE);
  REQUIRE_OK(lngd_discard(single.optimizer.handle(), 0));
  CHECK_OK(lngd_state_save(single.optimizer.handle(), state.data(), bytes, nullptr));
  CHECK(single.optimizer.needs_statistics(0));
  REQUIRE_OK(observe(kind, single, 2));
  REQUIRE_OK(single.step());
  Single other(config, kind.layer);
  fill(other, 5);
  REQUIRE_OK(observe(kind, other, 2));
  REQUIRE_OK(other.step());
  CHECK(single.weights.bytes() == other.weights.bytes());
}

// Without anything observed a step takes no statistics, and what lngd_refresh has taken stays taken.
TEST(discard_and_the_steps_round_it) {
  const lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
  const Kind kind{"dense", config, dense(7, 4)};
  Single single(config, kind.layer);
  fill(single, 5);
  REQUIRE_OK(observe(kind, single, 1));
  REQUIRE_OK(lngd_discard(single.optimizer.handle(), LNGD_ALL_LAYERS));
  REQUIRE_OK(single.step());
  CHECK_EQ(single.health().statistics_updates, 0);
  CHECK_EQ(single.health().skipped_steps, 1); // it has no inverse yet
  REQUIRE_OK(observe(kind, single, 2));
  REQUIRE_OK(lngd_refresh(single.plan));
  REQUIRE_OK(lngd_discard(single.optimizer.handle(), LNGD_ALL_LAYERS));
  CHECK_EQ(single.health().statistics_updates, 1);
  CHECK(!single.optimizer.needs_statistics(0));
  REQUIRE_OK(single.step());
  CHECK_EQ(single.health().skipped_steps, 1);
}

TEST(discard_of_one_layer) {
  const Optimizer optimizer(preset(LNGD_PRESET_RECIPE), {dense(3, 2), dense(2, 2)});
  Tensor wide(4, 3), narrow(4, 2);
  wide.fill(1.0);
  narrow.fill(1.0);
  REQUIRE_OK(lngd_observe(optimizer.handle(), 0, wide.pointer(), narrow.pointer(), LNGD_SIGNAL_PRE_ACTIVATIONS));
  REQUIRE_OK(lngd_observe(optimizer.handle(), 1, narrow.pointer(), narrow.pointer(), LNGD_SIGNAL_PRE_ACTIVATIONS));
  REQUIRE_OK(lngd_discard(optimizer.handle(), 0));
  std::int64_t bytes = 0;
  REQUIRE_OK(lngd_state_size(optimizer.handle(), &bytes));
  std::vector<std::uint8_t> state(static_cast<std::size_t>(bytes));
  CHECK_EQ(lngd_state_save(optimizer.handle(), state.data(), bytes, nullptr), LNGD_INVALID_STATE); // layer 1
  REQUIRE_OK(lngd_discard(optimizer.handle(), 1));
  CHECK_OK(lngd_state_save(optimizer.handle(), state.data(), bytes, nullptr));
  for (const int layer : {-2, 2}) CHECK_EQ(lngd_discard(optimizer.handle(), layer), LNGD_INVALID_ARGUMENT);
  CHECK_EQ(lngd_discard(nullptr, 0), LNGD_INVALID_HANDLE);
}
