// SPDX-License-Identifier: Apache-2.0
// apply_update.cu against the formulas of spec section 7 in double precision.
#include <cmath>
#include <string>

#include "layer_fixture.hpp"

namespace {

using namespace fixture;
using lngd::cuda::DeviceLayer;
using lngd::cuda::StepSettings;
using lngd::cuda::UpdateTask;

constexpr double kEps = 0x1p-23;

LayerRecord record_of(int64_t moves, bool skipped, double decay = 0) {
  LayerRecord record{};
  record.moves = moves;
  record.last_step_skipped = skipped;
  record.coefficient = -0.37;
  record.decay = decay;
  return record;
}

// What one element becomes.
struct Twin {
  double m, u, average;
};

Twin twin(const StepSettings& s, const LayerRecord& record, double w, double g, double m, double a, double d,
          bool of_gradients) {
  const double zeta = record.coefficient * d, tau = static_cast<double>(s.momentum);
  Twin t;
  if (of_gradients) { // M <- tau M + (1 - tau) (G + wd W), and the step is zeta alone
    t.m = tau * m + (1 - tau) * (g + (s.rules.decay == LNGD_DECAY_COUPLED ? s.rules.weight_decay : 0) * w);
    t.u = record.decay * w - zeta;
  } else {
    t.m = tau * m + zeta;
    t.u = record.decay * w - (s.nesterov ? tau * t.m + zeta : t.m);
  }
  t.average = a + s.averaging_window / (s.averaging_window + static_cast<double>(record.moves - 1)) * (w - t.u - a);
  return t;
}

void check_layer(const Layer& layer, const StepSettings& s, const LayerRecord& record, bool gradients, bool averages,
                 bool of_gradients) {
  const Shape& shape = layer.shape;
  const std::vector<float> w = layer.weights.read(), b = layer.bias.read(), g = layer.gradients.read(),
                           gb = layer.bias_gradients.read(), m = layer.momentum.read(), a = layer.average.read();
  double worst = 0;
  int64_t moved_elsewhere = 0;
  for (int64_t i = 0; i < shape.outputs; ++i)
    for (int64_t j = 0; j < shape.ldw(); ++j) {
      const size_t own = static_cast<size_t>(i * shape.ldw() + j);
      const bool is_bias = j == shape.inputs;
      const size_t at = is_bias ? static_cast<size_t>(i) : static_cast<size_t>(i * shape.inputs + j);
      if (j >= shape.columns() || record.last_step_skipped || !averages) moved_elsewhere += a[own] != layer.a[own];
      if (j >= shape.columns() || record.last_step_skipped) moved_elsewhere += m[own] != layer.m[own];
      if (j >= shape.columns()) continue;
      const float w_old = (is_bias ? layer.b : layer.w)[at], w_new = (is_bias ? b : w)[at];
      const float g_old = (is_bias ? layer.gb : layer.g)[at], g_new = (is_bias ? gb : g)[at];
      if (record.last_step_skipped) {
        moved_elsewhere += w_new != w_old;
        moved_elsewhere += g_new != (gradients ? 0.0f : g_old);
        continue;
      }
      const Twin t = twin(s, record, w_old, g_old, layer.m[own], layer.a[own], layer.d[own], of_gradients);
      moved_elsewhere += gradients ? w_new != w_old : g_new != g_old;
      const double u = gradients ? static_cast<double>(g_new) : static_cast<double>(w_old) - w_new;
      worst = std::max({worst, std::fabs(m[own] - t.m), std::fabs(u - t.u)});
      if (averages) worst = std::max(worst, std::fabs(a[own] - t.average));
      // The average is made of the very bits that the weights have, or will have: avg + (W - avg), of which the
      // difference and the sum are below 4 and rounded by up to kEps each.
      if (averages && record.moves == 1)
        moved_elsewhere += std::fabs(a[own] - (gradients ? w_old - g_new : w_new)) > 2 * kEps;
    }
  CHECK_EQ(moved_elsewhere, 0);
  CHECK_WITHIN(worst, 4 * kEps); // numbers below 4, a few roundings each; fused or not
}

} // namespace

TEST(kernel_apply_update) {
  start();
  Array<StepSettings> device_settings(1);
  for (const Schedule& schedule : kSchedules)
    for (const Layout layout : kLayouts)
      for (const bool gradients : {false, true})
        for (const int options : {0, 1, 2, 3}) {
          const bool averages = options % 2 == 1, of_gradients = options / 2 == 1;
          const conformance::Scope scope(std::string(name(layout)) + (gradients ? ", gradients" : ", weights") +
                                         (averages ? ", averages" : "") +
                                         (of_gradients ? ", momentum of gradients" : ""));
          simt::set_schedule(schedule.order, schedule.seed);
          StepSettings settings{};
          settings.rules.learning_rate = settings.rules.factor = settings.rules.weight_decay = 9; // are in the record
          settings.averaging_window = 8;
          settings.momentum = 0.9f;
          settings.fresh = 0.1f;
          if (of_gradients) {
            settings.rules.weight_decay = 0.3;
            settings.rules.decay = averages ? LNGD_DECAY_COUPLED : LNGD_DECAY_TRUST;
          }
          settings.nesterov = averages != gradients;
          device_settings.write({settings});
          // Rows of 65 and more by columns: several bands of 8 rows, several tiles, the last of the bias alone.
          const Shape shapes[] = {{1, 1, false, layout, 0},   {7, 3, true, layout, 0},   {33, 64, true, layout, 0},
                                  {5, 130, false, layout, 0}, {40, 27, true, layout, 0}, {2, 600, true, layout, 0}};
          std::vector<std::unique_ptr<Layer>> layers;
          std::vector<LayerRecord> records;
          std::vector<DeviceLayer> table;
          std::vector<UpdateTask> tasks;
          for (const Shape& shape : shapes) {
            const int32_t i = static_cast<int32_t>(layers.size());
            records.push_back(record_of(i == 2 ? 1 : 5, i == 4, schedule.order == simt::Order::Reverse ? 0 : 0.01 * i));
            layers.push_back(std::make_unique<Layer>(shape, records.back(), 11u + static_cast<uint32_t>(i)));
            table.push_back(layers.back()->device(averages));
            lngd::cuda::append_update_tasks(i, table.back(), 560, tasks);
          }
          const Array<DeviceLayer> device_table(table);
          const Array<UpdateTask> device_tasks(tasks);
          CHECK_EQ(
              lngd::cuda::launch_apply_update(device_settings.data, device_table.data, device_tasks.data,
                                              static_cast<int32_t>(tasks.size()), gradients, nullptr, of_gradients),
              cudaSuccess);
          finish_launches();
          for (size_t i = 0; i < layers.size(); ++i)
            check_layer(*layers[i], settings, records[i], gradients, averages, of_gradients);
        }
  simt::set_schedule(simt::Order::Forward);
}

// Swapping twice gives every bit back.
TEST(kernel_swap_averages) {
  start();
  const Shape shapes[] = {
      {7, 5, true, Layout::Columns, 0}, {4, 64, false, Layout::Rows, 0}, {3, 6, true, Layout::Rows, 0}};
  std::vector<std::unique_ptr<Layer>> layers;
  std::vector<DeviceLayer> table;
  std::vector<UpdateTask> tasks;
  for (const Shape& shape : shapes) {
    const int32_t i = static_cast<int32_t>(layers.size());
    layers.push_back(std::make_unique<Layer>(shape, record_of(i == 2 ? 0 : 3, false), 31u + static_cast<uint32_t>(i)));
    table.push_back(layers.back()->device());
    lngd::cuda::append_update_tasks(i, table.back(), 20, tasks);
  }
  const Array<DeviceLayer> device_table(table);
  const Array<UpdateTask> device_tasks(tasks);
  for (int turn = 1; turn <= 2; ++turn) {
    CHECK_EQ(lngd::cuda::launch_swap_averages(device_table.data, device_tasks.data, static_cast<int32_t>(tasks.size()),
                                              nullptr),
             cudaSuccess);
    finish_launches();
    for (size_t l = 0; l < layers.size(); ++l) {
      const Layer& layer = *layers[l];
      const bool swapped = turn == 1 && l != 2; // layer 2 has not moved yet
      const std::vector<float> w = layer.weights.read(), a = layer.average.read(), b = layer.bias.read();
      int64_t wrong = 0;
      for (int64_t i = 0; i < layer.shape.outputs; ++i)
        for (int64_t j = 0; j < layer.shape.columns(); ++j) {
          const size_t own = static_cast<size_t>(i * layer.shape.ldw() + j);
          const size_t at = static_cast<size_t>(i * layer.shape.inputs + j);
          const bool is_bias = j == layer.shape.inputs;
          const float mine = is_bias ? layer.b[static_cast<size_t>(i)] : layer.w[at];
          wrong += (is_bias ? b[static_cast<size_t>(i)] : w[at]) != (swapped ? layer.a[own] : mine);
          wrong += a[own] != (swapped ? mine : layer.a[own]);
        }
      CHECK_EQ(wrong, 0);
    }
  }
}
