// SPDX-License-Identifier: Apache-2.0
// Devices and their contexts. As since CUDA 12: cudaSetDevice makes the device's context, and so does any call that
// needs one on a thread that has none (of the thread's device, 0 until it chooses). The driver's calls only look and
// bind. All devices are the same memory; a launch into a stream of another device than the current one is refused.
#include <cstring>

#include "runtime.hpp"

struct CUctx_st {
  bool made = false;
};

namespace simt {
namespace {

CUctx_st contexts[kDevices];
thread_local CUctx_st* current_context = nullptr;
thread_local int chosen = 0; // by cudaSetDevice; counts while no context is current

void make_current(int device) {
  contexts[device].made = true;
  current_context = &contexts[device];
}

// The driver's: no entry of the runtime, so no injected error and no context.
int get_current(CUctx_st** context) {
  const std::lock_guard<std::recursive_mutex> hold_turn(turn());
  *context = current_context;
  return 0;
}

int set_current(CUctx_st* context) {
  const std::lock_guard<std::recursive_mutex> hold_turn(turn());
  current_context = context;
  return 0;
}

} // namespace

void need_context() {
  if (!current_context) make_current(chosen);
}

int current_device() { return current_context ? static_cast<int>(current_context - contexts) : -1; }

bool has_context(int device) { return contexts[device].made; }

void forget_contexts() {
  for (CUctx_st& context : contexts) context.made = false;
  current_context = nullptr;
  chosen = 0;
}

} // namespace simt

using namespace simt;

cudaError_t cudaGetDeviceCount(int* count) {
  SIMT_ENTRY_ANYWHERE;
  *count = kDevices;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  SIMT_ENTRY_ANYWHERE;
  if (device < 0 || device >= kDevices) return failed(cudaErrorInvalidDevice);
  chosen = device;
  make_current(device);
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  SIMT_ENTRY_ANYWHERE;
  *device = current_context ? current_device() : chosen;
  return cudaSuccess;
}

cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function, unsigned, unsigned long long,
                                             cudaDriverEntryPointQueryResult* result) {
  SIMT_ENTRY_ANYWHERE;
  *function = !std::strcmp(symbol, "cuCtxGetCurrent")   ? reinterpret_cast<void*>(get_current)
              : !std::strcmp(symbol, "cuCtxSetCurrent") ? reinterpret_cast<void*>(set_current)
                                                        : nullptr;
  if (result) *result = *function ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return *function ? cudaSuccess : failed(cudaErrorSymbolNotFound);
}
