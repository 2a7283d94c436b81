// SPDX-License-Identifier: Apache-2.0
//
// LNGD_PADDING_SAME is explicit padding that is worked out from each image: the same bits, for every size.
#include <string>

#include "fixture.hpp"

using namespace conformance;

namespace {

struct Image {
  std::vector<float> values;
  std::int64_t shape[4];

  Image(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w, std::uint64_t seed) : shape{n, c, h, w} {
    Random random(seed);
    values.resize(static_cast<std::size_t>(n * c * h * w));
    for (float& v : values) v = random.normal_float();
  }
  lngd_tensor view() { return {values.data(), 1, 0, 4, 2, 32, 1, shape, nullptr, 0}; }
};

// Phi and psi after one observed batch.
std::vector<float> factors(const lngd_layer_config& layer, Image& in, Image& out) {
  lngd_config config = preset(LNGD_PRESET_RECIPE);
  config.statistics_samples = 0;
  Optimizer optimizer(config, {layer});
  const std::int64_t columns = layer.inputs * layer.kernel[0] * layer.kernel[1];
  Tensor w(layer.outputs, columns), g(layer.outputs, columns), b(layer.outputs), gb(layer.outputs);
  w.fill(0.5);
  g.fill(0.1);
  b.fill(0.2);
  gb.fill(0.3);
  lngd_binding binding{};
  binding.weights = w.view();
  binding.weight_gradients = g.view();
  binding.bias = b.view();
  binding.bias_gradients = gb.view();
  lngd_plan* plan = nullptr;
  REQUIRE_OK(lngd_plan_create(optimizer.handle(), &binding, 1, LNGD_UPDATE_WEIGHTS, &plan));
  const lngd_tensor a = in.view(), s = out.view();
  REQUIRE_OK(lngd_observe(optimizer.handle(), 0, &a, &s, LNGD_SIGNAL_PRE_ACTIVATIONS));
  REQUIRE_OK(lngd_step(plan, 1.0, nullptr));
  std::vector<float> all = optimizer.read(0, LNGD_FIELD_PHI);
  for (const float psi : optimizer.read(0, LNGD_FIELD_PSI)) all.push_back(psi);
  CHECK_OK(lngd_plan_destroy(plan));
  return all;
}

} // namespace

TEST(conv_same_padding) {
  for (const std::int64_t size : {1, 2, 5, 6, 7, 8})
    for (const int kernel : {1, 2, 3, 5})
      for (const int stride : {1, 2, 3})
        for (const int dilation : {1, 2}) {
          const Scope scope("size " + std::to_string(size) + " kernel " + std::to_string(kernel) + " stride " +
                            std::to_string(stride) + " dilation " + std::to_string(dilation));
          const std::int32_t kernels[2] = {kernel, kernel};
          lngd_layer_config same;
          REQUIRE_OK(lngd_conv_init(2, 2, 3, kernels, &same));
          lngd_layer_config given = same;
          same.padding = LNGD_PADDING_SAME;
          const std::int64_t width = size + 1, sizes[2] = {size, width};
          std::int64_t positions[2];
          for (int axis = 0; axis < 2; ++axis) {
            same.stride[axis] = given.stride[axis] = stride;
            same.dilation[axis] = given.dilation[axis] = dilation;
            positions[axis] = (sizes[axis] + stride - 1) / stride;
            const std::int64_t reach = (positions[axis] - 1) * stride + dilation * (kernel - 1) + 1;
            const std::int64_t total = reach > sizes[axis] ? reach - sizes[axis] : 0;
            given.padding_before[axis] = static_cast<int>(total / 2);
            given.padding_after[axis] = static_cast<int>((total + 1) / 2);
          }
          Image in(2, 2, size, width, 3), out(2, 3, positions[0], positions[1], 4);
          CHECK(factors(same, in, out) == factors(given, in, out));
        }
}

TEST(conv_same_padding_arguments) {
  const std::int32_t kernel[2] = {3, 3};
  lngd_layer_config layer;
  REQUIRE_OK(lngd_conv_init(2, 2, 3, kernel, &layer));
  layer.padding = LNGD_PADDING_SAME;
  layer.padding_before[1] = 1;
  const lngd_config config = preset(LNGD_PRESET_RECIPE);
  lngd_optimizer* optimizer = nullptr;
  CHECK_EQ(lngd_create(&config, &layer, 1, &optimizer), LNGD_INVALID_ARGUMENT);
  CHECK(std::string(lngd_last_error()).find("padding_before[1] is 1") != std::string::npos);
  layer.padding_before[1] = 0;
  layer.padding = 2;
  CHECK_EQ(lngd_create(&config, &layer, 1, &optimizer), LNGD_INVALID_ARGUMENT);
  CHECK(std::string(lngd_last_error()).find("padding is 2") != std::string::npos);
  layer.padding = LNGD_PADDING_SAME;
  Optimizer good(config, {layer});
  Image in(1, 2, 5, 5, 1), wrong(1, 3, 4, 5, 1);
  const lngd_tensor a = in.view(), s = wrong.view();
  CHECK_EQ(lngd_observe(good.handle(), 0, &a, &s, LNGD_SIGNAL_PRE_ACTIVATIONS), LNGD_INVALID_ARGUMENT);
  CHECK(std::string(lngd_last_error()).find("signal has 4 rows, allowed is 5") != std::string::npos);
}
