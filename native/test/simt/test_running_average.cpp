// SPDX-License-Identifier: Apache-2.0
// running_average.cu against the formulas of spec section 3 in double precision, over several layers in one launch.
#include <cmath>
#include <memory>
#include <string>

#include "backend/cuda/running_average.h"
#include "layer_fixture.hpp"

namespace {

using namespace fixture;
using lngd::BlockLayout;
using lngd::cuda::AverageLayer;
using lngd::cuda::AverageTask;
using lngd::cuda::StepSettings;

constexpr double kRho = 0.95;

// What was observed of a layer before the launch.
enum class Update { First, Later, Poisoned, Empty, Dead, NotDue };
constexpr Update kUpdates[] = {Update::First, Update::Later, Update::Poisoned,
                               Update::Empty, Update::Dead,  Update::NotDue};

// The sums and averages of a layer; what the kernel has no business with is kGap.
struct Statistics {
  static constexpr float kGap = -54321.0f;
  BlockLayout blocks;
  int32_t outputs;
  Update update;
  std::vector<float> phi_sum, phi, psi;
  std::vector<double> psi_sum, denominator;
  std::unique_ptr<Array<float>> device_phi_sum, device_phi, device_psi;
  std::unique_ptr<Array<double>> device_psi_sum, device_denominator;
  std::unique_ptr<Array<LayerRecord>> record;

  Statistics(int32_t d, int32_t block, int32_t groups, int32_t m, Update u, uint32_t seed)
      : blocks(d, block, groups), outputs(m), update(u) {
    Numbers numbers(seed);
    phi_sum.assign(static_cast<size_t>(blocks.floats()), kGap);
    phi = phi_sum;
    for (int64_t k = 0; k < blocks.count(); ++k)
      for (int64_t i = 0; i < blocks.size(k); ++i)
        for (int64_t j = 0; j <= i; ++j) {
          phi_sum[at(k, i, j)] = 30 * numbers.next();
          phi[at(k, i, j)] = numbers.next();
        }
    psi = numbers.vector(m);
    for (int32_t i = 0; i < m; ++i) psi_sum.push_back(40.0 + numbers.next());
    // The second of several groups saw nothing.
    for (int32_t g = 0; g < groups; ++g) denominator.push_back(u == Update::Dead || g == 1 ? 0.0 : 90.0 + g);
    if (u == Update::Poisoned) {
      phi_sum[at(0, 0, 0)] = std::nanf("");
      denominator[0] = std::nan("");
    }
    LayerRecord before{};
    before.samples = u == Update::Empty ? 0 : 24;
    before.poisoned = u == Update::Poisoned;
    before.has_average = u != Update::First;
    before.statistics_updates = 3;
    before.skipped_statistics = 2;
    device_phi_sum = std::make_unique<Array<float>>(phi_sum);
    device_phi = std::make_unique<Array<float>>(phi);
    device_psi = std::make_unique<Array<float>>(psi);
    device_psi_sum = std::make_unique<Array<double>>(psi_sum);
    device_denominator = std::make_unique<Array<double>>(denominator);
    record = std::make_unique<Array<LayerRecord>>(std::vector<LayerRecord>{before});
  }

  size_t at(int64_t k, int64_t i, int64_t j) const {
    return static_cast<size_t>(blocks.offset(k) + i * blocks.ld(k) + j);
  }

  AverageLayer device() const {
    lngd::LayerShape shape{};
    shape.outputs = outputs;
    shape.groups = blocks.groups;
    shape.d = blocks.d;
    shape.blocks = blocks;
    lngd::LayerMemory memory{};
    memory.record = record->data;
    memory.denominator = device_denominator->data;
    memory.phi_sum = device_phi_sum->data;
    memory.phi = device_phi->data;
    memory.psi_sum = device_psi_sum->data;
    memory.psi = device_psi->data;
    return lngd::cuda::average_layer(shape, memory);
  }

  bool accepted() const { return update == Update::First || update == Update::Later; }
  bool accepted(int64_t group) const { return accepted() && denominator[static_cast<size_t>(group)] > 0; }
  double keep() const { return update == Update::First ? 0.0 : kRho; }

  void check_factors() const {
    const std::vector<float> sum = device_phi_sum->read(), average = device_phi->read();
    double worst = 0;
    int64_t wrong = 0;
    for (int64_t k = 0; k < blocks.count(); ++k)
      for (int64_t i = 0; i < blocks.size(k); ++i)
        for (int64_t j = 0; j < blocks.ld(k); ++j) {
          const size_t a = at(k, i, j);
          if (update == Update::NotDue) {
            wrong += sum[a] != phi_sum[a];
          } else if (j <= i) {
            wrong += sum[a] != 0;
          } else { // of the same four columns as the diagonal: zeroed too, nobody reads it
            wrong += sum[a] != kGap && !(j < i / 4 * 4 + 4 && sum[a] == 0);
          }
          if (j > i || !accepted(blocks.group(k))) {
            wrong += average[a] != phi[a];
            continue;
          }
          const double expected = keep() * phi[a] + (1 - keep()) / 24 * phi_sum[a];
          worst = std::max(worst, std::fabs(average[a] - expected));
        }
    CHECK_EQ(wrong, 0);
    // Both weights are rounded to float, both products and the sum, of numbers up to 2; fused or not.
    CHECK_WITHIN(worst, 5 * 0x1p-24);
  }

  void check_psi() const {
    const std::vector<float> average = device_psi->read();
    const std::vector<double> sum = device_psi_sum->read(), total = device_denominator->read();
    double worst = 0;
    int64_t wrong = 0;
    for (size_t i = 0; i < psi.size(); ++i) {
      const size_t group = i / (psi.size() / denominator.size());
      wrong += sum[i] != (update == Update::NotDue ? psi_sum[i] : 0.0);
      if (accepted(static_cast<int64_t>(group))) {
        const double expected = keep() * psi[i] + (1 - keep()) / denominator[group] * psi_sum[i];
        worst = std::max(worst, std::fabs(average[i] - expected));
      } else {
        wrong += average[i] != psi[i];
      }
    }
    for (size_t g = 0; g < total.size(); ++g) wrong += total[g] != (update == Update::NotDue ? denominator[g] : 0.0);
    CHECK_EQ(wrong, 0);
    CHECK_WITHIN(worst, 0x1p-24); // computed in double, rounded once; below 2
  }

  void check_record() const {
    const LayerRecord after = record->read()[0];
    const bool due = update != Update::NotDue;
    CHECK_EQ(after.samples, due ? 0 : 24);
    CHECK_EQ(after.poisoned, 0);
    CHECK_EQ(after.has_average, 1);
    CHECK_EQ(after.statistics_updates, accepted() ? 4 : 3);
    CHECK_EQ(after.skipped_statistics, due && !accepted() ? 3 : 2);
  }
};

} // namespace

TEST(kernel_running_average) {
  start();
  StepSettings settings{};
  settings.rho = kRho;
  const Array<StepSettings> device_settings(std::vector<StepSettings>{settings});
  struct Size {
    int32_t d, block, groups, outputs;
  };
  // Blocks whose last one is short; a factor in one piece; groups, of which the second is dead; one number.
  const Size sizes[] = {{131, 64, 1, 300}, {150, 0, 1, 7}, {9, 128, 6, 12}, {37, 16, 3, 9}, {1, 128, 1, 1}};
  for (const Schedule& schedule : kSchedules) {
    simt::set_schedule(schedule.order, schedule.seed);
    std::vector<Statistics> layers;
    std::vector<AverageLayer> table;
    std::vector<AverageTask> tasks;
    std::vector<int32_t> due;
    for (const Size& size : sizes)
      for (const Update update : kUpdates) {
        const int32_t index = static_cast<int32_t>(layers.size());
        layers.emplace_back(size.d, size.block, size.groups, size.outputs, update, 7u + static_cast<uint32_t>(index));
        table.push_back(layers.back().device());
        due.push_back(update != Update::NotDue);
        lngd::cuda::append_average_tasks(index, table.back(), 256, tasks);
      }
    const Array<AverageLayer> device_table(table);
    const Array<AverageTask> device_tasks(tasks);
    const Array<int32_t> device_due(due);
    CHECK_EQ(lngd::cuda::launch_running_average(device_settings.data, device_table.data, device_due.data,
                                                static_cast<int32_t>(table.size()), device_tasks.data,
                                                static_cast<int32_t>(tasks.size()), nullptr),
             cudaSuccess);
    finish_launches();
    for (const Statistics& layer : layers) {
      const conformance::Scope scope("d " + std::to_string(layer.blocks.d) + ", groups " +
                                     std::to_string(layer.blocks.groups) + ", update " +
                                     std::to_string(static_cast<int>(layer.update)));
      layer.check_factors();
      layer.check_psi();
      layer.check_record();
    }
  }
  simt::set_schedule(simt::Order::Forward);
}
