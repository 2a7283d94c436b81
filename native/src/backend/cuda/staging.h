// SPDX-License-Identifier: Apache-2.0
// The way of host tensors to the device: gathered (whatever their strides) into pinned memory, copied from there
// without the host waiting, read by kernels in device memory. Two slots in turn, so that the host fills one while the
// device reads the other. A pageable copy straight from the caller's memory was rejected: it waits for the stream, and
// knows no strides.
#ifndef LNGD_BACKEND_CUDA_STAGING_H
#define LNGD_BACKEND_CUDA_STAGING_H

#include "backend/cuda/calls.h"

namespace lngd::cuda {

// Rows of staged matrices begin at multiples of 16 bytes: kernels then copy by quads.
inline int64_t staged_pitch(int64_t columns) { return (columns + 3) / 4 * 4; }

// Between the caller's matrix in host memory (any strides, any alignment) and rows of `pitch` floats. Bit for bit.
void gather(const Strided& from, int64_t rows, int64_t columns, float* to, int64_t pitch);
// The caller's images into compact samples x channels x height x width.
void gather(const Activations& from, int64_t samples, int64_t channels, float* to);
void scatter(const float* from, int64_t pitch, const Strided& to, int64_t rows, int64_t columns);

class Staging {
 public:
  // Begins a batch of at most `bytes`; waits until the slot's last batch has been read. May allocate, until the batches
  // stop growing.
  bool begin(Calls& calls, size_t bytes);
  // Takes the next part of the batch: a host matrix is gathered and its device copy returned; a device matrix is
  // returned as it is.
  Strided place(const Strided& matrix, int64_t rows, int64_t columns);
  Activations place(const Activations& images, int64_t samples, int64_t channels);
  // Enqueues the copy of what was placed. Kernels may follow on `stream`; after the last of them: end.
  bool upload(Calls& calls, cudaStream_t stream);
  bool end(Calls& calls, cudaStream_t stream);
  void destroy();
  int64_t bytes() const { return static_cast<int64_t>(slots_[0].bytes + slots_[1].bytes); } // on the device

  // What place will take.
  static size_t needed(const Strided& matrix, int64_t rows, int64_t columns) {
    return matrix.device ? 0 : static_cast<size_t>(rows * staged_pitch(columns)) * sizeof(float);
  }
  static size_t needed(const Activations& images, int64_t samples, int64_t channels) {
    const int64_t floats = samples * channels * images.height * images.width;
    return images.device ? 0 : static_cast<size_t>(staged_pitch(floats)) * sizeof(float);
  }

 private:
  struct Slot {
    char* pinned = nullptr;
    char* device = nullptr;
    size_t bytes = 0;
    cudaEvent_t read = nullptr;
    bool busy = false; // `read` has been recorded
  };
  bool grow(Calls& calls, Slot& slot, size_t bytes);

  Slot slots_[2];
  int current_ = 0;
  size_t used_ = 0;
};

} // namespace lngd::cuda
#endif
