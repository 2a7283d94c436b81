// SPDX-License-Identifier: Apache-2.0
// Between the files of the emulated runtime API: memory.cpp, streams.cpp, runtime.cpp.
#ifndef LNGD_SIMT_RUNTIME_HPP
#define LNGD_SIMT_RUNTIME_HPP

#include <functional>

#include "emulator.hpp"

namespace simt {

constexpr size_t kDeviceBytes = size_t{2} << 30;

cudaError_t allocate(void** pointer, size_t bytes, bool device);
cudaError_t release(void* pointer, bool device);
void check_canaries();

// The error to return instead of doing the call: an injected one, or the sticky one. Every API function starts with it.
cudaError_t entry_error(const char* function);
// Notes an error for cudaGetLastError and hands it back; makes it sticky if it is of that kind.
cudaError_t failed(cudaError_t error);

// Work on a stream, done now or later (see Order); waits for everything before it where `now`.
cudaError_t submit(cudaStream_t stream, bool now, std::function<void()> work);
void drain_all();
bool known(cudaStream_t stream);
Live live_streams();

} // namespace simt
#endif
