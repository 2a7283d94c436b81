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

void time_layer(const Options& options, const Layer& layer, const Preset& preset, const Kind& kind, Order order,
                Row& row) {
  const Device d = device();
  row.work = statistics_work(layer, preset, kind.passes);
  if (kind.passes == 0) row.work.fp32 = row.work.operations;
  const int64_t rows = layer.samples(preset) * layer.positions();
  std::vector<std::unique_ptr<Slot>> slots;
  const int count = slots_for(options, d, row.work.bytes);
  for (int i = 0; i < count; ++i) slots.push_back(std::make_unique<Slot>(layer, preset, order));
  BENCH_CUDA(layer.conv ? lngd::cuda::prepare_conv_statistics() : lngd::cuda::prepare_layer_statistics());
  const auto launch = [&](int i, cudaStream_t stream) {
    Slot& slot = *slots[static_cast<size_t>(i)];
    const lngd::cuda::StatisticsWorkspace workspace{slot.workspace.get(), slot.bytes, d.multiprocessors};
    if (layer.conv)
      BENCH_CUDA(lngd::cuda::launch_conv_statistics(slot.data.conv(), workspace, kind.precision, stream));
    else
      BENCH_CUDA(lngd::cuda::launch_layer_statistics(slot.data.dense(), workspace, kind.precision, stream));
  };
  launch(0, nullptr);
  BENCH_CUDA(cudaDeviceSynchronize());
  row.residual = slots[0]->data.largest_error();
  // Chunks of 32 rows are added in float: a random walk of roundings.
  row.bound = kind.error + 4 * 0x1p-24 * std::sqrt(static_cast<double>(rows) / 32 + 1);
  row.timing = measure(options, count, launch);
}

} // namespace

void bench_statistics(const Options& options, const Set& set, Report& report) {
  for (const Layer& layer : distinct(set.layers)) {
    for (const Kind& kind : kKinds) {
      // The two that may be asked for where precision matters; BF16 and FP32 once, for the layers of the default
      // preset.
      const bool main_kinds = kind.precision == Precision::TripleTf32 || kind.precision == Precision::Tf32;
      if (!main_kinds && !(options.smoke || (set.preset.samples > 0 && set.name == "resnet18-cifar"))) continue;
      for (const Order order : {Order::Nchw, Order::Nhwc}) {
        if (order == Order::Nhwc && !(layer.conv && main_kinds && (options.smoke || set.name == "resnet18-cifar")))
          continue;
        Row row = row_of(layer.conv ? "conv_statistics" : "layer_statistics", set, kind.name);
        row.name = layer.name + (order == Order::Nhwc ? " nhwc" : "");
        row.count = layer.count;
        row.d = layer.columns();
        report.run(row, [&](Row& r) { time_layer(options, layer, set.preset, kind, order, r); });
      }
    }
  }
}

} // namespace bench