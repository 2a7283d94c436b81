// SPDX-License-Identifier: Apache-2.0
// What the CUDA backend holds for an optimizer: the device, two streams and their order, staging, workspaces.
//
//   caller's stream   precondition, layer_rate, apply_update: they read gradients and write weights
//   side stream       statistics, running averages, inverses: beside the caller's backward pass (config.overlap)
//
// The side stream waits for the caller's stream where it reads what is made there (device tensors of lngd_observe), and
// for the last step before it changes the inverses and records which that step reads. A step waits for all of the side
// stream, which also covers its reads of the caller's tensors. All of it is on the device; the host waits for host
// tensors only.
#ifndef LNGD_BACKEND_CUDA_CONTEXT_H
#define LNGD_BACKEND_CUDA_CONTEXT_H

#include "backend/cuda/borrowed_device.h"
#include "backend/cuda/staging.h"
#include "backend/cuda/statistics.h"

namespace lngd::cuda {

struct CudaContext : Context {
  Calls calls;
  int device = 0;
  void* device_context = nullptr; // its context (a CUcontext); nullptr before the first DeviceScope
  int32_t multiprocessors = 0;
  int32_t shared_bytes = 0; // that a block may ask for
  Precision direction_precision = Precision::TripleTf32;
  bool overlap = true;
  int32_t statistics_samples = 0;

  cudaStream_t own = nullptr;    // the caller's until he names one
  cudaStream_t caller = nullptr; // his, or `own`
  cudaStream_t beside = nullptr; // the side stream; nullptr without overlap

  Staging staging;           // of observed batches and samples in host memory
  void* workspace = nullptr; // of the statistics
  size_t workspace_bytes = 0;

  // The stream of statistics and inverses.
  cudaStream_t side() const { return overlap ? beside : caller; }

  // What is enqueued on the side stream from now on comes after all that the caller's stream holds now.
  void side_after_caller();
  // The same after the last step alone, so that it need not wait for the caller's forward and backward pass.
  void side_after_step();
  // And the caller's stream after all that the side stream holds. Nothing where that has not changed.
  void caller_after_side();
  void side_changed() { side_ahead_ = overlap; }
  void step_done();
  // A graph is about to be launched on the caller's stream: where it ends is not known yet.
  void step_unmarked() { step_unmarked_ = true; }

  bool create(const lngd_config& config);
  void destroy(); // whatever there is; never fails
  bool set_caller(cudaStream_t stream);
  bool synchronize();
  bool is_capturing(cudaStream_t stream);

  bool allocate(void** memory, size_t bytes); // not initialised
  bool reserve_workspace(size_t bytes);

 private:
  cudaEvent_t caller_event_ = nullptr, step_event_ = nullptr, side_event_ = nullptr;
  bool side_ahead_ = false, step_marked_ = false, step_unmarked_ = false;
};

// Channels of the input of a convolution, all groups together, or of an embedding.
inline int64_t conv_channels(const LayerShape& shape) {
  if (shape.embedding) return 1; // the indices
  return shape.inputs / (shape.conv.kernel[0] * shape.conv.kernel[1]) * shape.groups;
}

inline CudaContext& cuda(Context& context) { return static_cast<CudaContext&>(context); }
inline CudaContext& cuda(Context* context) { return *static_cast<CudaContext*>(context); }
inline const CudaContext& cuda(const Context* context) { return *static_cast<const CudaContext*>(context); }

// The context's device is the thread's current one for as long as this lives.
class DeviceScope : public BorrowedDevice {
 public:
  explicit DeviceScope(CudaContext& context) : BorrowedDevice(context.calls, context.device, context.device_context) {}
};

} // namespace lngd::cuda
#endif
