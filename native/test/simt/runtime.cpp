// SPDX-License-Identifier: Apache-2.0
// The rest of the emulated runtime API: what devices are, memory copies, launches, errors; and injected faults.
#include "runtime.hpp"

#include <cstdio>
#include <cstring>
#include <map>
#include <memory>

namespace simt {
namespace {

int architecture = 80;
cudaError_t sticky = cudaSuccess;
cudaError_t last = cudaSuccess;
std::map<const void*, int> shared_opt_in;

struct Fault {
  std::string function;
  int nth = 0;
  int seen = 0;
  cudaError_t error = cudaSuccess;
} fault;

bool is_sticky(cudaError_t error) {
  return error >= cudaErrorIllegalAddress && error != cudaErrorLaunchOutOfResources && error < cudaErrorNotSupported;
}

int shared_limit() { return architecture >= 90 ? 232448 : 166912; }

} // namespace

cudaError_t failed(cudaError_t error) {
  if (is_sticky(error)) sticky = error;
  return last = error;
}

cudaError_t entry_error(const char* function) {
  if ((fault.function == function || fault.function == "*") && ++fault.seen == fault.nth) return failed(fault.error);
  return sticky ? failed(sticky) : cudaSuccess;
}

std::recursive_mutex& turn() {
  static std::recursive_mutex mutex;
  return mutex;
}

void inject_fault(const char* function, int nth, cudaError_t error) {
  fault.function = function;
  fault.nth = nth;
  fault.seen = 0;
  fault.error = error;
}

int calls_counted() { return fault.seen; }

void set_architecture(int sm) { architecture = sm; }

void reset() {
  drain_all();
  take_reports();
  sticky = last = cudaSuccess;
  fault = Fault();
}

Live live() {
  const Live memory = live_memory(), queue = live_streams();
  return {memory.device_allocations, memory.host_allocations, queue.streams, queue.events, queue.graphs,
          memory.device_bytes};
}

cudaError_t set_function_attribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  const std::lock_guard<std::recursive_mutex> hold_turn(turn());
  if (const cudaError_t error = entry_error("cudaFuncSetAttribute")) return error;
  need_context();
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || value > shared_limit()) return failed(cudaErrorInvalidValue);
  shared_opt_in[kernel] = value;
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
  const auto opted = shared_opt_in.find(request.kernel);
  const int allowed = std::max(48 * 1024, opted == shared_opt_in.end() ? 0 : opted->second);
  if (request.shared_bytes > static_cast<size_t>(allowed)) return failed(cudaErrorInvalidValue);
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

using namespace simt;

cudaError_t cudaDriverGetVersion(int* version) {
  SIMT_ENTRY_ANYWHERE;
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  SIMT_ENTRY_ANYWHERE;
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  SIMT_ENTRY_ANYWHERE;
  if (device < 0 || device >= kDevices) return failed(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = 4;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = architecture / 10;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = architecture % 10;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = shared_limit();
      return cudaSuccess;
  }
  return failed(cudaErrorInvalidValue);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  SIMT_ENTRY_ANYWHERE;
  if (device < 0 || device >= kDevices) return failed(cudaErrorInvalidDevice);
  *p = cudaDeviceProp{};
  std::snprintf(p->name, sizeof p->name, "SIMT emulator (sm_%d)", architecture);
  p->totalGlobalMem = kDeviceBytes;
  p->sharedMemPerBlock = 48 * 1024;
  p->sharedMemPerBlockOptin = static_cast<size_t>(shared_limit());
  p->major = architecture / 10;
  p->minor = architecture % 10;
  p->multiProcessorCount = 4; // few, so that grids sized by it have work left over for each block
  p->maxThreadsPerBlock = kMaxThreads;
  p->warpSize = kWarp;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  SIMT_ENTRY;
  *total = kDeviceBytes;
  *free = kDeviceBytes - live_memory().device_bytes;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  SIMT_ENTRY;
  SIMT_UNSAFE_IN_CAPTURE;
  const cudaError_t error = allocate(pointer, bytes, true);
  return error ? failed(error) : cudaSuccess;
}

cudaError_t cudaFree(void* pointer) {
  SIMT_ENTRY_LATE((drain_all(), release(pointer, true)));
  SIMT_UNSAFE_IN_CAPTURE;
  drain_all(); // cudaFree synchronises the device
  const cudaError_t error = release(pointer, true);
  return error ? failed(error) : cudaSuccess;
}

cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned) {
  SIMT_ENTRY;
  SIMT_UNSAFE_IN_CAPTURE;
  const cudaError_t error = allocate(pointer, bytes, false);
  return error ? failed(error) : cudaSuccess;
}

cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
  SIMT_ENTRY;
  SIMT_UNSAFE_IN_CAPTURE;
  const cudaError_t error = allocate(pointer, bytes, false);
  return error ? failed(error) : cudaSuccess;
}

cudaError_t cudaFreeHost(void* pointer) {
  SIMT_ENTRY_LATE((drain_all(), release(pointer, false)));
  SIMT_UNSAFE_IN_CAPTURE;
  drain_all();
  const cudaError_t error = release(pointer, false);
  return error ? failed(error) : cudaSuccess;
}

namespace {

bool outside(const void* p, size_t bytes) { // of the allocation it starts in
  const Allocation* const a = find_allocation(p);
  return a && static_cast<const char*>(p) + bytes > a->base + a->bytes;
}

bool on_device(const void* p) {
  const Allocation* const a = find_allocation(p);
  return a && a->device;
}

} // namespace

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  SIMT_ENTRY;
  const bool device_to = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool device_from = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (bytes == 0) return cudaSuccess;
  if (outside(to, bytes) || outside(from, bytes)) return failed(cudaErrorInvalidValue);
  if (kind != cudaMemcpyDefault && (on_device(to) != device_to || on_device(from) != device_from))
    return failed(cudaErrorInvalidValue);
  // Memory that was not pinned is copied before the call returns.
  const bool pageable = !find_allocation(to) || !find_allocation(from);
  return submit(stream, pageable, [=] {
    std::memcpy(to, from, bytes);
    checker_host_write(to, bytes);
  });
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  SIMT_ENTRY;
  SIMT_NOT_IN_CAPTURE;
  if (const cudaError_t error = cudaMemcpyAsync(to, from, bytes, kind, nullptr)) return error;
  return cudaStreamSynchronize(nullptr);
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  SIMT_ENTRY;
  if (bytes == 0) return cudaSuccess;
  if (!find_allocation(to) || outside(to, bytes)) return failed(cudaErrorInvalidValue);
  return submit(stream, false, [=] {
    std::memset(to, value, bytes);
    checker_host_write(to, bytes);
  });
}

cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  SIMT_ENTRY;
  SIMT_NOT_IN_CAPTURE;
  return cudaMemsetAsync(to, value, bytes, nullptr);
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  SIMT_ENTRY;
  const Allocation* const a = find_allocation(pointer);
  void* const p = const_cast<void*>(pointer);
  *attributes = {!a          ? cudaMemoryTypeUnregistered
                 : a->device ? cudaMemoryTypeDevice
                             : cudaMemoryTypeHost,
                 a ? 0 : -1, a ? p : nullptr, a && a->device ? nullptr : p};
  return cudaSuccess;
}

cudaError_t cudaPeekAtLastError() { return sticky ? sticky : last; }

cudaError_t cudaGetLastError() {
  const cudaError_t error = cudaPeekAtLastError();
  last = cudaSuccess;
  return error;
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
#define SIMT_NAME(e) \
  case e:            \
    return #e
    SIMT_NAME(cudaSuccess);
    SIMT_NAME(cudaErrorInvalidValue);
    SIMT_NAME(cudaErrorMemoryAllocation);
    SIMT_NAME(cudaErrorInitializationError);
    SIMT_NAME(cudaErrorInvalidConfiguration);
    SIMT_NAME(cudaErrorInsufficientDriver);
    SIMT_NAME(cudaErrorNoDevice);
    SIMT_NAME(cudaErrorInvalidDevice);
    SIMT_NAME(cudaErrorInvalidResourceHandle);
    SIMT_NAME(cudaErrorSymbolNotFound);
    SIMT_NAME(cudaErrorNotReady);
    SIMT_NAME(cudaErrorIllegalAddress);
    SIMT_NAME(cudaErrorLaunchOutOfResources);
    SIMT_NAME(cudaErrorLaunchTimeout);
    SIMT_NAME(cudaErrorMisalignedAddress);
    SIMT_NAME(cudaErrorLaunchFailure);
    SIMT_NAME(cudaErrorNotSupported);
    SIMT_NAME(cudaErrorStreamCaptureUnsupported);
    SIMT_NAME(cudaErrorStreamCaptureInvalidated);
    SIMT_NAME(cudaErrorStreamCaptureIsolation);
    SIMT_NAME(cudaErrorUnknown);
#undef SIMT_NAME
  }
  return "unrecognized error code";
}

// A kernel that was ended by a report: what it says.
const char* cudaGetErrorString(cudaError_t error) {
  const char* const text = error == cudaErrorLaunchFailure ? first_report() : nullptr;
  return text ? text : cudaGetErrorName(error);
}
