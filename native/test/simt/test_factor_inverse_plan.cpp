// SPDX-License-Identifier: Apache-2.0
// The plan of factor_inverse: pure arithmetic on the host.
#include <numeric>
#include <set>

#include "backend/cuda/factor_inverse_plan.h"
#include "backend/cuda/factor_rounds.h"
#include "harness.hpp"

namespace {

using namespace lngd::cuda;

std::vector<FactorTask> tasks_of(const std::vector<int32_t>& sizes) {
  std::vector<FactorTask> tasks;
  for (const int32_t n : sizes) {
    FactorTask task{};
    task.size = n;
    task.layer = static_cast<int32_t>(tasks.size()) / 2;
    tasks.push_back(task);
  }
  return tasks;
}

} // namespace

// Blocks of a layer in two groups, as the layout has them.
TEST(factor_plan_layers) {
  std::vector<float> phi(100000), inverse(phi.size()), psi(8), psi_inverse(8);
  std::vector<double> lambda(6);
  lngd::LayerRecord record{};
  lngd::LayerShape shape{};
  shape.outputs = 8;
  shape.blocks = lngd::BlockLayout(150, 64, 2);
  lngd::LayerMemory memory{};
  memory.phi = phi.data();
  memory.phi_inverse = inverse.data();
  memory.psi = psi.data();
  memory.psi_inverse = psi_inverse.data();
  memory.lambda_phi = lambda.data();
  memory.record = &record;
  std::vector<FactorTask> tasks(2);
  const FactorLayer layer = add_factor_layer(shape, memory, 3, tasks);
  CHECK_EQ(layer.first_result, 2);
  CHECK_EQ(layer.blocks, 6);
  CHECK_EQ(layer.outputs, 8);
  CHECK_EQ(layer.layer, 3);
  CHECK(layer.psi == psi.data() && layer.psi_inverse == psi_inverse.data() && layer.lambda_phi == lambda.data());
  REQUIRE(tasks.size() == 8);
  const int32_t sizes[] = {64, 64, 22, 64, 64, 22};
  for (int64_t k = 0; k < 6; ++k) {
    const FactorTask& task = tasks[static_cast<size_t>(2 + k)];
    CHECK_EQ(task.size, sizes[k]);
    CHECK_EQ(task.ld, k % 3 == 2 ? 32 : 64);
    CHECK_EQ(task.phi - phi.data(), shape.blocks.offset(k));
    CHECK_EQ(task.inverse - inverse.data(), shape.blocks.offset(k));
    CHECK_EQ(task.layer, 3);
    CHECK(task.factor == nullptr && task.record == &record && !task.second);
  }
  CHECK(!layer.identity && layer.second_blocks == 0);
  shape.approximation = LNGD_APPROXIMATION_NGPLUS;
  CHECK(add_factor_layer(shape, memory, 3, tasks).identity);
}

// Blocks of B come behind those of Phi.
TEST(factor_plan_second_factor) {
  std::vector<float> phi(100000), inverse(phi.size()), second(phi.size()), second_inverse(phi.size());
  std::vector<double> lambda(6), lambda_second(4);
  lngd::LayerShape shape{};
  shape.outputs = 80;
  shape.blocks = lngd::BlockLayout(150, 64, 2);
  shape.approximation = LNGD_APPROXIMATION_KFAC;
  shape.second = lngd::BlockLayout(40, 32, 2);
  lngd::LayerMemory memory{};
  memory.phi = phi.data();
  memory.phi_inverse = inverse.data();
  memory.second = second.data();
  memory.second_inverse = second_inverse.data();
  memory.lambda_phi = lambda.data();
  memory.lambda_second = lambda_second.data();
  std::vector<FactorTask> tasks;
  const FactorLayer layer = add_factor_layer(shape, memory, 3, tasks);
  CHECK(layer.lambda_second == lambda_second.data() && !layer.identity);
  CHECK_EQ(layer.second_blocks, 4);
  REQUIRE(tasks.size() == 10);
  const int32_t sizes[] = {32, 8, 32, 8};
  for (int64_t k = 0; k < 4; ++k) {
    const FactorTask& task = tasks[static_cast<size_t>(6 + k)];
    CHECK(task.second);
    CHECK_EQ(task.size, sizes[k]);
    CHECK_EQ(task.ld, k % 2 == 1 ? 16 : 32);
    CHECK_EQ(task.phi - second.data(), shape.second.offset(k));
    CHECK_EQ(task.inverse - second_inverse.data(), shape.second.offset(k));
  }
}

// Every task is in exactly one class, the class of its size, the large ones of a class first; results keep their order.
TEST(factor_plan_classes) {
  const std::vector<int32_t> sizes = {128, 1, 129, 64, 32, 65, 4608, 33, 127, 300, 32, 128};
  const FactorPlan plan(tasks_of(sizes));
  REQUIRE(plan.tasks().size() == sizes.size());
  std::set<int32_t> results;
  for (const FactorTask& task : plan.tasks()) {
    results.insert(task.result);
    CHECK_EQ(task.size, sizes[static_cast<size_t>(task.result)]);
    CHECK_EQ(task.layer, task.result / 2);
  }
  CHECK_EQ(results.size(), sizes.size());
  const auto covers = [&](FactorRange range, int32_t above, int32_t largest, int32_t count) {
    CHECK_EQ(range.count, count);
    int32_t previous = largest;
    for (int32_t t = range.first; t < range.first + range.count; ++t) {
      const int32_t n = plan.tasks()[static_cast<size_t>(t)].size;
      CHECK_GT(n, above);
      CHECK_LE(n, previous);
      previous = n;
    }
  };
  covers(plan.warps(), 0, kWarpFactor, 3);
  covers(plan.pairs(), kWarpFactor, kPairFactor, 2);
  covers(plan.blocks(), kPairFactor, kBlockFactor, 4);
  CHECK_EQ(plan.largest_block(), 128);
  REQUIRE(plan.waves().size() == 1);
  covers(plan.waves()[0].range, kBlockFactor, 4608, 3);
  // 36 panels: begin, 36 solves, 35 updates, product, finish; and a launch for each class.
  CHECK_EQ(plan.launches(), 1 + 36 + 35 + 1 + 1 + 3);
}

// Workspaces of a wave lie apart and fit; what does not fit goes into a wave of its own.
TEST(factor_plan_waves) {
  const std::vector<int32_t> sizes = {200, 1000, 300, 129, 2000, 600};
  const int64_t budget = 4 * (factor_work_floats(1000) + factor_work_floats(600));
  const FactorPlan plan(tasks_of(sizes), budget);
  CHECK_EQ(plan.workspace_bytes(), 4 * factor_work_floats(2000)); // it alone exceeds the budget
  REQUIRE(plan.waves().size() > 1);
  CHECK_EQ(plan.waves()[0].range.count, 1);
  int32_t seen = 0;
  for (const FactorWave& wave : plan.waves()) {
    int64_t end = 0;
    CHECK_EQ(wave.range.first, seen);
    for (int32_t t = 0; t < wave.range.count; ++t, ++seen) {
      const FactorTask& task = plan.tasks()[static_cast<size_t>(seen)];
      CHECK_EQ(task.work, end);
      CHECK_EQ(task.work % 16, 0);
      end = task.work + factor_work_floats(task.size);
    }
    CHECK_LE(4 * end, wave.range.count == 1 ? plan.workspace_bytes() : budget);
  }
  CHECK_EQ(seen, 6);
  CHECK_EQ(FactorPlan(tasks_of({5, 128})).workspace_bytes(), 0);
  CHECK_EQ(FactorPlan({}).launches(), 0);
}

// Task counts against a count of the pieces one by one.
TEST(factor_plan_launches) {
  for (int32_t panels = 2; panels <= 9; ++panels)
    for (int32_t k = 0; k < panels; ++k) {
      int32_t solve = 0, update = 0, product = 0;
      for (int32_t i = 0; i < panels; ++i)
        for (int32_t j = 0; j <= i; ++j) {
          product += 2;
          solve += 2 * ((i > k && j == k) + (i == k && j < k));
          update += i <= k ? 0 : i == k + 1 && j == i ? 1 : 2;
        }
      CHECK_EQ(factor_solve_tasks(panels), solve);
      if (k + 1 < panels) CHECK_EQ(factor_update_tasks(panels, k), update);
      CHECK_EQ(factor_product_tasks(panels), product);
    }
  // 129, 257 and 600 rows have 2, 3 and 5 panels.
  const FactorPlan plan(tasks_of({129, 600, 257}));
  REQUIRE(plan.waves().size() == 1);
  const FactorWave& wave = plan.waves()[0];
  REQUIRE(wave.solve.size() == 5);
  REQUIRE(wave.update.size() == 4);
  const std::vector<int32_t> solvers = {3, 3, 2, 1, 1}, updaters = {3, 2, 1, 1};
  const int32_t panels[] = {5, 3, 2};
  for (size_t k = 0; k < 5; ++k) {
    const FactorLaunch& solve = wave.solve[k];
    CHECK_EQ(solve.matrices, solvers[k]);
    int32_t blocks = 0;
    for (int32_t m = 0; m < solve.matrices; ++m) {
      CHECK_EQ(plan.starts()[static_cast<size_t>(solve.starts + m)], blocks);
      blocks += factor_solve_tasks(panels[m]);
    }
    CHECK_EQ(solve.blocks, blocks);
    CHECK_EQ(plan.starts()[static_cast<size_t>(solve.starts + solve.matrices)], blocks);
    if (k < 4) CHECK_EQ(wave.update[k].matrices, updaters[k]);
  }
}
