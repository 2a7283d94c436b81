// SPDX-License-Identifier: Apache-2.0
//
// How layers are spread over plans must not matter: one plan of all, a plan for each, another order.
#include <memory>
#include <vector>

#include "fixture.hpp"

using namespace conformance;

namespace {

constexpr int kLayers = 3;
constexpr std::int64_t kWidths[kLayers + 1] = {9, 6, 17, 4};

// Three steps of three layers, whose plans are given as lists of layers; returns all weights.
std::vector<twin::Matrix> train(const std::vector<std::vector<int>>& plans) {
  lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
  config.trust_depth_slope = 2;
  config.fisher = LNGD_FISHER_SAMPLED;
  std::vector<lngd_layer_config> layers;
  for (int l = 0; l < kLayers; ++l) layers.push_back(dense(kWidths[l], kWidths[l + 1], false, LNGD_ACTIVATION_TANH));
  const Optimizer optimizer(config, layers);
  std::vector<std::unique_ptr<Tensor>> weights, gradients;
  Random random(31);
  for (int l = 0; l < kLayers; ++l) {
    weights.push_back(std::make_unique<Tensor>(kWidths[l + 1], kWidths[l]));
    gradients.push_back(std::make_unique<Tensor>(kWidths[l + 1], kWidths[l]));
    weights.back()->fill(random_matrix(kWidths[l + 1], kWidths[l], &random));
    gradients.back()->fill(random_matrix(kWidths[l + 1], kWidths[l], &random));
  }
  std::vector<lngd_plan*> handles;
  for (const std::vector<int>& members : plans) {
    std::vector<lngd_binding> bindings;
    for (const int l : members) {
      lngd_binding binding{};
      binding.layer = l;
      binding.weights = weights[static_cast<std::size_t>(l)]->view();
      binding.weight_gradients = gradients[static_cast<std::size_t>(l)]->view();
      bindings.push_back(binding);
    }
    lngd_plan* plan = nullptr;
    REQUIRE_OK(lngd_plan_create(optimizer.handle(), bindings.data(), static_cast<int>(bindings.size()),
                                LNGD_UPDATE_WEIGHTS, &plan));
    handles.push_back(plan);
  }
  for (int step = 0; step < 3; ++step) {
    for (int l = 0; l < kLayers; ++l) {
      Tensor inputs(11, kWidths[l]), signal(11, kWidths[l + 1]);
      inputs.fill(random_matrix(11, kWidths[l], &random));
      signal.fill(random_matrix(11, kWidths[l + 1], &random));
      REQUIRE_OK(lngd_observe(optimizer.handle(), l, inputs.pointer(), signal.pointer(), LNGD_SIGNAL_PRE_ACTIVATIONS));
    }
    for (lngd_plan* plan : handles) REQUIRE_OK(lngd_step(plan, 1, nullptr));
  }
  std::vector<twin::Matrix> result;
  for (const auto& tensor : weights) result.push_back(tensor->values());
  for (int l = 0; l < kLayers; ++l) CHECK_EQ(optimizer.health(l).steps, 3);
  return result;
}

} // namespace

TEST(plans_may_share_out_the_layers) {
  const std::vector<twin::Matrix> together = train({{0, 1, 2}});
  const std::vector<std::vector<std::vector<int>>> others = {{{2, 0, 1}}, {{0}, {1}, {2}}, {{2}, {1, 0}}};
  for (const auto& plans : others) {
    const std::vector<twin::Matrix> apart = train(plans);
    // The same bits: a layer's numbers depend on nothing of its neighbours.
    for (std::size_t l = 0; l < kLayers; ++l) CHECK_EQ(largest_difference(together[l], apart[l]), 0.0);
  }
}

// A plan of some layers leaves the others where they are.
TEST(plans_of_some_layers) {
  const Optimizer optimizer(preset(LNGD_PRESET_RECIPE), {dense(2, 2, false), dense(2, 2, false)});
  Tensor weights(2, 2), gradients(2, 2), inputs(3, 2), signal(3, 2);
  inputs.fill(1.0);
  signal.fill(1.0);
  gradients.fill(1.0);
  lngd_binding binding{};
  binding.layer = 1;
  binding.weights = weights.view();
  binding.weight_gradients = gradients.view();
  lngd_plan* plan = nullptr;
  REQUIRE_OK(lngd_plan_create(optimizer.handle(), &binding, 1, LNGD_UPDATE_WEIGHTS, &plan));
  REQUIRE_OK(lngd_observe(optimizer.handle(), 1, inputs.pointer(), signal.pointer(), LNGD_SIGNAL_PRE_ACTIVATIONS));
  REQUIRE_OK(lngd_step(plan, 1, nullptr));
  CHECK_EQ(optimizer.health(0).steps, 0);
  CHECK_EQ(optimizer.health(1).steps, 1);
  CHECK_GT(twin::norm(weights.values()), 0.0);
  CHECK(optimizer.needs_statistics(0));
}
