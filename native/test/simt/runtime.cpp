// SPDX-License-Identifier: Apache-2.0
// The rest of the emulated runtime API: memory copies, errors; and injected faults.
#include "runtime.hpp"

#include <cstring>

#include "device.hpp"

namespace simt {
namespace {

cudaError_t sticky = cudaSuccess;
cudaError_t last = cudaSuccess;

struct Fault {
  std::string function;
  int nth = 0;
  int seen = 0;
  cudaError_t error = cudaSuccess;
} fault;

bool is_sticky(cudaError_t error) {
  return error >= cudaErrorIllegalAddress && error != cudaErrorLaunchOutOfResources && error < cudaErrorNotSupported;
}

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

} // namespace simt

using namespace simt;

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
    SIMT_NAME(cudaErrorInvalidDeviceFunction);
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

// A kernel that was ended by a report: what it says. And what is wrong with the emulated device itself.
const char* cudaGetErrorString(cudaError_t error) {
  const char* const report = error == cudaErrorLaunchFailure ? first_report() : nullptr;
  if (report) return report;
  if (error == cudaErrorNoDevice && !device_problem().empty()) return device_problem().c_str();
  if (error == cudaErrorInvalidDeviceFunction && !symbols_problem().empty()) return symbols_problem().c_str();
  return cudaGetErrorName(error);
}
