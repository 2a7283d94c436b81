// SPDX-License-Identifier: Apache-2.0
// The CUDA backend's table, and the one function that its library exports.
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

#include "backend/cuda/context.h"
#include "backend/cuda/cuda_plan.h"
#include "backend/cuda/cuda_step.h"
#include "backend/cuda/device_check.h"
#include "backend/cuda/hooks.h"

namespace lngd::cuda {
namespace {

constexpr int kOldestMajor = 8; // the kernels need cp.async and mma.sync on TF32

// What stands in the way of using a device, or "", as far as it can be told without a CUDA context.
void look_at_device(int32_t index, int32_t& devices, char* reason, size_t room) {
  int driver = 0, runtime = 0, count = 0, major = 0, minor = 0;
  const cudaError_t asked = cudaDriverGetVersion(&driver); // success and 0 without a driver
  cudaRuntimeGetVersion(&runtime);
  reason[0] = '\0';
  if (asked != cudaSuccess) {
    std::snprintf(reason, room, "cudaDriverGetVersion failed: %s, %s", cudaGetErrorName(asked),
                  cudaGetErrorString(asked));
    return;
  }
  if (driver == 0) {
    std::snprintf(reason, room, "there is no NVIDIA driver (libcuda.so.1 was not found, or serves no device)");
    return;
  }
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    std::snprintf(reason, room, "cudaGetDeviceCount failed: %s, %s (driver for CUDA %d.%d, this library needs %d.%d)",
                  cudaGetErrorName(error), cudaGetErrorString(error), driver / 1000, driver % 100 / 10, runtime / 1000,
                  runtime % 100 / 10);
    cudaGetLastError();
    return;
  }
  devices = count;
  if (index >= count) {
    std::snprintf(reason, room, "device_index is %d, and the driver shows %d device%s", index, count,
                  count == 1 ? "" : "s");
    return;
  }
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index);
  cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index);
  if (major < kOldestMajor)
    std::snprintf(reason, room, "device %d has compute capability %d.%d, needed is %d.0 or later (Ampere)", index,
                  major, minor, kOldestMajor);
}

void describe(lngd_backend_description& out) {
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  out.driver_version = driver;
  out.runtime_version = runtime;
  look_at_device(0, out.devices, out.reason, sizeof out.reason);
  if (!out.reason[0]) answers_as_known(0, out.reason, sizeof out.reason);
  out.available = out.reason[0] == '\0';
  cudaDeviceProp properties;
  if (out.devices == 0 || cudaGetDeviceProperties(&properties, 0) != cudaSuccess) return;
  std::snprintf(out.device_name, sizeof out.device_name, "%.127s", properties.name);
  out.compute_major = properties.major;
  out.compute_minor = properties.minor;
  out.device_memory = static_cast<int64_t>(properties.totalGlobalMem);
}

bool check(int32_t device, Failure& failure) {
  int32_t devices = 0;
  look_at_device(device, devices, failure.message, sizeof failure.message);
  if (!failure.message[0]) return check_answers(device, failure);
  failure.status = device >= devices && devices > 0 ? LNGD_INVALID_ARGUMENT : LNGD_BACKEND_UNAVAILABLE;
  return false;
}

Context* create(const lngd_config& config, Failure& failure) {
  std::unique_ptr<CudaContext> context;
  try {
    context = std::make_unique<CudaContext>();
  } catch (const std::bad_alloc&) {
    failure.status = LNGD_OUT_OF_MEMORY;
    std::snprintf(failure.message, sizeof failure.message, "no memory for the CUDA backend");
    return nullptr;
  }
  context->device = config.device_index;
  const DeviceScope scope(*context);
  if (context->create(config)) return context.release();
  failure = context->calls.take();
  context->destroy();
  return nullptr;
}

void destroy(Context* base) {
  CudaContext& context = cuda(base);
  {
    const DeviceScope scope(context);
    context.destroy();
  }
  delete &context;
}

Failure take_failure(Context* context) { return cuda(context).calls.take(); }

bool accepts(const Context* context, int32_t device_type, int32_t device_id, bool& device) {
  device = device_type == 2 || device_type == 13;           // kDLCUDA, kDLCUDAManaged
  if (!device) return device_type == 1 || device_type == 3; // kDLCPU, kDLCUDAHost
  return device_id == cuda(context).device;
}

void set_stream(Context* base, void* stream) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  context.set_caller(static_cast<cudaStream_t>(stream));
}

bool capturing(Context* base) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  return context.is_capturing(context.caller);
}

void synchronize(Context* base) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  context.synchronize();
}

int32_t threads(const Context*) { return 1; } // the caller's own

void* allocate(Context* base, size_t bytes) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  void* memory = nullptr;
  if (!context.allocate(&memory, bytes)) return nullptr;
  context.calls("cudaMemsetAsync", [&] { return cudaMemsetAsync(memory, 0, bytes, context.caller); });
  // Zeroed for every stream.
  context.calls("cudaStreamSynchronize", [&] { return cudaStreamSynchronize(context.caller); });
  if (context.calls.ok()) return memory;
  cudaFree(memory);
  return nullptr;
}

// Called while failures wait too: what can be freed is.
void release(Context* base, void* memory) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  if (!context.calls.ok()) {
    cudaFree(memory);
  } else {
    context.calls("cudaFree", [&] { return cudaFree(memory); });
  }
}

void copy(Context* base, void* to, const void* from, size_t bytes) {
  CudaContext& context = cuda(base);
  const DeviceScope scope(context);
  context.synchronize();
  context.calls("cudaMemcpyAsync", [&] { return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, context.caller); });
  context.calls("cudaStreamSynchronize", [&] { return cudaStreamSynchronize(context.caller); });
}

void read(Context* context, void* host, const void* memory, size_t bytes) { copy(context, host, memory, bytes); }

void write(Context* context, void* memory, const void* host, size_t bytes) { copy(context, memory, host, bytes); }

int64_t workspace_bytes(const Context* base) {
  const CudaContext& context = cuda(base);
  return static_cast<int64_t>(context.workspace_bytes) + context.staging.bytes();
}

Backend make_backend() {
  Backend backend{};
  backend.name = "cuda";
  backend.most_rows = kMostRows;
  backend.create = create;
  backend.destroy = destroy;
  backend.take_failure = take_failure;
  backend.accepts = accepts;
  backend.set_stream = set_stream;
  backend.capturing = capturing;
  backend.synchronize = synchronize;
  backend.threads = threads;
  backend.allocate = allocate;
  backend.release = release;
  backend.copy = copy;
  backend.read = read;
  backend.write = write;
  backend.plan_create = plan_create;
  backend.plan_destroy = plan_destroy;
  backend.plan_rebind = plan_rebind;
  backend.plan_bytes = plan_bytes;
  backend.workspace_bytes = workspace_bytes;
  backend.reserve_statistics = reserve_statistics;
  backend.discard_statistics = discard_statistics;
  backend.publish_counts = publish_counts;
  backend.take_counts = take_counts;
  backend.begin_step = begin_step;
  backend.end_step = end_step;
  backend.capturable = capturable;
  backend.begin_replay = begin_replay;
  backend.gradient_norm = gradient_norm;
  backend.fisher_rows = fisher_rows;
  backend.conv_fisher_rows = conv_fisher_rows;
#define LNGD_KERNEL(name, arguments) backend.name = name;
#include "backend/kernels.def"
#undef LNGD_KERNEL
  return backend;
}

} // namespace
} // namespace lngd::cuda

extern "C" __attribute__((visibility("default"))) const lngd::DeviceLibrary* lngd_cuda_backend(
    const lngd::LibraryFingerprint* theirs, size_t bytes, char* reason, size_t reason_bytes) {
  const lngd::LibraryFingerprint mine;
  if (bytes != sizeof mine || std::memcmp(theirs, &mine, sizeof mine) != 0) {
    std::snprintf(reason, reason_bytes, "it belongs to another build of liblngd (it is %u.%u.%u, interface %u)",
                  mine.version >> 16, mine.version >> 8 & 255u, mine.version & 255u, mine.interface_number);
    return nullptr;
  }
  static const lngd::Backend backend = lngd::cuda::make_backend();
  static const lngd::DeviceHooks hooks = lngd::cuda::make_hooks();
  static const lngd::DeviceLibrary library{&backend, lngd::cuda::describe, lngd::cuda::check, &hooks};
  return &library;
}
