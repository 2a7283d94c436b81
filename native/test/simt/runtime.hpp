// SPDX-License-Identifier: Apache-2.0
// Between the files of the emulated runtime API: contexts.cpp, memory.cpp, streams.cpp, runtime.cpp.
#ifndef LNGD_SIMT_RUNTIME_HPP
#define LNGD_SIMT_RUNTIME_HPP

#include <functional>
#include <mutex>

#include "emulator.hpp"

namespace simt {

constexpr int kDevices = 2;
constexpr size_t kDeviceBytes = size_t{2} << 30;

// The emulator has one set of fibers: its functions take turns. Recursive, since some call others.
std::recursive_mutex& turn();

// First thing in every API function.
#define SIMT_ENTRY     \
  SIMT_ENTRY_ANYWHERE; \
  need_context()
// In functions that need no context.
#define SIMT_ENTRY_ANYWHERE                                      \
  const std::lock_guard<std::recursive_mutex> hold_turn(turn()); \
  if (const cudaError_t error = entry_error(__func__)) return error
// In functions that do their work before they return such an error.
#define SIMT_ENTRY_LATE(work)                                    \
  const std::lock_guard<std::recursive_mutex> hold_turn(turn()); \
  const cudaError_t entered = entry_error(__func__);             \
  if (entered) {                                                 \
    work;                                                        \
    return entered;                                              \
  }                                                              \
  need_context()
// And in those that CUDA forbids while a stream is being captured: always; to threads that are not in relaxed mode.
#define SIMT_NOT_IN_CAPTURE \
  if (invalidate_captures()) return failed(cudaErrorStreamCaptureUnsupported)
#define SIMT_UNSAFE_IN_CAPTURE \
  if (capture_mode() != cudaStreamCaptureModeRelaxed) SIMT_NOT_IN_CAPTURE

cudaError_t allocate(void** pointer, size_t bytes, bool device);
cudaError_t release(void* pointer, bool device);
void check_canaries();

// The error to return instead of doing the call: an injected one, or the sticky one. Every API function starts with it.
cudaError_t entry_error(const char* function);
// Notes an error for cudaGetLastError and hands it back; makes it sticky if it is of that kind.
cudaError_t failed(cudaError_t error);

// Makes a context for the calling thread where it has none.
void need_context();
// Whether it was made on the device whose context is current.
bool on_current_device(cudaStream_t stream);

// Work on a stream, done now or later (see Order); waits for everything before it where `now`.
cudaError_t submit(cudaStream_t stream, bool now, std::function<void()> work);
void drain_all();
bool known(cudaStream_t stream);
Live live_streams();
// Ends all captures that are under way; returns whether there were any.
bool invalidate_captures();
// Of the calling thread.
cudaStreamCaptureMode& capture_mode();

} // namespace simt
#endif
