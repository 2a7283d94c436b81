// SPDX-License-Identifier: Apache-2.0
// What running_average, the damping and factor_records do for a second factor that is a matrix, in blocks of its own.
#include <cmath>
#include <string>

#include "backend/cuda/running_average.h"
#include "backend/cuda/second_factor.h"
#include "layer_fixture.hpp"

namespace {

using namespace fixture;
using lngd::BlockLayout;
using lngd::LayerMemory;
using lngd::LayerShape;
using lngd::cuda::AverageLayer;
using lngd::cuda::AverageTask;
using lngd::cuda::DampedGroup;
using lngd::cuda::DampingRule;
using lngd::cuda::FactorLayer;
using lngd::cuda::FactorResult;
using lngd::cuda::FactorTask;
using lngd::cuda::StepSettings;

constexpr double kRho = 0.75, kRows = 60, kSamples = 12;

// Positive diagonals and anything below them; what lies above is a gap.
std::vector<float> triangles(const BlockLayout& blocks, uint32_t seed) {
  Numbers numbers(seed);
  std::vector<float> values(static_cast<size_t>(blocks.floats()), -54321.0f);
  for (int64_t k = 0; k < blocks.count(); ++k)
    for (int64_t i = 0; i < blocks.size(k); ++i)
      for (int64_t j = 0; j <= i; ++j)
        values[static_cast<size_t>(blocks.offset(k) + i * blocks.ld(k) + j)] = numbers.next() + (i == j ? 3.0f : 0.0f);
  return values;
}

double mean_diagonal(const BlockLayout& blocks, const std::vector<float>& values, int64_t group) {
  double sum = 0;
  for (int64_t k = 0; k < blocks.count(); ++k)
    for (int64_t i = 0; i < blocks.size(k) && blocks.group(k) == group; ++i)
      sum += static_cast<double>(values[static_cast<size_t>(blocks.offset(k) + i * (blocks.ld(k) + 1))]);
  return sum / static_cast<double>(blocks.d);
}

struct Case {
  LayerShape shape{};
  std::vector<float> a, b, b_sum;
  Array<float> phi_sum, phi, second_sum, second, inverse, second_inverse;
  Array<double> denominator, totals, lambda_phi, lambda_second;
  Array<LayerRecord> record;

  Case(int32_t approximation, const BlockLayout& blocks, const BlockLayout& second_blocks)
      : a(triangles(blocks, 3)),
        b(triangles(second_blocks, 4)),
        b_sum(triangles(second_blocks, 5)),
        phi_sum(triangles(blocks, 6)),
        phi(a),
        second_sum(b_sum),
        second(b),
        inverse(a.size()),
        second_inverse(b.size()),
        denominator(denominators(blocks.groups)),
        totals(std::vector<double>(static_cast<size_t>(2 * blocks.groups + 1), kRows)),
        lambda_phi(std::vector<double>(static_cast<size_t>(blocks.count()), 0.0)),
        lambda_second(std::vector<double>(static_cast<size_t>(second_blocks.count()), 0.0)),
        record(std::vector<LayerRecord>{before()}) {
    shape.approximation = approximation;
    shape.d = blocks.d;
    shape.groups = blocks.groups;
    shape.outputs = second_blocks.d * second_blocks.groups;
    shape.blocks = blocks;
    shape.second = second_blocks;
  }
  LayerMemory memory() const {
    LayerMemory m{};
    m.record = record.data;
    m.phi_sum = phi_sum.data;
    m.phi = phi.data;
    m.phi_inverse = inverse.data;
    m.second_sum = second_sum.data;
    m.second = second.data;
    m.second_inverse = second_inverse.data;
    m.denominator = denominator.data;
    m.totals = totals.data;
    m.lambda_phi = lambda_phi.data;
    m.lambda_second = lambda_second.data;
    return m;
  }
  // The second of several groups saw nothing.
  static std::vector<double> denominators(int64_t groups) {
    std::vector<double> values;
    for (int64_t g = 0; g < groups; ++g) values.push_back(g == 1 ? 0.0 : 90.0 + static_cast<double>(g));
    return values;
  }
  static LayerRecord before() {
    LayerRecord r{};
    r.samples = static_cast<int64_t>(kSamples);
    r.has_average = 1;
    r.last_failed_block = r.last_failed_pivot = -1;
    return r;
  }
};

const BlockLayout kBlocks(37, 16, 3), kSeconds[] = {BlockLayout(21, 0, 3), BlockLayout(21, 8, 3)};

void check_averages(int32_t approximation, const BlockLayout& second_blocks) {
  const Case c(approximation, kBlocks, second_blocks);
  StepSettings settings{};
  settings.rho = kRho;
  const Array<StepSettings> device_settings(std::vector<StepSettings>{settings});
  const std::vector<AverageLayer> layers{lngd::cuda::average_layer(c.shape, c.memory())};
  std::vector<AverageTask> tasks;
  lngd::cuda::append_average_tasks(0, layers[0], 40, tasks);
  const Array<AverageLayer> table(layers);
  const Array<AverageTask> device_tasks(tasks);
  const Array<int32_t> due(std::vector<int32_t>{1});
  CHECK_EQ(lngd::cuda::launch_running_average(device_settings.data, table.data, due.data, 1, device_tasks.data,
                                              static_cast<int32_t>(tasks.size()), nullptr),
           cudaSuccess);
  finish_launches();
  const std::vector<float> sum = c.second_sum.read(), average = c.second.read();
  double worst = 0;
  int64_t wrong = 0;
  for (int64_t k = 0; k < second_blocks.count(); ++k) {
    const int64_t group = second_blocks.group(k);
    const double count = approximation == LNGD_APPROXIMATION_TKFAC ? 90.0 + static_cast<double>(group) : kRows;
    for (int64_t i = 0; i < second_blocks.size(k); ++i)
      for (int64_t j = 0; j < second_blocks.ld(k); ++j) {
        const size_t at = static_cast<size_t>(second_blocks.offset(k) + i * second_blocks.ld(k) + j);
        if (j <= i) wrong += sum[at] != 0;
        if (j > i || group == 1) { // above the diagonal; of the dead group
          wrong += average[at] != c.b[at];
          continue;
        }
        worst = std::max(worst, std::fabs(average[at] - (kRho * c.b[at] + (1 - kRho) / count * c.b_sum[at])));
      }
  }
  CHECK_EQ(wrong, 0);
  CHECK_WITHIN(worst, 5 * 0x1p-23); // two weights, two products and a sum, of numbers up to 4
  for (const double total : c.totals.read()) CHECK_EQ(total, 0.0);
  for (const double total : c.denominator.read()) CHECK_EQ(total, 0.0);
  CHECK_EQ(c.record.read()[0].statistics_updates, 1);
}

// Damping, inverses and records of two layers, of which the second is not due.
void check_inverses(const BlockLayout& second_blocks, double factor, double floor) {
  const Case c(LNGD_APPROXIMATION_KFAC, kBlocks, second_blocks), idle(LNGD_APPROXIMATION_KFAC, kBlocks, second_blocks);
  std::vector<FactorTask> tasks;
  std::vector<FactorLayer> layers;
  std::vector<DampedGroup> groups;
  for (const Case* which : {&c, &idle}) {
    const int32_t index = which == &c ? 0 : 1;
    layers.push_back(lngd::cuda::add_factor_layer(which->shape, which->memory(), index, tasks));
    lngd::cuda::append_damped_groups(which->shape, which->memory(), layers.back(), groups);
  }
  const size_t results = tasks.size(), blocks = static_cast<size_t>(kBlocks.count());
  const size_t seconds = static_cast<size_t>(second_blocks.count());
  CHECK_EQ(results, 2 * (blocks + seconds));
  const lngd::cuda::FactorPlan plan(std::move(tasks));
  const Array<FactorTask> device_tasks(plan.tasks());
  const Array<FactorLayer> device_layers(layers);
  const Array<DampedGroup> device_groups(groups);
  const Array<double> lambdas(std::vector<double>(results, -1.0));
  const Array<int32_t> due(std::vector<int32_t>{1, 0});
  const Array<FactorResult> device_results(results);
  DampingRule rule{};
  rule.given = lambdas.data;
  CHECK_EQ(lngd::cuda::launch_factored_damping(device_groups.data, static_cast<int32_t>(groups.size()), factor, floor,
                                               due.data, lambdas.data, nullptr),
           cudaSuccess);
  CHECK_EQ(lngd::cuda::prepare_factor_inverse(), cudaSuccess);
  CHECK_EQ(lngd::cuda::launch_factor_inverse(plan, {device_tasks.data, nullptr, nullptr, 1}, rule, due.data,
                                             device_results.data, nullptr),
           cudaSuccess);
  CHECK_EQ(lngd::cuda::launch_factor_records(device_layers.data, 2, rule, due.data, device_results.data, nullptr),
           cudaSuccess);
  finish_launches();
  const std::vector<double> given = lambdas.read(), phi = c.lambda_phi.read(), second = c.lambda_second.read();
  double largest = 0;
  const auto check = [&](const BlockLayout& layout, const std::vector<double>& lambda, size_t first, bool is_second) {
    for (size_t k = 0; k < lambda.size(); ++k) {
      const int64_t group = layout.group(static_cast<int64_t>(k));
      const double pi = std::sqrt(mean_diagonal(kBlocks, c.a, group) / mean_diagonal(second_blocks, c.b, group));
      const double expected = std::max(is_second ? std::sqrt(factor) / pi : std::sqrt(factor) * pi, floor);
      CHECK_NEAR(given[first + k], expected, 1e-14 * expected); // sums of the same doubles in another order
      CHECK_EQ(lambda[k], given[first + k]);                    // no retry: the matrices are positive definite
      if (is_second) largest = std::max(largest, lambda[k]);
    }
  };
  check(kBlocks, phi, 0, false);
  check(second_blocks, second, blocks, true);
  CHECK_EQ(c.record.read()[0].lambda_psi, largest);
  CHECK_EQ(c.record.read()[0].has_inverse, 1);
  CHECK_EQ(c.record.read()[0].inverse_updates, 1);
  for (size_t k = blocks + seconds; k < results; ++k) CHECK_EQ(given[k], -1.0);
  CHECK_EQ(idle.record.read()[0].has_inverse, 0);
  // B^-1 (B + lambda I) = I.
  const std::vector<float> inverse = c.second_inverse.read();
  double worst = 0;
  for (int64_t k = 0; k < second_blocks.count(); ++k) {
    const int64_t n = second_blocks.size(k), ld = second_blocks.ld(k), at = second_blocks.offset(k);
    const auto damped = [&](int64_t i, int64_t j) {
      const double x = c.b[static_cast<size_t>(at + std::max(i, j) * ld + std::min(i, j))];
      return i == j ? x + second[static_cast<size_t>(k)] : x;
    };
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t x = 0; x < n; ++x) sum += inverse[static_cast<size_t>(at + i * ld + x)] * damped(x, j);
        worst = std::max(worst, std::fabs(sum - (i == j ? 1 : 0)));
      }
  }
  CHECK_WITHIN(worst, 1e-4); // n u times a condition number of a hundred at most
}

} // namespace

TEST(kernel_second_averages) {
  start();
  for (const Schedule& schedule : kSchedules) {
    simt::set_schedule(schedule.order, schedule.seed);
    for (const int32_t approximation : {LNGD_APPROXIMATION_KFAC, LNGD_APPROXIMATION_TKFAC})
      for (const BlockLayout& second : kSeconds) check_averages(approximation, second);
  }
  simt::set_schedule(simt::Order::Forward);
}

TEST(kernel_factored_damping_and_second_inverses) {
  start();
  for (const Schedule& schedule : kSchedules) {
    simt::set_schedule(schedule.order, schedule.seed);
    for (const BlockLayout& second : kSeconds) {
      check_inverses(second, 9.0, 1e-10);
      check_inverses(second, 1.0, 5.0); // the floor is above both
    }
  }
  simt::set_schedule(simt::Order::Forward);
}
