// SPDX-License-Identifier: Apache-2.0
// Does a device give right answers? First every wrapper of inline assembly alone (known_answers.cu), on numbers whose
// results are exact in every rounding mode, so that each bit is compared; then one small step of the kernels that train
// (known_step.cpp) against double precision. Together device_check.cpp makes of it what may be used.
#ifndef LNGD_BACKEND_CUDA_KNOWN_ANSWERS_H
#define LNGD_BACKEND_CUDA_KNOWN_ANSWERS_H

#include <cuda_runtime.h>

#include <cstdint>
#include <vector>

#include "backend/cuda/context.h"

namespace lngd::cuda {

// Where the words of each wrapper stand in the output of the kernel. The name is the wrapper's.
struct KnownAnswer {
  const char* name;
  int first, count;
};
constexpr KnownAnswer kKnownAnswers[] = {
    {"cp_async_16", 0, 128}, {"cp_async_4", 128, 32}, {"ldmatrix_x4", 160, 128}, {"ldmatrix_x4_trans", 288, 128},
    {"mma_tf32", 416, 128},  {"mma_bf16", 544, 128},  {"to_tf32", 672, 32},      {"pack_bf16", 704, 32},
};

std::vector<uint32_t> known_inputs();
std::vector<uint32_t> known_outputs(); // in the order of kKnownAnswers
// One warp; `in` and `out` are device memory, 16-byte aligned.
cudaError_t prepare_known_answers(); // once before
cudaError_t launch_known_answers(const uint32_t* in, uint32_t* out, cudaStream_t stream);

// A number of the small step that was compared.
struct StepNumber {
  const char* name; // of its array
  int64_t index;
  double got, expected, tolerance;
};
// Takes the step on a context that was made with known_step_config. The number that is farthest from right, by its
// tolerance; it means nothing where a call has failed (context.calls).
lngd_config known_step_config(int32_t device);
StepNumber take_known_step(CudaContext& context);

} // namespace lngd::cuda
#endif
