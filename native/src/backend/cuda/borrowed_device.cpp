// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/borrowed_device.h"

#include <atomic>

namespace lngd::cuda {
namespace {

// The driver's functions, with the types of cuda.h in words that need no cuda.h: CUresult is an enum, CUcontext a
// pointer. Both came with CUDA 4.0.
using GetCurrent = int (*)(void** context);
using SetCurrent = int (*)(void* context);
constexpr unsigned kDriverVersion = 4000;

std::atomic<GetCurrent> get_current{nullptr};
std::atomic<SetCurrent> set_current{nullptr};

template <class Function>
bool find(Calls& calls, const char* symbol, std::atomic<Function>& function) {
  if (function.load(std::memory_order_acquire)) return true;
  void* address = nullptr;
  const auto look = [&] {
    return cudaGetDriverEntryPointByVersion(symbol, &address, kDriverVersion, cudaEnableDefault, nullptr);
  };
  if (!calls("cudaGetDriverEntryPointByVersion", look)) return false;
  function.store(reinterpret_cast<Function>(address), std::memory_order_release);
  return true;
}

// The current context; nullptr where there is none, or where the driver has not been initialised.
void* current() {
  void* context = nullptr;
  return get_current.load(std::memory_order_relaxed)(&context) == 0 ? context : nullptr;
}

} // namespace

BorrowedDevice::BorrowedDevice(Calls& calls, int device, void*& context) {
  if (!find(calls, "cuCtxGetCurrent", get_current) || !find(calls, "cuCtxSetCurrent", set_current)) return;
  before_ = current();
  if (before_ && before_ == context) return;
  restore_ = true;
  if (context) { // unchecked: if it is gone, the first call that needs it says so
    set_current.load(std::memory_order_relaxed)(context);
  } else if (calls("cudaSetDevice", [&] { return cudaSetDevice(device); })) {
    context = current();
  }
}

BorrowedDevice::~BorrowedDevice() {
  if (restore_) set_current.load(std::memory_order_relaxed)(before_);
}

} // namespace lngd::cuda
