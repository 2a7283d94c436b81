// SPDX-License-Identifier: Apache-2.0
// running_average: the sums of the observed update into the running averages (spec section 3):
//
//   Phi_hat <- rho Phi_hat + (1 - rho) Phi / N        psi_hat <- rho psi_hat + (1 - rho) psi / denominator
//
// The first update initialises. An update with NaN, Inf or overflow, or in which every c_n r_n was 0 (a dead layer),
// changes nothing, and neither does one group of a
// convolution in which they were. A second factor that is a matrix (second_factor.h) goes the way of Phi. The sums are
// zero afterwards in every case. Signals that are gradients of a scaled loss are divided here, where their squares are
// sums, and so is everything dropped of a step that is kept out.
#include "backend/cpu/kernels/second_factor.h"
#include "backend/cpu/kernels/tile_product.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

struct Weights {
  float keep; // of the old average
  float sum;
};

// The diagonal of an embedding: its sums are double.
void average_diagonal(const StepLayer& layer, double keep, double share, bool accept) {
  double* const sum = layer.memory->phi_diagonal_sum;
  float* const hat = layer.memory->phi;
  for (int64_t i = 0; i < layer.shape->d; ++i) {
    if (accept) hat[i] = static_cast<float>(keep * hat[i] + share * sum[i]);
    sum[i] = 0;
  }
}

// The sum and the running average of a factor.
struct Factor {
  const BlockLayout& blocks;
  float *sum, *hat;
};

void average_block(const Factor& factor, int64_t k, const Weights& weights, bool accept) {
  const BlockLayout& blocks = factor.blocks;
  const int64_t ld = blocks.ld(k);
  for (int64_t i = 0; i < blocks.size(k); ++i) {
    float* const sum = factor.sum + blocks.offset(k) + i * ld;
    float* const hat = factor.hat + blocks.offset(k) + i * ld;
    if (accept) {
#pragma omp simd
      for (int64_t j = 0; j <= i; ++j) hat[j] = weights.keep * hat[j] + weights.sum * sum[j];
    }
    // With what the tiles on the diagonal hold beside it (packed_syrk.h): it would grow from update to update, and with
    // the sums of other ranks (lngd_sums) to Inf.
    const int64_t end = std::min(ld, (i / kTileColumns + 1) * kTileColumns);
    for (int64_t j = 0; j < end; ++j) sum[j] = 0;
  }
}

// alpha_l = sum ||a||^2 / (N d) and beta_l = the mean of g^2, over all groups; N samples with `rows` rows of g, of an
// embedding N = rows.
void average_squares(const StepLayer& layer, double keep, double rows, double signal) {
  const LayerShape& shape = *layer.shape;
  LayerRecord& record = *layer.memory->record;
  double inputs = 0, signals = 0;
  for (int64_t g = 0; g < shape.groups; ++g) {
    inputs += layer.memory->totals[g];
    signals += layer.memory->totals[shape.groups + g];
  }
  const double samples = shape.embedding ? rows : static_cast<double>(record.samples);
  const double columns = static_cast<double>(shape.groups * shape.d);
  record.input_square = keep * record.input_square + (1 - keep) * inputs / (samples * columns);
  record.signal_square =
      keep * record.signal_square + (1 - keep) * signal * signals / (rows * static_cast<double>(shape.outputs));
}

// B = (1/rows) sum g g^T, or Psi = sum c g g^T / sum c r.
void average_second(CpuContext& context, const StepLayer& layer, double keep, bool accept, double signal) {
  const LayerShape& shape = *layer.shape;
  const LayerMemory& memory = *layer.memory;
  const Factor factor{shape.second, memory.second_sum, memory.second};
  const double rows = memory.totals[2 * shape.groups];
  if (accept) average_squares(layer, keep, rows, signal);
  const bool ratio = shape.approximation == LNGD_APPROXIMATION_TKFAC; // which has no scale
  const double of_rows = (1.0 - keep) * signal / rows;
  context.pool.parallel_for(shape.second.count(), 8.0 * static_cast<double>(shape.second.floats()),
                            [&](int64_t k, int32_t) {
                              const int64_t g = shape.second.group(k);
                              const double share = ratio ? (1.0 - keep) / memory.denominator[g] : of_rows;
                              const bool any = accept && memory.denominator[g] > 0;
                              const Weights weights{static_cast<float>(keep), any ? static_cast<float>(share) : 0.0f};
                              average_block(factor, k, weights, any);
                            });
  for (int64_t i = 0; i <= 2 * shape.groups; ++i) memory.totals[i] = 0;
}

// Whether the sums stay numbers of float when they are multiplied by `signal`.
bool scales(const StepLayer& layer, double signal) {
  const LayerShape& shape = *layer.shape;
  const LayerMemory& memory = *layer.memory;
  const double count = shape.second_matrix() ? std::fmax(memory.totals[2 * shape.groups], 1.0)
                                             : static_cast<double>(memory.record->samples);
  bool fits = true;
  for (int64_t g = 0; g < shape.groups; ++g) {
    fits &= scales_within_float(signal, memory.denominator[g], count);
    if (shape.second_matrix()) fits &= scales_within_float(signal, memory.totals[shape.groups + g], count);
  }
  return fits;
}

void average_layer(CpuContext& context, StepLayer& layer, const lngd_config& config, const GradientScale& scale) {
  LayerRecord& record = *layer.memory->record;
  const BlockLayout& blocks = layer.shape->blocks;
  const LayerShape& shape = *layer.shape;
  double* const denominator = layer.memory->denominator;
  bool any = false; // of the groups
  for (int64_t g = 0; g < shape.groups; ++g) any |= denominator[g] > 0;
  const double signal = signal_square(shape, scale), phi = phi_has_signals(shape) ? signal : 1.0;
  const bool accept =
      !record.poisoned && any && record.samples > 0 && scale.skip == 0 && (signal == 1.0 || scales(layer, signal));
  const double keep = record.has_average ? config.rho : 0.0;
  const double share = accept ? (1.0 - keep) * phi / static_cast<double>(record.samples) : 0.0;
  const Weights weights{static_cast<float>(keep), static_cast<float>(share)};
  const Factor factor{blocks, layer.memory->phi_sum, layer.memory->phi};
  if (blocks.is_diagonal) average_diagonal(layer, keep, share, accept);
  context.pool.parallel_for(
      blocks.is_diagonal ? 0 : blocks.count(), 8.0 * static_cast<double>(blocks.floats()),
      [&](int64_t k, int32_t) { average_block(factor, k, weights, accept && denominator[blocks.group(k)] > 0); });
  if (shape.eigenbasis())
    average_scales(layer, config, config.rho, accept, static_cast<double>(record.samples) / signal);
  if (shape.second_matrix()) average_second(context, layer, keep, accept, signal);
  float* const psi = layer.memory->psi;
  double* const sum = layer.memory->psi_sum;
  const int64_t group_rows = shape.outputs / shape.groups;
  for (int64_t i = 0; i < shape.outputs && !shape.second_matrix(); ++i) {
    const double total = denominator[i / group_rows];
    if (accept && total > 0) psi[i] = static_cast<float>(keep * psi[i] + (1.0 - keep) / total * sum[i]);
    sum[i] = 0;
  }
  for (int64_t g = 0; g < shape.groups; ++g) denominator[g] = 0;
  if (accept) {
    record.has_average = 1;
    ++record.statistics_updates;
  } else if (scale.skip == 0) {
    ++record.skipped_statistics;
  }
  record.samples = 0;
  record.poisoned = 0;
}

} // namespace

void running_average(Context& base, const StepArgs& args) {
  CpuContext& context = cpu(base);
  const KernelScope scope(context, 8.0 * cpu(args.plan).work_average);
  const GradientScale scale = unscaled(args.scaling);
  for (int32_t i = 0; i < args.count; ++i)
    if (args.layers[i].average_due) average_layer(context, args.layers[i], *args.config, scale);
}

} // namespace lngd::cpu::LNGD_ISA
