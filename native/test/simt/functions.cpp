// SPDX-License-Identifier: Apache-2.0
// Kernels as the runtime sees them: their attributes, and what a launch may ask for on this device.
#include <map>
#include <memory>

#include "device.hpp"
#include "runtime.hpp"

namespace simt {
namespace {

struct Function {
  size_t static_shared = 0;
  size_t dynamic_limit = 0;
  bool loaded = false;
};
std::map<std::pair<const void*, int>, Function> functions; // by kernel and device
std::string loaded_late;                                   // the first kernel that its launch had to load

// What is known of a kernel; nullptr where nothing can be.
Function* find_function(const void* kernel) {
  const std::pair<const void*, int> key{kernel, current_device()};
  const auto found = functions.find(key);
  if (found != functions.end()) return &found->second;
  Function fresh;
  if (!static_shared_bytes(kernel, fresh.static_shared)) return nullptr;
  fresh.dynamic_limit = fresh.static_shared < kSharedWithoutOptIn ? kSharedWithoutOptIn - fresh.static_shared : 0;
  return &functions.emplace(key, fresh).first->second;
}

} // namespace

void forget_functions() {
  functions.clear();
  loaded_late.clear();
}

std::string first_late_kernel() { return loaded_late; }

cudaError_t set_function_attribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  const std::lock_guard<std::recursive_mutex> hold_turn(turn());
  if (const cudaError_t error = entry_error("cudaFuncSetAttribute")) return error;
  need_context();
  Function* const function = find_function(kernel);
  if (!function) return failed(cudaErrorInvalidDeviceFunction);
  function->loaded = true;
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  const Device* const d = device_model();
  if (!d) return failed(cudaErrorNoDevice);
  if (value < 0 || static_cast<size_t>(value) + function->static_shared > static_cast<size_t>(d->shared_per_block))
    return failed(cudaErrorInvalidValue);
  function->dynamic_limit = static_cast<size_t>(value);
  return cudaSuccess;
}

cudaError_t get_function_attributes(cudaFuncAttributes* attributes, const void* kernel) {
  const std::lock_guard<std::recursive_mutex> hold_turn(turn());
  if (const cudaError_t error = entry_error("cudaFuncGetAttributes")) return error;
  need_context();
  const Device* const d = device_model();
  Function* const function = find_function(kernel);
  if (!d || !function) return failed(d ? cudaErrorInvalidDeviceFunction : cudaErrorNoDevice);
  function->loaded = true;
  *attributes = {function->static_shared, kMaxThreads, 10 * d->major + d->minor,
                 static_cast<int>(function->dynamic_limit)};
  return cudaSuccess;
}

cudaError_t launch(const Launch& request) {
  const std::lock_guard<std::recursive_mutex> hold_turn(turn());
  if (const cudaError_t error = entry_error("launch")) return error;
  need_context();
  if (!on_current_device(request.stream)) return failed(cudaErrorInvalidResourceHandle);
  const dim3 &g = request.grid, &b = request.block;
  const size_t threads = size_t{b.x} * b.y * b.z;
  if (g.x == 0 || g.y == 0 || g.z == 0 || threads == 0 || threads > kMaxThreads || g.x > 0x7fffffffu || g.y > 65535 ||
      g.z > 65535 || b.z > 64)
    return failed(cudaErrorInvalidConfiguration);
  Function* const function = find_function(request.kernel);
  if (!function) return failed(cudaErrorInvalidDeviceFunction);
  // CUDA loads a kernel's code when it is first launched, unless somebody has asked for its attributes before. That may
  // allocate and synchronise, which breaks a capture; whether it does depends on the driver, so here it always does.
  if (!function->loaded) {
    if (loaded_late.empty()) loaded_late = function_name(request.kernel);
    if (capture_mode() != cudaStreamCaptureModeRelaxed && invalidate_captures())
      return failed(cudaErrorStreamCaptureUnsupported);
    function->loaded = true;
  }
  if (request.shared_bytes > function->dynamic_limit) return failed(cudaErrorInvalidValue);
  // Hardware runs them; our rule is stricter (simt.cuh).
  if (threads % kWarp) {
    report(Kind::Usage, "a launch of blocks that are no multiple of 32 threads");
    return failed(cudaErrorInvalidConfiguration);
  }
  // Shared: a graph runs it many times.
  const std::shared_ptr<void> arguments(const_cast<void*>(request.copy(request.arguments)), request.destroy);
  Launch copied = request;
  copied.arguments = arguments.get();
  return submit(request.stream, false, [copied, arguments] { run_grid(copied); });
}

} // namespace simt
