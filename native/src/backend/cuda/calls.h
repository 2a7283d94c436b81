// SPDX-License-Identifier: Apache-2.0
// Every call of the CUDA runtime goes through here: it is not made while a failure waits to be told, what it returns is
// looked at, and the first failure is kept with the name of the call. Asynchronous failures of kernels come with
// whichever call is next; CUDA does not say whose they are.
#ifndef LNGD_BACKEND_CUDA_CALLS_H
#define LNGD_BACKEND_CUDA_CALLS_H

#include <cuda_runtime.h>

#include "backend/backend.h"

namespace lngd::cuda {

// Whether the CUDA context can do nothing more after this error.
bool is_fatal(cudaError_t error);
Failure describe_failure(const char* call, cudaError_t error);

class Calls {
 public:
  Calls();

  bool ok() const { return failure_.status == LNGD_OK; }
  bool lost() const { return failure_.status == LNGD_DEVICE_LOST; }
  Failure take() {
    const Failure taken = failure_;
    if (!lost()) failure_ = Failure();
    return taken;
  }
  void fail(const Failure& failure) {
    if (ok()) failure_ = failure;
  }

  void ignore_planted_faults() { fault_ = Fault(); } // of $LNGD_CUDA_FAULT

  // `name`: the function, or "launch" and the kernel. Returns whether it was made and succeeded.
  template <class Call>
  bool operator()(const char* name, Call call) {
    if (!ok()) return false;
    cudaError_t error = fault_.name[0] ? injected(name) : cudaSuccess;
    if (error == cudaSuccess) error = call();
    return error == cudaSuccess || note(name, error);
  }

 private:
  // $LNGD_CUDA_FAULT="name:n:error", read when a context is made: the n-th call of that name (or "*": of any) fails
  // with that CUDA error number. For tests of what lies above; costs a comparison a call.
  struct Fault {
    char name[64] = "";
    int nth = 0, seen = 0, error = 0;
  };

  cudaError_t injected(const char* name);
  bool note(const char* name, cudaError_t error); // returns false

  Failure failure_;
  Fault fault_;
};

} // namespace lngd::cuda
#endif
