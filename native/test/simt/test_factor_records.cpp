// SPDX-License-Identifier: Apache-2.0
// factor_records: what the results of a layer's blocks do to its record, and Psi_inv.
#include <cmath>
#include <string>

#include "factor_fixture.hpp"

namespace {

using namespace fixture;
using lngd::cuda::FactorLayer;

constexpr DampingRule kRule = relative(1e-2, 1e-5, 3);

// A layer, its blocks' results, and what its record must become.
struct Expected {
  std::vector<FactorResult> results;
  std::vector<double> lambda_before;
  int32_t outputs;
  bool average, due;
  bool renewed, has_inverse, identity;
  int64_t retries, failures;
  int32_t failed_block, failed_pivot;
};

std::vector<Expected> expectations() {
  Expected many{{}, std::vector<double>(700, 0.0), 2, true, true, true, false, false, 0, 0, -1, -1}; // many groups
  for (int32_t b = 0; b < 700; ++b) {
    const bool fails = b % 300 == 7; // 7, 307, 607
    many.results.push_back({fails ? 0.0 : 1.0 + b, fails ? 6 : b % 2, fails ? b + 1 : -1, fails ? 0 : 1});
    many.retries += many.results.back().retries;
    many.failures += fails;
  }
  many.failed_block = 607;
  many.failed_pivot = 608;
  return {
      {{{0.5, 2, 7, 1}, {0.25, 0, -1, 1}}, {0, 0}, 300, true, true, true, true, false, 2, 0, 0, 7},
      {{{0.5, 0, -1, 1}}, {0}, 300, true, true, true, true, true, 0, 0, -1, -1},                   // NGPLUS
      {{{0.0, 6, 3, 0}, {0.75, 0, -1, 1}}, {0, 0}, 1, true, true, true, false, false, 6, 1, 0, 3}, // a block without
                                                                                                   // any
      {{{0.0, 6, 3, 0}, {0.75, 0, -1, 1}}, {0.125, 0}, 40, true, true, true, true, false, 6, 1, 0, 3}, // it has an old
                                                                                                       // one
      {{{0.0, 6, 9, 0}}, {0.5}, 40, true, true, false, false, false, 6, 1, 0, 9},                      // nothing is new
      {{{0.0, 0, -1, 0}}, {0}, 5, false, true, false, false, false, 0, 0, -1, -1},                     // no average yet
      {{{0.0, 0, -1, 0}}, {0.5}, 5, true, false, false, false, false, 0, 0, -1, -1},                   // not due
      many,
  };
}

void check_records() {
  const std::vector<Expected> layers = expectations();
  std::vector<LayerRecord> before;
  std::vector<FactorResult> results;
  std::vector<double> lambdas;
  std::vector<int32_t> due, first;
  for (const Expected& e : layers) {
    LayerRecord record{};
    record.has_average = e.average;
    record.retries = 10;
    record.lambda_psi = 77;
    record.failed_inverses = 20;
    record.last_failed_block = record.last_failed_pivot = -1;
    before.push_back(record);
    due.push_back(e.due);
    first.push_back(static_cast<int32_t>(results.size()));
    results.insert(results.end(), e.results.begin(), e.results.end());
    lambdas.insert(lambdas.end(), e.lambda_before.begin(), e.lambda_before.end());
  }
  const Array<LayerRecord> records(before);
  const Array<FactorResult> device_results(results);
  const Array<double> device_lambdas(lambdas);
  const Array<int32_t> device_due(due);
  Numbers numbers(77);
  std::vector<std::vector<float>> psis;
  std::vector<std::unique_ptr<Array<float>>> psi, inverse;
  std::vector<FactorLayer> table;
  for (size_t l = 0; l < layers.size(); ++l) {
    psis.push_back(numbers.vector(layers[l].outputs));
    for (float& x : psis.back()) x *= x;
    psi.push_back(std::make_unique<Array<float>>(psis.back()));
    inverse.push_back(std::make_unique<Array<float>>(std::vector<float>(psis.back().size(), -5.0f)));
    table.push_back({records.data + l, psi[l]->data, inverse[l]->data, device_lambdas.data + first[l],
                     layers[l].outputs, first[l], static_cast<int32_t>(layers[l].results.size()),
                     static_cast<int32_t>(l)});
    table.back().identity = layers[l].identity;
  }
  const Array<FactorLayer> device_table(table);
  CHECK_EQ(lngd::cuda::launch_factor_records(device_table.data, static_cast<int32_t>(table.size()), kRule,
                                             device_due.data, device_results.data, nullptr),
           cudaSuccess);
  finish_launches();
  const std::vector<LayerRecord> after = records.read();
  const std::vector<double> lambda = device_lambdas.read();
  for (size_t l = 0; l < layers.size(); ++l) {
    const Expected& e = layers[l];
    const conformance::Scope scope("layer " + std::to_string(l));
    double trace = 0;
    for (const float x : psis[l]) trace += static_cast<double>(x);
    const double damp = e.identity ? 0.0 : damping(kRule, trace / e.outputs, true);
    double worst = 0;
    const std::vector<float> got = inverse[l]->read();
    for (size_t i = 0; i < got.size(); ++i)
      worst = std::max(worst, std::fabs(got[i] * (e.identity ? 1 : e.renewed ? psis[l][i] + damp : -0.2) - 1));
    CHECK_WITHIN(worst, 0x1p-23); // a rounding of the inverse, and of -0.2
    CHECK_EQ(after[l].inverse_updates, e.renewed ? 1 : 0);
    CHECK_EQ(after[l].has_inverse, e.has_inverse ? 1 : 0);
    CHECK_EQ(after[l].retries, 10 + e.retries);
    CHECK_EQ(after[l].failed_inverses, 20 + e.failures);
    CHECK_EQ(after[l].last_failed_block, e.failed_block);
    CHECK_EQ(after[l].last_failed_pivot, e.failed_pivot);
    // Sums of the same doubles in another order.
    CHECK_NEAR(after[l].lambda_psi, e.renewed ? damp : 77.0, 1e-14 * damp);
    int wrong = 0;
    for (size_t b = 0; b < e.results.size(); ++b)
      wrong += lambda[static_cast<size_t>(first[l]) + b] !=
               (e.results[b].renewed ? e.results[b].lambda : e.lambda_before[b]);
    CHECK_EQ(wrong, 0);
  }
}

} // namespace

TEST(kernel_factor_records) {
  start();
  for (const Schedule& schedule : kSchedules) {
    simt::set_schedule(schedule.order, schedule.seed);
    check_records();
  }
  simt::set_schedule(simt::Order::Forward);
}
