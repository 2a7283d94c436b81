// SPDX-License-Identifier: Apache-2.0
//
// Misuse of parameters: a message that names what was wrong and what is allowed, and nothing is changed.
#include <cstring>
#include <initializer_list>
#include <limits>
#include <string>

#include "parameters.hpp"
#include "raw_tensor.hpp"

using namespace conformance;

namespace {

void refused(lngd_status got, const std::string& name, const char* file, int line) {
  const std::string message = lngd_last_error();
  if (got != LNGD_INVALID_ARGUMENT)
    fail(file, line, name + ": got " + lngd_status_name(got) + ", wanted LNGD_INVALID_ARGUMENT");
  else if (message.find(name) == std::string::npos || message.find("allowed") == std::string::npos ||
           message.find('\n') != std::string::npos)
    fail(file, line, "the message does not name '" + name + "' and what is allowed in one line: " + message);
  else
    passed();
}
#define REFUSED(call, name) refused((call), name, __FILE__, __LINE__)

lngd_status create(const lngd_layer_config& layer) {
  const lngd_config config = preset(LNGD_PRESET_RECIPE, 20);
  lngd_optimizer* out = nullptr;
  const lngd_status status = lngd_create(&config, &layer, 1, &out);
  if (status == LNGD_OK) lngd_destroy(out);
  return status;
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

} // namespace

TEST(parameter_init_and_create) {
  lngd_layer_config layer;
  std::memset(&layer, 0x5A, sizeof layer);
  REQUIRE_OK(lngd_parameter_init(2147483647, &layer));
  CHECK_EQ(layer.struct_size, sizeof layer);
  CHECK_EQ(layer.kind, LNGD_LAYER_PARAMETER);
  CHECK_EQ(layer.inputs, 2147483647);
  CHECK_EQ(layer.outputs, 1);
  CHECK_EQ(layer.bias, 0);
  CHECK_EQ(layer.method, LNGD_PARAMETER_ADAMW);
  CHECK_EQ(layer.learning_rate, 1e-3);
  CHECK_EQ(layer.weight_decay, 0.0);
  CHECK_EQ(layer.beta1, 0.9);
  CHECK_EQ(layer.beta2, 0.999);
  CHECK_EQ(layer.epsilon, 1e-8);
  CHECK_EQ(layer.momentum, 0.9);
  for (const std::int64_t elements : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 31})
    REFUSED(lngd_parameter_init(elements, &layer), "elements");
  REFUSED(lngd_parameter_init(5, nullptr), "out");

  const auto refused_with = [](const char* name, auto change) {
    lngd_layer_config changed = parameter(5);
    change(changed);
    REFUSED(create(changed), std::string("layers[0].") + name);
  };
  CHECK_OK(create(parameter(5)));
  refused_with("inputs", [](lngd_layer_config& p) { p.inputs = 0; });
  refused_with("inputs", [](lngd_layer_config& p) { p.inputs = std::int64_t{1} << 31; });
  refused_with("outputs", [](lngd_layer_config& p) { p.outputs = 2; });
  refused_with("outputs", [](lngd_layer_config& p) { p.bias = 1; });
  refused_with("method", [](lngd_layer_config& p) { p.method = 2; });
  refused_with("method", [](lngd_layer_config& p) { p.method = -1; });
  refused_with("kind", [](lngd_layer_config& p) { p.kind = 4; });
  refused_with("struct_size", [](lngd_layer_config& p) { p.struct_size -= 8; });
  for (const double bad : {-0.1, kNan, std::numeric_limits<double>::infinity()}) {
    refused_with("learning_rate", [bad](lngd_layer_config& p) { p.learning_rate = bad; });
    refused_with("weight_decay", [bad](lngd_layer_config& p) { p.weight_decay = bad; });
    refused_with("beta1", [bad](lngd_layer_config& p) { p.beta1 = bad; });
    refused_with("beta2", [bad](lngd_layer_config& p) { p.beta2 = bad; });
    refused_with("epsilon", [bad](lngd_layer_config& p) { p.epsilon = bad; });
    refused_with("momentum", [bad](lngd_layer_config& p) { p.method = 1, p.momentum = bad; });
  }
  refused_with("learning_rate", [](lngd_layer_config& p) { p.learning_rate = 0; });
  refused_with("beta1", [](lngd_layer_config& p) { p.beta1 = 1; });
  refused_with("beta2", [](lngd_layer_config& p) { p.beta2 = 1; });
  refused_with("epsilon", [](lngd_layer_config& p) { p.epsilon = 0; });
  refused_with("momentum", [](lngd_layer_config& p) { p.method = 1, p.momentum = 1; });
  // What belongs to the other method, or to layers, is not looked at.
  lngd_layer_config other = parameter(5);
  other.momentum = 7, other.activation = 99, other.output = 99, other.fisher = 99;
  CHECK_OK(create(other));
  other = parameter(5, LNGD_PARAMETER_NESTEROV);
  other.beta1 = other.beta2 = other.epsilon = -3;
  CHECK_OK(create(other));
}

TEST(parameter_is_not_observed) {
  const Optimizer optimizer(preset(LNGD_PRESET_RECIPE, 20), {dense(5, 3), parameter(5)});
  Tensor inputs(4, 5), signal(4, 1);
  float out[64];
  REFUSED(lngd_observe(optimizer.handle(), 1, inputs.pointer(), signal.pointer(), 0), "layer is 1, a parameter");
  REFUSED(lngd_observe_strided(optimizer.handle(), 1, 4, out, 5, 1, out, 1, 1, 0), "layer is 1, a parameter");
  REFUSED(lngd_fisher_rows(optimizer.handle(), 1, 0, inputs.pointer(), signal.pointer(), 0, out, out, out),
          "layer is 1, a parameter");
}

TEST(parameter_fields_that_it_does_not_have) {
  const Optimizer optimizer(preset(LNGD_PRESET_RECIPE, 20),
                            {dense(5, 3), parameter(5), parameter(5, LNGD_PARAMETER_NESTEROV)});
  float values[64] = {};
  for (const int field : std::initializer_list<int>{LNGD_FIELD_PHI, LNGD_FIELD_PSI, LNGD_FIELD_PHI_INVERSE,
                                                    LNGD_FIELD_PSI_INVERSE, LNGD_FIELD_DIRECTION, 8, -1}) {
    REFUSED(lngd_layer_read(optimizer.handle(), 1, field, values, 64, nullptr), "field is " + std::to_string(field));
    REFUSED(lngd_layer_write(optimizer.handle(), 1, field, values, 5), "field is " + std::to_string(field));
  }
  for (const int layer : {0, 2}) {
    REFUSED(lngd_layer_read(optimizer.handle(), layer, LNGD_FIELD_SECOND_MOMENT, values, 64, nullptr), "field is");
    REFUSED(lngd_layer_write(optimizer.handle(), layer, LNGD_FIELD_SECOND_MOMENT, values, 5), "field is");
  }
  REFUSED(lngd_layer_write(optimizer.handle(), 1, LNGD_FIELD_SECOND_MOMENT, values, 4), "count");
  values[3] = -1;
  REFUSED(lngd_layer_write(optimizer.handle(), 1, LNGD_FIELD_SECOND_MOMENT, values, 5), "values[3]");
  CHECK_OK(lngd_layer_write(optimizer.handle(), 1, LNGD_FIELD_MOMENTUM, values, 5));
}

TEST(parameter_tensors_of_any_rank) {
  const Optimizer optimizer(preset(LNGD_PRESET_RECIPE, 20), {parameter(24)});
  const auto plan = [&](Raw& weights, Raw& gradients) {
    lngd_binding binding{};
    binding.weights = weights.view();
    binding.weight_gradients = gradients.view();
    binding.bias.ndim = 99; // ignored
    lngd_plan* out = nullptr;
    const lngd_status status = lngd_plan_create(optimizer.handle(), &binding, 1, LNGD_UPDATE_WEIGHTS, &out);
    if (status == LNGD_OK) {
      // The first step of AdamW goes down by the learning rate, 0.1, everywhere.
      CHECK_OK(lngd_step(out, 1, nullptr));
      CHECK_OK(lngd_plan_destroy(out));
    }
    return status;
  };
  Raw whole({24});
  const std::vector<std::vector<std::int64_t>> shapes = {{24}, {4, 6}, {2, 3, 4}, {2, 1, 3, 4}, {1, 24, 1, 1}};
  for (const auto& w : shapes)
    for (const auto& g : shapes) {
      Raw weights(w), gradients(g);
      for (float& x : gradients.values) x = 1;
      CHECK_OK(plan(weights, gradients));
      for (const float x : weights.values) CHECK_NEAR(x, -0.1, 1e-6);
    }
  // Two axes of one stride each: a slice of every third column, a transposed matrix, a permutation of three axes.
  struct Strided {
    std::vector<std::int64_t> shape, strides;
  };
  const std::vector<Strided> good = {
      {{4, 6}, {20, 3}}, {{4, 6}, {1, 4}}, {{2, 2, 6}, {40, 20, 3}}, {{24}, {-2}}, {{4, 2, 3}, {1, 12, 4}}};
  const std::vector<Strided> bad = {
      {{2, 3, 4}, {4, 100, 1}}, {{2, 3, 4}, {4, 8, 1}}, {{2, 3, 4}, {1, 2, 6}}, {{2, 2, 2, 3}, {1, 2, 4, 8}}};
  for (std::size_t k = 0; k < good.size() + bad.size(); ++k) {
    const Scope scope("strides " + std::to_string(k));
    const bool is_good = k < good.size();
    const Strided& strided = is_good ? good[k] : bad[k - good.size()];
    Raw weights({1000}), gradients({24});
    weights.shape = strided.shape;
    weights.strides = strided.strides;
    lngd_binding binding{};
    binding.weights = weights.view();
    binding.weights.data = weights.values.data() + 500;
    binding.weight_gradients = gradients.view();
    lngd_plan* out = nullptr;
    const lngd_status status = lngd_plan_create(optimizer.handle(), &binding, 1, LNGD_UPDATE_GRADIENTS, &out);
    if (!is_good) {
      REFUSED(status, "weights has a stride");
      continue;
    }
    CHECK_OK(status);
    std::vector<float> average(24);
    for (std::size_t i = 0; i < 24; ++i) average[i] = static_cast<float>(i + 1);
    CHECK_OK(lngd_layer_write(optimizer.handle(), 0, LNGD_FIELD_AVERAGE, average.data(), 24));
    CHECK_OK(lngd_swap_averages(out, nullptr));
    std::int64_t written = 0;
    const auto size = [&](std::size_t axis) { return axis < strided.shape.size() ? strided.shape[axis] : 1; };
    const auto stride = [&](std::size_t axis) { return axis < strided.shape.size() ? strided.strides[axis] : 0; };
    std::vector<float> there;
    for (std::int64_t a = 0; a < size(0); ++a)
      for (std::int64_t b = 0; b < size(1); ++b)
        for (std::int64_t c = 0; c < size(2); ++c)
          there.push_back(
              weights.values[static_cast<std::size_t>(500 + a * stride(0) + b * stride(1) + c * stride(2))]);
    for (const float x : weights.values) written += x != 0;
    CHECK_EQ(written, 24);
    CHECK(there == average); // in row-major order, and nowhere else
    CHECK_OK(lngd_swap_averages(out, nullptr));
    CHECK(optimizer.read(0, LNGD_FIELD_AVERAGE) == average);
    CHECK_OK(lngd_plan_destroy(out));
  }
}

TEST(parameter_tensors_that_do_not_fit) {
  const Optimizer optimizer(preset(LNGD_PRESET_RECIPE, 20), {parameter(24)});
  const auto plan = [&](Raw& weights, Raw& gradients) {
    lngd_binding binding{};
    binding.weights = weights.view();
    binding.weight_gradients = gradients.view();
    lngd_plan* out = nullptr;
    return lngd_plan_create(optimizer.handle(), &binding, 1, LNGD_UPDATE_WEIGHTS, &out);
  };
  Raw good({24}), other({24});
  for (const auto& shape : std::vector<std::vector<std::int64_t>>{{23}, {25}, {5, 5}, {1, 1, 1, 1, 24}, {}}) {
    Raw bad(shape);
    REFUSED(plan(bad, good), "bindings[0].weights");
    REFUSED(plan(good, bad), "bindings[0].weight_gradients");
  }
  Raw huge({24});
  huge.shape = {std::int64_t{1} << 40, std::int64_t{1} << 40, std::int64_t{1} << 40, std::int64_t{1} << 40};
  REFUSED(plan(huge, good), "bindings[0].weights");
  huge.shape = {24, 0};
  REFUSED(plan(huge, good), "bindings[0].weights");
  Raw zero({24});
  zero.strides = {0};
  REFUSED(plan(zero, good), "bindings[0].weights");
  // Both in runs, of other lengths.
  Raw fours({6, 4}), sixes({4, 6});
  fours.strides = {1, 6}, sixes.strides = {1, 4};
  REFUSED(plan(fours, sixes), "runs of 6 elements");
  CHECK_OK(plan(fours, good));
  REFUSED(plan(good, good), "overlaps");
}

TEST(parameter_recommend_does_not_count_them) {
  const std::vector<lngd_layer_config> plain = {dense(8, 16),
                                                dense(16, 8, true, LNGD_ACTIVATION_IDENTITY, LNGD_OUTPUT_SOFTMAX)};
  const std::vector<lngd_layer_config> with = {parameter(8), plain[0], parameter(16), plain[1], parameter(8)};
  const auto recommended = [](const std::vector<lngd_layer_config>& layers) {
    lngd_config config;
    char reason[512];
    std::memset(&config, 0, sizeof config);
    REQUIRE_OK(lngd_recommend(layers.data(), static_cast<int>(layers.size()), 500, 256, &config, reason, 512));
    const auto* bytes = reinterpret_cast<const char*>(&config);
    return std::string(bytes, bytes + sizeof config) + reason;
  };
  CHECK(recommended(with) == recommended(plain));
  const lngd_layer_config only = parameter(8);
  lngd_config config;
  REFUSED(lngd_recommend(&only, 1, 500, 256, &config, nullptr, 0), "layers");
}
