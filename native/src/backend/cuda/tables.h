// SPDX-License-Identifier: Apache-2.0
// Tables of a plan in device memory: those that are written once, and those that may change from step to step.
#ifndef LNGD_BACKEND_CUDA_TABLES_H
#define LNGD_BACKEND_CUDA_TABLES_H

#include <cstring>
#include <vector>

#include "backend/cuda/calls.h"

namespace lngd::cuda {

// Several arrays in one allocation, each at a multiple of 256 bytes: first all are announced, then the memory is made,
// then their addresses are known.
class Arena {
 public:
  // An array with these contents, or of zeros. Returns its place.
  template <class T>
  size_t table(const std::vector<T>& values) {
    const size_t at = zeros<T>(values.size());
    if (!values.empty()) std::memcpy(image_.data() + at, values.data(), values.size() * sizeof(T));
    return at;
  }
  template <class T>
  size_t zeros(size_t count) {
    const size_t at = space(count * sizeof(T));
    image_.resize(bytes_);
    return at;
  }
  // Uninitialised: after all the others.
  size_t space(size_t bytes) {
    const size_t at = bytes_;
    bytes_ += (bytes + 255) / 256 * 256;
    return at;
  }
  // Complete on return.
  bool create(Calls& calls, cudaStream_t stream);
  void destroy();
  template <class T>
  T* at(size_t place) const {
    return reinterpret_cast<T*>(memory_ + place);
  }
  int64_t bytes() const { return static_cast<int64_t>(bytes_); }

 private:
  std::vector<char> image_;
  char* memory_ = nullptr;
  size_t bytes_ = 0;
};

// A table that is rewritten in stream order without the host waiting: two pinned copies in turn. Nothing is sent where
// nothing has changed.
class ChangingTable {
 public:
  // Room on the device for `bytes`; what it held is lost where it has to grow. Waits for the stream then.
  bool reserve(Calls& calls, size_t bytes);
  // The contents, in order: of host memory that may go away.
  bool write(Calls& calls, const void* values, size_t bytes, cudaStream_t stream);
  void destroy();
  template <class T>
  T* at(size_t offset = 0) const {
    return reinterpret_cast<T*>(device_ + offset);
  }
  size_t bytes() const { return bytes_; }

 private:
  char* device_ = nullptr;
  char* pinned_[2] = {nullptr, nullptr};
  cudaEvent_t sent_[2] = {nullptr, nullptr};
  bool busy_[2] = {false, false};
  size_t bytes_ = 0, written_ = 0;
  int current_ = 0;
};

// A table of one captured step. The graph sends its bytes at each launch and its kernels read the memory, so it is made
// in the capture, never written again, and kept until the plan is destroyed: CUDA does not say when a graph is done
// with.
class CapturedTable {
 public:
  // Room on the device for `bytes`. In a capture, which forbids allocation to threads that do not ask for it.
  bool create(Calls& calls, size_t bytes);
  // Records the sending of the first `bytes`.
  bool send(Calls& calls, const void* values, size_t bytes, cudaStream_t stream) const;
  void destroy();
  template <class T>
  T* at(size_t offset = 0) const {
    return reinterpret_cast<T*>(device_ + offset);
  }
  size_t bytes() const { return bytes_; }

 private:
  char* device_ = nullptr;
  char* pinned_ = nullptr;
  size_t bytes_ = 0;
};

} // namespace lngd::cuda
#endif
