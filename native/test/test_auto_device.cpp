// SPDX-License-Identifier: Apache-2.0
//
// What LNGD_DEVICE_AUTO becomes: CUDA for all that it can do where it can be used, and the CPU otherwise, with the
// reason. ctest runs this a second time with the emulator in the place of liblngd_cuda.so.
#include <string>

#include "fixture.hpp"

using namespace conformance;

namespace {

// What a configuration becomes, by lngd_choose_device and by lngd_create.
int resolved(const lngd_config& config, const lngd_layer_config& layer, std::string& reason) {
  std::int32_t chosen = -1;
  char text[512] = "";
  REQUIRE_OK(lngd_choose_device(&config, &chosen, text, sizeof text));
  reason = text;
  const Optimizer optimizer(config, {layer});
  lngd_config now{};
  now.struct_size = sizeof now;
  REQUIRE_OK(lngd_get_config(optimizer.handle(), &now));
  CHECK_EQ(now.device, chosen);
  return chosen;
}

} // namespace

TEST(auto_takes_what_cuda_lacks_to_the_cpu) {
  require_cpu_backend();
  lngd_layer_config embedding;
  REQUIRE_OK(lngd_embedding_init(9, 2, &embedding));
  const struct {
    int preset;
    lngd_layer_config layer;
    bool cpu_only;
  } networks[] = {{LNGD_PRESET_RECIPE, dense(3, 2), false},
                  {LNGD_PRESET_RECIPE, embedding, false},
                  {LNGD_PRESET_KFAC, dense(3, 2), false},
                  {LNGD_PRESET_TKFAC, dense(3, 2), false},
                  {LNGD_PRESET_EKFAC, dense(3, 2), true}};
  int plain = -1; // what AUTO is for LNGD on this machine
  for (const auto& network : networks) {
    const Scope scope("preset " + std::to_string(network.preset) + " kind " + std::to_string(network.layer.kind));
    lngd_config config = preset(network.preset);
    config.device = LNGD_DEVICE_AUTO;
    std::string reason;
    const int chosen = resolved(config, network.layer, reason);
    if (plain < 0) plain = chosen;
    CHECK_EQ(chosen, network.cpu_only ? static_cast<int>(LNGD_DEVICE_CPU) : plain);
    if (network.cpu_only)
      CHECK(reason.find("LNGD_APPROXIMATION_EKFAC") != std::string::npos); // by name, with a GPU and without
    else
      CHECK_EQ(reason.empty(), chosen == LNGD_DEVICE_CUDA);
    CHECK(reason.find('\n') == std::string::npos);
    config.device = LNGD_DEVICE_CPU;
    CHECK_EQ(resolved(config, network.layer, reason), static_cast<int>(LNGD_DEVICE_CPU));
    CHECK_EQ(reason, std::string()); // it was named
  }
  // The emulator stands in for CUDA in a run of its own.
  if (device() == LNGD_DEVICE_CUDA) CHECK_EQ(plain, static_cast<int>(LNGD_DEVICE_CUDA));
}
