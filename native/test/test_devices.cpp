// SPDX-License-Identifier: Apache-2.0
//
// The devices that the emulator can stand for: whatever a kernel wants, each of them can give it. The whole suite runs
// on one of them (LNGD_SIMT_DEVICE); this is a step on every one.
#include <cstring>

#include "training.hpp"

using namespace conformance;

namespace {

// Another device while this lives.
class Device {
 public:
  explicit Device(const char* name) { REQUIRE(emulator_hooks().set_device(name)); }
  ~Device() { emulator_hooks().set_device(nullptr); }
};

lngd_backend_description description() {
  lngd_backend_description about;
  std::memset(&about, 0, sizeof about);
  about.struct_size = sizeof about;
  REQUIRE_OK(lngd_backend_info(LNGD_DEVICE_CUDA_EMULATED, &about));
  return about;
}

} // namespace

TEST(every_device_is_served) {
  emulator_hooks();
  const struct {
    const char* name;
    int major, minor;
  } devices[] = {{"sm_80", 8, 0}, {"sm_86", 8, 6},   {"sm_89", 8, 9},
                 {"sm_90", 9, 0}, {"sm_120", 12, 0}, {"sm_86:1", 8, 6}};
  for (const auto& d : devices) {
    const Scope scope(d.name);
    const Device device(d.name);
    const lngd_backend_description about = description();
    CHECK_EQ(about.available, 1);
    CHECK_EQ(about.compute_major, d.major);
    CHECK_EQ(about.compute_minor, d.minor);
    for (const int block : {0, 64}) { // the largest tiles of a full factor, and small ones
      Case c;
      c.name = block ? "blocks of 64" : "full factors";
      c.config = preset(LNGD_PRESET_RECIPE_EMPIRICAL, 20);
      c.config.block_size = block;
      c.config.statistics_interval = c.config.inverse_interval = 2;
      c.layers = {dense(150, 40, true, LNGD_ACTIVATION_TANH), dense(40, 9, false)};
      c.batch = 70;
      c.steps = 3;
      run_case(c);
    }
  }
}
