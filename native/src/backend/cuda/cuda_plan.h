// SPDX-License-Identifier: Apache-2.0
// A plan of the CUDA backend: where the tensors of its layers are on the device, and the task lists of its kernels.
#ifndef LNGD_BACKEND_CUDA_CUDA_PLAN_H
#define LNGD_BACKEND_CUDA_CUDA_PLAN_H

#include <memory>
#include <vector>

#include "backend/cuda/context.h"
#include "backend/cuda/embedding.h"
#include "backend/cuda/factor_inverse.h"
#include "backend/cuda/gradient_scale.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/layer_rate.h"
#include "backend/cuda/orthogonal.h"
#include "backend/cuda/parameter.h"
#include "backend/cuda/running_average.h"
#include "backend/cuda/second_factor.h"
#include "backend/cuda/tables.h"

namespace lngd::cuda {

// The tensors of a plan that lie in host memory have compact copies in one pinned and one device buffer of the same
// layout: gradients, then weights, so that each travels in one copy.
class Mirrors {
 public:
  enum Part { kGradients, kWeights };

  // Announces a host tensor; a device tensor is left alone.
  void add(Part part, const Strided& tensor, int64_t rows, int64_t columns);
  bool create(Calls& calls);
  void destroy();
  // The next device tensor in the order of add: the mirror, or the tensor itself.
  Strided next(Part part, const Strided& tensor);
  // The host tensors lie elsewhere now: all of them, in the order of add, after restart.
  void restart() { next_[0] = next_[1] = 0; }
  void move(Part part, const Strided& tensor);

  bool has(Part part) const { return !parts_[part].empty(); }
  bool any() const { return has(kGradients) || has(kWeights); }
  // Host to device in stream order. The host may go on at once, but not upload again before `download` or a
  // synchronisation.
  bool upload(Calls& calls, Part part, cudaStream_t stream);
  // Device to host; complete on return.
  bool download(Calls& calls, Part part, cudaStream_t stream);
  int64_t bytes() const { return static_cast<int64_t>(floats_[0] + floats_[1]) * 4; }

 private:
  struct Tensor {
    Strided host;
    int64_t rows, columns;
    int64_t offset; // floats, in its part
  };
  float* pinned(Part part) const { return pinned_ + (part == kWeights ? floats_[0] : 0); }
  float* device(Part part) const { return device_ + (part == kWeights ? floats_[0] : 0); }

  std::vector<Tensor> parts_[2];
  int64_t floats_[2] = {0, 0};
  size_t next_[2] = {0, 0};
  float* pinned_ = nullptr;
  float* device_ = nullptr;
};

struct CudaPlan : Plan {
  int32_t layers = 0;
  Mirrors mirrors;
  bool wrote_weights = false, wrote_gradients = false; // since begin_step

  // Written once.
  Arena arena;
  DeviceLayer* device_layers = nullptr;    // plan_rebind changes its addresses
  const UpdateTask* updates = nullptr;     // of layers, then of parameters
  ParameterSums* parameter_sums = nullptr; // one for each of the latter
  double* gradient_squares = nullptr;      // one for each of `updates`, where gradients are clipped
  double* gradient_norm = nullptr;         // likewise, of the last step
  const DirectionTile* tiles = nullptr;    // products with Phi_inv; with a second factor; of a diagonal Phi
  DirectionSums* sums = nullptr;           // one for each
  SecondTables seconds{};
  OrthogonalPlan orthogonal; // empty without orthogonalise
  Arena orthogonal_work, orthogonal_tables;
  const DampedLayer* damped = nullptr; // where damped_by_layer
  const DiagonalTask* diagonals = nullptr;
  double* lambdas = nullptr; // likewise, one for each result
  const AverageLayer* average_layers = nullptr;
  const AverageTask* averages = nullptr;
  const FactorLayer* factor_layers = nullptr;
  FactorTables factors{};
  FactorResult* results = nullptr;
  StepSettings* settings = nullptr; // [0] of the step, on the caller's stream; [1] of the averages, on the side stream
  int32_t update_count = 0, parameter_task_count = 0, tile_count = 0, output_tile_count = 0, diagonal_tile_count = 0,
          average_count = 0;
  int32_t damped_count = 0, diagonal_count = 0;
  std::unique_ptr<FactorPlan> factor_plan;

  // Changing: which layers are due, on the side stream; the rates' table, on the caller's.
  ChangingTable average_due, inverse_due;
  std::vector<int32_t> flags;              // of a due list, while it is made
  std::vector<RateLayer> rate_layers;      // as the device has it, but for what changes with the samples
  std::vector<ProjectionTask> projections; // of dense layers, of convolutions, of embeddings
  int32_t dense_projections = 0, conv_projections = 0;
  std::vector<char> rate_image;              // layers, then projections
  ChangingTable rates;                       // and behind them room for the partial sums
  std::vector<CapturedTable> captured_rates; // the same, one for each captured step with the rate EMPIRICAL
  int64_t partials = 0;                      // of the present projections
};

inline CudaPlan& cuda(Plan* plan) { return *static_cast<CudaPlan*>(plan); }

// store_settings.cu: a kernel's arguments are copied when it is launched, so the host's struct can change at once, and
// there is no pinned memory to be waited for.
cudaError_t prepare_store_settings(); // once before the first
cudaError_t launch_store_settings(const StepSettings& settings, StepSettings* to, cudaStream_t stream);

// store_addresses.cu: the addresses of the caller's device tensors in some layers of a plan, in stream order; nullptr
// leaves one as it is. By value through a launch, as the settings.
struct LayerAddresses {
  float *weights, *bias, *weight_gradients, *bias_gradients;
};
constexpr int32_t kAddressesPerLaunch = 32; // 1 KiB of the 4 KiB that arguments may have
struct AddressTable {
  LayerAddresses layers[kAddressesPerLaunch];
};
cudaError_t prepare_store_addresses(); // once before the first
cudaError_t launch_store_addresses(const AddressTable& addresses, int32_t count, DeviceLayer* to, cudaStream_t stream);

Plan* plan_create(Context*, StepLayer* layers, int32_t count, const lngd_config& config);
void plan_destroy(Context*, Plan* plan);
void plan_rebind(Context&, Plan* plan, const StepLayer* layers, int32_t count);
int64_t plan_bytes(const Plan* plan);

// The table of the rates for the samples of this step: host samples are staged. False where a call failed.
bool prepare_rates(CudaContext& context, CudaPlan& plan, const StepArgs& args);
// Where its projections begin, in bytes.
size_t rate_projections_offset(const CudaPlan& plan);

} // namespace lngd::cuda
#endif
