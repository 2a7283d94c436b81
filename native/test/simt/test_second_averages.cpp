// SPDX-License-Identifier: Apache-2.0
// What running_average, the damping and factor_records do for a second factor that is a matrix, in blocks of its own.
#include <cmath>
#include <string>

#include "backend/cuda/embedding.h"
#include "backend/cuda/running_average.h"
#include "factor_fixture.hpp"

namespace {

using namespace fixture;
using lngd::BlockLayout;
using lngd::DampingRules;
using lngd::LayerMemory;
using lngd::LayerShape;
using lngd::cuda::AverageLayer;
using lngd::cuda::AverageTask;
using lngd::cuda::DampedLayer;
using lngd::cuda::DampingRule;
using lngd::cuda::FactorLayer;
using lngd::cuda::FactorResult;
using lngd::cuda::FactorTask;
using lngd::cuda::StepSettings;

constexpr double kRho = 0.75, kRows = 60, kSamples = 12, kInputSquare = 2, kSignalSquare = 0.5;

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

// Of the blocks of a group, or of all (-1).
double mean_diagonal(const BlockLayout& blocks, const std::vector<float>& values, int64_t group) {
  double sum = 0;
  int64_t count = 0;
  for (int64_t k = 0; k < blocks.count(); ++k)
    for (int64_t i = 0; i < blocks.size(k) && (group < 0 || blocks.group(k) == group); ++i, ++count)
      sum += static_cast<double>(values[static_cast<size_t>(blocks.offset(k) + i * (blocks.ld(k) + 1))]);
  return sum / static_cast<double>(count);
}

struct Case {
  LayerShape shape{};
  std::vector<float> a, b, b_sum;
  Array<float> phi_sum, phi, second_sum, second, inverse, second_inverse;
  Array<double> denominator, totals, lambda_phi, lambda_second;
  Array<LayerRecord> record;

  Case(int32_t approximation, const BlockLayout& blocks, const BlockLayout& second_blocks,
       const LayerRecord& with = before())
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
        totals(totals_of(blocks.groups)),
        lambda_phi(std::vector<double>(static_cast<size_t>(blocks.count()), 0.0)),
        lambda_second(std::vector<double>(static_cast<size_t>(second_blocks.count()), 0.0)),
        record(std::vector<LayerRecord>{with}) {
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
  // Sums of ||a||^2 of each group, of ||g||^2, rows.
  static std::vector<double> totals_of(int64_t groups) {
    std::vector<double> values;
    for (int64_t i = 0; i < 2 * groups; ++i) values.push_back(7.0 + static_cast<double>(i * i));
    values.push_back(kRows);
    return values;
  }
  static LayerRecord before() {
    LayerRecord r{};
    r.samples = static_cast<int64_t>(kSamples);
    r.has_average = 1;
    r.last_failed_block = r.last_failed_pivot = -1;
    r.input_square = kInputSquare;
    r.signal_square = kSignalSquare;
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

// The two mean squares alone: a later update, the first one, one that is kept out, of few groups and of more than a
// block has threads.
void check_squares(int64_t groups) {
  const BlockLayout blocks(3, 2, groups), second_blocks(2, 1, groups);
  const std::vector<double> totals = Case::totals_of(groups);
  double inputs = 0, signals = 0;
  for (size_t g = 0; g < static_cast<size_t>(groups); ++g) {
    inputs += totals[g] / kSamples / static_cast<double>(3 * groups);
    signals += totals[static_cast<size_t>(groups) + g] / kRows / static_cast<double>(2 * groups);
  }
  enum { Later, First, Poisoned };
  for (const int update : {Later, First, Poisoned}) {
    const conformance::Scope scope("groups " + std::to_string(groups) + ", update " + std::to_string(update));
    LayerRecord before = Case::before();
    before.has_average = update != First;
    before.poisoned = update == Poisoned;
    const Case c(LNGD_APPROXIMATION_KFAC, blocks, second_blocks, before);
    StepSettings settings{};
    settings.rho = kRho;
    const Array<StepSettings> device_settings(std::vector<StepSettings>{settings});
    const std::vector<AverageLayer> layers{lngd::cuda::average_layer(c.shape, c.memory())};
    std::vector<AverageTask> tasks;
    lngd::cuda::append_average_tasks(0, layers[0], 4000, tasks);
    const Array<AverageLayer> table(layers);
    const Array<AverageTask> device_tasks(tasks);
    const Array<int32_t> due(std::vector<int32_t>{1});
    CHECK_EQ(lngd::cuda::launch_running_average(device_settings.data, table.data, due.data, 1, device_tasks.data,
                                                static_cast<int32_t>(tasks.size()), nullptr),
             cudaSuccess);
    finish_launches();
    const LayerRecord after = c.record.read()[0];
    const double keep = update == Later ? kRho : update == First ? 0 : 1;
    const double input = keep * kInputSquare + (1 - keep) * inputs,
                 signal = keep * kSignalSquare + (1 - keep) * signals;
    CHECK_NEAR(after.input_square, input, 1e-12 * input); // sums of the same doubles in another order
    CHECK_NEAR(after.signal_square, signal, 1e-12 * signal);
    for (const double total : c.totals.read()) CHECK_EQ(total, 0.0);
  }
}

DampingRules rules_of(int32_t rule, double factor, double floor) {
  return {rule, factor, floor, 0.02, 20, 3, 0.4}; // gamma in [0.02, 20], second_damping 3, S0 0.4
}

// Lambda of a block as lngd.h has it; layer-wide but for FACTORED.
double expected_lambda(const DampingRules& r, double first_mean, double second_mean, bool second) {
  const double mean = second ? second_mean : first_mean, share = second ? r.second : 1.0;
  if (r.rule == LNGD_DAMPING_FACTORED) {
    const double pi = std::sqrt(first_mean / second_mean), root = std::sqrt(r.factor);
    return std::max(second ? root / pi : root * pi, r.floor);
  }
  double gamma = r.factor;
  if (r.rule == LNGD_DAMPING_SIGNAL)
    gamma = std::min(std::max(r.factor * std::sqrt(r.reference / (kInputSquare * kSignalSquare)), r.least), r.most);
  return std::max(share * gamma * mean, r.floor);
}

// Damping, inverses and records of two layers, of which the second is not due.
void check_inverses(const BlockLayout& second_blocks, const DampingRules& rules) {
  const conformance::Scope scope("rule " + std::to_string(rules.rule) + ", factor " + std::to_string(rules.factor) +
                                 ", blocks of " + std::to_string(second_blocks.block));
  const Case c(LNGD_APPROXIMATION_KFAC, kBlocks, second_blocks), idle(LNGD_APPROXIMATION_KFAC, kBlocks, second_blocks);
  std::vector<FactorTask> tasks;
  std::vector<FactorLayer> layers;
  std::vector<DampedLayer> damped;
  for (const Case* which : {&c, &idle}) {
    const int32_t index = which == &c ? 0 : 1;
    layers.push_back(lngd::cuda::add_factor_layer(which->shape, which->memory(), index, tasks));
    lngd::cuda::append_damped_layers(which->shape, which->memory(), layers.back(), rules.rule, damped);
  }
  CHECK_EQ(damped.size(), rules.rule == LNGD_DAMPING_FACTORED ? 6u : 2u);
  const size_t results = tasks.size(), blocks = static_cast<size_t>(kBlocks.count());
  const size_t seconds = static_cast<size_t>(second_blocks.count());
  CHECK_EQ(results, 2 * (blocks + seconds));
  const lngd::cuda::FactorPlan plan(std::move(tasks));
  const Array<FactorTask> device_tasks(plan.tasks());
  const Array<FactorLayer> device_layers(layers);
  const Array<DampedLayer> device_damped(damped);
  const Array<double> lambdas(std::vector<double>(results, -1.0));
  const Array<int32_t> due(std::vector<int32_t>{1, 0});
  const Array<FactorResult> device_results(results);
  const DampingRule rule{rules, lambdas.data};
  CHECK_EQ(lngd::cuda::launch_layer_damping(device_damped.data, static_cast<int32_t>(damped.size()), rules, due.data,
                                            lambdas.data, nullptr),
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
      const int64_t of = rules.rule == LNGD_DAMPING_FACTORED ? group : -1;
      const double expected =
          expected_lambda(rules, mean_diagonal(kBlocks, c.a, of), mean_diagonal(second_blocks, c.b, of), is_second);
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

TEST(kernel_second_squares) {
  start();
  for (const Schedule& schedule : kSchedules) {
    simt::set_schedule(schedule.order, schedule.seed);
    for (const int64_t groups : {1, 3, 300}) check_squares(groups);
  }
  simt::set_schedule(simt::Order::Forward);
}

TEST(kernel_layer_damping_and_second_inverses) {
  start();
  for (const Schedule& schedule : kSchedules) {
    simt::set_schedule(schedule.order, schedule.seed);
    for (const BlockLayout& second : kSeconds) {
      check_inverses(second, rules_of(LNGD_DAMPING_FACTORED, 9.0, 1e-10));
      check_inverses(second, rules_of(LNGD_DAMPING_FACTORED, 1.0, 5.0)); // the floor is above both
      check_inverses(second, rules_of(LNGD_DAMPING_SIGNAL, 0.7, 1e-10));
      check_inverses(second, rules_of(LNGD_DAMPING_SIGNAL, 1000, 1e-10)); // gamma is the largest
      check_inverses(second, rules_of(LNGD_DAMPING_RELATIVE, 1.5, 1e-10));
    }
  }
  simt::set_schedule(simt::Order::Forward);
}

// SIGNAL: the least gamma, and a layer without any signal, which has the largest.
TEST(kernel_layer_damping_signal) {
  start();
  const DampingRules rules = rules_of(LNGD_DAMPING_SIGNAL, 0.7, 1e-10);
  for (const double signal : {1e9, 0.0}) {
    LayerRecord record = Case::before();
    record.signal_square = signal;
    const Case c(LNGD_APPROXIMATION_KFAC, kBlocks, kSeconds[1], record);
    std::vector<FactorTask> tasks;
    const FactorLayer layer = lngd::cuda::add_factor_layer(c.shape, c.memory(), 0, tasks);
    std::vector<DampedLayer> damped;
    lngd::cuda::append_damped_layers(c.shape, c.memory(), layer, rules.rule, damped);
    const Array<DampedLayer> device_damped(damped);
    const Array<double> lambdas(tasks.size());
    CHECK_EQ(lngd::cuda::launch_layer_damping(device_damped.data, 1, rules, nullptr, lambdas.data, nullptr),
             cudaSuccess);
    finish_launches();
    const double gamma = signal > 0 ? 0.02 : 20, phi = gamma * mean_diagonal(kBlocks, c.a, -1),
                 second = 3 * gamma * mean_diagonal(kSeconds[1], c.b, -1);
    CHECK_NEAR(lambdas.read().front(), phi, 1e-14 * phi); // sums of the same doubles in another order
    CHECK_NEAR(lambdas.read().back(), second, 1e-14 * second);
  }
}

// A diagonal Phi, whose two blocks have one lambda, beside a full one; both with a vector for the second factor.
TEST(kernel_layer_damping_of_vectors) {
  start();
  const DampingRules rules = rules_of(LNGD_DAMPING_RELATIVE, 0.5, 1e-10);
  const BlockLayout diagonal = BlockLayout::diagonal(701, 700);
  std::vector<float> phi = Numbers(9).vector(diagonal.floats());
  for (float& x : phi) x = std::fabs(x);
  phi[700] = 50; // of the bias
  const Array<float> at_phi(phi), inverse(std::vector<float>(phi.size(), 7.0f));
  const Array<LayerRecord> record(std::vector<LayerRecord>{Case::before()});
  LayerShape shape{};
  shape.groups = 1;
  shape.blocks = diagonal;
  LayerMemory memory{};
  memory.record = record.data;
  memory.phi = at_phi.data;
  memory.phi_inverse = inverse.data;
  const Case full(LNGD_APPROXIMATION_LNGD, BlockLayout(40, 16), BlockLayout(1, 1));
  std::vector<FactorTask> tasks;
  std::vector<lngd::cuda::DiagonalTask> diagonals;
  std::vector<DampedLayer> damped;
  const FactorLayer full_layer = lngd::cuda::add_factor_layer(full.shape, full.memory(), 0, tasks),
                    layer = lngd::cuda::add_diagonal_layer(shape, memory, 1, full_layer.blocks, false, diagonals);
  lngd::cuda::append_damped_layers(full.shape, full.memory(), full_layer, rules.rule, damped);
  lngd::cuda::append_damped_layers(shape, memory, layer, rules.rule, damped);
  REQUIRE(damped.size() == 2 && diagonals.size() == 2 && tasks.size() == 3);
  const Array<DampedLayer> device_damped(damped);
  const Array<lngd::cuda::DiagonalTask> device_diagonals(diagonals);
  const Array<double> lambdas(std::vector<double>(6, -1.0));
  const Array<FactorResult> results(6);
  CHECK_EQ(lngd::cuda::launch_layer_damping(device_damped.data, 2, rules, nullptr, lambdas.data, nullptr), cudaSuccess);
  CHECK_EQ(lngd::cuda::launch_diagonal_inverse(device_diagonals.data, 2, {rules, lambdas.data}, nullptr, results.data,
                                               nullptr),
           cudaSuccess);
  finish_launches();
  double trace = 0;
  for (size_t i = 0; i < 701; ++i) trace += static_cast<double>(phi[i]);
  const double first = 0.5 * mean_diagonal(full.shape.blocks, full.a, -1), second = 0.5 * trace / 701;
  const std::vector<double> given = lambdas.read();
  for (size_t k = 0; k < 5; ++k)
    CHECK_NEAR(given[k], k < 3 ? first : second, 1e-13 * first); // another order of doubles
  CHECK_EQ(given[5], -1.0);
  const std::vector<float> inverted = inverse.read();
  for (const size_t i : {size_t{0}, size_t{699}, size_t{700}})
    CHECK_NEAR(inverted[i] * (static_cast<double>(phi[i]) + second), 1.0, 0x1p-23);
  for (size_t k = 3; k < 5; ++k) CHECK_EQ(results.read()[k].lambda, given[k]);
}
