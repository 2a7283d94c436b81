// SPDX-License-Identifier: Apache-2.0
// The emulator's part of the hooks of liblngd_cuda_emulated.so.
#include "backend/cuda/hooks.h"
#include "simt.hpp"

namespace lngd::cuda {

void add_emulator_hooks(DeviceHooks& hooks) {
  hooks.inject_fault = [](const char* function, int nth, int error) {
    simt::inject_fault(function, nth, static_cast<cudaError_t>(error));
  };
  hooks.calls_counted = [] { return simt::calls_counted(); };
  hooks.live = [] {
    const simt::Live live = simt::live();
    return live.device_allocations + live.host_allocations + live.streams + live.events + live.graphs;
  };
  hooks.schedule = [](int order, unsigned seed) { simt::set_schedule(static_cast<simt::Order>(order), seed); };
  hooks.set_device = [](int device) { cudaSetDevice(device); };
  hooks.current_device = [] { return simt::current_device(); };
  hooks.has_context = [](int device) { return simt::has_context(device); };
  hooks.forget_contexts = [] { simt::forget_contexts(); };
  hooks.reset_device = [] { simt::reset(); };
}

} // namespace lngd::cuda
