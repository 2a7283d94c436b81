// SPDX-License-Identifier: Apache-2.0
// layer_statistics and conv_statistics, one row for each different layer of a set and precision.
#include "backend/cuda/statistics.h"

#include <cmath>
#include <memory>

#include "cases.hpp"
#include "statistics_data.hpp"

namespace bench {
namespace {

using lngd::cuda::Precision;

struct Kind {
  Precision precision;
  const char* name;
  int passes;   // products on the tensor cores for each useful one; 0: none of them
  double error; // of one product, relative
};
// 3xTF32: see precondition.cpp. TF32 and BF16 round both factors, to 11 and 8 bits.
constexpr Kind kKinds[] = {{Precision::TripleTf32, "3xtf32", 3, 0x1p-20},
                           {Precision::Tf32, "tf32", 1, 0x1p-10},
                           {Precision::Bfloat16, "bf16", 1, 0x1p-7},
                           {Precision::Float32, "fp32", 0, 0x1p-22}};

struct Slot {
  Slot(const Layer& layer, const Preset& preset, Order order)
      : data(layer, preset, order), bytes(workspace_bytes(layer, preset)), workspace(static_cast<int64_t>(bytes)) {}
  size_t workspace_bytes(const Layer& layer, const Preset& preset) {
    const int32_t multiprocessors = device().multiprocessors;
    const lngd::LayerShape shape = layer.shape(preset);
    if (!layer.conv) return lngd::cuda::layer_statistics_workspace(shape, data.dense().samples, multiprocessors);
    const lngd::ConvStatisticsArgs args = data.conv();
    return lngd::cuda::conv_statistics_workspace(shape, args.inputs, args.samples, multiprocessors);
  }
  StatisticsData data;
  size_t bytes;
  Buffer<char> workspace;
};

// A layer's data and reference, made when the first precision needs them and shared by all.
struct Workbench {
  std::vector<std::unique_ptr<Slot>> slots;
  Reference reference;
};

void time_layer(const Options& options, const Layer& layer, const Preset& preset, const Kind& kind, Order order,
                Workbench& bench, Row& row) {
  const Device d = device();
  row.work = statistics_work(layer, preset, kind.passes);
  if (kind.passes == 0) row.work.fp32 = row.work.operations;
  if (bench.slots.empty()) {
    const int count = slots_for(options, d, row.work.bytes);
    for (int i = 0; i < count; ++i) bench.slots.push_back(std::make_unique<Slot>(layer, preset, order));
    bench.reference = bench.slots[0]->data.reference();
    BENCH_CUDA(layer.conv ? lngd::cuda::prepare_conv_statistics(d.shared_bytes)
                          : lngd::cuda::prepare_layer_statistics(d.shared_bytes));
  }
  const auto launch = [&](int i, cudaStream_t stream) {
    Slot& slot = *bench.slots[static_cast<size_t>(i)];
    const lngd::cuda::StatisticsWorkspace workspace{slot.workspace.get(), slot.bytes, d.multiprocessors,
                                                    d.shared_bytes};
    if (layer.conv)
      BENCH_CUDA(lngd::cuda::launch_conv_statistics(slot.data.conv(), workspace, kind.precision, stream));
    else
      BENCH_CUDA(lngd::cuda::launch_layer_statistics(slot.data.dense(), workspace, kind.precision, stream));
  };
  bench.slots[0]->data.reset();
  launch(0, nullptr);
  BENCH_CUDA(cudaDeviceSynchronize());
  row.residual = bench.slots[0]->data.largest_error(bench.reference);
  // Chunks of 32 rows are added in float: a random walk of roundings.
  const double chunks = static_cast<double>(layer.samples(preset) * layer.positions()) / 32 + 1;
  row.bound = kind.error + 4 * 0x1p-24 * std::sqrt(chunks);
  row.timing = measure(options, static_cast<int>(bench.slots.size()), launch);
}

// 3xTF32 and TF32, which the targets are about, everywhere; the others, and convolutions in the other layout, on one
// network.
bool wanted(const Options& options, const Set& set, const Layer& layer, const Kind& kind, Order order) {
  const bool main_kind = kind.precision == Precision::TripleTf32 || kind.precision == Precision::Tf32;
  if (options.smoke) return order == Order::Nchw || layer.conv;
  if (order == Order::Nhwc) return layer.conv && main_kind && set.name == "resnet18-cifar";
  return main_kind || (set.name == "resnet18-cifar" && set.preset.samples > 0);
}

} // namespace

void bench_statistics(const Options& options, const Set& set, Report& report) {
  for (const Layer& layer : distinct(set.layers))
    for (const Order order : {Order::Nchw, Order::Nhwc}) {
      Workbench bench;
      for (const Kind& kind : kKinds) {
        if (!wanted(options, set, layer, kind, order)) continue;
        Row row = row_of(layer.conv ? "conv_statistics" : "layer_statistics", set, kind.name);
        row.name = layer.name + (order == Order::Nhwc ? " nhwc" : "");
        row.count = layer.count;
        row.d = layer.columns();
        report.run(row, [&](Row& r) { time_layer(options, layer, set.preset, kind, order, bench, r); });
      }
    }
}

} // namespace bench
