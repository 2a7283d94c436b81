// SPDX-License-Identifier: Apache-2.0
// running_average over all layers of a set. A launch zeroes the sums and the count of samples, without which the next
// one has nothing to do: so both are put back by a copy before each launch, and the time of the copies alone is taken
// off.
#include <algorithm>
#include <cmath>

#include "backend/cuda/running_average.h"
#include "cases.hpp"
#include "network.hpp"
#include "numbers.cuh"

namespace bench {
namespace {

// Phi after one average: rho Phi + (1 - rho) sum / samples, for sums of 64 (see below) and 64 samples.
double largest_error(const Network& net) {
  constexpr double kRho = 0.75;
  double worst = 0;
  for (size_t l = 0; l < net.layers.size(); ++l) {
    const lngd::BlockLayout& b = net.shapes[l].blocks;
    for (int64_t k = 0; k < b.count(); k += std::max<int64_t>(1, b.count() / 8)) {
      const int64_t n = b.size(k), i = n - 1, j = n / 2;
      const double old = static_cast<double>(spd(Network::kPhi, n, i, j, spd_scale(n)));
      const double got = static_cast<double>(net.phi.read(net.at[l].blocks + b.offset(k) + i * b.ld(k) + j, 1)[0]);
      worst = std::max(worst, std::fabs(got - (kRho * old + (1 - kRho))));
    }
  }
  return worst;
}

} // namespace

void bench_running_average(const Options& options, const Set& set, Report& report) {
  report.run(row_of("running_average", set, "fp32"), [&](Row& row) {
    for (const Layer& l : set.layers) row.work = row.work + running_average_work(l, set.preset);
    const auto networks = copies(options, set.layers, set.preset, row.work.bytes);
    std::vector<lngd::cuda::AverageTask> tasks;
    std::vector<Buffer<lngd::cuda::AverageLayer>> tables;
    for (const auto& net : networks) {
      std::vector<lngd::cuda::AverageLayer> layers;
      tasks.clear();
      for (size_t i = 0; i < set.layers.size(); ++i) {
        layers.push_back(lngd::cuda::average_layer(net->shapes[i], net->memory[i]));
        lngd::cuda::append_average_tasks(static_cast<int32_t>(i), layers[i], lngd::cuda::kAverageElements, tasks);
      }
      tables.emplace_back(layers);
      fill(net->phi_sum.get(), net->phi_sum.count(), 0, 64.0f, 0.0f);
    }
    const Buffer<lngd::cuda::AverageTask> table(tasks);
    const int32_t count = static_cast<int32_t>(set.layers.size());
    const Buffer<int32_t> due(std::vector<int32_t>(set.layers.size(), 1));
    const Settings settings;
    const Buffer<lngd::LayerRecord> records(networks[0]->records.read());
    const auto restore = [&](int slot, cudaStream_t stream) { // the records: samples and denominators
      const Network& net = *networks[static_cast<size_t>(slot)];
      BENCH_CUDA(cudaMemcpyAsync(net.records.get(), records.get(), sizeof(lngd::LayerRecord) * set.layers.size(),
                                 cudaMemcpyDeviceToDevice, stream));
      BENCH_CUDA(cudaMemsetAsync(net.denominator.get(), 0x3f,
                                 static_cast<size_t>(net.denominator.count()) * sizeof(double),
                                 stream)); // 0.0005: what matters is that it is positive
    };
    const auto launch = [&](int slot, cudaStream_t stream) {
      const size_t s = static_cast<size_t>(slot);
      BENCH_CUDA(lngd::cuda::launch_running_average(settings.memory.get(), tables[s].get(), due.get(), count,
                                                    table.get(), static_cast<int32_t>(tasks.size()), stream));
    };
    launch(0, nullptr);
    BENCH_CUDA(cudaDeviceSynchronize());
    row.residual = largest_error(*networks[0]);
    row.bound = 4 * 0x1p-24; // three roundings of numbers of at most 1
    const int slots = static_cast<int>(networks.size());
    row.timing = measure(options, slots, [&](int slot, cudaStream_t stream) {
      restore(slot, stream);
      launch(slot, stream);
    });
    const Timing copies_alone = measure(options, slots, restore);
    row.timing.median = std::max(0.0, row.timing.median - copies_alone.median);
    row.timing.low = std::max(0.0, row.timing.low - copies_alone.high);
    row.timing.high = std::max(0.0, row.timing.high - copies_alone.low);
    row.note = "less " + std::to_string(copies_alone.median) + " us of copies that make it due again";
  });
}

} // namespace bench
