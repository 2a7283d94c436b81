// SPDX-License-Identifier: Apache-2.0
// Backends in libraries of their own: what liblngd_cuda.so and liblngd_cuda_emulated.so export, and how they are found.
// The table of a backend is C++ (structures, no virtual functions), so both sides have to come from one build: each
// shows the other a fingerprint of what it was compiled with, and a library with another one is refused.
#ifndef LNGD_BACKEND_DEVICE_LIBRARY_H
#define LNGD_BACKEND_DEVICE_LIBRARY_H

#include <string>

#include "backend/backend.h"

namespace lngd {

// What tests want of the runtime inside such a library, since it is linked in and hidden. nullptr where there is
// nothing of the kind. Errors are CUDA's numbers.
struct DeviceHooks {
  void* (*stream_create)();
  int (*stream_synchronize)(void* stream);
  void (*stream_destroy)(void* stream);
  int (*copy_on_device)(void* to, const void* from, size_t bytes, void* stream); // in stream order
  int (*capture_begin)(void* stream);
  void* (*capture_end)(void* stream); // an executable graph; nullptr where the capture failed
  int (*graph_launch)(void* graph, void* stream);
  void (*graph_destroy)(void* graph);
  void (*forget_answers)(); // the next known-answer check of a device is a first one again
  // The emulator's: see native/test/simt/simt.hpp.
  void (*inject_fault)(const char* function, int nth, int error); // "*": any function; nth 0: only count
  int (*calls_counted)();
  int (*live)(); // allocations, streams, events, graphs
  void (*schedule)(int order, unsigned seed);
  bool (*set_device_model)(const char* name); // what the emulator stands for; nullptr: as the environment says
  const char* (*late_kernel)();               // the first since then that was not loaded before its launch, or ""
  void (*reset_device)();                     // a lost device works again; everything on it is freed
  void (*set_device)(int device);
  int (*current_device)(); // whose context is current on this thread; -1: none is
  bool (*has_context)(int device);
  void (*forget_contexts)(); // no device has a context any more
};

// Everything that crosses the border, by size, and a number for changes that sizes do not show.
struct LibraryFingerprint {
  uint32_t version = (LNGD_VERSION_MAJOR << 16) | (LNGD_VERSION_MINOR << 8) | LNGD_VERSION_PATCH;
  uint32_t interface_number = 5;
  uint32_t sizes[9] = {sizeof(Backend),    sizeof(LayerRecord), sizeof(LayerShape),  sizeof(StatisticsArgs),
                       sizeof(StepLayer),  sizeof(StepArgs),    sizeof(lngd_config), sizeof(lngd_backend_description),
                       sizeof(DeviceHooks)};
};

struct DeviceLibrary {
  const Backend* backend;
  // Fills in the device's part, `available` and `reason`.
  void (*describe)(lngd_backend_description& out);
  // Whether the device with that index can be used: it is there, new enough, and gives known answers. The last is asked
  // of it once in a process (cuda/device_check.h). INVALID_ARGUMENT: there are others, but not that one.
  bool (*check)(int32_t device_index, Failure& failure);
  const DeviceHooks* hooks;
};

// The one function of the library. nullptr with a reason where the fingerprints differ.
constexpr const char* kDeviceLibrarySymbol = "lngd_cuda_backend";
using DeviceLibraryEntry = const DeviceLibrary* (*)(const LibraryFingerprint* theirs, size_t bytes, char* reason,
                                                    size_t reason_bytes);

// Finds and loads the library of LNGD_DEVICE_CUDA or LNGD_DEVICE_CUDA_EMULATED (lngd_load_backend says where); nullptr
// with what was tried appended to `reason`. Loaded once, for the life of the process.
const DeviceLibrary* load_device_library(int32_t device, const char* path, std::string& reason);

// The library of a device that can be used, or nullptr with the reason (DeviceLibrary::check).
const DeviceLibrary* usable_device_library(int32_t device, int32_t device_index, Failure& failure);

// lngd_backend_info of such a device.
void describe_device(int32_t device, lngd_backend_description& out);

} // namespace lngd
#endif
