// SPDX-License-Identifier: Apache-2.0
//
// Every bad argument: the documented status, a message that names the argument, and nothing changed.
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "single.hpp"

using namespace conformance;

namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();
const double kInf = std::numeric_limits<double>::infinity();

// The call must be refused with this status, and the message must contain the name.
void refused(lngd_status got, lngd_status wanted, const std::string& name, const char* file, int line) {
  if (got != wanted) {
    fail(file, line, name + ": got " + lngd_status_name(got) + ", wanted " + lngd_status_name(wanted));
    return;
  }
  const std::string message = lngd_last_error();
  if (message.find(name) == std::string::npos || message.find('\n') != std::string::npos)
    fail(file, line, "the message does not name '" + name + "' in one line: " + message);
  else
    passed();
}
#define REFUSED(call, name) refused((call), LNGD_INVALID_ARGUMENT, name, __FILE__, __LINE__)

lngd_status create(const lngd_config& config, const lngd_layer_config& layer) {
  auto* const untouched = reinterpret_cast<lngd_optimizer*>(0x1234);
  lngd_optimizer* out = untouched;
  const lngd_status status = lngd_create(&config, &layer, 1, &out);
  if (status == LNGD_OK)
    lngd_destroy(out);
  else
    CHECK(out == untouched);
  return status;
}

} // namespace

TEST(misuse_config_init) {
  lngd_config config;
  std::memset(&config, 0x5A, sizeof config);
  const lngd_config before = config;
  REFUSED(lngd_config_init(-1, 10, &config), "preset");
  REFUSED(lngd_config_init(10, 10, &config), "preset");
  REFUSED(lngd_config_init(LNGD_PRESET_RECIPE, -1, &config), "total_steps");
  REFUSED(lngd_config_init(LNGD_PRESET_RECIPE, 10, nullptr), "config");
  CHECK_EQ(std::memcmp(&config, &before, sizeof config), 0);
  lngd_layer_config layer{};
  REFUSED(lngd_layer_init(0, 3, &layer), "inputs");
  REFUSED(lngd_layer_init(3, 0, &layer), "outputs");
  REFUSED(lngd_layer_init(-3, 3, &layer), "inputs");
  REFUSED(lngd_layer_init((std::int64_t{1} << 24) + 1, 3, &layer), "inputs");
  REFUSED(lngd_layer_init(3, std::int64_t{1} << 40, &layer), "outputs");
  REFUSED(lngd_layer_init(3, 3, nullptr), "layer");
}

TEST(misuse_create_config) {
  const lngd_config good = preset(LNGD_PRESET_RECIPE);
  const lngd_layer_config layer = dense(3, 2);
  const auto with = [&](const std::string& name, const std::function<void(lngd_config&)>& change) {
    lngd_config config = good;
    change(config);
    REFUSED(create(config, layer), name);
  };
  CHECK_OK(create(good, layer));
  with("struct_size", [](lngd_config& c) { c.struct_size = 0; });
  with("struct_size", [](lngd_config& c) { c.struct_size += 8; });
  for (const int bad : {-1, 7, std::numeric_limits<int>::max(), std::numeric_limits<int>::min()}) {
    with("device", [bad](lngd_config& c) { c.device = bad; });
    with("fisher", [bad](lngd_config& c) { c.fisher = bad; });
    with("damping", [bad](lngd_config& c) { c.damping = bad; });
    with("trust", [bad](lngd_config& c) { c.trust = bad; });
    with("rate", [bad](lngd_config& c) { c.rate = bad; });
    with("decay", [bad](lngd_config& c) { c.decay = bad; });
    with("nesterov", [bad](lngd_config& c) { c.nesterov = bad; });
    with("averaging", [bad](lngd_config& c) { c.averaging = bad; });
  }
  for (const int bad : {-1, std::numeric_limits<int>::min()}) {
    with("threads", [bad](lngd_config& c) { c.threads = bad; });
    with("block_size", [bad](lngd_config& c) { c.block_size = bad; });
    with("statistics_samples", [bad](lngd_config& c) { c.statistics_samples = bad; });
    with("rate_samples", [bad](lngd_config& c) { c.rate_samples = bad; });
  }
  for (const int bad : {0, -1}) {
    with("statistics_interval", [bad](lngd_config& c) { c.statistics_interval = bad; });
    with("inverse_interval", [bad](lngd_config& c) { c.inverse_interval = bad; });
  }
  for (const double bad : {kNan, kInf, -kInf, -1.0}) {
    with("learning_rate", [bad](lngd_config& c) { c.learning_rate = bad; });
    with("momentum", [bad](lngd_config& c) { c.momentum = bad; });
    with("weight_decay", [bad](lngd_config& c) { c.weight_decay = bad; });
    with("damping_factor", [bad](lngd_config& c) { c.damping_factor = bad; });
    with("damping_floor", [bad](lngd_config& c) { c.damping_floor = bad; });
    with("damping_min", [bad](lngd_config& c) { c.damping_min = bad; });
    with("damping_max", [bad](lngd_config& c) { c.damping_max = bad; });
    with("rho", [bad](lngd_config& c) { c.rho = bad; });
    with("mu", [bad](lngd_config& c) { c.mu = bad; });
    with("trust_ratio", [bad](lngd_config& c) { c.trust_ratio = bad; });
    with("trust_depth_slope", [bad](lngd_config& c) { c.trust_depth_slope = bad; });
    with("averaging_window", [bad](lngd_config& c) { c.averaging_window = bad; });
  }
  with("learning_rate", [](lngd_config& c) { c.learning_rate = 0; });
  with("learning_rate", [](lngd_config& c) { c.learning_rate = 1.1e6; });
  with("momentum", [](lngd_config& c) { c.momentum = 1; });
  with("rho", [](lngd_config& c) { c.rho = 1; });
  with("mu", [](lngd_config& c) { c.mu = 0; });
  with("damping_floor", [](lngd_config& c) { c.damping_floor = 0; });
  with("damping_max", [](lngd_config& c) { c.damping_max = c.damping_min / 2; });
  with("averaging_window", [](lngd_config& c) { c.averaging_window = 0; });
  // A run of unknown length: the message says what to do.
  with("trust_ratio", [](lngd_config& c) { c.trust_ratio = 0; });
  lngd_config off = good;
  off.trust = LNGD_TRUST_OFF;
  off.trust_ratio = 0;
  CHECK_OK(create(off, layer));
}

TEST(misuse_create_layers) {
  const lngd_config config = preset(LNGD_PRESET_RECIPE);
  const auto with = [&](const std::string& name, const std::function<void(lngd_layer_config&)>& change) {
    lngd_layer_config layer = dense(3, 2);
    change(layer);
    REFUSED(create(config, layer), name);
  };
  with("struct_size", [](lngd_layer_config& l) { l.struct_size = 4; });
  for (const int bad : {-1, 3}) with("kind", [bad](lngd_layer_config& l) { l.kind = bad; });
  with("inputs", [](lngd_layer_config& l) { l.inputs = 0; });
  with("inputs", [](lngd_layer_config& l) { l.inputs = std::numeric_limits<std::int64_t>::max(); });
  with("outputs", [](lngd_layer_config& l) { l.outputs = -1; });
  with("outputs", [](lngd_layer_config& l) { l.outputs = std::numeric_limits<std::int64_t>::max(); });
  with("bias", [](lngd_layer_config& l) { l.bias = 2; });
  with("activation", [](lngd_layer_config& l) { l.activation = 9; });
  with("activation", [](lngd_layer_config& l) { l.activation = -1; });
  with("output", [](lngd_layer_config& l) { l.output = 5; });
  with("fisher", [](lngd_layer_config& l) { l.fisher = 3; });
  with("fisher", [](lngd_layer_config& l) { l.fisher = -2; });
  with("activation", [](lngd_layer_config& l) { l.output = LNGD_OUTPUT_SOFTMAX; }); // with RELU
  for (const double bad : {-0.1, 1.1, kNan})
    with("activation_parameter", [bad](lngd_layer_config& l) {
      l.activation = LNGD_ACTIVATION_LEAKY_RELU;
      l.activation_parameter = bad;
    });
  for (const double bad : {0.0, -1.0, kInf})
    with("activation_parameter", [bad](lngd_layer_config& l) {
      l.activation = LNGD_ACTIVATION_ELU;
      l.activation_parameter = bad;
    });
  const lngd_layer_config layer = dense(3, 2);
  lngd_optimizer* out = nullptr;
  REFUSED(lngd_create(nullptr, &layer, 1, &out), "config");
  REFUSED(lngd_create(&config, nullptr, 1, &out), "layers");
  REFUSED(lngd_create(&config, &layer, 0, &out), "count");
  REFUSED(lngd_create(&config, &layer, -1, &out), "count");
  REFUSED(lngd_create(&config, &layer, 1, nullptr), "out");
  CHECK(out == nullptr);
}

TEST(misuse_settings) {
  Single one(preset(LNGD_PRESET_RECIPE), dense(3, 2));
  lngd_optimizer* handle = one.optimizer.handle();
  double value = -7;
  REFUSED(lngd_set(handle, -1, 1), "setting");
  REFUSED(lngd_set(handle, 13, 1), "setting");
  REFUSED(lngd_get(handle, 13, &value), "setting");
  REFUSED(lngd_get(handle, LNGD_SET_MU, nullptr), "value");
  CHECK_EQ(value, -7.0);
  const struct {
    int setting;
    const char* name;
    std::vector<double> bad;
  } table[] = {{LNGD_SET_LEARNING_RATE, "learning_rate", {0, -1, kNan, kInf, 2e6}},
               {LNGD_SET_MOMENTUM, "momentum", {-0.1, 1, kNan}},
               {LNGD_SET_WEIGHT_DECAY, "weight_decay", {-1, kNan, kInf}},
               {LNGD_SET_DAMPING_FACTOR, "damping_factor", {-1, kNan, kInf}},
               {LNGD_SET_DAMPING_FLOOR, "damping_floor", {0, -1, kNan}},
               {LNGD_SET_DAMPING_MIN, "damping_m", {0, 1, kNan}},
               {LNGD_SET_DAMPING_MAX, "damping_max", {1e-6, kNan}},
               {LNGD_SET_RHO, "rho", {-1, 1, kNan}},
               {LNGD_SET_MU, "mu", {0, -1, kNan}},
               {LNGD_SET_TRUST_RATIO, "trust_ratio", {0, -1, kNan}},
               {LNGD_SET_STATISTICS_INTERVAL, "statistics_interval", {0, -1, 1.5, kNan, kInf, 3e9}},
               {LNGD_SET_INVERSE_INTERVAL, "inverse_interval", {0, -1, 1.5, kNan, -kInf, 1e300}},
               {LNGD_SET_SIGNAL_REFERENCE, "signal_reference", {-1, kNan, kInf}}};
  const std::vector<std::uint8_t> before = one.optimizer.state();
  for (const auto& row : table)
    for (const double bad : row.bad) {
      const Scope scope(std::string(row.name) + " = " + show(bad));
      REFUSED(lngd_set(handle, row.setting, bad), row.name);
    }
  CHECK(one.optimizer.state() == before);
  lngd_config out{};
  REFUSED(lngd_get_config(handle, &out), "struct_size");
  REFUSED(lngd_get_config(handle, nullptr), "out");
  REFUSED(lngd_layer_count(handle, nullptr), "out");
}

TEST(misuse_observe) {
  Single one(preset(LNGD_PRESET_RECIPE), dense(3, 2));
  lngd_optimizer* handle = one.optimizer.handle();
  Tensor inputs(4, 3), signal(4, 2), three(4, 4), rows(5, 2), vector(12);
  const std::vector<std::uint8_t> before = one.optimizer.state();
  const auto observe = [&](const lngd_tensor* a, const lngd_tensor* s, int kind = LNGD_SIGNAL_PRE_ACTIVATIONS) {
    return lngd_observe(handle, 0, a, s, kind);
  };
  REFUSED(lngd_observe(handle, 1, inputs.pointer(), signal.pointer(), 0), "layer");
  REFUSED(lngd_observe(handle, -1, inputs.pointer(), signal.pointer(), 0), "layer");
  REFUSED(observe(nullptr, signal.pointer()), "inputs");
  REFUSED(observe(inputs.pointer(), nullptr), "signal");
  REFUSED(observe(inputs.pointer(), signal.pointer(), 3), "signal_kind");
  REFUSED(observe(inputs.pointer(), signal.pointer(), -1), "signal_kind");
  REFUSED(observe(inputs.pointer(), signal.pointer(), LNGD_SIGNAL_GRADIENTS), "signal_kind"); // not PROVIDED
  REFUSED(observe(three.pointer(), signal.pointer()), "inputs");
  REFUSED(observe(inputs.pointer(), three.pointer()), "signal");
  REFUSED(observe(inputs.pointer(), rows.pointer()), "signal");
  REFUSED(observe(vector.pointer(), signal.pointer()), "inputs");
  const auto with = [&](const std::string& name, const std::function<void(lngd_tensor&)>& change) {
    lngd_tensor bad = inputs.view();
    change(bad);
    REFUSED(observe(&bad, signal.pointer()), name);
    bad = signal.view();
    change(bad);
    REFUSED(observe(inputs.pointer(), &bad), "signal");
  };
  std::int64_t shape[3] = {0, 3, 1}, negative[2] = {-4, 3}, huge[2] = {std::int64_t{1} << 62, 3};
  with("inputs", [](lngd_tensor& t) { t.data = nullptr; });
  with("inputs", [](lngd_tensor& t) { t.device_type = 7; });
  with("inputs", [](lngd_tensor& t) { t.dtype_code = 0; });
  with("inputs", [](lngd_tensor& t) { t.dtype_bits = 64; });
  with("inputs", [](lngd_tensor& t) { t.dtype_lanes = 4; });
  with("inputs", [](lngd_tensor& t) { t.ndim = 3; });
  with("inputs", [](lngd_tensor& t) { t.ndim = 0; });
  with("inputs", [](lngd_tensor& t) { t.ndim = -1; });
  with("inputs", [](lngd_tensor& t) { t.shape = nullptr; });
  with("inputs", [&](lngd_tensor& t) { t.shape = shape; });
  with("inputs", [&](lngd_tensor& t) { t.shape = negative; });
  with("inputs", [&](lngd_tensor& t) { t.shape = huge; });
  REFUSED(lngd_observe_strided(handle, 0, 0, static_cast<const float*>(inputs.pointer()->data), 3, 1,
                               static_cast<const float*>(signal.pointer()->data), 2, 1, 0),
          "");
  REFUSED(lngd_observe_strided(handle, 0, -4, static_cast<const float*>(inputs.pointer()->data), 3, 1,
                               static_cast<const float*>(signal.pointer()->data), 2, 1, 0),
          "");
  REFUSED(lngd_observe_strided(handle, 0, 4, nullptr, 3, 1, static_cast<const float*>(signal.pointer()->data), 2, 1, 0),
          "inputs");
  REFUSED(lngd_observe_strided(handle, 0, 4, static_cast<const float*>(inputs.pointer()->data), 3, 1, nullptr, 2, 1, 0),
          "signal");
  std::uint32_t bits = 0;
  REFUSED(lngd_needs(handle, 1, &bits), "layer");
  REFUSED(lngd_needs(handle, 0, nullptr), "bits");
  CHECK(one.optimizer.state() == before); // also: no half-done update, or it could not be saved

  for (const int activation : {LNGD_ACTIVATION_GELU, LNGD_ACTIVATION_SWISH}) {
    Single folded(preset(LNGD_PRESET_RECIPE), dense(3, 2, true, activation));
    REFUSED(folded.observe(inputs, signal, LNGD_SIGNAL_OUTPUTS), "signal_kind");
    CHECK_OK(folded.observe(inputs, signal));
  }
  lngd_config provided = preset(LNGD_PRESET_RECIPE);
  provided.fisher = LNGD_FISHER_PROVIDED;
  Single given(provided, dense(3, 2));
  REFUSED(given.observe(inputs, signal), "signal_kind");
}

TEST(misuse_plan_create) {
  Single one(preset(LNGD_PRESET_RECIPE), dense(3, 2));
  lngd_optimizer* handle = one.optimizer.handle();
  const lngd_binding good = one.binding();
  Tensor other(2, 4), vector(6), short_bias(1);
  auto* const untouched = reinterpret_cast<lngd_plan*>(0x1234);
  const auto plan = [&](const lngd_binding* bindings, int count = 1, int update = LNGD_UPDATE_WEIGHTS) {
    lngd_plan* out = untouched;
    const lngd_status status = lngd_plan_create(handle, bindings, count, update, &out);
    if (status == LNGD_OK)
      CHECK_OK(lngd_plan_destroy(out));
    else
      CHECK(out == untouched);
    return status;
  };
  const auto with = [&](const std::string& name, const std::function<void(lngd_binding&)>& change,
                        int update = LNGD_UPDATE_WEIGHTS) {
    lngd_binding bad = good;
    change(bad);
    REFUSED(plan(&bad, 1, update), name);
  };
  CHECK_OK(plan(&good));
  REFUSED(plan(nullptr), "bindings");
  REFUSED(plan(&good, 0), "count");
  REFUSED(plan(&good, -1), "count");
  REFUSED(plan(&good, 1, 2), "update");
  REFUSED(plan(&good, 1, -1), "update");
  REFUSED(lngd_plan_create(handle, &good, 1, 0, nullptr), "out");
  with("layer", [](lngd_binding& b) { b.layer = 1; });
  with("layer", [](lngd_binding& b) { b.layer = -1; });
  with("weights", [](lngd_binding& b) { b.weights.data = nullptr; });
  with("weights", [&](lngd_binding& b) { b.weights = other.view(); });
  with("weights", [&](lngd_binding& b) { b.weights = vector.view(); });
  with("weights", [](lngd_binding& b) { b.weights.dtype_bits = 16; });
  with("weight_gradients", [](lngd_binding& b) { b.weight_gradients.data = nullptr; });
  with("weight_gradients", [&](lngd_binding& b) { b.weight_gradients = other.view(); });
  with("weight_gradients", [](lngd_binding& b) { b.weight_gradients.device_type = 7; });
  with("bias", [](lngd_binding& b) { b.bias = lngd_tensor{}; });
  with("bias", [&](lngd_binding& b) { b.bias = short_bias.view(); });
  with("bias", [&](lngd_binding& b) { b.bias = other.view(); });
  with("bias_gradients", [](lngd_binding& b) { b.bias_gradients = lngd_tensor{}; });
  std::int64_t zero_row[2] = {0, 1}, zero_column[2] = {3, 0}, zero[1] = {0};
  with("stride", [&](lngd_binding& b) { b.weights.strides = zero_row; });
  with("stride", [&](lngd_binding& b) { b.weights.strides = zero_column; });
  with("stride", [&](lngd_binding& b) { b.bias.strides = zero; });
  with("stride", [&](lngd_binding& b) { b.weight_gradients.strides = zero_row; });
  // Overlap where something is written.
  with("weight", [](lngd_binding& b) { b.weight_gradients = b.weights; });
  with(
      "weight", [](lngd_binding& b) { b.weight_gradients = b.weights; }, LNGD_UPDATE_GRADIENTS);
  with("bias", [](lngd_binding& b) { b.bias_gradients = b.bias; });
  with("bias", [](lngd_binding& b) { b.bias.data = static_cast<char*>(b.weights.data) + 4; });
  with("weight", [](lngd_binding& b) { b.weight_gradients.data = static_cast<char*>(b.weights.data) + 8; });

  const Optimizer two(preset(LNGD_PRESET_RECIPE), {dense(3, 2), dense(3, 2)});
  const lngd_binding twice[2] = {good, good};
  lngd_plan* out = untouched;
  const lngd_status status = lngd_plan_create(two.handle(), twice, 2, LNGD_UPDATE_WEIGHTS, &out);
  CHECK_EQ(status, LNGD_INVALID_ARGUMENT);
  CHECK(out == untouched);
}

TEST(misuse_step) {
  lngd_config config = preset(LNGD_PRESET_RECIPE_EMPIRICAL);
  Single one(config, dense(3, 2));
  Tensor inputs(4, 3), deltas(4, 2), wide(4, 5), rows(3, 2);
  const std::vector<std::uint8_t> before = one.optimizer.state();
  const lngd_samples good{inputs.view(), deltas.view()};
  for (const double bad : {kNan, kInf, -1.0}) REFUSED(lngd_step(one.plan, bad, &good), "factor");
  REFUSED(lngd_step(one.plan, 1, nullptr), "samples");
  lngd_samples bad = good;
  bad.inputs = wide.view();
  REFUSED(lngd_step(one.plan, 1, &bad), "inputs");
  bad = good;
  bad.deltas = wide.view();
  REFUSED(lngd_step(one.plan, 1, &bad), "deltas");
  bad = good;
  bad.deltas = rows.view();
  REFUSED(lngd_step(one.plan, 1, &bad), "deltas");
  bad = good;
  bad.deltas.data = nullptr;
  REFUSED(lngd_step(one.plan, 1, &bad), "deltas");
  bad = good;
  bad.inputs.dtype_code = 1;
  REFUSED(lngd_step(one.plan, 1, &bad), "inputs");
  CHECK(one.optimizer.state() == before);
  CHECK_EQ(one.health().steps, 0);
}
