// SPDX-License-Identifier: Apache-2.0
// factor_inverse: Phi_inv = (Phi_hat + lambda I)^-1 for every diagonal block of every layer that is due, Psi_inv
// elementwise (paper 3.3; damping rules in spec section 4). Always float32.
//
//   A = Phi_hat + lambda I = U^T U        A^-1 = U^-1 U^-T
//
// With orthogonalise the triangle C^-1 = U^-T, C = U^T, is what is kept. Above its diagonal are the zeros
// of the allocation: nothing ever writes there.
//
// Blocks up to kSmallFactor rows: one thread each (small_inverse.h). Larger ones: all threads on one block
// (large_inverse.h). A pivot that is not positive: ten times the damping and again, at most 6 times; then the old
// inverse stays. The inverse is written only when it is complete. A diagonal factor (of an embedding) is inverted
// elementwise.
#include <cmath>

#include "backend/cpu/kernels/eigenbasis.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/large_inverse.h"
#include "backend/cpu/kernels/second_factor.h"
#include "backend/damping.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

constexpr int32_t kRetries = 6;

struct Block {
  const float* phi; // lower triangle
  float* inverse;
  int64_t n, ld;
};

Block block_of(const StepLayer& layer, const BlockTask& task) {
  const BlockLayout& blocks = layout_of(*layer.shape, task);
  const LayerMemory& memory = *layer.memory;
  const int64_t k = task.block, offset = blocks.offset(k);
  return {(task.second ? memory.second : memory.phi) + offset,
          (task.second ? memory.second_inverse : memory.phi_inverse) + offset, blocks.size(k), blocks.ld(k)};
}

double trace_of(const Block& block) {
  double trace = 0;
  for (int64_t i = 0; i < block.n; ++i) trace += block.phi[i * block.ld + i];
  return trace;
}

// Mean diagonal element of the blocks begin .. end - 1 of a factor.
double mean_of_blocks(const StepLayer& layer, bool second, int64_t begin, int64_t end) {
  double trace = 0;
  int64_t size = 0;
  for (int64_t k = begin; k < end; ++k) {
    const Block block = block_of(layer, {0, static_cast<int32_t>(k), second});
    trace += trace_of(block);
    size += block.n;
  }
  return trace / static_cast<double>(size);
}

// Of all blocks of a factor, and of those of one group.
double layer_mean(const StepLayer& layer, bool second) {
  return mean_of_blocks(layer, second, 0, (second ? layer.shape->second : layer.shape->blocks).count());
}
double group_mean(const StepLayer& layer, bool second, int64_t group) {
  const int64_t count = (second ? layer.shape->second : layer.shape->blocks).group_blocks();
  return mean_of_blocks(layer, second, group * count, (group + 1) * count);
}

double damping_of(const lngd_config& config, const StepLayer& layer, const BlockTask& task) {
  const DampingRules rules = damping_rules(config);
  if (config.damping == LNGD_DAMPING_FACTORED) {
    const int64_t group = layout_of(*layer.shape, task).group(task.block);
    return factored_damping(rules, group_mean(layer, false, group), group_mean(layer, true, group), task.second);
  }
  if (config.damping == LNGD_DAMPING_SIGNAL) {
    const LayerRecord& record = *layer.memory->record;
    return signal_damping(rules, signal_gamma(rules, record.input_square, record.signal_square),
                          layer_mean(layer, task.second), task.second);
  }
  if (damped_by_layer(config)) return mean_damping(rules, layer_mean(layer, task.second), task.second);
  const Block block = block_of(layer, task);
  return mean_damping(rules, trace_of(block) / static_cast<double>(block.n), task.second);
}

// Copies an n x n lower triangle into both triangles of `to`. By tiles: a column of a large matrix touches as many
// pages as it has rows.
void mirror(const float* from, int64_t n, int64_t ldf, float* to, int64_t ld) {
  constexpr int64_t kTile = 32;
  for (int64_t i0 = 0; i0 < n; i0 += kTile)
    for (int64_t j0 = 0; j0 <= i0; j0 += kTile)
      for (int64_t i = i0; i < std::min(n, i0 + kTile); ++i)
        for (int64_t j = j0; j < std::min(i + 1, j0 + kTile); ++j) to[i * ld + j] = to[j * ld + i] = from[i * ldf + j];
}

// A pivot of 0 or less is reported by LAPACK; one that overflowed leaves a diagonal that is not a positive number.
bool positive_diagonal(const float* a, int64_t n, int64_t ld) {
  for (int64_t i = 0; i < n; ++i)
    if (!(a[i * ld + i] > 0) || std::isinf(a[i * ld + i])) return false;
  return true;
}

// Returns the first bad pivot, or -1 with the inverse written. scratch: small_scratch(n) floats.
int32_t invert_small(const Block& block, double lambda, bool triangle, float* scratch) {
  const int64_t size = padded(block.n), ld = small_ld(block.n);
  float* const u = scratch;
  float* const x = scratch + size * ld;
  copy_transposed(block.phi, block.n, block.ld, lambda, u, ld);
  const int64_t pivot = factor_upper(u, size, ld);
  if (pivot >= 0) return static_cast<int32_t>(pivot);
  invert_transposed(u, size, ld, x);
  if (triangle) {
    if (!positive_diagonal(x, block.n, ld)) return 0;
    store_triangle(x, block.n, ld, block.inverse, block.ld);
    return -1;
  }
  multiply_transposed(x, size, ld, u); // U is not needed any more
  if (!positive_diagonal(u, block.n, ld)) return 0;
  mirror(u, block.n, ld, block.inverse, block.ld);
  return -1;
}

// Of a diagonal block, whose triangle C^-1 is 1 / sqrt(phi + lambda); as above, the inverse is written only where every
// pivot is positive.
int32_t invert_diagonal(const Block& block, double lambda, bool triangle) {
  const auto inverse = [&](int64_t i) {
    const double damped = block.phi[i] + lambda;
    return static_cast<float>(1.0 / (triangle ? std::sqrt(damped) : damped));
  };
  for (int64_t i = 0; i < block.n; ++i)
    if (!(inverse(i) > 0) || std::isinf(inverse(i))) return static_cast<int32_t>(i);
  for (int64_t i = 0; i < block.n; ++i) block.inverse[i] = inverse(i);
  return -1;
}

template <typename Invert>
BlockResult invert_with_retries(double lambda, Invert invert) {
  BlockResult result{lambda, 0, -1, false};
  for (;; result.lambda *= 10, ++result.retries) {
    const int32_t pivot = invert(result.lambda);
    if (pivot < 0) {
      result.renewed = true;
      return result;
    }
    result.failed_pivot = pivot;
    if (result.retries == kRetries) return result;
  }
}

// NGPLUS has the identity in place of psi.
void invert_psi(const lngd_config& config, const StepLayer& layer) {
  const float* const psi = layer.memory->psi;
  if (layer.shape->approximation == LNGD_APPROXIMATION_NGPLUS) {
    std::fill_n(layer.memory->psi_inverse, layer.shape->outputs, 1.0f);
    layer.memory->record->lambda_psi = 0;
    return;
  }
  double trace = 0;
  for (int64_t i = 0; i < layer.shape->outputs; ++i) trace += psi[i];
  const double lambda = mean_damping(damping_rules(config), trace / static_cast<double>(layer.shape->outputs), true);
  for (int64_t i = 0; i < layer.shape->outputs; ++i)
    layer.memory->psi_inverse[i] = static_cast<float>(1.0 / (psi[i] + lambda));
  layer.memory->record->lambda_psi = lambda;
}

bool due(const StepLayer& layer) { return layer.inverse_due && layer.memory->record->has_average; }

// Where EKFAC keeps the eigenvalues of a block.
float* basis_values(const StepLayer& layer, const BlockTask& task) {
  const LayerShape& shape = *layer.shape;
  const BlockLayout& blocks = layout_of(shape, task);
  float* const values = layer.memory->basis_values + (task.second ? shape.groups * shape.d : 0);
  return values + blocks.group(task.block) * blocks.d + blocks.begin(task.block);
}

// EKFAC: its lambda follows from S, so here it only marks a block that has a basis.
BlockResult find_basis(const CpuContext& context, const StepLayer& layer, const BlockTask& task, float* scratch) {
  const Block block = block_of(layer, task);
  const bool found =
      eigenbasis(context.blas, block.phi, block.n, block.ld, block.inverse, basis_values(layer, task), scratch);
  return {1.0, 0, found ? -1 : 0, found};
}

bool complete_basis(const StepLayer& layer) {
  bool complete = true;
  for (int64_t k = 0; k < layer.shape->blocks.count(); ++k) complete = complete && layer.memory->lambda_phi[k] > 0;
  for (int64_t k = 0; k < layer.shape->second_count(); ++k) complete = complete && layer.memory->lambda_second[k] > 0;
  return complete;
}

// Into the records, in the order of the blocks.
void record_results(const StepArgs& args) {
  const CpuPlan& plan = cpu(args.plan);
  for (int32_t i = 0; i < args.count; ++i) {
    const StepLayer& layer = args.layers[i];
    if (!due(layer)) continue;
    LayerRecord& record = *layer.memory->record;
    bool any = false;
    for (size_t b = 0; b < plan.blocks.size(); ++b) {
      if (plan.blocks[b].layer != i) continue;
      const BlockResult& result = plan.block_results[b];
      record.retries += result.retries;
      if (result.failed_pivot >= 0) {
        // Those of the second factor are numbered after those of Phi.
        const int32_t before = plan.blocks[b].second ? static_cast<int32_t>(layer.shape->blocks.count()) : 0;
        record.last_failed_block = before + plan.blocks[b].block;
        record.last_failed_pivot = result.failed_pivot;
      }
      if (result.renewed) {
        (plan.blocks[b].second ? layer.memory->lambda_second : layer.memory->lambda_phi)[plan.blocks[b].block] =
            result.lambda;
        any = true;
      } else {
        ++record.failed_inverses;
      }
    }
    if (any && layer.shape->eigenbasis() && complete_basis(layer)) restart_scales(layer, *args.config);
    if (any) {
      if (!layer.shape->second_matrix()) invert_psi(*args.config, layer);
      ++record.inverse_updates;
    }
    // A block that never had an inverse has nothing to keep: the layer waits for it. Its lambda is still 0.
    bool complete = any;
    for (int64_t k = 0; k < layer.shape->blocks.count(); ++k) complete = complete && layer.memory->lambda_phi[k] > 0;
    for (int64_t k = 0; k < layer.shape->second_count(); ++k) {
      record.lambda_psi = std::max(k == 0 ? 0.0 : record.lambda_psi, layer.memory->lambda_second[k]);
      complete = complete && layer.memory->lambda_second[k] > 0;
    }
    if (complete) record.has_inverse = 1;
  }
}

} // namespace

void factor_inverse(Context& base, const StepArgs& args) {
  CpuContext& context = cpu(base);
  CpuPlan& plan = cpu(args.plan);
  const KernelScope scope(context, plan.work_inverse);
  const bool triangle = args.config->orthogonalise != 0;
  // The large ones lead the list.
  int64_t first_small = 0;
  const int64_t count = static_cast<int64_t>(plan.blocks.size());
  for (; first_small < count; ++first_small) {
    const BlockTask& task = plan.blocks[static_cast<size_t>(first_small)];
    const StepLayer& layer = args.layers[task.layer];
    const Block block = block_of(layer, task);
    if (block.n <= kSmallFactor || layer.shape->eigenbasis()) break;
    if (!due(layer)) continue;
    plan.block_results[static_cast<size_t>(first_small)] =
        invert_with_retries(damping_of(*args.config, layer, task), [&](double lambda) {
          return layout_of(*layer.shape, task).is_diagonal
                     ? invert_diagonal(block, lambda, triangle)
                     : static_cast<int32_t>(invert_large(context, block.phi, block.n, block.ld, lambda,
                                                         plan.factor.data(), block.inverse, triangle));
        });
  }
  context.pool.parallel_for(count - first_small, plan.work_inverse, [&](int64_t index, int32_t worker) {
    const size_t at = static_cast<size_t>(first_small + index);
    const BlockTask& task = plan.blocks[at];
    const StepLayer& layer = args.layers[task.layer];
    if (!due(layer)) return;
    const Block block = block_of(layer, task);
    float* const scratch = plan.worker[static_cast<size_t>(worker)].data();
    if (layer.shape->eigenbasis()) {
      plan.block_results[at] = find_basis(context, layer, task, scratch);
      return;
    }
    plan.block_results[at] = invert_with_retries(damping_of(*args.config, layer, task), [&](double lambda) {
      return layout_of(*layer.shape, task).is_diagonal ? invert_diagonal(block, lambda, triangle)
                                                       : invert_small(block, lambda, triangle, scratch);
    });
  });
  record_results(args);
}

} // namespace lngd::cpu::LNGD_ISA
