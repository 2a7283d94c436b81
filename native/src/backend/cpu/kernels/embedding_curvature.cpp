// SPDX-License-Identifier: Apache-2.0
// The EMPIRICAL curvature of an embedding: C = (1/N) sum_n (sum_t delta_nt^T D a_nt)^2, where D a_nt is column k_nt of
// D (and the bias column): N T m multiplications, whatever the vocabulary.
//
// Outputs go by in tiles: the rows of D of one tile stay in the cache while all positions of some samples look up their
// columns in it. Sample by sample over all outputs would touch a line of memory for every output and position.
#include <cmath>

#include "backend/cpu/kernels/conv_images.h" // at
#include "backend/cpu/kernels/embedding.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

constexpr int64_t kTile = 16; // outputs: one cache line of deltas whose outputs are contiguous

// sum_n x_n^2 for the samples first .. first + count - 1 of the subsample, count <= kRateRows.
double squared_projections(const StepLayer& layer, int64_t first, int64_t count, int64_t used) {
  const LayerShape& shape = *layer.shape;
  const Activations& inputs = layer.conv_inputs;
  const Activations& deltas = layer.conv_deltas;
  const int64_t positions = inputs.width, stride = deltas.stride[1];
  double x[kRateRows] = {};
  for (int64_t tile = 0; tile < shape.outputs; tile += kTile) {
    const int64_t outputs = std::min(kTile, shape.outputs - tile);
    const float* const rows = layer.memory->direction + tile * shape.ldw;
    for (int64_t k = 0; k < count; ++k) {
      // Sample k of the subsample is sample k N / used of the batch, as in a dense layer.
      const int64_t n = (first + k) * layer.samples / used;
      for (int64_t t = 0; t < positions; ++t) {
        const int64_t column = embedding_index(inputs, n, t, shape.inputs);
        if (column < 0) return std::nan("");
        const caller_float* const delta = at(deltas, n, tile, 0, t);
        float sum = 0;
        for (int64_t i = 0; i < outputs; ++i) {
          const float* const row = rows + i * shape.ldw;
          sum += delta[i * stride] * (shape.bias ? row[column] + row[shape.inputs] : row[column]);
        }
        x[k] += sum;
      }
    }
  }
  double sum = 0;
  for (int64_t k = 0; k < count; ++k) sum += x[k] * x[k];
  return sum;
}

} // namespace

double embedding_curvature(CpuContext& context, const StepArgs& args, int32_t index, int64_t used) {
  const StepLayer& layer = args.layers[index];
  const int64_t chunks = (used + kRateRows - 1) / kRateRows, tasks = std::min(chunks, kRateTasks);
  double* const partial = cpu(args.plan).rate_partial.data() + index * kRateTasks;
  const double work = 2.0 * static_cast<double>(used * layer.conv_inputs.width * layer.shape->outputs);
  context.pool.parallel_for(tasks, work, [&](int64_t task, int32_t) {
    double sum = 0;
    for (int64_t chunk = task * chunks / tasks; chunk < (task + 1) * chunks / tasks; ++chunk) {
      const int64_t first = chunk * kRateRows;
      sum += squared_projections(layer, first, std::min(kRateRows, used - first), used);
    }
    partial[task] = sum;
  });
  double sum = 0;
  for (int64_t task = 0; task < tasks; ++task) sum += partial[task];
  return sum / static_cast<double>(used);
}

} // namespace lngd::cpu::LNGD_ISA
