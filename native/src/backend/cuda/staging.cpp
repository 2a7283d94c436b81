// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/staging.h"

#include <cstring>

namespace lngd::cuda {
namespace {

// Address of an element of the caller's, which may lie at any byte.
char* at(const Strided& view, int64_t i, int64_t j) {
  return reinterpret_cast<char*>(view.data) + (i * view.rs + j * view.cs) * static_cast<int64_t>(sizeof(float));
}

} // namespace

void gather(const Strided& from, int64_t rows, int64_t columns, float* to, int64_t pitch) {
  for (int64_t i = 0; i < rows; ++i, to += pitch) {
    if (from.cs == 1) {
      std::memcpy(to, at(from, i, 0), static_cast<size_t>(columns) * sizeof(float));
    } else {
      for (int64_t j = 0; j < columns; ++j) std::memcpy(to + j, at(from, i, j), sizeof(float));
    }
  }
}

void gather(const Activations& from, int64_t samples, int64_t channels, float* to) {
  for (int64_t n = 0; n < samples; ++n)
    for (int64_t c = 0; c < channels; ++c) {
      // A plane is a matrix; its data pointer is not used for anything but its address.
      char* const corner = reinterpret_cast<char*>(from.data) +
                           (n * from.stride[0] + c * from.stride[1]) * static_cast<int64_t>(sizeof(float));
      const Strided plane{reinterpret_cast<float*>(corner), from.stride[2], from.stride[3], false};
      gather(plane, from.height, from.width, to, from.width);
      to += int64_t{from.height} * from.width;
    }
}

void scatter(const float* from, int64_t pitch, const Strided& to, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; ++i, from += pitch) {
    if (to.cs == 1) {
      std::memcpy(at(to, i, 0), from, static_cast<size_t>(columns) * sizeof(float));
    } else {
      for (int64_t j = 0; j < columns; ++j) std::memcpy(at(to, i, j), from + j, sizeof(float));
    }
  }
}

bool Staging::begin(Calls& calls, size_t bytes) {
  used_ = 0;
  if (bytes == 0) return calls.ok();
  current_ = 1 - current_;
  Slot& slot = slots_[current_];
  if (slot.busy && !calls("cudaEventSynchronize", [&] { return cudaEventSynchronize(slot.read); })) return false;
  slot.busy = false;
  if (!slot.read &&
      !calls("cudaEventCreateWithFlags", [&] { return cudaEventCreateWithFlags(&slot.read, cudaEventDisableTiming); }))
    return false;
  return bytes <= slot.bytes || grow(calls, slot, bytes);
}

bool Staging::grow(Calls& calls, Slot& slot, size_t bytes) {
  // Nothing reads it: begin has waited.
  if (slot.device) cudaFree(slot.device);
  if (slot.pinned) cudaFreeHost(slot.pinned);
  slot.device = slot.pinned = nullptr;
  slot.bytes = 0;
  void *device = nullptr, *pinned = nullptr;
  if (!calls("cudaMalloc", [&] { return cudaMalloc(&device, bytes); })) return false;
  slot.device = static_cast<char*>(device);
  if (!calls("cudaHostAlloc", [&] { return cudaHostAlloc(&pinned, bytes, cudaHostAllocDefault); })) return false;
  slot.pinned = static_cast<char*>(pinned);
  slot.bytes = bytes;
  return true;
}

Strided Staging::place(const Strided& matrix, int64_t rows, int64_t columns) {
  if (matrix.device) return matrix;
  const Slot& slot = slots_[current_];
  const int64_t pitch = staged_pitch(columns);
  gather(matrix, rows, columns, reinterpret_cast<float*>(slot.pinned + used_), pitch);
  const Strided staged{reinterpret_cast<float*>(slot.device + used_), pitch, 1, true};
  used_ += needed(matrix, rows, columns);
  return staged;
}

Activations Staging::place(const Activations& images, int64_t samples, int64_t channels) {
  if (images.device) return images;
  const Slot& slot = slots_[current_];
  gather(images, samples, channels, reinterpret_cast<float*>(slot.pinned + used_));
  Activations staged = images;
  staged.data = reinterpret_cast<float*>(slot.device + used_);
  staged.device = true;
  const int64_t plane = int64_t{images.height} * images.width;
  staged.stride[0] = channels * plane;
  staged.stride[1] = plane;
  staged.stride[2] = images.width;
  staged.stride[3] = 1;
  used_ += needed(images, samples, channels);
  return staged;
}

bool Staging::upload(Calls& calls, cudaStream_t stream) {
  if (used_ == 0) return calls.ok();
  const Slot& slot = slots_[current_];
  return calls("cudaMemcpyAsync",
               [&] { return cudaMemcpyAsync(slot.device, slot.pinned, used_, cudaMemcpyHostToDevice, stream); });
}

bool Staging::end(Calls& calls, cudaStream_t stream) {
  if (used_ == 0) return calls.ok();
  Slot& slot = slots_[current_];
  // Also where a kernel failed to launch: the copy may be under way.
  slot.busy = cudaEventRecord(slot.read, stream) == cudaSuccess;
  if (!slot.busy) cudaStreamSynchronize(stream);
  return calls.ok();
}

void Staging::destroy() {
  for (Slot& slot : slots_) {
    if (slot.device) cudaFree(slot.device);
    if (slot.pinned) cudaFreeHost(slot.pinned);
    if (slot.read) cudaEventDestroy(slot.read);
    slot = Slot();
  }
}

} // namespace lngd::cuda
