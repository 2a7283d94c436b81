// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/calls.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace lngd::cuda {

// CUDA's documentation of each of these: "the process must be terminated and relaunched". By number, since the older
// runtimes that we compile with do not name them all.
bool is_fatal(cudaError_t error) {
  switch (static_cast<int>(error)) {
    case 4:   // cudaErrorCudartUnloading
    case 46:  // cudaErrorDevicesUnavailable
    case 214: // cudaErrorECCUncorrectable
    case 220: // cudaErrorNvlinkUncorrectable
    case 226: // cudaErrorContained
    case 700: // cudaErrorIllegalAddress
    case 702: // cudaErrorLaunchTimeout
    case 709: // cudaErrorContextIsDestroyed
    case 710: // cudaErrorAssert
    case 714: // cudaErrorHardwareStackError
    case 715: // cudaErrorIllegalInstruction
    case 716: // cudaErrorMisalignedAddress
    case 717: // cudaErrorInvalidAddressSpace
    case 718: // cudaErrorInvalidPc
    case 719: // cudaErrorLaunchFailure
    case 999: // cudaErrorUnknown
      return true;
    default:
      return false;
  }
}

Failure describe_failure(const char* call, cudaError_t error) {
  Failure failure;
  failure.status = is_fatal(error)                      ? LNGD_DEVICE_LOST
                   : error == cudaErrorMemoryAllocation ? LNGD_OUT_OF_MEMORY
                                                        : LNGD_DEVICE_ERROR;
  std::snprintf(failure.message, sizeof failure.message, "%s failed: %s (%d), %s%s", call, cudaGetErrorName(error),
                static_cast<int>(error), cudaGetErrorString(error),
                failure.status == LNGD_DEVICE_LOST ? "; the device is lost to this process" : "");
  return failure;
}

Calls::Calls() {
  const char* const text = std::getenv("LNGD_CUDA_FAULT");
  if (text && std::sscanf(text, "%63[^:]:%d:%d", fault_.name, &fault_.nth, &fault_.error) != 3) fault_ = Fault();
}

cudaError_t Calls::injected(const char* name) {
  const size_t length = std::strcspn(name, " ");
  const bool meant = !std::strcmp(fault_.name, "*") ||
                     (std::strlen(fault_.name) == length && !std::strncmp(fault_.name, name, length));
  return meant && ++fault_.seen == fault_.nth ? static_cast<cudaError_t>(fault_.error) : cudaSuccess;
}

bool Calls::note(const char* name, cudaError_t error) {
  cudaGetLastError(); // or a later check of a launch would meet it again
  failure_ = describe_failure(name, error);
  return false;
}

} // namespace lngd::cuda
