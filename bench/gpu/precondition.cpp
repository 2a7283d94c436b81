// SPDX-License-Identifier: Apache-2.0
// precondition, D = Psi_inv G Phi_inv, over all layers of a set in one launch.
#include <algorithm>
#include <cmath>

#include "cases.hpp"
#include "network.hpp"
#include "numbers.cuh"

namespace bench {
namespace {

// Of a sample of elements of D, against the sum of absolute terms.
double largest_error(const Network& net) {
  double worst = 0;
  for (size_t l = 0; l < net.layers.size(); ++l) {
    const lngd::LayerShape& s = net.shapes[l];
    const int64_t d = s.d, height = s.outputs / s.groups;
    for (int64_t sample = 0; sample < 24; ++sample) {
      const int64_t i = sample * (s.outputs - 1) / 23, j = sample * 7919 % d;
      const int64_t k = i / height * s.blocks.group_blocks() + j / s.blocks.block, first = s.blocks.begin(k);
      const int64_t n = s.blocks.size(k);
      const float scale = spd_scale(n);
      double sum = 0, absolute = 0;
      for (int64_t c = 0; c < n; ++c) {
        const bool bias = first + c == s.inputs;
        const int64_t at = bias ? net.at[l].bias + i : net.at[l].weights + i * s.inputs + first + c;
        const double term = static_cast<double>(uniform(bias ? Network::kBiasGradients : Network::kGradients,
                                                        static_cast<uint64_t>(at))) *
                            static_cast<double>(spd(Network::kPhiInverse, n, c, j - first, scale));
        sum += term;
        absolute += std::fabs(term);
      }
      const double psi = static_cast<double>(net.psi_inverse.read(net.at[l].outputs + i, 1)[0]);
      const double got = static_cast<double>(net.direction.read(net.at[l].own + i * s.ldw + j, 1)[0]);
      worst = std::max(worst, std::fabs(got - psi * sum) / (psi * absolute));
      if (std::isnan(got)) return got;
    }
  }
  return worst;
}

} // namespace

void bench_precondition(const Options& options, const Set& set, Report& report) {
  report.run(row_of("precondition", set, "3xtf32"), [&](Row& row) {
    for (const Layer& l : set.layers) row.work = row.work + precondition_work(l, set.preset, 3);
    const auto networks = copies(options, set.layers, set.preset, row.work.bytes);
    std::vector<Buffer<lngd::cuda::DirectionTile>> tables;
    size_t count = 0;
    for (const auto& net : networks) {
      std::vector<lngd::cuda::DirectionTile> tiles;
      for (size_t i = 0; i < set.layers.size(); ++i)
        lngd::cuda::append_direction_tiles(static_cast<int32_t>(i), net->shapes[i].blocks,
                                           static_cast<int32_t>(net->shapes[i].outputs), net->memory[i].phi_inverse,
                                           tiles);
      count = tiles.size();
      tables.emplace_back(tiles);
      BENCH_CUDA(cudaMemset(net->direction.get(), 0xff, static_cast<size_t>(net->direction.count()) * sizeof(float)));
    }
    const Settings settings;
    const Buffer<lngd::cuda::DirectionSums> sums(static_cast<int64_t>(count));
    BENCH_CUDA(lngd::cuda::prepare_precondition());
    const auto launch = [&](int slot, cudaStream_t stream) {
      const size_t s = static_cast<size_t>(slot);
      BENCH_CUDA(lngd::cuda::launch_precondition(settings.memory.get(), networks[s]->table.get(), tables[s].get(),
                                                 static_cast<int32_t>(count), sums.get(),
                                                 lngd::cuda::Precision::TripleTf32, stream));
    };
    launch(0, nullptr);
    BENCH_CUDA(cudaDeviceSynchronize());
    row.residual = largest_error(*networks[0]);
    // 3xTF32: the low parts are rounded (2^-23 of a term), low times low is left out (2^-22), and a chunk of 32 terms
    // is added with truncation (a few 2^-23).
    row.bound = 0x1p-20;
    row.timing = measure(options, static_cast<int>(networks.size()), launch);
  });
}

} // namespace bench
