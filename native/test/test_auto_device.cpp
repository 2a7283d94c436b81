// SPDX-License-Identifier: Apache-2.0
//
// What LNGD_DEVICE_AUTO becomes: CUDA for all that it can do where it can be used, and the CPU otherwise, with a note
// that says why. ctest runs this a second time with the emulator in the place of liblngd_cuda.so.
#include <cstring>
#include <string>

#include "fixture.hpp"

using namespace conformance;

namespace {

std::string note_of(const lngd_optimizer* optimizer) {
  char text[600];
  std::memset(text, 'x', sizeof text);
  REQUIRE_OK(lngd_device_note(optimizer, text, sizeof text));
  return text;
}

// Makes an optimizer on AUTO and tells what it became.
int resolved(const lngd_config& config, const lngd_layer_config& layer, std::string& note) {
  const Optimizer optimizer(config, {layer});
  lngd_config now{};
  now.struct_size = sizeof now;
  REQUIRE_OK(lngd_get_config(optimizer.handle(), &now));
  note = note_of(optimizer.handle());
  return now.device;
}

} // namespace

TEST(auto_device_takes_what_cuda_lacks_to_the_cpu) {
  lngd_backend_description cuda{};
  cuda.struct_size = sizeof cuda;
  REQUIRE_OK(lngd_backend_info(LNGD_DEVICE_CUDA, &cuda));
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
  for (const auto& network : networks) {
    const Scope scope("preset " + std::to_string(network.preset) + " kind " + std::to_string(network.layer.kind));
    lngd_config config = preset(network.preset);
    config.device = LNGD_DEVICE_AUTO;
    std::string note;
    const int device = resolved(config, network.layer, note);
    if (network.cpu_only) {
      CHECK_EQ(device, LNGD_DEVICE_CPU);
      CHECK(note.find("LNGD_APPROXIMATION_EKFAC") != std::string::npos); // by name, whether there is a GPU or not
    } else if (cuda.available) {
      CHECK_EQ(device, LNGD_DEVICE_CUDA);
      CHECK_EQ(note, std::string());
    } else {
      CHECK_EQ(device, LNGD_DEVICE_CPU);
      CHECK(note.find(cuda.reason) != std::string::npos);
    }
    CHECK(note.find('\n') == std::string::npos);
    config.device = LNGD_DEVICE_CPU;
    CHECK_EQ(resolved(config, network.layer, note), LNGD_DEVICE_CPU);
    CHECK_EQ(note, std::string()); // it was named
  }
}

TEST(auto_device_note_misuse) {
  require_cpu_backend();
  lngd_config config = preset(LNGD_PRESET_EKFAC);
  config.device = LNGD_DEVICE_AUTO;
  const Optimizer optimizer(config, {dense(3, 2)});
  char text[8] = "untouch";
  CHECK_EQ(lngd_device_note(optimizer.handle(), nullptr, 8), LNGD_INVALID_ARGUMENT);
  CHECK_EQ(lngd_device_note(optimizer.handle(), text, 0), LNGD_INVALID_ARGUMENT);
  CHECK(std::string(lngd_last_error()).find("capacity is 0") != std::string::npos);
  CHECK_EQ(lngd_device_note(nullptr, text, 8), LNGD_INVALID_HANDLE);
  CHECK_EQ(std::string(text), std::string("untouch"));
  CHECK_OK(lngd_device_note(optimizer.handle(), text, 5));
  CHECK_EQ(std::string(text), note_of(optimizer.handle()).substr(0, 4));
}
