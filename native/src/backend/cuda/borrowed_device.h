// SPDX-License-Identifier: Apache-2.0
// The current device of a thread, borrowed for a call and given back as it was.
//
// What a thread shares with other users of CUDA is the driver's current context: each copy of the runtime (ours is
// linked in, the caller's is his own) keeps the device that cudaSetDevice chose to itself, and takes the current
// context first where there is one. So the context is what is restored, "none" included: the caller's next call then
// makes one on the device that he has chosen. Restoring by cudaSetDevice was rejected: since CUDA 12 it makes a
// context, hundreds of MB on GPU 0 for every process that works on another GPU.
#ifndef LNGD_BACKEND_CUDA_BORROWED_DEVICE_H
#define LNGD_BACKEND_CUDA_BORROWED_DEVICE_H

#include "backend/cuda/calls.h"

namespace lngd::cuda {

// The device's context is the thread's current one for as long as this lives. Also while a failure waits to be told:
// what is left to be done then is to free things.
class BorrowedDevice {
 public:
  // `context`: the runtime's context of the device, nullptr before it is known; then it is filled in.
  BorrowedDevice(Calls& calls, int device, void*& context);
  ~BorrowedDevice();
  BorrowedDevice(const BorrowedDevice&) = delete;
  BorrowedDevice& operator=(const BorrowedDevice&) = delete;

 private:
  bool restore_ = false;
  void* before_ = nullptr;
};

} // namespace lngd::cuda
#endif
