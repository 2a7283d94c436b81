// SPDX-License-Identifier: Apache-2.0
//
// Batches with more rows than a device's kernels number: refused by name, and nothing changed. The tensors are a few
// floats with strides of 0.
#include <string>

#include "device.hpp"
#include "images.hpp"
#include "single.hpp"

using namespace conformance;

namespace {

constexpr std::int64_t kMost = std::int64_t{1} << 30;

void refused(lngd_status got, const std::string& text, const char* file, int line) {
  const std::string message = lngd_last_error();
  if (got != LNGD_INVALID_ARGUMENT || message.find(text) == std::string::npos ||
      message.find("allowed on cuda are 1073741824 in all") == std::string::npos)
    fail(file, line, "wanted '" + text + "' and what is allowed, got " + lngd_status_name(got) + ": " + message);
  else
    passed();
}
#define REFUSED(call, text) refused((call), text, __FILE__, __LINE__)

// One float, seen as many.
class Repeated {
 public:
  explicit Repeated(std::vector<std::int64_t> shape) : shape_(std::move(shape)), strides_(shape_.size(), 0) {}
  lngd_tensor view() {
    return {&value_, 1, 0, static_cast<std::int32_t>(shape_.size()), 2, 32, 1, shape_.data(), strides_.data(), 0};
  }

 private:
  float value_ = 1;
  std::vector<std::int64_t> shape_, strides_;
};

} // namespace

TEST(rows_beyond_what_a_device_numbers) {
  device_hooks(); // the CPU numbers rows in 64 bits
  Single one(preset(LNGD_PRESET_RECIPE_EMPIRICAL), dense(3, 2));
  lngd_optimizer* const handle = one.optimizer.handle();
  const std::vector<std::uint8_t> before = one.optimizer.state();
  for (const std::int64_t rows : {kMost + 1, std::int64_t{1} << 31, std::int64_t{1} << 40}) {
    Repeated inputs({rows, 3}), signal({rows, 2});
    const lngd_tensor a = inputs.view(), s = signal.view();
    const std::string text = " has " + std::to_string(rows) + " samples of 1 row";
    REFUSED(lngd_observe(handle, 0, &a, &s, LNGD_SIGNAL_PRE_ACTIVATIONS), "inputs" + text);
    REFUSED(lngd_observe_strided(handle, 0, rows, static_cast<const float*>(a.data), 0, 0,
                                 static_cast<const float*>(s.data), 0, 0, LNGD_SIGNAL_PRE_ACTIVATIONS),
            "inputs" + text);
    float q = 0;
    REFUSED(lngd_fisher_rows(handle, 0, 1, &a, &s, LNGD_SIGNAL_PRE_ACTIVATIONS, &q, nullptr, nullptr), "inputs" + text);
    const lngd_samples samples{a, s};
    REFUSED(lngd_step(one.plan, 1, &samples), "samples[0].inputs" + text);
  }
  CHECK(one.optimizer.state() == before);
}

TEST(positions_and_pixels_beyond_what_a_device_numbers) {
  device_hooks();
  // 2^21 samples of 32 x 32: 2^31 pixels, and with stride 2 in both directions 2^29 positions.
  lngd_layer_config layer = convolution(1, 1, 1, 1);
  layer.stride[0] = layer.stride[1] = 2;
  const std::int64_t samples = std::int64_t{1} << 21;
  {
    Single one(preset(LNGD_PRESET_RECIPE), layer);
    Repeated inputs({samples, 1, 32, 32}), signal({samples, 1, 16, 16});
    const lngd_tensor a = inputs.view(), s = signal.view();
    REFUSED(lngd_observe(one.optimizer.handle(), 0, &a, &s, LNGD_SIGNAL_PRE_ACTIVATIONS),
            "inputs has 2097152 samples of 1024 elements a channel");
  }
  // Padding makes more positions than there are pixels: 2^19 samples of 1 x 1 with 64 x 64 positions.
  layer = convolution(1, 1, 1, 1);
  for (int axis = 0; axis < 2; ++axis) layer.padding_before[axis] = 63;
  Single one(preset(LNGD_PRESET_RECIPE), layer);
  Repeated inputs({samples / 4, 1, 1, 1}), signal({samples / 4, 1, 64, 64});
  const lngd_tensor a = inputs.view(), s = signal.view();
  REFUSED(lngd_observe(one.optimizer.handle(), 0, &a, &s, LNGD_SIGNAL_PRE_ACTIVATIONS),
          "inputs has 524288 samples of 4096 output positions");
}
