// SPDX-License-Identifier: Apache-2.0
// Which device the emulator stands for, and the runtime functions that tell about it.
#include "device.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "runtime.hpp"

namespace simt {
namespace {

// One product of each architecture that the backend is built for; figures of NVIDIA's tuning guides and data sheets.
// A block's shared memory is 1 KB less than a multiprocessor's: the system keeps that for each block.
constexpr Device kModels[] = {
    // name    product      SMs  block   SM      regs   threads blocks  L2
    {"sm_80", "A100", 8, 0, 108, 166912, 167936, 65536, 2048, 32, 40 << 20},
    {"sm_86", "RTX 3090", 8, 6, 82, 101376, 102400, 65536, 1536, 16, 6 << 20},
    {"sm_89", "RTX 4090", 8, 9, 128, 101376, 102400, 65536, 1536, 24, 72 << 20},
    {"sm_90", "H100 SXM", 9, 0, 132, 232448, 233472, 65536, 2048, 32, 50 << 20},
    {"sm_120", "RTX 5090", 12, 0, 170, 101376, 102400, 65536, 1536, 24, 96 << 20},
};

// Few multiprocessors, so that in small tests too grids sized by their number have work left over for each block.
constexpr const char* kDefault = "sm_80:4";

Device chosen;
bool is_chosen = false;
std::string problem;

// "sm_86", or "sm_86:4" with another number of multiprocessors.
bool parse(const char* text, Device& device) {
  const char* const colon = std::strchr(text, ':');
  const std::string name = colon ? std::string(text, colon) : std::string(text);
  const Device* const found =
      std::find_if(std::begin(kModels), std::end(kModels), [&](const Device& d) { return d.name == name; });
  if (found == std::end(kModels)) return false;
  device = *found;
  if (!colon) return true;
  char* end = nullptr;
  const long count = std::strtol(colon + 1, &end, 10);
  if (end == colon + 1 || *end || count < 1 || count > 1024) return false;
  device.multiprocessors = static_cast<int>(count);
  return true;
}

std::string allowed_names() {
  std::string text;
  for (const Device& d : kModels) text += std::string(d.name) + ", ";
  return text + "or one of them with a number of multiprocessors from 1 to 1024, as in " + kDefault;
}

} // namespace

const Device* device_model() {
  if (is_chosen) return &chosen;
  const char* const named = std::getenv("LNGD_SIMT_DEVICE");
  if (parse(named && *named ? named : kDefault, chosen)) {
    is_chosen = true;
    return &chosen;
  }
  problem = std::string("LNGD_SIMT_DEVICE is \"") + named + "\", allowed is " + allowed_names();
  return nullptr;
}

const std::string& device_problem() { return problem; }

Device device() {
  const Device* const now = device_model();
  return now ? *now : Device{};
}

bool set_device(const char* name) {
  forget_functions();
  if (!name) {
    is_chosen = false;
    return device_model() != nullptr;
  }
  Device other;
  if (!parse(name, other)) return false;
  chosen = other;
  return is_chosen = true;
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

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int index) {
  SIMT_ENTRY_ANYWHERE;
  const Device* const d = device_model();
  if (index < 0 || index >= kDevices || !d) return failed(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = kMaxThreads;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = kSharedWithoutOptIn;
      return cudaSuccess;
    case cudaDevAttrMaxRegistersPerBlock:
    case cudaDevAttrMaxRegistersPerMultiprocessor:
      *value = d->registers;
      return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      *value = d->multiprocessors;
      return cudaSuccess;
    case cudaDevAttrL2CacheSize:
      *value = d->l2_bytes;
      return cudaSuccess;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = d->threads;
      return cudaSuccess;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
      *value = d->blocks;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = d->major;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = d->minor;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = d->shared_per_multiprocessor;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = d->shared_per_block;
      return cudaSuccess;
  }
  return failed(cudaErrorInvalidValue);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int index) {
  SIMT_ENTRY_ANYWHERE;
  const Device* const d = device_model();
  if (index < 0 || index >= kDevices || !d) return failed(cudaErrorInvalidDevice);
  *p = cudaDeviceProp{};
  std::snprintf(p->name, sizeof p->name, "SIMT emulator (%s as in %s, %d multiprocessors)", d->name, d->product,
                d->multiprocessors);
  p->totalGlobalMem = kDeviceBytes;
  p->sharedMemPerBlock = kSharedWithoutOptIn;
  p->sharedMemPerBlockOptin = static_cast<size_t>(d->shared_per_block);
  p->sharedMemPerMultiprocessor = static_cast<size_t>(d->shared_per_multiprocessor);
  p->regsPerBlock = p->regsPerMultiprocessor = d->registers;
  p->major = d->major;
  p->minor = d->minor;
  p->multiProcessorCount = d->multiprocessors;
  p->maxThreadsPerBlock = kMaxThreads;
  p->maxThreadsPerMultiProcessor = d->threads;
  p->maxBlocksPerMultiProcessor = d->blocks;
  p->l2CacheSize = d->l2_bytes;
  p->warpSize = kWarp;
  return cudaSuccess;
}
