// SPDX-License-Identifier: Apache-2.0
// Device and pinned memory of the emulator: every allocation ends at a page that cannot be touched and starts out as
// NaN, so that the fast build also notices overruns and reads of memory that nobody wrote.
#include <sys/mman.h>

#include <cstring>

#include "emulator.hpp"
#include "runtime.hpp"

namespace simt {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kAlign = 64; // CUDA gives 256; 64 is what the backend asks for, and leaves less room behind the end
constexpr unsigned char kCanary = 0xfb;

std::vector<Allocation*> allocations; // by address
const Allocation* last_found = nullptr;

size_t rounded(size_t n, size_t to) { return (n + to - 1) / to * to; }

size_t position(const void* address) { // of the first allocation that starts behind the address
  size_t low = 0, high = allocations.size();
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (allocations[middle]->map <= static_cast<const char*>(address)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

bool canary_intact(const Allocation& a) {
  for (const char* p = a.base + a.bytes; p < a.base + rounded(a.bytes, kAlign); ++p)
    if (static_cast<unsigned char>(*p) != kCanary) return false;
  return true;
}

} // namespace

char* map_guarded(size_t bytes, char** map, size_t* map_bytes) {
  const size_t inner = rounded(bytes ? bytes : 1, kPage);
  *map_bytes = inner + 2 * kPage;
  void* const pages =
      mmap(nullptr, *map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) return nullptr;
  *map = static_cast<char*>(pages);
  mprotect(*map, kPage, PROT_NONE);
  mprotect(*map + kPage + inner, kPage, PROT_NONE);
  return *map + kPage + inner - bytes;
}

void unmap_guarded(char* map, size_t map_bytes) {
  if (map) munmap(map, map_bytes);
}

const Allocation* find_allocation(const void* address, bool near) {
  const char* const p = static_cast<const char*>(address);
  const auto holds = [&](const Allocation& a) {
    return near ? p >= a.map && p < a.map + a.map_bytes : p >= a.base && p < a.base + a.bytes;
  };
  if (last_found && holds(*last_found)) return last_found;
  const size_t behind = position(address);
  if (behind == 0 || !holds(*allocations[behind - 1])) return nullptr;
  return last_found = allocations[behind - 1];
}

cudaError_t allocate(void** pointer, size_t bytes, bool device) {
  if (!pointer) return cudaErrorInvalidValue;
  *pointer = nullptr;
  if (bytes == 0) return cudaSuccess;
  if (device && live_memory().device_bytes + bytes > kDeviceBytes) return cudaErrorMemoryAllocation;
  Allocation* const a = new Allocation{};
  const size_t aligned = rounded(bytes, kAlign);
  a->base = map_guarded(aligned, &a->map, &a->map_bytes);
  if (!a->base) {
    delete a;
    return cudaErrorMemoryAllocation;
  }
  a->bytes = bytes;
  a->device = device;
  a->cells = checker_cells(bytes);
  std::memset(a->base, 0xff, bytes);
  std::memset(a->base + bytes, kCanary, aligned - bytes);
  allocations.insert(allocations.begin() + static_cast<std::ptrdiff_t>(position(a->map)), a);
  *pointer = a->base;
  return cudaSuccess;
}

cudaError_t release(void* pointer, bool device) {
  if (!pointer) return cudaSuccess;
  const Allocation* const found = find_allocation(pointer);
  if (!found || found->base != pointer || found->device != device) return cudaErrorInvalidValue;
  if (!canary_intact(*found))
    report(Kind::Bounds, "bytes behind an allocation of " + std::to_string(found->bytes) + " bytes were written");
  allocations.erase(allocations.begin() + static_cast<std::ptrdiff_t>(position(pointer)) - 1);
  last_found = nullptr;
  unmap_guarded(found->map, found->map_bytes);
  checker_free_cells(found->cells, found->bytes);
  delete found;
  return cudaSuccess;
}

void check_canaries() {
  for (const Allocation* a : allocations)
    if (!canary_intact(*a))
      report(Kind::Bounds, "bytes behind an allocation of " + std::to_string(a->bytes) + " bytes were written");
}

Live live_memory() {
  Live now{};
  for (const Allocation* a : allocations) {
    if (a->device) now.device_bytes += a->bytes;
    ++(a->device ? now.device_allocations : now.host_allocations);
  }
  return now;
}

} // namespace simt
