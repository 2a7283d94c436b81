// SPDX-License-Identifier: Apache-2.0
//
// What holds between backends: finding and refusing their libraries, the configuration of a device, states that go from
// one to another.
#include <dlfcn.h>

#include <cmath>
#include <cstring>
#include <string>

#include "training.hpp"

using namespace conformance;

namespace {

lngd_backend_description describe(int which) {
  lngd_backend_description info{};
  info.struct_size = sizeof info;
  REQUIRE_OK(lngd_backend_info(which, &info));
  return info;
}

bool last_error_has(const char* text) { return std::string(lngd_last_error()).find(text) != std::string::npos; }

} // namespace

TEST(backend_under_test_is_available) {
  const lngd_backend_description info = describe(device());
  if (!info.available) fail(__FILE__, __LINE__, std::string("not available: ") + info.reason);
  CHECK(info.available);
  if (device() == LNGD_DEVICE_CPU) return;
  CHECK_GE(info.devices, 1);
  CHECK_GE(info.compute_major, 8);
  CHECK_GE(info.device_memory, std::int64_t{1} << 30);
  CHECK_GT(info.driver_version, 0);
  CHECK_GT(info.runtime_version, 0);
  CHECK_NE(std::strlen(info.device_name), std::size_t{0});
  CHECK_NE(std::strlen(info.library_path), std::size_t{0});
  CHECK_OK(lngd_load_backend(device(), "/nonexistent.so")); // it is loaded: another path changes nothing
}

// The CUDA library of a build without one, or on a machine that lacks it; and files that are no backend.
TEST(backend_libraries_tell_why_not) {
  for (const int which : {int{LNGD_DEVICE_AUTO}, -1, LNGD_DEVICE_CUDA_EMULATED + 1})
    CHECK_EQ(lngd_load_backend(which, nullptr), LNGD_INVALID_ARGUMENT);
  CHECK_OK(lngd_load_backend(LNGD_DEVICE_CPU, nullptr));
  const int other = device() == LNGD_DEVICE_CUDA ? LNGD_DEVICE_CUDA_EMULATED : LNGD_DEVICE_CUDA;
  if (lngd_load_backend(other, "/nonexistent/lib.so") == LNGD_OK) skip("the other library is loaded already");
  CHECK_EQ(lngd_load_backend(other, "/nonexistent/lib.so"), LNGD_BACKEND_UNAVAILABLE);
  CHECK(last_error_has("/nonexistent/lib.so"));
  CHECK_EQ(lngd_load_backend(other, "libm.so.6"), LNGD_BACKEND_UNAVAILABLE);
  CHECK(last_error_has("lngd_cuda_backend"));
}

TEST(backend_of_another_build_is_refused) {
  device_hooks();
  void* const library = dlopen(describe(device()).library_path, RTLD_NOW | RTLD_LOCAL);
  REQUIRE(library != nullptr);
  const auto entry = reinterpret_cast<lngd::DeviceLibraryEntry>(dlsym(library, lngd::kDeviceLibrarySymbol));
  REQUIRE(entry != nullptr);
  char reason[256] = "";
  lngd::LibraryFingerprint fingerprint;
  CHECK(entry(&fingerprint, sizeof fingerprint, reason, sizeof reason) != nullptr);
  CHECK(entry(&fingerprint, sizeof fingerprint - 4, reason, sizeof reason) == nullptr);
  ++fingerprint.interface_number;
  CHECK(entry(&fingerprint, sizeof fingerprint, reason, sizeof reason) == nullptr);
  CHECK(std::string(reason).find("another build") != std::string::npos);
  dlclose(library);
}

TEST(backend_configuration_is_checked) {
  const lngd_layer_config layer = dense(3, 2);
  const auto create = [&layer](lngd_config config) {
    lngd_optimizer* optimizer = nullptr;
    const lngd_status status = lngd_create(&config, &layer, 1, &optimizer);
    if (status == LNGD_OK) lngd_destroy(optimizer);
    return status;
  };
  lngd_config config = preset(LNGD_PRESET_RECIPE);
  CHECK_EQ(config.precision, static_cast<int>(LNGD_PRECISION_TF32X3));
  CHECK_EQ(config.overlap, 1);
  CHECK_EQ(config.device_index, 0);
  config.precision = 4;
  CHECK_EQ(create(config), LNGD_INVALID_ARGUMENT);
  CHECK(last_error_has("precision"));
  config = preset(LNGD_PRESET_RECIPE);
  CHECK_EQ(config.direction_precision, static_cast<int>(LNGD_PRECISION_TF32X3));
  for (const int refused : {-1, int{LNGD_PRECISION_BF16}, int{LNGD_PRECISION_FP32}, 4}) {
    config.direction_precision = refused;
    CHECK_EQ(create(config), LNGD_INVALID_ARGUMENT);
    CHECK(last_error_has("direction_precision"));
  }
  config = preset(LNGD_PRESET_RECIPE);
  config.overlap = 2;
  CHECK_EQ(create(config), LNGD_INVALID_ARGUMENT);
  config = preset(LNGD_PRESET_RECIPE);
  config.device_index = -1;
  CHECK_EQ(create(config), LNGD_INVALID_ARGUMENT);
  CHECK(last_error_has("device_index"));
  config.device_index = 1000; // no machine has them; the CPU does not look
  CHECK_EQ(create(config), device() == LNGD_DEVICE_CPU ? LNGD_OK : LNGD_INVALID_ARGUMENT);
  config = preset(LNGD_PRESET_RECIPE);
  config.approximation = 4;
  CHECK_EQ(create(config), LNGD_INVALID_ARGUMENT);
  CHECK(last_error_has("approximation"));
}

// What shapes the numbers shapes the hash of a state; where and beside what they are computed does not.
TEST(backend_settings_in_the_state) {
  lngd_config config = preset(LNGD_PRESET_RECIPE);
  const Optimizer plain(config, {dense(3, 2)});
  const std::vector<std::uint8_t> state = plain.state();
  const auto size = static_cast<std::int64_t>(state.size());
  config.overlap = 0;
  const Optimizer without_overlap(config, {dense(3, 2)});
  CHECK_OK(lngd_state_restore(without_overlap.handle(), state.data(), size));
  config.precision = LNGD_PRECISION_TF32;
  const Optimizer other_precision(config, {dense(3, 2)});
  CHECK_EQ(lngd_state_restore(other_precision.handle(), state.data(), size), LNGD_BAD_STATE_DATA);
  config = preset(LNGD_PRESET_RECIPE);
  config.direction_precision = LNGD_PRECISION_TF32;
  const Optimizer other_direction(config, {dense(3, 2)});
  CHECK_EQ(lngd_state_restore(other_direction.handle(), state.data(), size), LNGD_BAD_STATE_DATA);
}

// D in TF32 beside D in 3xTF32, from the same first step. TF32 rounds each factor of a product by up to 2^-11, and
// their signs are random: 2^-11 sqrt(2/3) = 4e-4 of ||G|| ||Phi^-1|| at most, of which D is no small part where the
// damping is relative with gamma = 1 (the condition number of a block is 33 at most). Between float's rounding and that
// it must lie.
TEST(backend_direction_precision) {
  twin::Matrix directions[2];
  for (const int precision : {int{LNGD_PRECISION_TF32X3}, int{LNGD_PRECISION_TF32}}) {
    Case c;
    c.config = preset(LNGD_PRESET_RECIPE, 20);
    c.config.direction_precision = precision;
    c.config.block_size = 32;
    c.layers = {dense(63, 40, true, LNGD_ACTIVATION_TANH)};
    c.batch = 40;
    Training training(c);
    training.step();
    if (precision == LNGD_PRECISION_TF32X3) training.compare();
    directions[precision] = training.optimizer().read(0, LNGD_FIELD_DIRECTION, 40, 64);
  }
  const double error = distance(directions[0], directions[1]) / distance(directions[0], twin::Matrix(40, 64));
  if (device() == LNGD_DEVICE_CPU) {
    CHECK_EQ(error, 0.0); // the CPU's is float32
  } else {
    CHECK_WITHIN(error, 1e-3);
    CHECK_GT(error, 1e-5);
  }
}

// The others round their inputs, and are tested with the kernel (native/test/simt/test_layer_statistics.cpp).
TEST(backend_precision_fp32_agrees_with_the_twin) {
  Case c;
  c.name = "fp32";
  c.config = preset(LNGD_PRESET_RECIPE, 20);
  c.config.precision = LNGD_PRECISION_FP32;
  c.config.block_size = 16;
  c.layers = {dense(33, 9, true, LNGD_ACTIVATION_TANH)};
  c.batch = 20;
  c.steps = 3;
  run_case(c);
}

// A state of the CPU goes on here, and one of here on the CPU: with the rounding of the other, so that the runs agree
// to the tolerance of the twin and not in bits.
TEST(backend_states_can_be_exchanged) {
  device_hooks();
  require_cpu_backend();
  for (const bool to_device : {true, false}) {
    Case from;
    from.name = to_device ? "CPU to device" : "device to CPU";
    const Scope scope(from.name);
    from.config = preset(LNGD_PRESET_RECIPE, 20);
    from.config.block_size = 8;
    from.config.statistics_interval = 2;
    from.config.inverse_interval = 4;
    from.layers = {dense(11, 9, true, LNGD_ACTIVATION_TANH), dense(9, 4, false)};
    from.batch = 10;
    Case to = from;
    (to_device ? from : to).config.device = LNGD_DEVICE_CPU;
    Training first(from), second(to);
    for (int t = 0; t < 3; ++t) first.step();
    const std::vector<std::uint8_t> state = first.optimizer().state();
    REQUIRE_OK(lngd_state_restore(second.optimizer().handle(), state.data(), static_cast<std::int64_t>(state.size())));
    second.adopt_weights(first);
    CHECK(second.optimizer().state() == state); // nothing is lost on the way
    for (int t = 0; t < 3; ++t) {
      second.step();
      second.compare();
    }
  }
}
