// SPDX-License-Identifier: Apache-2.0
// factor_inverse over all diagonal blocks of a set at once, with what publishes the results: damping, Cholesky,
// triangular inverse and product.
#include "backend/cuda/factor_inverse.h"

#include <algorithm>
#include <cmath>

#include "cases.hpp"
#include "network.hpp"
#include "numbers.cuh"

namespace bench {
namespace {

constexpr lngd::cuda::DampingRule kRule{{LNGD_DAMPING_RELATIVE, 0.25, 1e-10, 0, 0, 1, 0}};
constexpr double kLambda = 0.25; // of a matrix with 1 on the diagonal

struct Slot {
  explicit Slot(const Network& net) : Slot(net, {}, {}) {}

  Slot(const Network& net, std::vector<lngd::cuda::FactorTask> blocks, std::vector<lngd::cuda::FactorLayer> table)
      : plan(add_layers(net, blocks, table)),
        tasks(plan.tasks()),
        starts(plan.starts()),
        workspace((plan.workspace_bytes() + 3) / 4),
        results(static_cast<int64_t>(plan.tasks().size())),
        layers(table) {}

  static std::vector<lngd::cuda::FactorTask> add_layers(const Network& net, std::vector<lngd::cuda::FactorTask>& blocks,
                                                        std::vector<lngd::cuda::FactorLayer>& table) {
    for (size_t i = 0; i < net.layers.size(); ++i)
      table.push_back(lngd::cuda::add_factor_layer(net.shapes[i], net.memory[i], static_cast<int32_t>(i), blocks));
    return blocks;
  }

  void launch(cudaStream_t stream) const {
    const lngd::cuda::FactorTables tables{tasks.get(), starts.get(), workspace.get(), device().multiprocessors};
    BENCH_CUDA(lngd::cuda::launch_factor_inverse(plan, tables, kRule, nullptr, results.get(), stream));
    BENCH_CUDA(lngd::cuda::launch_factor_records(layers.get(), static_cast<int32_t>(layers.count()), kRule, nullptr,
                                                 results.get(), stream));
  }

  lngd::cuda::FactorPlan plan;
  Buffer<lngd::cuda::FactorTask> tasks;
  Buffer<int32_t> starts;
  Buffer<float> workspace;
  Buffer<lngd::cuda::FactorResult> results;
  Buffer<lngd::cuda::FactorLayer> layers;
};

// The one-norm of some columns of A X - I over that of A times that of X's columns: at most a small multiple of n eps
// for a stable method. The factor's spectrum is known, so ||A|| and ||X|| need no further pass over it.
double residual(const Network& net, size_t l, int64_t k) {
  const lngd::BlockLayout& b = net.shapes[l].blocks;
  const int64_t n = b.size(k), ld = b.ld(k);
  const std::vector<float> x = net.phi_inverse.read(net.at[l].blocks + b.offset(k), (n - 1) * ld + n);
  const float scale = spd_scale(n);
  constexpr int kColumns = 3;
  const int64_t columns[kColumns] = {0, n / 2, n - 1};
  std::vector<double> errors(static_cast<size_t>(n) * kColumns), sizes(static_cast<size_t>(n));
  parallel(n, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      double sum[kColumns] = {}, row = 0;
      for (int64_t j = 0; j < n; ++j) {
        const double a = static_cast<double>(spd(Network::kPhi, n, i, j, scale)) + (i == j ? kLambda : 0.0);
        row += std::fabs(a);
        for (int c = 0; c < kColumns; ++c)
          sum[c] += a * static_cast<double>(x[static_cast<size_t>(j * ld + columns[c])]);
      }
      sizes[static_cast<size_t>(i)] = row;
      for (int c = 0; c < kColumns; ++c)
        errors[static_cast<size_t>(i * kColumns + c)] = std::fabs(sum[c] - (i == columns[c] ? 1.0 : 0.0));
    }
  });
  const double norm = *std::max_element(sizes.begin(), sizes.end());
  double worst = 0;
  for (int c = 0; c < kColumns; ++c) {
    double error = 0, size = 0;
    for (int64_t i = 0; i < n; ++i) {
      error += errors[static_cast<size_t>(i * kColumns + c)];
      size += std::fabs(static_cast<double>(x[static_cast<size_t>(i * ld + columns[c])]));
    }
    const double ratio = error / (norm * size * static_cast<double>(n) * 0x1p-24);
    worst = ratio <= worst ? worst : ratio; // NaN stays
  }
  return worst;
}

// Over the first, the middle and the last block of every layer.
double worst_residual(const Network& net) {
  double worst = 0;
  for (size_t l = 0; l < net.layers.size(); ++l) {
    const int64_t count = net.shapes[l].blocks.count();
    for (const int64_t k : {int64_t{0}, count / 2, count - 1}) {
      const double r = residual(net, l, k);
      worst = r <= worst ? worst : r;
      if (k == count - 1) break;
    }
  }
  return worst;
}

} // namespace

void bench_factor_inverse(const Options& options, const Set& set, Report& report) {
  report.run(row_of("factor_inverse", set, "fp32"), [&](Row& row) {
    for (const Layer& l : set.layers) row.work = row.work + factor_inverse_work(l, set.preset);
    const auto networks = copies(options, set.layers, set.preset, row.work.bytes);
    BENCH_CUDA(lngd::cuda::prepare_factor_inverse());
    std::vector<Slot> slots;
    for (const auto& net : networks) slots.emplace_back(*net);
    BENCH_CUDA(cudaMemset(networks[0]->phi_inverse.get(), 0xff,
                          static_cast<size_t>(networks[0]->phi_inverse.count()) * sizeof(float)));
    slots[0].launch(nullptr);
    BENCH_CUDA(cudaDeviceSynchronize());
    for (const lngd::cuda::FactorResult& r : slots[0].results.read())
      if (!r.renewed || r.retries != 0 || !(std::fabs(r.lambda - kLambda) < 1e-6))
        throw Failed("a block was not inverted");
    row.residual = worst_residual(*networks[0]);
    row.bound =
        1; // in units of n eps ||A|| ||X||, which a stable method stays well below; what is wrong is off by 1 / eps
    row.note =
        "residual in units of n 2^-24 ||A||_1 ||X||_1; " + std::to_string(slots[0].plan.launches()) + " launches";
    row.timing = measure(options, static_cast<int>(slots.size()),
                         [&](int slot, cudaStream_t stream) { slots[static_cast<size_t>(slot)].launch(stream); });
  });
}

} // namespace bench
