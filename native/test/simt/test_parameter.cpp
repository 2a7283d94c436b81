// SPDX-License-Identifier: Apache-2.0
// Parameters outside of any layer in parameter_sums.cu, layer_rate.cu and apply_update.cu: every access, in every
// layout, method and schedule, against the formulas in double precision. The conformance suite compares whole runs.
#include <cmath>
#include <string>

#include "backend/cuda/layer_rate.h"
#include "backend/cuda/parameter.h"
#include "layer_fixture.hpp"

namespace {

using namespace fixture;
using lngd::LayerRecord;
using lngd::ParameterRules;
using lngd::ParameterSums;
using lngd::cuda::DeviceLayer;
using lngd::cuda::RateLayer;
using lngd::cuda::StepSettings;
using lngd::cuda::UpdateTask;

constexpr double kEps = 0x1p-23;
constexpr double kFactor = 0.7, kWindow = 8;
constexpr int64_t kMoves = 4; // before this step

// How the caller's tensors are cut.
struct Cut {
  int32_t rows, columns;
  Layout layout;
};
constexpr Cut kCuts[] = {{1, 1, Layout::Rows},        {1, 263, Layout::Rows},     {1, 263, Layout::OffByOne},
                         {1, 50, Layout::EveryOther}, {6, 12, Layout::Rows},      {5, 7, Layout::Columns},
                         {9, 33, Layout::PaddedRows}, {40, 8, Layout::PaddedRows}};

struct Parameter {
  ParameterRules rules;
  int32_t count, columns;
  std::vector<float> w, g, m, v, a;
  Tensor weights, gradients;
  Array<float> momentum, second, average;
  Array<LayerRecord> record;

  Parameter(const Cut& cut, const ParameterRules& what, uint32_t seed) : Parameter(cut, what, Numbers(seed)) {}
  DeviceLayer device(bool averages) const {
    DeviceLayer layer{};
    layer.record = record.data;
    layer.weights = weights.strided();
    layer.weight_gradients = gradients.strided();
    layer.momentum = momentum.data;
    layer.average = averages ? average.data : nullptr;
    layer.ldw = lngd::padded(count);
    layer.inputs = count;
    layer.outputs = 1;
    layer.parameter = {rules, rules.method == LNGD_PARAMETER_ADAMW ? second.data : nullptr, columns};
    return layer;
  }

 private:
  Parameter(const Cut& cut, const ParameterRules& what, Numbers numbers)
      : rules(what),
        count(cut.rows * cut.columns),
        columns(cut.columns),
        w(numbers.vector(count)),
        g(numbers.vector(count)),
        m(numbers.vector(lngd::padded(count))),
        v(numbers.vector(lngd::padded(count))),
        a(numbers.vector(lngd::padded(count))),
        weights(cut.rows, cut.columns, cut.layout, w),
        gradients(cut.rows, cut.columns, cut.layout, g),
        momentum(m),
        second(positive(v)),
        average(a),
        record(moved()) {}
  static const std::vector<float>& positive(std::vector<float>& values) {
    for (float& x : values) x = 0.5f + (x < 0 ? -x : x);
    return values;
  }
  static std::vector<LayerRecord> moved() {
    LayerRecord record{};
    record.moves = kMoves;
    return {record};
  }
};

struct Twin {
  double m, v, d, u, average;
};

Twin twin(const ParameterRules& r, double w, double g, double m, double v, double a, double moves) {
  const double rate = r.learning_rate * kFactor;
  Twin t{m, v, g, 0, 0};
  if (r.method == LNGD_PARAMETER_ADAMW) {
    t.m = r.beta1 * m + (1 - r.beta1) * g;
    t.v = r.beta2 * v + (1 - r.beta2) * g * g;
    t.d = t.m / (1 - std::pow(r.beta1, moves)) / (std::sqrt(t.v / (1 - std::pow(r.beta2, moves))) + r.epsilon);
    t.u = rate * (t.d + r.weight_decay * w);
  } else {
    t.m = r.momentum * m - rate * g;
    t.u = rate * r.weight_decay * w - (r.momentum * t.m - rate * g);
  }
  t.average = a + kWindow / (kWindow + moves - 1) * (w - t.u - a);
  return t;
}

void check(const Parameter& p, bool gradients, bool averages, bool skipped) {
  const std::vector<float> w = p.weights.read(), g = p.gradients.read(), m = p.momentum.read(), v = p.second.read(),
                           a = p.average.read();
  const LayerRecord record = p.record.read()[0];
  const bool adamw = p.rules.method == LNGD_PARAMETER_ADAMW;
  CHECK_EQ(record.moves, kMoves + (skipped ? 0 : 1));
  CHECK_EQ(record.last_step_skipped, skipped ? 1 : 0);
  CHECK_EQ(record.skipped_steps, skipped ? 1 : 0);
  int64_t wrong = 0;
  double worst = 0, dd = 0, dg = 0, ww = 0;
  for (size_t i = 0; i < m.size(); ++i) {
    const bool inside = i < w.size();
    if (!inside || skipped || !averages) wrong += a[i] != p.a[i];
    if (!inside || skipped) wrong += m[i] != p.m[i];
    if (!inside || skipped || !adamw) wrong += v[i] != p.v[i];
    if (!inside) continue;
    if (skipped) {
      wrong += w[i] != p.w[i];
      wrong += gradients ? g[i] != 0 : i > 0 && g[i] != p.g[i]; // element 0 is not a number
      continue;
    }
    const Twin t = twin(p.rules, p.w[i], p.g[i], p.m[i], p.v[i], p.a[i], kMoves + 1);
    wrong += gradients ? w[i] != p.w[i] : g[i] != p.g[i];
    const double u = gradients ? static_cast<double>(g[i]) : static_cast<double>(p.w[i]) - w[i];
    worst = std::max({worst, std::fabs(m[i] - t.m), std::fabs(u - t.u)});
    if (adamw) worst = std::max(worst, std::fabs(v[i] - t.v));
    if (averages) worst = std::max(worst, std::fabs(a[i] - t.average));
    dd += t.d * t.d, dg += t.d * p.g[i], ww += static_cast<double>(p.w[i]) * p.w[i];
  }
  CHECK_EQ(wrong, 0);
  CHECK_WITHIN(worst, 6 * kEps); // numbers below 4, some roundings each; fused or not
  if (skipped) return;
  // D has about six roundings of numbers below 4.
  const double n = static_cast<double>(w.size());
  CHECK_NEAR(record.direction_norm, std::sqrt(dd), 24 * kEps * std::sqrt(n));
  CHECK_NEAR(record.inner_product, dg, 24 * kEps * n);
  CHECK_NEAR(record.weight_norm, std::sqrt(ww), 1e-12 * n);
}

} // namespace

TEST(kernel_parameters) {
  start();
  Array<StepSettings> device_settings(1);
  StepSettings settings{};
  settings.rules.factor = kFactor;
  settings.rules.learning_rate = settings.rules.weight_decay = settings.momentum = 9; // of layers
  settings.averaging_window = kWindow;
  device_settings.write({settings});
  for (const Schedule& schedule : kSchedules)
    for (const bool gradients : {false, true})
      for (const bool averages : {false, true})
        for (const bool of_gradients : {false, true}) {
          const conformance::Scope scope(std::string(gradients ? "gradients" : "weights") +
                                         (averages ? ", averages" : ""));
          simt::set_schedule(schedule.order, schedule.seed);
          std::vector<std::unique_ptr<Parameter>> all;
          std::vector<DeviceLayer> table;
          std::vector<UpdateTask> tasks;
          std::vector<RateLayer> rates;
          for (const int method : {LNGD_PARAMETER_ADAMW, LNGD_PARAMETER_NESTEROV})
            for (const Cut& cut : kCuts) {
              const auto i = static_cast<int32_t>(all.size());
              all.push_back(std::make_unique<Parameter>(cut, ParameterRules{method, 0.3, 0.02, 0.8, 0.95, 1e-3, 0.6},
                                                        3u + static_cast<uint32_t>(i)));
              table.push_back(all.back()->device(averages));
              RateLayer rate{};
              rate.record = all.back()->record.data;
              rate.first_tile = static_cast<int32_t>(tasks.size()); // for the address below
              lngd::cuda::append_parameter_tasks(i, table.back(), 64, tasks);
              rate.tiles = static_cast<int32_t>(tasks.size()) - rate.first_tile;
              rate.parameter_rules = all.back()->rules;
              rates.push_back(rate);
            }
          const size_t bad = 4; // one whose gradient is not a number
          std::vector<float> spoilt = all[bad]->g;
          spoilt[0] = std::nanf("");
          all[bad]->gradients = Tensor(kCuts[bad].rows, kCuts[bad].columns, kCuts[bad].layout, spoilt);
          table[bad] = all[bad]->device(averages);
          const Array<ParameterSums> sums(static_cast<int64_t>(tasks.size()));
          for (RateLayer& rate : rates) rate.parameter_sums = sums.data + rate.first_tile;
          const Array<DeviceLayer> device_table(table);
          const Array<UpdateTask> device_tasks(tasks);
          const Array<RateLayer> device_rates(rates);
          const auto count = static_cast<int32_t>(tasks.size());
          CHECK_EQ(lngd::cuda::launch_parameter_sums(device_settings.data, device_table.data, device_tasks.data, count,
                                                     sums.data, nullptr),
                   cudaSuccess);
          CHECK_EQ(lngd::cuda::launch_layer_rate(device_settings.data, device_rates.data,
                                                 static_cast<int32_t>(rates.size()), nullptr, nullptr, nullptr),
                   cudaSuccess);
          CHECK_EQ(lngd::cuda::launch_apply_update(device_settings.data, device_table.data, device_tasks.data, count,
                                                   gradients, nullptr, of_gradients),
                   cudaSuccess);
          finish_launches();
          for (size_t i = 0; i < all.size(); ++i) check(*all[i], gradients, averages, i == bad);
        }
  simt::set_schedule(simt::Order::Forward);
}

// Swapping twice gives every bit back.
TEST(kernel_parameters_swap) {
  start();
  for (const Cut& cut : kCuts) {
    const Parameter p(cut, {}, 5);
    const DeviceLayer layer = p.device(true);
    std::vector<UpdateTask> tasks;
    lngd::cuda::append_parameter_tasks(0, layer, 64, tasks);
    const Array<DeviceLayer> table(std::vector<DeviceLayer>{layer});
    const Array<UpdateTask> device_tasks(tasks);
    for (const bool swapped : {true, false}) {
      CHECK_EQ(
          lngd::cuda::launch_swap_averages(table.data, device_tasks.data, static_cast<int32_t>(tasks.size()), nullptr),
          cudaSuccess);
      finish_launches();
      const std::vector<float> w = p.weights.read(), a = p.average.read();
      int64_t wrong = 0;
      for (size_t i = 0; i < a.size(); ++i) {
        const bool inside = i < w.size();
        wrong += a[i] != (inside && swapped ? p.w[i] : p.a[i]);
        if (inside) wrong += w[i] != (swapped ? p.a[i] : p.w[i]);
      }
      CHECK_EQ(wrong, 0);
    }
  }
}
