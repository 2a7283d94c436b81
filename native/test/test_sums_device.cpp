// SPDX-License-Identifier: Apache-2.0
//
// Sums in and out on a device: failures of its calls, and the order of streams.
#include <algorithm>
#include <string>

#include "device.hpp"
#include "reduction.hpp"

using namespace conformance;

namespace {

lngd_config config_of(int which = LNGD_PRESET_RECIPE) {
  lngd_config config = preset(which, 20);
  config.block_size = 4;
  config.statistics_samples = 0;
  config.statistics_interval = 2;
  config.inverse_interval = 2;
  return config;
}

std::vector<lngd_layer_config> two_layers() { return {dense(7, 4), dense(5, 3, false)}; }

bool says(const std::string& text) { return std::string(lngd_last_error()).find(text) != std::string::npos; }

} // namespace

// A call of the device that failed leaves half-done sums: they are not handed out in silence.
TEST(sums_that_a_failure_tore) {
  const lngd::DeviceHooks& hooks = emulator_hooks();
  int torn = 0;
  for (int n = 1; n < 40; ++n) {
    const Scope scope("call " + std::to_string(n));
    Rank rank(config_of(), two_layers());
    lngd_optimizer* const optimizer = rank.optimizer.handle();
    rank.observe(0, 0, 5);
    hooks.inject_fault("*", n, 1);
    const lngd_status status = rank.observe_layer(1, 1, 5, 9);
    hooks.inject_fault("", 0, 0);
    if (status == LNGD_OK) break;
    const lngd_status closed = lngd_sums_close(optimizer);
    if (closed == LNGD_OK) { // the failure came before the sums were touched
      CHECK_EQ(read_sums(rank.optimizer)
                   .doubles[static_cast<std::size_t>(sum_range(rank.optimizer, 1, LNGD_SUM_COUNTS).offset)],
               5);
      continue;
    }
    ++torn;
    CHECK_EQ(closed, LNGD_INVALID_STATE);
    CHECK(says("layer 1") && says("lngd_discard"));
    REQUIRE_OK(lngd_discard(optimizer, 1));
    reduce({&rank});
    const Sums sums = read_sums(rank.optimizer);
    CHECK_EQ(sums.doubles[static_cast<std::size_t>(sum_range(rank.optimizer, 0, LNGD_SUM_COUNTS).offset)], 5);
    const Range phi = sum_range(rank.optimizer, 1, LNGD_SUM_PHI);
    for (std::int64_t i = 0; i < phi.count; ++i) CHECK(sums.floats[static_cast<std::size_t>(phi.offset + i)] == 0);
    REQUIRE_OK(rank.step());
  }
  CHECK_GT(torn, 2);
  hooks.reset_device();
}

// What the caller enqueues on his stream after lngd_sums_close comes after the sums, and lngd_sums_reduced after it:
// another rank's total is copied in there, and nothing waits in between.
TEST(sums_in_the_order_of_the_stream) {
  const lngd::DeviceHooks& hooks = device_hooks();
  for (const int overlap : {0, 1}) {
    lngd_config config = config_of();
    config.overlap = overlap;
    Rank plain(config, two_layers());
    plain.observe(0, 0, 9);
    REQUIRE_OK(lngd_sums_close(plain.optimizer.handle()));
    const Sums expected = read_sums(plain.optimizer);
    for (const int order : {0, 1, 2}) {
      const Scope scope("overlap " + std::to_string(overlap) + ", order " + std::to_string(order));
      const Schedule schedule(order, 7);
      const Stream stream;
      Rank rank(config, two_layers());
      lngd_optimizer* const optimizer = rank.optimizer.handle();
      REQUIRE_OK(lngd_set_stream(optimizer, stream.handle()));
      lngd_sums view{};
      view.struct_size = sizeof view;
      REQUIRE_OK(lngd_get_sums(optimizer, &view));
      const std::size_t floats = static_cast<std::size_t>(view.float_count) * sizeof(float),
                        doubles = static_cast<std::size_t>(view.double_count) * sizeof(double);
      void* out = nullptr;
      REQUIRE_OK(lngd_device_allocate(optimizer, static_cast<std::int64_t>(floats + doubles), &out));
      char* const second = static_cast<char*>(out) + doubles;
      rank.observe(0, 0, 9);
      REQUIRE_OK(lngd_sums_close(optimizer));
      REQUIRE(hooks.copy_on_device(out, view.doubles, doubles, stream.handle()) == 0);
      REQUIRE(hooks.copy_on_device(second, view.floats, floats, stream.handle()) == 0);
      std::vector<char> seen(floats + doubles);
      REQUIRE_OK(lngd_device_copy(optimizer, seen.data(), out, static_cast<std::int64_t>(seen.size())));
      CHECK(std::equal(seen.begin(), seen.begin() + static_cast<std::ptrdiff_t>(doubles),
                       reinterpret_cast<const char*>(expected.doubles.data())));
      CHECK(std::equal(seen.begin() + static_cast<std::ptrdiff_t>(doubles), seen.end(),
                       reinterpret_cast<const char*>(expected.floats.data())));
      // A total with more samples, from memory of the device.
      Sums total = expected;
      for (int layer = 0; layer < 2; ++layer)
        total.doubles[static_cast<std::size_t>(sum_range(rank.optimizer, layer, LNGD_SUM_COUNTS).offset)] = 18;
      REQUIRE_OK(lngd_device_copy(optimizer, out, total.doubles.data(), static_cast<std::int64_t>(doubles)));
      REQUIRE(hooks.copy_on_device(view.doubles, out, doubles, stream.handle()) == 0);
      REQUIRE_OK(lngd_sums_reduced(optimizer));
      REQUIRE_OK(rank.step());
      const std::vector<float> phi = rank.optimizer.read(0, LNGD_FIELD_PHI);
      const double sum = expected.floats[static_cast<std::size_t>(sum_range(rank.optimizer, 0, LNGD_SUM_PHI).offset)];
      CHECK_NEAR(phi[0], sum / 18, 1e-6 * sum / 18);
      REQUIRE_OK(lngd_device_free(optimizer, out));
    }
  }
}
