// SPDX-License-Identifier: Apache-2.0
// What factor_inverse does with a set of matrices, decided once and on the host: which size class each belongs to, how
// many launches there are, and what every block of them finds its work by. Nothing here needs a device.
#ifndef LNGD_BACKEND_CUDA_FACTOR_INVERSE_PLAN_H
#define LNGD_BACKEND_CUDA_FACTOR_INVERSE_PLAN_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "backend/backend.h"

namespace lngd::cuda {

// One diagonal block of a factor. Device pointers, 16-byte aligned.
struct FactorTask {
  const float* phi; // running average, lower triangle, row-major
  float* inverse;   // full square; the lower triangle L^-1 where `triangle`, and nothing above it is written
  float* factor;    // for tests: gets L (its lower triangle); nullptr in production
  const LayerRecord* record;
  int64_t ld; // of all three, a multiple of 4
  int32_t size;
  int32_t layer;  // of the `due` flags
  int32_t result; // index of its FactorResult
  int32_t panels; // rows of panels (large ones only)
  bool second;    // of the second factor, and not of Phi
  bool triangle;  // L^-1 is wanted and not the inverse (orthogonalise)
  int64_t work;   // where its part of the workspace begins, in floats (large ones only)
};

// A layer whose blocks of Phi have results [first_result, first_result + blocks), and those of a second factor that is
// a matrix [first_second, first_second + second_blocks): right behind them, unless Phi is diagonal.
struct FactorLayer {
  LayerRecord* record;
  const float* psi;   // running average: outputs; nullptr where the second factor is a matrix
  float* psi_inverse; // outputs
  double* lambda_phi; // blocks; 0 until a block has an inverse
  int32_t outputs, first_result, blocks;
  int32_t layer; // of the `due` flags
  double* lambda_second = nullptr;
  int32_t first_second = 0, second_blocks = 0;
  bool identity = false; // NGPLUS, which has the identity in place of psi: psi_inverse becomes 1
};

// Appends a layer's blocks to `tasks`, of Phi, then of the second factor, and returns the layer for
// launch_factor_records. `triangles`: FactorTask::triangle of all.
FactorLayer add_factor_layer(const LayerShape& shape, const LayerMemory& memory, int32_t layer,
                             std::vector<FactorTask>& tasks, bool triangles = false);
// The part of it that a second factor has, if the layer has one that is a matrix.
void add_second_factor(const LayerShape& shape, const LayerMemory& memory, std::vector<FactorTask>& tasks,
                       bool triangles, FactorLayer& to);

// Size classes. Up to kWarpFactor rows: a warp a matrix; up to kPairFactor: two warps; up to kBlockFactor: eight;
// above: many blocks of threads a matrix, in panels of kPanel columns.
constexpr int32_t kWarpFactor = 32;
constexpr int32_t kPairFactor = 64;
constexpr int32_t kBlockFactor = 128;
constexpr int32_t kPanel = 128;
// Floats before the flags in the workspace of a large matrix.
constexpr int32_t kFactorHeader = 10;

// Tasks [first, first + count) of the plan.
struct FactorRange {
  int32_t first = 0, count = 0;
};

// A launch over the first `matrices` large ones of a wave: task t of it is task t - starts[m] of matrix m, where
// starts[m] <= t < starts[m + 1]. `starts` begins at that place of the plan's table.
struct FactorLaunch {
  int32_t starts = 0, matrices = 0, blocks = 0;
};

// Large matrices whose workspaces exist at the same time. Step k has solve[k], and update[k] where there is another
// panel behind it.
struct FactorWave {
  FactorRange range;
  std::vector<FactorLaunch> solve, update;
  FactorLaunch product;
};

// Floats that a large matrix needs: flags, the lower tiles of kPanel x kPanel, and a column of them.
int64_t factor_work_floats(int32_t size);
class FactorPlan {
 public:
  // `tasks` in the order of their results: `result`, `panels` and `work` are filled in. A wave takes as many large
  // matrices as fit `workspace` bytes, but at least one.
  explicit FactorPlan(std::vector<FactorTask> tasks, int64_t workspace = int64_t{256} << 20);

  const std::vector<FactorTask>& tasks() const { return tasks_; }   // by class, the largest of a class first
  const std::vector<int32_t>& starts() const { return starts_; }    // to be copied to the device, like the tasks
  const std::vector<FactorWave>& waves() const { return waves_; }   // run one after another
  int64_t workspace_bytes() const { return workspace_floats_ * 4; } // 0 without large ones
  FactorRange warps() const { return warps_; }
  FactorRange pairs() const { return pairs_; }
  FactorRange blocks() const { return blocks_; }
  int32_t largest_block() const { return blocks_.count == 0 ? 0 : tasks_[static_cast<size_t>(blocks_.first)].size; }
  int32_t launches() const; // of a call, whatever is due

 private:
  void add_wave(FactorRange range);
  template <class Count>
  FactorLaunch add_launch(FactorRange range, int32_t step, Count count);

  std::vector<FactorTask> tasks_;
  std::vector<int32_t> starts_;
  std::vector<FactorWave> waves_;
  FactorRange warps_, pairs_, blocks_;
  int64_t workspace_floats_ = 0;
};

} // namespace lngd::cuda
#endif
