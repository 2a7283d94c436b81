// SPDX-License-Identifier: Apache-2.0
//
// A layer that has no statistics yet waits: its steps launch nothing for it that could not work, ask the device
// nothing, and its health says that it does not move. On the emulator, which counts launches and synchronisations.
#include <cmath>
#include <memory>

#include "device.hpp"

using namespace conformance;

namespace {

constexpr std::int64_t kRows = 3, kColumns = 5, kSamples = 4;

// Two layers in one plan, everything in memory of the device.
class TwoLayers {
 public:
  explicit TwoLayers(const lngd_config& config)
      : optimizer_(config, {dense(kColumns, kRows, false, LNGD_ACTIVATION_TANH),
                            dense(kColumns, kRows, false, LNGD_ACTIVATION_TANH)}),
        inputs_(kSamples, kColumns),
        signal_(kSamples, kRows) {
    Random random(7);
    inputs_.fill(random_matrix(kSamples, kColumns, &random));
    signal_.fill(random_matrix(kSamples, kRows, &random));
    lngd_binding bindings[2]{};
    for (int layer = 0; layer < 2; ++layer) {
      bindings[layer].layer = layer;
      for (lngd_tensor* tensor : {&bindings[layer].weights, &bindings[layer].weight_gradients}) {
        tensors_.push_back(std::make_unique<Tensor>(kRows, kColumns));
        tensors_.back()->fill(random_matrix(kRows, kColumns, &random));
        there_.push_back(std::make_unique<OnDevice>(optimizer_.handle(), *tensors_.back()));
        *tensor = there_.back()->view();
      }
    }
    REQUIRE_OK(lngd_plan_create(optimizer_.handle(), bindings, 2, LNGD_UPDATE_WEIGHTS, &plan_));
  }
  ~TwoLayers() { lngd_plan_destroy(plan_); }
  TwoLayers(const TwoLayers&) = delete;
  TwoLayers& operator=(const TwoLayers&) = delete;

  void observe(int layer) {
    REQUIRE_OK(
        lngd_observe(optimizer_.handle(), layer, inputs_.pointer(), signal_.pointer(), LNGD_SIGNAL_PRE_ACTIVATIONS));
  }
  void step() { REQUIRE_OK(lngd_step(plan_, 1, nullptr)); }
  // Calls of a function that a step makes.
  int calls(const lngd::DeviceHooks& hooks, const char* function) {
    hooks.inject_fault(function, 0, 0);
    step();
    const int counted = hooks.calls_counted();
    hooks.inject_fault("", 0, 0);
    return counted;
  }
  Tensor& inputs() { return inputs_; }
  const Optimizer& optimizer() const { return optimizer_; }

 private:
  Optimizer optimizer_;
  Tensor inputs_, signal_;
  std::vector<std::unique_ptr<Tensor>> tensors_;
  std::vector<std::unique_ptr<OnDevice>> there_;
  lngd_plan* plan_ = nullptr;
};

lngd_config waiting_config() {
  lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
  config.statistics_interval = 4;
  config.inverse_interval = 4;
  return config;
}

} // namespace

// The second layer is never observed.
TEST(waiting_layer_costs_no_launch_and_no_synchronisation) {
  const lngd::DeviceHooks& hooks = emulator_hooks();
  TwoLayers layers(waiting_config());
  layers.observe(0);
  layers.step();
  for (const char* const function :
       {"cudaStreamSynchronize", "cudaEventSynchronize", "cudaDeviceSynchronize", "cudaMemcpyAsync"})
    CHECK_EQ(layers.calls(hooks, function), 0); // steps 1 to 3, and 4, which is due with nobody observed
  CHECK_EQ(layers.calls(hooks, "launch"), 4);   // settings, precondition, layer_rate, apply_update
}

TEST(waiting_layer_shows_in_its_health) {
  TwoLayers layers(waiting_config());
  layers.observe(0);
  for (int step = 1; step <= 6; ++step) {
    layers.step();
    const lngd_health moving = layers.optimizer().health(0), waiting = layers.optimizer().health(1);
    CHECK_EQ(moving.skipped_steps, 0);
    CHECK_EQ(moving.inverse_updates, step < 5 ? 1 : 2); // steps 0 and 4 are due
    CHECK_EQ(waiting.steps, step);
    CHECK_EQ(waiting.skipped_steps, step);
    CHECK_EQ(waiting.last_step_skipped, 1);
    CHECK_EQ(waiting.statistics_updates, 0);
    CHECK_EQ(waiting.inverse_updates, 0);
    CHECK(layers.optimizer().needs_statistics(1));
  }
  // As soon as it is observed, in whatever step, it moves.
  layers.observe(1);
  layers.step();
  const lngd_health health = layers.optimizer().health(1);
  CHECK_EQ(health.statistics_updates, 1);
  CHECK_EQ(health.inverse_updates, 1);
  CHECK_EQ(health.last_step_skipped, 0);
  CHECK_EQ(health.skipped_steps, 6);
}

// A batch that is kept out (NaN) leaves a layer without an average: it goes on asking, and moves after the next one.
TEST(waiting_layer_after_a_batch_that_was_kept_out) {
  TwoLayers layers(waiting_config());
  const double kept = layers.inputs().get(1, 2);
  layers.inputs().set(1, 2, std::nan(""));
  layers.observe(1);
  layers.step();
  CHECK_EQ(layers.optimizer().health(1).skipped_statistics, 1);
  CHECK_EQ(layers.optimizer().health(1).inverse_updates, 0);
  layers.inputs().set(1, 2, kept);
  CHECK(layers.optimizer().needs_statistics(1));
  layers.observe(1);
  layers.step();
  CHECK_EQ(layers.optimizer().health(1).inverse_updates, 1);
  CHECK_EQ(layers.optimizer().health(1).skipped_steps, 1);
}

// A factor that no damping of the retries makes positive: it is tried again with another average, not at every step.
TEST(waiting_layer_without_an_inverse) {
  TwoLayers layers(waiting_config());
  std::vector<float> phi(kColumns * kColumns, 0.0f), psi(kRows, 1.0f / kRows);
  for (std::int64_t i = 0; i < kColumns; ++i) phi[static_cast<std::size_t>(i * kColumns + i)] = -1.0f;
  lngd_optimizer* const handle = layers.optimizer().handle();
  REQUIRE_OK(lngd_layer_write(handle, 0, LNGD_FIELD_PHI, phi.data(), static_cast<std::int64_t>(phi.size())));
  REQUIRE_OK(lngd_layer_write(handle, 0, LNGD_FIELD_PSI, psi.data(), kRows));
  for (int step = 0; step < 4; ++step) layers.step();
  CHECK_EQ(layers.optimizer().health(0).failed_inverses, 1);
  CHECK_EQ(layers.optimizer().health(0).skipped_steps, 4);
  layers.step(); // inverses are due
  CHECK_EQ(layers.optimizer().health(0).failed_inverses, 2);
}
