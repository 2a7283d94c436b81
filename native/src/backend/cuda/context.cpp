// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/context.h"

#include <cstdio>

#include "backend/cuda/cuda_plan.h"
#include "backend/cuda/diagonal_inputs.h"
#include "backend/cuda/embedding.h"
#include "backend/cuda/known_answers.h"
#include "backend/cuda/orthogonal.h"
#include "backend/cuda/parameter.h"
#include "backend/cuda/second_factor.h"

namespace lngd::cuda {
bool CudaContext::create(const lngd_config& config) {
  direction_precision = precision_of(config.direction_precision);
  overlap = config.overlap != 0;
  statistics_samples = config.statistics_samples;
  const auto attribute = [this](int& value, cudaDeviceAttr which) {
    calls("cudaDeviceGetAttribute", [&] { return cudaDeviceGetAttribute(&value, which, device); });
  };
  attribute(multiprocessors, cudaDevAttrMultiProcessorCount);
  attribute(shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin);
  // `own` keeps CUDA's order with the default stream: a caller who never heard of streams works there. The side stream
  // gives that up, or the caller's kernels on the default stream would wait for the inverses.
  calls("cudaStreamCreateWithFlags", [&] { return cudaStreamCreateWithFlags(&own, cudaStreamDefault); });
  caller = own;
  if (overlap)
    calls("cudaStreamCreateWithFlags", [&] { return cudaStreamCreateWithFlags(&beside, cudaStreamNonBlocking); });
  for (cudaEvent_t* event : {&caller_event_, &step_event_, &side_event_})
    calls("cudaEventCreateWithFlags", [&] { return cudaEventCreateWithFlags(event, cudaEventDisableTiming); });
  // Every kernel that there is: the first step may be one that is captured.
  calls("prepare layer_statistics", [this] { return prepare_layer_statistics(shared_bytes); });
  calls("prepare conv_statistics", [this] { return prepare_conv_statistics(shared_bytes); });
  calls("prepare sum_counts", [] { return prepare_sum_counts(); });
  calls("prepare running_average", [] { return prepare_running_average(); });
  calls("prepare factor_inverse", [] { return prepare_factor_inverse(); });
  calls("prepare precondition", [] { return prepare_precondition(); });
  calls("prepare paired_statistics", [] { return prepare_paired_statistics(); });
  calls("prepare layer_damping", [] { return prepare_layer_damping(); });
  calls("prepare dense_precondition", [] { return prepare_dense_precondition(); });
  calls("prepare orthogonal", [] { return prepare_orthogonal(); });
  calls("prepare embedding_statistics", [] { return prepare_embedding_statistics(); });
  calls("prepare diagonal_inverse", [] { return prepare_diagonal_inverse(); });
  calls("prepare diagonal_precondition", [] { return prepare_diagonal_precondition(); });
  calls("prepare diagonal_inputs", [] { return prepare_diagonal_inputs(); });
  calls("prepare embedding_rate", [] { return prepare_embedding_rate(); });
  calls("prepare gradient_scale", [] { return prepare_gradient_scale(); });
  calls("prepare parameter_sums", [] { return prepare_parameter_sums(); });
  calls("prepare layer_rate", [] { return prepare_layer_rate(); });
  calls("prepare apply_update", [] { return prepare_apply_update(); });
  calls("prepare known_answers", [] { return prepare_known_answers(); });
  calls("prepare store_settings", [] { return prepare_store_settings(); });
  calls("prepare store_addresses", [] { return prepare_store_addresses(); });
  return calls.ok();
}

void CudaContext::destroy() {
  // Unchecked: on a lost device they all fail, and CUDA has taken everything with it.
  if (own) cudaStreamSynchronize(caller);
  if (beside) cudaStreamSynchronize(beside);
  staging.destroy();
  if (workspace) cudaFree(workspace);
  for (const cudaEvent_t event : {caller_event_, step_event_, side_event_})
    if (event) cudaEventDestroy(event);
  if (beside) cudaStreamDestroy(beside);
  if (own) cudaStreamDestroy(own);
  cudaGetLastError();
}

void CudaContext::side_after_caller() {
  if (!overlap) return;
  calls("cudaEventRecord", [&] { return cudaEventRecord(caller_event_, caller); });
  calls("cudaStreamWaitEvent", [&] { return cudaStreamWaitEvent(beside, caller_event_, 0); });
  if (calls.ok()) step_unmarked_ = step_marked_ = false; // the last step is part of it
}

void CudaContext::side_after_step() {
  if (!overlap) return;
  if (step_unmarked_) return side_after_caller();
  if (!step_marked_) return;
  if (calls("cudaStreamWaitEvent", [&] { return cudaStreamWaitEvent(beside, step_event_, 0); })) step_marked_ = false;
}

void CudaContext::caller_after_side() {
  if (!side_ahead_) return;
  calls("cudaEventRecord", [&] { return cudaEventRecord(side_event_, beside); });
  if (calls("cudaStreamWaitEvent", [&] { return cudaStreamWaitEvent(caller, side_event_, 0); })) side_ahead_ = false;
}

void CudaContext::step_done() {
  if (!overlap) return;
  step_marked_ = calls("cudaEventRecord", [&] { return cudaEventRecord(step_event_, caller); });
  step_unmarked_ = !step_marked_;
}

bool CudaContext::is_capturing(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  calls("cudaStreamIsCapturing", [&] { return cudaStreamIsCapturing(stream, &status); });
  return status != cudaStreamCaptureStatusNone;
}

bool CudaContext::set_caller(cudaStream_t stream) {
  if (stream == caller) return calls.ok();
  if (is_capturing(stream)) {
    Failure failure;
    failure.status = LNGD_INVALID_STATE;
    std::snprintf(failure.message, sizeof failure.message, "stream is being captured, allowed is one that is not");
    calls.fail(failure);
  }
  calls("cudaEventRecord", [&] { return cudaEventRecord(caller_event_, caller); });
  if (calls("cudaStreamWaitEvent", [&] { return cudaStreamWaitEvent(stream, caller_event_, 0); })) caller = stream;
  return calls.ok();
}

bool CudaContext::synchronize() {
  calls("cudaStreamSynchronize", [&] { return cudaStreamSynchronize(caller); });
  if (overlap) calls("cudaStreamSynchronize", [&] { return cudaStreamSynchronize(beside); });
  return calls.ok();
}

bool CudaContext::allocate(void** memory, size_t bytes) {
  return calls("cudaMalloc", [&] { return cudaMalloc(memory, bytes); });
}

bool CudaContext::reserve_workspace(size_t bytes) {
  if (bytes <= workspace_bytes) return calls.ok();
  void* larger = nullptr;
  if (!allocate(&larger, bytes)) return false;
  // cudaFree waits for the kernels that still use the old one.
  if (workspace && !calls("cudaFree", [&] { return cudaFree(workspace); })) {
    cudaFree(larger);
    return false;
  }
  workspace = larger;
  workspace_bytes = bytes;
  return true;
}

} // namespace lngd::cuda
