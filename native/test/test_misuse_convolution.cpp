// SPDX-License-Identifier: Apache-2.0
//
// Every misuse of a convolution: the status, a message that names what was wrong and what is allowed, nothing changed.
#include <cstring>
#include <functional>
#include <string>

#include "images.hpp"
#include "raw_tensor.hpp"
#include "single.hpp"

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

lngd_status create(const lngd_config& config, const lngd_layer_config& layer) {
  lngd_optimizer* out = nullptr;
  const lngd_status status = lngd_create(&config, &layer, 1, &out);
  if (status == LNGD_OK) lngd_destroy(out);
  return status;
}

} // namespace

TEST(conv_init_and_misuse_of_geometry) {
  lngd_layer_config layer;
  std::memset(&layer, 0x5A, sizeof layer);
  const std::int32_t kernel[2] = {5, 3};
  REQUIRE_OK(lngd_conv_init(2, 6, 4, kernel, &layer));
  CHECK_EQ(layer.struct_size, sizeof layer);
  CHECK_EQ(layer.kind, LNGD_LAYER_CONVOLUTION);
  CHECK_EQ(layer.inputs, 6);
  CHECK_EQ(layer.outputs, 4);
  CHECK_EQ(layer.bias, 1);
  CHECK_EQ(layer.activation, LNGD_ACTIVATION_RELU);
  CHECK_EQ(layer.fisher, -1);
  CHECK_EQ(layer.rank, 2);
  CHECK_EQ(layer.groups, 1);
  for (int axis = 0; axis < 2; ++axis) {
    CHECK_EQ(layer.kernel[axis], kernel[axis]);
    CHECK_EQ(layer.stride[axis], 1);
    CHECK_EQ(layer.dilation[axis], 1);
    CHECK_EQ(layer.padding_before[axis], 0);
    CHECK_EQ(layer.padding_after[axis], 0);
  }
  const lngd_layer_config before = layer;
  REFUSED(lngd_conv_init(0, 6, 4, kernel, &layer), "rank");
  REFUSED(lngd_conv_init(3, 6, 4, kernel, &layer), "rank");
  REFUSED(lngd_conv_init(2, 0, 4, kernel, &layer), "inputs");
  REFUSED(lngd_conv_init(2, 6, 0, kernel, &layer), "outputs");
  REFUSED(lngd_conv_init(2, 6, 4, nullptr, &layer), "kernel");
  REFUSED(lngd_conv_init(2, 6, 4, kernel, nullptr), "layer");
  const std::int32_t none[2] = {3, 0}, huge[2] = {65536, 1}, wide[2] = {2048, 2048};
  REFUSED(lngd_conv_init(2, 6, 4, none, &layer), "kernel[1]");
  CHECK_OK(lngd_conv_init(1, 6, 4, none, &layer)); // the second size is not looked at
  layer = before;
  REFUSED(lngd_conv_init(2, 6, 4, huge, &layer), "kernel[0]");
  REFUSED(lngd_conv_init(2, 6, 4, wide, &layer), "kernel"); // 6 x 2048 x 2048 weights an output
  CHECK_EQ(std::memcmp(&layer, &before, sizeof layer), 0);

  const lngd_config config = preset(LNGD_PRESET_RECIPE);
  const auto with = [&](const std::string& name, const std::function<void(lngd_layer_config&)>& change) {
    lngd_layer_config bad = before;
    change(bad);
    REFUSED(create(config, bad), "layers[0]." + name);
  };
  CHECK_OK(create(config, before));
  for (const int bad : {0, 3, -1}) with("rank", [bad](lngd_layer_config& l) { l.rank = bad; });
  for (const int bad : {0, -1, 65536})
    for (int axis = 0; axis < 2; ++axis) {
      const std::string at = "[" + std::to_string(axis) + "]";
      with("kernel" + at, [=](lngd_layer_config& l) { l.kernel[axis] = bad; });
      with("stride" + at, [=](lngd_layer_config& l) { l.stride[axis] = bad; });
      with("dilation" + at, [=](lngd_layer_config& l) { l.dilation[axis] = bad; });
      if (bad == 0) continue;
      with("padding_before" + at, [=](lngd_layer_config& l) { l.padding_before[axis] = bad; });
      with("padding_after" + at, [=](lngd_layer_config& l) { l.padding_after[axis] = bad; });
    }
  for (int axis = 0; axis < 2; ++axis) // 2^30 elements and some more between the first and the last of a kernel
    with("dilation[" + std::to_string(axis) + "]", [=](lngd_layer_config& l) {
      l.kernel[1 - axis] = 1;
      l.kernel[axis] = 32769;
      l.dilation[axis] = 32769;
      l.padding = LNGD_PADDING_SAME;
    });
  for (const int bad : {0, -1, 4, 3, 5, 65536}) with("groups", [bad](lngd_layer_config& l) { l.groups = bad; });
  with("groups", [](lngd_layer_config& l) { l.groups = 3, l.outputs = 7; });
  with("rank", [](lngd_layer_config& l) { l.rank = 0, l.groups = 0; }); // a dense layer whose kind was changed
  // Entries of the axis that a 1-D convolution does not have.
  lngd_layer_config flat = convolution_1d(6, 4, 3);
  flat.stride[1] = 2;
  REFUSED(create(config, flat), "stride[1]");
  flat = convolution_1d(6, 4, 3);
  flat.padding_after[1] = 1;
  REFUSED(create(config, flat), "padding_after[1]");
  // A full factor larger than a block may be.
  lngd_config full = config;
  full.block_size = 0;
  const std::int32_t square[2] = {256, 257};
  REQUIRE_OK(lngd_conv_init(2, 1, 1, square, &layer));
  REFUSED(create(full, layer), "block_size");
}

// Padding makes positions out of nothing, and strides of 0 a signal for all of them: 2^34 rows of one float.
TEST(conv_positions_beyond_number) {
  lngd_layer_config layer = convolution(1, 1, 1, 1);
  for (int axis = 0; axis < 2; ++axis) layer.padding_before[axis] = layer.padding_after[axis] = 65535;
  Optimizer optimizer(preset(LNGD_PRESET_RECIPE, 10), {layer});
  Raw image({1, 1, 1, 1}), signal({1});
  signal.shape = {1, 1, 131071, 131071};
  signal.strides = {0, 0, 0, 0};
  const lngd_tensor a = image.view(), s = signal.view();
  REFUSED(lngd_observe(optimizer.handle(), 0, &a, &s, LNGD_SIGNAL_PRE_ACTIVATIONS), "output positions");
}

TEST(conv_misuse_of_observe_and_samples) {
  lngd_layer_config layer = with_geometry(convolution(4, 6, 3, 2), 2, 1, 0, 1, 2);
  Single one(preset(LNGD_PRESET_RECIPE_EMPIRICAL), dense(1, 1)); // a dense layer takes no images
  ImageTensor images(2, 4, 7, 6, ImageLayout::Nchw), outputs(2, 6, 3, 3, ImageLayout::Nchw);
  REFUSED(lngd_observe(one.optimizer.handle(), 0, images.pointer(), outputs.pointer(), 0), "inputs");

  const Optimizer conv(preset(LNGD_PRESET_RECIPE_EMPIRICAL), {layer});
  lngd_optimizer* handle = conv.handle();
  const std::vector<std::uint8_t> before = conv.state();
  CHECK_OK(lngd_observe(handle, 0, images.pointer(), outputs.pointer(), 0));
  REQUIRE_OK(lngd_state_restore(handle, before.data(), static_cast<std::int64_t>(before.size())));
  // The positions: rows (7 + 1 + 0 - 2 - 1) / 2 + 1 = 3, columns (6 + 1 + 0 - 1 - 1) / 2 + 1 = 3.
  const auto observe = [&](Raw& a, Raw& s) {
    const lngd_tensor x = a.view(), y = s.view();
    return lngd_observe(handle, 0, &x, &y, 0);
  };
  Raw good({2, 4, 7, 6}), fits({2, 6, 3, 3});
  for (const std::vector<std::int64_t>& shape : std::vector<std::vector<std::int64_t>>{
           {2, 4, 42}, {2, 4}, {2, 4, 7, 6, 1}, {2, 3, 7, 6}, {2, 4, 1, 6}, {2, 4, 7, 0}, {0, 4, 7, 6}}) {
    Raw bad(shape);
    REFUSED(observe(bad, fits), "inputs");
  }
  for (const std::vector<std::int64_t>& shape : std::vector<std::vector<std::int64_t>>{
           {2, 6, 9}, {18, 6}, {1, 6, 3, 3}, {2, 5, 3, 3}, {2, 6, 4, 3}, {2, 6, 3, 2}}) {
    Raw bad(shape);
    REFUSED(observe(good, bad), "signal");
  }
  Raw huge({1, 1, 1, 1});
  huge.shape = {1, 4, std::int64_t{1} << 40, 6};
  huge.strides = {0, 0, 0, 0};
  REFUSED(observe(huge, fits), "inputs");
  huge.shape = {2, 4, 7, 6};
  huge.strides = {0, std::int64_t{1} << 47, 0, 0};
  REFUSED(observe(huge, fits), "inputs");
  lngd_tensor x = good.view(), y = fits.view();
  x.device_type = 7;
  REFUSED(lngd_observe(handle, 0, &x, &y, 0), "inputs");
  x = good.view();
  y.dtype_bits = 64;
  REFUSED(lngd_observe(handle, 0, &x, &y, 0), "signal");
  y = fits.view();
  REFUSED(lngd_observe(handle, 0, nullptr, &y, 0), "inputs");
  REFUSED(lngd_observe(handle, 0, &x, nullptr, 0), "signal");
  REFUSED(lngd_observe(handle, 0, &x, &y, LNGD_SIGNAL_GRADIENTS), "signal_kind");
  REFUSED(lngd_observe_strided(handle, 0, 2, good.values.data(), 168, 1, fits.values.data(), 54, 1, 0), "layer");
  REFUSED(lngd_fisher_rows(handle, 0, -1, &x, &y, 0, nullptr, nullptr, nullptr), "step");
  CHECK(conv.state() == before); // also: nothing half done

  Raw weights({6, 12}), bias({6}), gradients({6, 12}), bias_gradients({6});
  lngd_binding binding{};
  binding.weights = weights.view();
  binding.bias = bias.view();
  binding.weight_gradients = gradients.view();
  binding.bias_gradients = bias_gradients.view();
  lngd_plan* plan = nullptr;
  REQUIRE_OK(lngd_plan_create(handle, &binding, 1, LNGD_UPDATE_WEIGHTS, &plan));
  REFUSED(lngd_step(plan, 1, nullptr), "samples");
  const auto step = [&](Raw& a, Raw& delta) {
    const lngd_samples samples{a.view(), delta.view()};
    return lngd_step(plan, 1, &samples);
  };
  Raw rows({2, 24}), delta_rows({18, 6}), other({3, 6, 3, 3});
  REFUSED(step(rows, fits), "samples[0].inputs");
  REFUSED(step(good, delta_rows), "samples[0].deltas");
  REFUSED(step(good, other), "samples[0].deltas");
  CHECK(conv.state() == before);
  CHECK_OK(step(good, fits));
}

TEST(conv_misuse_of_weights) {
  const lngd_layer_config layer = with_geometry(convolution(4, 6, 3, 2), 1, 1, 1, 1, 2);
  const Optimizer conv(preset(LNGD_PRESET_RECIPE), {layer});
  Raw weights({6, 2, 3, 2}), gradients({6, 2, 3, 2}), bias({6}), bias_gradients({6});
  weights.values.resize(4000);
  gradients.values.resize(4000);
  const auto plan = [&](const lngd_tensor& w, const lngd_tensor& g) {
    lngd_binding binding{};
    binding.weights = w;
    binding.weight_gradients = g;
    binding.bias = bias.view();
    binding.bias_gradients = bias_gradients.view();
    lngd_plan* out = nullptr;
    const lngd_status status = lngd_plan_create(conv.handle(), &binding, 1, LNGD_UPDATE_WEIGHTS, &out);
    if (status == LNGD_OK) lngd_plan_destroy(out);
    return status;
  };
  CHECK_OK(plan(weights.view(), gradients.view()));
  for (const std::vector<std::int64_t>& shape : std::vector<std::vector<std::int64_t>>{
           {72}, {6, 11}, {12, 6}, {6, 2, 6}, {6, 2, 3, 2, 1}, {6, 4, 3, 2}, {6, 2, 2, 3}, {5, 2, 3, 2}}) {
    Raw bad(shape);
    REFUSED(plan(bad.view(), gradients.view()), "bindings[0].weights");
    REFUSED(plan(weights.view(), bad.view()), "bindings[0].weight_gradients");
  }
  // Axes that do not collapse: channels last, a gap behind kernel rows, one axis backwards.
  for (const std::vector<std::int64_t>& strides :
       std::vector<std::vector<std::int64_t>>{{12, 1, 4, 2}, {18, 9, 3, 1}, {12, -6, 2, 1}, {12, 6, 1, 3}}) {
    Raw bad({6, 2, 3, 2});
    bad.values.resize(400);
    bad.strides = strides;
    lngd_tensor view = bad.view();
    view.data = bad.values.data() + 100;
    REFUSED(plan(view, gradients.view()), "bindings[0].weights");
    REFUSED(plan(weights.view(), view), "bindings[0].weight_gradients");
  }
  Raw zero({6, 2, 3, 2});
  zero.strides = {0, 6, 2, 1};
  REFUSED(plan(zero.view(), gradients.view()), "bindings[0].weights");
  REFUSED(plan(weights.view(), weights.view()), "overlaps");
}
