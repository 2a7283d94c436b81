// SPDX-License-Identifier: Apache-2.0
//
// Tensors in memory of the device, in host memory, and mixed: whatever the place and the layout, the same bits. On the
// CPU "device memory" is plain memory, so that the tests of the ABI run there too.
#include <string>

#include "training.hpp"

using namespace conformance;

namespace {

Case small_case(const std::string& name) {
  Case c;
  c.name = name;
  c.config = preset(LNGD_PRESET_RECIPE, 20);
  c.config.block_size = 8;
  c.config.statistics_interval = 2;
  c.config.inverse_interval = 2;
  c.layers = {dense(11, 9, true, LNGD_ACTIVATION_TANH),
              dense(9, 4, true, LNGD_ACTIVATION_IDENTITY, LNGD_OUTPUT_SOFTMAX)};
  c.batch = 10;
  c.steps = 4;
  return c;
}

} // namespace

TEST(device_tensors_give_the_bits_of_host_tensors) {
  for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS})
    for (const int rate : {LNGD_RATE_NONE, LNGD_RATE_EMPIRICAL}) {
      Case c = small_case("update " + std::to_string(update) + " rate " + std::to_string(rate));
      c.update = update;
      c.config.rate = rate;
      const std::vector<std::uint8_t> host = run_case(c);
      for (const int places : {int{kAllOnDevice}, int{kWeightsOnDevice}, kGradientsOnDevice | kBatchesOnDevice}) {
        const Scope scope("on the device: " + std::to_string(places));
        c.on_device = places;
        CHECK(run_case(c) == host);
      }
    }
}

// All but the one that is not aligned to 4 bytes, which device memory has to be.
TEST(device_tensors_of_every_layout) {
  Case c = small_case("layouts");
  c.config.rate = LNGD_RATE_EMPIRICAL;
  c.steps = 2;
  std::vector<std::uint8_t> bits;
  for (const Layout layout : {Layout::Compact, Layout::Transposed, Layout::PaddedRows, Layout::Spread,
                              Layout::NegativeRows, Layout::NegativeBoth}) {
    const Scope scope(layout_name(layout));
    c.layout = layout;
    for (const int places : {0, int{kAllOnDevice}}) {
      c.on_device = places;
      const std::vector<std::uint8_t> now = run_case(c);
      if (bits.empty()) bits = now;
      CHECK(now == bits);
    }
  }
}

TEST(device_memory_is_zeroed_and_copied_in_every_direction) {
  const Optimizer optimizer(preset(LNGD_PRESET_RECIPE), {dense(2, 2)});
  void *a = nullptr, *b = nullptr;
  REQUIRE_OK(lngd_device_allocate(optimizer.handle(), 100, &a));
  REQUIRE_OK(lngd_device_allocate(optimizer.handle(), 100, &b));
  std::vector<std::uint8_t> seen(100, 7), values(100);
  CHECK_OK(lngd_device_copy(optimizer.handle(), seen.data(), a, 100));
  CHECK(seen == values);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(3 * i);
  CHECK_OK(lngd_device_copy(optimizer.handle(), a, values.data(), 100));
  CHECK_OK(lngd_device_copy(optimizer.handle(), b, a, 100));
  CHECK_OK(lngd_device_copy(optimizer.handle(), seen.data(), b, 100));
  CHECK(seen == values);
  CHECK_EQ(lngd_device_allocate(optimizer.handle(), 0, &a), LNGD_INVALID_ARGUMENT);
  CHECK_EQ(lngd_device_copy(optimizer.handle(), nullptr, b, 1), LNGD_INVALID_ARGUMENT);
  CHECK_OK(lngd_device_free(optimizer.handle(), a));
  CHECK_OK(lngd_device_free(optimizer.handle(), b));
}

TEST(device_tensors_elsewhere_are_refused) {
  const Optimizer optimizer(preset(LNGD_PRESET_RECIPE), {dense(2, 2)});
  Tensor inputs(3, 2), signal(3, 2);
  lngd_tensor wrong = inputs.view();
  wrong.device_type = 2;
  wrong.device_id = 5;
  CHECK_EQ(lngd_observe(optimizer.handle(), 0, &wrong, signal.pointer(), 0), LNGD_INVALID_ARGUMENT);
  CHECK(std::string(lngd_last_error()).find("device_type") != std::string::npos);
  if (device() == LNGD_DEVICE_CPU) return;
  OnDevice there(optimizer.handle(), inputs);
  lngd_tensor unaligned = there.view();
  unaligned.byte_offset = 2;
  CHECK_EQ(lngd_observe(optimizer.handle(), 0, &unaligned, signal.pointer(), 0), LNGD_INVALID_ARGUMENT);
  CHECK(std::string(lngd_last_error()).find("multiple of 4") != std::string::npos);
}
