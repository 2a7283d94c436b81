// SPDX-License-Identifier: Apache-2.0
// Which backend an optimizer runs on: the one rule for AUTO.
#include "backend/device_library.h"
#include "optimizer/error.h"
#include "optimizer/optimizer.h"

namespace lngd {

namespace {

// What of a configuration the CUDA backend lacks, by name; "" if nothing. AUTO then takes the CPU and says so, and a
// device that was named is refused: nothing else asks what a backend can do.
std::string cuda_lacks(const lngd_config& config) {
  if (config.approximation == LNGD_APPROXIMATION_EKFAC) return "approximation is LNGD_APPROXIMATION_EKFAC (3)";
  return "";
}

} // namespace

int32_t choose_device(const lngd_config& config, std::string& why_not_cuda) {
  const int32_t wanted = config.device;
  const std::string lacks = cuda_lacks(config);
  require(lacks.empty() || wanted == LNGD_DEVICE_AUTO || wanted == LNGD_DEVICE_CPU, "device is ", wanted,
          ", allowed is LNGD_DEVICE_CPU (1) or AUTO (0): ", lacks, ", which the CUDA backend lacks");
  if (wanted == LNGD_DEVICE_CPU) return wanted;
  if (!lacks.empty()) {
    why_not_cuda = lacks + ", which the CUDA backend lacks";
    return LNGD_DEVICE_CPU;
  }
  const int32_t device = wanted == LNGD_DEVICE_AUTO ? int32_t{LNGD_DEVICE_CUDA} : wanted;
  Failure failure;
  if (usable_device_library(device, config.device_index, failure)) return device;
  const char* const reason = failure.message;
  if (failure.status == LNGD_INVALID_ARGUMENT) fail(failure.status, reason);
  if (wanted != LNGD_DEVICE_AUTO) fail(failure.status, "the CUDA backend cannot be used: ", reason);
  why_not_cuda = reason;
  return LNGD_DEVICE_CPU;
}

const Backend* backend_of(int32_t device) {
  std::string why;
  if (device != LNGD_DEVICE_CPU) return load_device_library(device, nullptr, why)->backend; // choose_device had it
  char reason[512];
  const Backend* backend = cpu_backend(reason, sizeof reason);
  if (!backend) fail(LNGD_BACKEND_UNAVAILABLE, "the CPU backend cannot be used: ", reason);
  return backend;
}

} // namespace lngd
