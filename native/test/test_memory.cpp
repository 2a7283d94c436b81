// SPDX-License-Identifier: Apache-2.0
//
// More memory than there is: said, not died of.
#include <unistd.h>

#include <algorithm>
#include <string>

#include "fixture.hpp"

using namespace conformance;

// Each of the weights' arrays is once and a half what the machine has. Linux gives out addresses for it.
TEST(memory_more_than_there_is) {
  const std::int64_t machine = std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  const std::int64_t outputs = std::int64_t{1} << 20, inputs = machine / 8 * 3 / outputs;
  REQUIRE(inputs >= 1 && inputs <= 1 << 24);
  lngd_config config = preset(LNGD_PRESET_RECIPE, 10);
  config.device = LNGD_DEVICE_CPU;
  const lngd_layer_config layer = dense(static_cast<int>(inputs), static_cast<int>(outputs));
  lngd_optimizer* optimizer = nullptr;
  CHECK_EQ(lngd_create(&config, &layer, 1, &optimizer), LNGD_OUT_OF_MEMORY);
  CHECK(optimizer == nullptr);
  CHECK(std::string(lngd_last_error()).find("no memory") != std::string::npos);
}
