// SPDX-License-Identifier: Apache-2.0
//
// One layer with its plan and compact tensors, for tests of a single effect.
#ifndef LNGD_TEST_SINGLE_HPP
#define LNGD_TEST_SINGLE_HPP

#include "fixture.hpp"

namespace conformance {

struct Single {
  Optimizer optimizer;
  Tensor weights, bias, weight_gradients, bias_gradients;
  bool has_bias;
  lngd_plan* plan = nullptr;

  Single(const lngd_config& config, const lngd_layer_config& layer, int update = LNGD_UPDATE_WEIGHTS)
      : optimizer(config, {layer}),
        weights(layer.outputs, twin::weight_columns(layer)),
        bias(layer.outputs),
        weight_gradients(layer.outputs, twin::weight_columns(layer)),
        bias_gradients(layer.outputs),
        has_bias(layer.bias != 0) {
    lngd_binding b = binding();
    REQUIRE_OK(lngd_plan_create(optimizer.handle(), &b, 1, update, &plan));
  }
  ~Single() { lngd_plan_destroy(plan); }
  Single(const Single&) = delete;
  Single& operator=(const Single&) = delete;

  lngd_binding binding() const {
    lngd_binding b{};
    b.weights = weights.view();
    b.weight_gradients = weight_gradients.view();
    if (has_bias) {
      b.bias = bias.view();
      b.bias_gradients = bias_gradients.view();
    }
    return b;
  }
  lngd_status observe(const Tensor& inputs, const Tensor& signal, int kind = LNGD_SIGNAL_PRE_ACTIVATIONS) {
    return lngd_observe(optimizer.handle(), 0, inputs.pointer(), signal.pointer(), kind);
  }
  lngd_status step(double factor = 1) { return lngd_step(plan, factor, nullptr); }
  lngd_health health() const { return optimizer.health(0); }
  void write(int field, const std::vector<float>& values) {
    REQUIRE_OK(lngd_layer_write(optimizer.handle(), 0, field, values.data(), static_cast<std::int64_t>(values.size())));
  }
};

// A configuration with nothing between the gradient and the step: no momentum, decay, averages, trust ratio; statistics
// and inverses at every step, which replace the old ones.
inline lngd_config bare_config() {
  lngd_config config = preset(LNGD_PRESET_PAPER);
  config.fisher = LNGD_FISHER_EXPECTED;
  config.rate = LNGD_RATE_NONE;
  config.learning_rate = 1;
  config.momentum = 0;
  config.weight_decay = 0;
  config.rho = 0;
  config.statistics_interval = 1;
  config.inverse_interval = 1;
  return config;
}

} // namespace conformance

#endif // LNGD_TEST_SINGLE_HPP
