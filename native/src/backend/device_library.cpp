// SPDX-License-Identifier: Apache-2.0
#include "backend/device_library.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>

namespace lngd {
namespace {

struct Place {
  const char* file;
  const char* variable;
  std::atomic<const DeviceLibrary*> loaded{nullptr};
  std::string path; // written once, before `loaded`
};
Place cuda_place{"liblngd_cuda.so", "LNGD_CUDA_LIBRARY", {}, {}};
Place emulated_place{"liblngd_cuda_emulated.so", "LNGD_CUDA_EMULATED_LIBRARY", {}, {}};
std::mutex loading;

Place& place_of(int32_t device) { return device == LNGD_DEVICE_CUDA ? cuda_place : emulated_place; }

// The folder that this very code was loaded from.
std::string own_folder() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<const void*>(&own_folder), &info) || !info.dli_fname) return "";
  const std::string file = info.dli_fname;
  const size_t slash = file.rfind('/');
  return slash == std::string::npos ? "" : file.substr(0, slash + 1);
}

void add_reason(std::string& reason, const std::string& more) { reason += (reason.empty() ? "" : "; ") + more; }

const DeviceLibrary* open(const std::string& path, std::string& reason) {
  // Local: two backends, and CUDA runtimes of others, do not see each other's symbols.
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const std::string why = dlerror(); // most of its messages begin with the path
    add_reason(reason, why.compare(0, path.size(), path) == 0 ? why : path + ": " + why);
    return nullptr;
  }
  const auto entry = reinterpret_cast<DeviceLibraryEntry>(dlsym(library, kDeviceLibrarySymbol));
  char refusal[256] = "";
  const LibraryFingerprint mine;
  const DeviceLibrary* const found = entry ? entry(&mine, sizeof mine, refusal, sizeof refusal) : nullptr;
  if (!found) {
    add_reason(reason, path + ": " + (entry ? refusal : std::string("it has no ") + kDeviceLibrarySymbol));
    dlclose(library);
  }
  return found;
}

} // namespace

const DeviceLibrary* load_device_library(int32_t device, const char* path, std::string& reason) {
  Place& place = place_of(device);
  if (const DeviceLibrary* const loaded = place.loaded.load(std::memory_order_acquire)) return loaded;
  const std::lock_guard<std::mutex> hold(loading);
  if (const DeviceLibrary* const loaded = place.loaded.load(std::memory_order_acquire)) return loaded;
  const char* const chosen = std::getenv(place.variable);
  const std::string folder = own_folder();
  std::string candidates[3];
  if (path) {
    candidates[0] = path;
  } else {
    if (chosen) candidates[0] = chosen;
    if (!folder.empty()) candidates[1] = folder + place.file;
    candidates[2] = place.file;
  }
  for (const std::string& candidate : candidates) {
    if (candidate.empty()) continue;
    if (const DeviceLibrary* const found = open(candidate, reason)) {
      place.path = candidate;
      place.loaded.store(found, std::memory_order_release);
      return found;
    }
  }
  return nullptr;
}

namespace {

const DeviceLibrary* load(int32_t device, char* reason, size_t room) {
  std::string why;
  const DeviceLibrary* const library = load_device_library(device, nullptr, why);
  if (!library) std::snprintf(reason, room, "%s could not be loaded: %s", place_of(device).file, why.c_str());
  return library;
}

} // namespace

const DeviceLibrary* usable_device_library(int32_t device, int32_t device_index, Failure& failure) {
  const DeviceLibrary* const library = load(device, failure.message, sizeof failure.message);
  if (library) return library->check(device_index, failure) ? library : nullptr;
  failure.status = LNGD_BACKEND_UNAVAILABLE;
  return nullptr;
}

void describe_device(int32_t device, lngd_backend_description& out) {
  const DeviceLibrary* const library = load(device, out.reason, sizeof out.reason);
  if (!library) return;
  const std::string& path = place_of(device).path;
  const size_t room = sizeof out.library_path - 1;
  std::snprintf(out.library_path, sizeof out.library_path, "%s",
                (path.size() <= room ? path : path.substr(path.size() - room)).c_str());
  library->describe(out);
}

} // namespace lngd
