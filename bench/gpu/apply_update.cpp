// SPDX-License-Identifier: Apache-2.0
// apply_update over all layers of a set: bound by memory, four streams in and three out.
#include <algorithm>
#include <cmath>

#include "cases.hpp"
#include "network.hpp"
#include "numbers.cuh"

namespace bench {
namespace {

// Weights after the first update, against the formula in double precision (spec section 7).
double largest_error(const Network& net) {
  constexpr double kCoefficient = -0x1p-14, kMomentum = 0.5, kDecay = 0x1p-10;
  double worst = 0;
  for (size_t l = 0; l < net.layers.size(); ++l) {
    const lngd::LayerShape& s = net.shapes[l];
    const int64_t count = s.outputs * s.inputs;
    for (int64_t k = 0; k < 64; ++k) {
      const int64_t i = k * (count - 1) / 63, own = net.at[l].own + i / s.inputs * s.ldw + i % s.inputs;
      const auto number = [](uint32_t seed, int64_t at) {
        return static_cast<double>(uniform(seed, static_cast<uint64_t>(at)));
      };
      const double w = number(Network::kWeights, net.at[l].weights + i);
      const double m = kMomentum * number(Network::kMomentum, own) + kCoefficient * number(Network::kDirection, own);
      const double expected = w - kDecay * w + m;
      worst = std::max(worst, std::fabs(static_cast<double>(net.weights.read(net.at[l].weights + i, 1)[0]) - expected));
    }
  }
  return worst;
}

} // namespace

void bench_apply_update(const Options& options, const Set& set, Report& report) {
  report.run(row_of("apply_update", set, "fp32"), [&](Row& row) {
    for (const Layer& l : set.layers) row.work = row.work + apply_update_work(l);
    const auto networks = copies(options, set.layers, set.preset, row.work.bytes);
    std::vector<lngd::cuda::UpdateTask> tasks;
    for (size_t i = 0; i < set.layers.size(); ++i)
      lngd::cuda::append_update_tasks(static_cast<int32_t>(i), networks[0]->device_layers[i],
                                      lngd::cuda::kUpdateElements, tasks);
    const Buffer<lngd::cuda::UpdateTask> table(tasks);
    const Settings settings;
    const auto launch = [&](int slot, cudaStream_t stream) {
      BENCH_CUDA(lngd::cuda::launch_apply_update(settings.memory.get(),
                                                 networks[static_cast<size_t>(slot)]->table.get(), table.get(),
                                                 static_cast<int32_t>(tasks.size()), false, stream));
    };
    launch(0, nullptr);
    BENCH_CUDA(cudaDeviceSynchronize());
    row.residual = largest_error(*networks[0]);
    row.bound = 8 * 0x1p-24; // five roundings of numbers below 2
    row.timing = measure(options, static_cast<int>(networks.size()), launch);
  });
}

} // namespace bench
