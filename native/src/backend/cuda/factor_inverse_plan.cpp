// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/factor_inverse_plan.h"

#include <algorithm>
#include <utility>

#include "backend/cuda/factor_rounds.h"

namespace lngd::cuda {
namespace {

int32_t panels_of(int32_t size) { return (size + kPanel - 1) / kPanel; }

void append_tasks(const BlockLayout& blocks, const float* average, float* inverse, const LayerRecord* record,
                  int32_t layer, bool second, bool triangle, std::vector<FactorTask>& tasks) {
  for (int64_t k = 0; k < blocks.count(); ++k) {
    FactorTask task{};
    task.phi = average + blocks.offset(k);
    task.inverse = inverse + blocks.offset(k);
    task.record = record;
    task.ld = blocks.ld(k);
    task.size = static_cast<int32_t>(blocks.size(k));
    task.layer = layer;
    task.second = second;
    task.triangle = triangle;
    tasks.push_back(task);
  }
}

} // namespace

FactorLayer add_factor_layer(const LayerShape& shape, const LayerMemory& memory, int32_t layer,
                             std::vector<FactorTask>& tasks, bool triangles) {
  FactorLayer result{};
  result.record = memory.record;
  result.psi = memory.psi;
  result.psi_inverse = memory.psi_inverse;
  result.lambda_phi = memory.lambda_phi;
  result.outputs = static_cast<int32_t>(shape.outputs);
  result.first_result = static_cast<int32_t>(tasks.size());
  result.blocks = static_cast<int32_t>(shape.blocks.count());
  result.layer = layer;
  result.identity = shape.approximation == LNGD_APPROXIMATION_NGPLUS;
  append_tasks(shape.blocks, memory.phi, memory.phi_inverse, memory.record, layer, false, triangles, tasks);
  add_second_factor(shape, memory, tasks, triangles, result);
  return result;
}

void add_second_factor(const LayerShape& shape, const LayerMemory& memory, std::vector<FactorTask>& tasks,
                       bool triangles, FactorLayer& to) {
  if (!shape.second_matrix()) return;
  to.lambda_second = memory.lambda_second;
  to.first_second = static_cast<int32_t>(tasks.size());
  to.second_blocks = static_cast<int32_t>(shape.second.count());
  append_tasks(shape.second, memory.second, memory.second_inverse, memory.record, to.layer, true, triangles, tasks);
}

int64_t factor_work_floats(int32_t size) {
  const int64_t panels = panels_of(size);
  return padded(kFactorHeader + panels) + (panels * (panels + 1) / 2 + panels) * kPanel * kPanel;
}

FactorPlan::FactorPlan(std::vector<FactorTask> tasks, int64_t workspace) : tasks_(std::move(tasks)) {
  int32_t result = 0;
  for (FactorTask& task : tasks_) {
    task.result = result++;
    task.panels = panels_of(task.size);
    task.work = 0;
  }
  // The long ones first, so that they are not what a launch waits for. Stable: the same plan for the same tasks.
  std::stable_sort(tasks_.begin(), tasks_.end(),
                   [](const FactorTask& a, const FactorTask& b) { return a.size > b.size; });
  const auto range = [this](int32_t above, int32_t largest) {
    FactorRange r;
    for (const FactorTask& task : tasks_) {
      r.first += task.size > largest;
      r.count += task.size > above && task.size <= largest;
    }
    return r;
  };
  warps_ = range(0, kWarpFactor);
  pairs_ = range(kWarpFactor, kPairFactor);
  blocks_ = range(kPairFactor, kBlockFactor);
  int64_t floats = 0;
  FactorRange wave;
  for (; wave.first + wave.count < blocks_.first; ++wave.count) {
    FactorTask& task = tasks_[static_cast<size_t>(wave.first + wave.count)];
    const int64_t needed = factor_work_floats(task.size);
    if (wave.count > 0 && 4 * (floats + needed) > workspace) {
      add_wave(wave);
      wave = {wave.first + wave.count, 0};
      floats = 0;
    }
    task.work = floats;
    floats += needed;
    workspace_floats_ = std::max(workspace_floats_, floats);
  }
  if (wave.count > 0) add_wave(wave);
}

template <class Count>
FactorLaunch FactorPlan::add_launch(FactorRange range, int32_t step, Count count) {
  FactorLaunch launch;
  launch.starts = static_cast<int32_t>(starts_.size());
  starts_.push_back(0);
  for (int32_t m = 0; m < range.count; ++m) {
    const int32_t panels = tasks_[static_cast<size_t>(range.first + m)].panels;
    if (panels <= step) break; // and so are all behind it
    launch.blocks += count(panels);
    ++launch.matrices;
    starts_.push_back(launch.blocks);
  }
  return launch;
}

void FactorPlan::add_wave(FactorRange range) {
  FactorWave wave;
  wave.range = range;
  const int32_t panels = tasks_[static_cast<size_t>(range.first)].panels; // of the largest
  for (int32_t k = 0; k < panels; ++k) {
    wave.solve.push_back(add_launch(range, k, factor_solve_tasks));
    if (k + 1 < panels)
      wave.update.push_back(add_launch(range, k + 1, [k](int32_t p) { return factor_update_tasks(p, k); }));
  }
  wave.product = add_launch(range, 0, factor_product_tasks);
  waves_.push_back(std::move(wave));
}

int32_t FactorPlan::launches() const {
  size_t count = (warps_.count > 0 ? 1u : 0u) + (pairs_.count > 0 ? 1u : 0u) + (blocks_.count > 0 ? 1u : 0u);
  for (const FactorWave& wave : waves_) count += wave.solve.size() + wave.update.size() + 3;
  return static_cast<int32_t>(count);
}

} // namespace lngd::cuda
