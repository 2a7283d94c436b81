// SPDX-License-Identifier: Apache-2.0
//
// Bad arguments of the read-outs, the state functions and the primitives.
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "single.hpp"

using namespace conformance;

namespace {

void refused(lngd_status got, const std::string& name, const char* file, int line) {
  const std::string message = lngd_last_error();
  if (got != LNGD_INVALID_ARGUMENT)
    fail(file, line, name + ": got " + lngd_status_name(got));
  else if (message.find(name) == std::string::npos)
    fail(file, line, "the message does not name '" + name + "': " + message);
  else
    passed();
}
#define REFUSED(call, name) refused((call), name, __FILE__, __LINE__)

} // namespace

TEST(misuse_readouts) {
  Single one(preset(LNGD_PRESET_RECIPE), dense(3, 2));
  lngd_optimizer* handle = one.optimizer.handle();
  lngd_health health{};
  REFUSED(lngd_layer_health(handle, 0, &health), "struct_size");
  REFUSED(lngd_layer_health(handle, 0, nullptr), "out");
  health.struct_size = sizeof health;
  REFUSED(lngd_layer_health(handle, 1, &health), "layer");
  REFUSED(lngd_layer_health(handle, -1, &health), "layer");
  int32_t precision = 0;
  REFUSED(lngd_layer_precision(handle, 1, &precision), "layer");
  REFUSED(lngd_layer_precision(handle, -1, &precision), "layer");
  REFUSED(lngd_layer_precision(handle, 0, nullptr), "precision");
  lngd_memory memory{};
  REFUSED(lngd_memory_report(handle, &memory), "struct_size");
  REFUSED(lngd_memory_report(handle, nullptr), "out");
  lngd_times times{};
  REFUSED(lngd_profile(handle, &times), "struct_size");
  REFUSED(lngd_profile(handle, nullptr), "out");
  lngd_backend_description info{};
  REFUSED(lngd_backend_info(LNGD_DEVICE_CPU, &info), "struct_size");
  REFUSED(lngd_backend_info(LNGD_DEVICE_CPU, nullptr), "out");
  info.struct_size = sizeof info;
  REFUSED(lngd_backend_info(LNGD_DEVICE_AUTO, &info), "device");
  REFUSED(lngd_backend_info(9, &info), "device");
}

TEST(misuse_fields) {
  Single one(preset(LNGD_PRESET_RECIPE), dense(3, 2));
  lngd_optimizer* handle = one.optimizer.handle();
  float values[16];
  for (float& value : values) value = -3;
  std::int64_t count = -9;
  REFUSED(lngd_layer_read(handle, 2, LNGD_FIELD_PHI, values, 16, &count), "layer");
  REFUSED(lngd_layer_read(handle, 0, 7, values, 16, &count), "field");
  REFUSED(lngd_layer_read(handle, 0, -1, values, 16, &count), "field");
  REFUSED(lngd_layer_read(handle, 0, LNGD_FIELD_PHI, values, 15, &count), "capacity");
  REFUSED(lngd_layer_read(handle, 0, LNGD_FIELD_PHI, values, -1, &count), "capacity");
  CHECK_EQ(lngd_layer_read(handle, 0, LNGD_FIELD_DIRECTION, values, 16, &count), LNGD_INVALID_STATE); // before a step
  CHECK_EQ(count, -9);
  for (const float value : values) CHECK_EQ(value, -3.0f);
  REQUIRE_OK(lngd_layer_read(handle, 0, LNGD_FIELD_PHI, nullptr, 0, &count));
  CHECK_EQ(count, 16);
  REQUIRE_OK(lngd_layer_read(handle, 0, LNGD_FIELD_PHI, values, 16, nullptr));

  const std::vector<std::uint8_t> before = one.optimizer.state();
  REFUSED(lngd_layer_write(handle, 0, LNGD_FIELD_PHI, nullptr, 16), "values");
  REFUSED(lngd_layer_write(handle, 1, LNGD_FIELD_PHI, values, 16), "layer");
  REFUSED(lngd_layer_write(handle, 0, LNGD_FIELD_PHI, values, 15), "count");
  REFUSED(lngd_layer_write(handle, 0, LNGD_FIELD_PHI, values, 17), "count");
  for (const int field : {int{LNGD_FIELD_PHI_INVERSE}, int{LNGD_FIELD_PSI_INVERSE}, int{LNGD_FIELD_DIRECTION}, 7, -1})
    REFUSED(lngd_layer_write(handle, 0, field, values, 16), "field");
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    values[5] = bad;
    REFUSED(lngd_layer_write(handle, 0, LNGD_FIELD_PHI, values, 16), "values");
  }
  CHECK(one.optimizer.state() == before);
}

TEST(misuse_state) {
  Single one(preset(LNGD_PRESET_RECIPE), dense(3, 2));
  lngd_optimizer* handle = one.optimizer.handle();
  const std::vector<std::uint8_t> state = one.optimizer.state();
  const auto bytes = static_cast<std::int64_t>(state.size());
  std::int64_t written = 0;
  REFUSED(lngd_state_size(handle, nullptr), "bytes");
  REFUSED(lngd_state_save(handle, nullptr, bytes, &written), "buffer");
  REFUSED(lngd_state_restore(handle, nullptr, bytes), "buffer");
  std::vector<std::uint8_t> buffer(state.size());
  REFUSED(lngd_state_save(handle, buffer.data(), 0, &written), "capacity");
  REFUSED(lngd_state_save(handle, buffer.data(), -1, &written), "capacity");
  REQUIRE_OK(lngd_state_save(handle, buffer.data(), bytes, nullptr));
  CHECK(buffer == state);
}

TEST(misuse_primitives) {
  std::uint32_t words[4] = {}, key[2] = {};
  REFUSED(lngd_philox(nullptr, key, words), "counter");
  REFUSED(lngd_philox(words, nullptr, words), "key");
  REFUSED(lngd_philox(words, key, nullptr), "out");
  const float s = 1;
  float value = -3;
  REFUSED(lngd_activation_apply(9, 0, 1, &s, &value, nullptr), "activation");
  REFUSED(lngd_activation_apply(-1, 0, 1, &s, &value, nullptr), "activation");
  REFUSED(lngd_activation_apply(LNGD_ACTIVATION_TANH, 0, -1, &s, &value, nullptr), "n");
  REFUSED(lngd_activation_apply(LNGD_ACTIVATION_TANH, 0, 1, nullptr, &value, nullptr), "s");
  REFUSED(lngd_activation_apply(LNGD_ACTIVATION_ELU, -1, 1, &s, &value, nullptr), "parameter");
  REFUSED(lngd_activation_apply(LNGD_ACTIVATION_LEAKY_RELU, NAN, 1, &s, &value, nullptr), "parameter");
  CHECK_EQ(value, -3.0f);
  const Optimizer optimizer(preset(LNGD_PRESET_PAPER), {dense(3, 2)});
  Tensor inputs(4, 3), signal(4, 2), wide(4, 5);
  float q[8];
  REFUSED(lngd_fisher_rows(optimizer.handle(), 1, 0, inputs.pointer(), signal.pointer(), 0, q, nullptr, nullptr),
          "layer");
  REFUSED(lngd_fisher_rows(optimizer.handle(), 0, -1, inputs.pointer(), signal.pointer(), 0, q, nullptr, nullptr),
          "step");
  REFUSED(lngd_fisher_rows(optimizer.handle(), 0, 0, nullptr, signal.pointer(), 0, q, nullptr, nullptr), "inputs");
  REFUSED(lngd_fisher_rows(optimizer.handle(), 0, 0, inputs.pointer(), wide.pointer(), 0, q, nullptr, nullptr),
          "signal");
  REFUSED(lngd_fisher_rows(optimizer.handle(), 0, 0, inputs.pointer(), signal.pointer(), 2, q, nullptr, nullptr),
          "signal_kind");
}
