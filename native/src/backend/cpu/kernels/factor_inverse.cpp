// SPDX-License-Identifier: Apache-2.0
// factor_inverse: Phi_inv = (Phi_hat + lambda I)^-1 for every diagonal block of every layer that is due, Psi_inv
// elementwise (paper 3.3; damping rules in spec section 4). Always float32.
//
//   A = Phi_hat + lambda I = L L^T        A^-1 = L^-T L^-1
//
// Blocks up to kSmallFactor rows: one thread each (small_inverse.h). Larger ones: all threads on one block, by tiles
// (below). A pivot that is not positive: ten times the damping and again, at most 6 times; then the old inverse stays.
// The inverse is written only when it is complete. A diagonal factor (of an embedding) is inverted elementwise.
#include <cmath>

#include "backend/cpu/kernels/eigenbasis.h"
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/second_factor.h"
#include "backend/cpu/kernels/small_inverse.h"

namespace lngd::cpu::LNGD_ISA {
namespace {

constexpr int32_t kRetries = 6;

// RELATIVE and ABSOLUTE.
double damping(const lngd_config& config, double trace, int64_t n) {
  const double mean = trace / static_cast<double>(n);
  if (config.damping == LNGD_DAMPING_RELATIVE) return std::max(config.damping_factor * mean, config.damping_floor);
  return std::min(std::max(mean, config.damping_min), config.damping_max);
}

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

// FACTORED: pi sqrt(lambda) for Phi, sqrt(lambda) / pi for the second factor, pi^2 = (tr Phi/d) / (tr B/m) of the
// group.
double factored_damping(const lngd_config& config, const StepLayer& layer, const BlockTask& task) {
  const BlockLayout& blocks = layer.shape->blocks;
  const int64_t g = task.second ? task.block : blocks.group(task.block), parts = blocks.group_blocks();
  const Block second = block_of(layer, {task.layer, static_cast<int32_t>(g), true});
  double first_trace = 0;
  for (int64_t k = g * parts; k < (g + 1) * parts; ++k)
    first_trace += trace_of(block_of(layer, {task.layer, static_cast<int32_t>(k), false}));
  const double first_mean = first_trace / static_cast<double>(blocks.d);
  const double second_mean = trace_of(second) / static_cast<double>(second.n);
  const double pi = first_mean > 0 && second_mean > 0 ? std::sqrt(first_mean / second_mean) : 1.0;
  const double root = std::sqrt(config.damping_factor);
  return std::max(task.second ? root / pi : root * pi, config.damping_floor);
}

double damping_of(const lngd_config& config, const StepLayer& layer, const BlockTask& task) {
  if (config.damping == LNGD_DAMPING_FACTORED) return factored_damping(config, layer, task);
  const Block block = block_of(layer, task);
  return damping(config, trace_of(block), block.n);
}

void copy_damped(const Block& block, double lambda, float* a) {
  for (int64_t i = 0; i < block.n; ++i) {
    const float* const from = block.phi + i * block.ld;
    float* const to = a + i * block.ld;
    for (int64_t j = 0; j <= i; ++j) to[j] = from[j];
    to[i] = static_cast<float>(from[i] + lambda);
  }
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
int32_t invert_small(const Block& block, double lambda, float* scratch) {
  const int64_t size = padded(block.n), ld = small_ld(block.n);
  float* const u = scratch;
  float* const x = scratch + size * ld;
  copy_transposed(block.phi, block.n, block.ld, lambda, u, ld);
  const int64_t pivot = factor_upper(u, size, ld);
  if (pivot >= 0) return static_cast<int32_t>(pivot);
  invert_transposed(u, size, ld, x);
  multiply_transposed(x, size, ld, u); // U is not needed any more
  if (!positive_diagonal(u, block.n, ld)) return 0;
  mirror(u, block.n, ld, block.inverse, block.ld);
  return -1;
}

// The tiled inverse of one large block: a = L in place, x = L^-1, then A^-1 = x^T x.
struct Tiled {
  CpuContext& context;
  const Block& block;
  float* a;
  float* x;
  float* tile; // small_scratch(kFactorTile): a diagonal tile while it is factored and inverted

  int64_t tiles() const { return (block.n + kFactorTile - 1) / kFactorTile; }
  int64_t begin(int64_t t) const { return t * kFactorTile; }
  int size(int64_t t) const { return static_cast<int>(std::min(kFactorTile, block.n - begin(t))); }
  int ld() const { return static_cast<int>(block.ld); }
  float* at(float* matrix, int64_t i, int64_t j) const { return matrix + begin(i) * block.ld + begin(j); }
  double work(int64_t rows, int64_t cols, int64_t depth) const {
    return 2.0 * static_cast<double>(rows) * static_cast<double>(cols) * static_cast<double>(depth);
  }
};

// L_kk in place, and X_kk = L_kk^-1 with zeros above its diagonal: the products of invert_column read the whole tile.
// Every other tile waits for this one. Returns the first bad pivot or -1.
int64_t diagonal_tile(const Tiled& t, int64_t k) {
  const int64_t n = t.size(k), size = padded(n), ld = small_ld(n);
  float* const a = t.at(t.a, k, k);
  float* const corner = t.at(t.x, k, k);
  float* const u = t.tile;
  float* const x = t.tile + size * ld;
  copy_transposed(a, n, t.block.ld, 0.0, u, ld);
  const int64_t pivot = factor_upper(u, size, ld);
  if (pivot >= 0) return pivot;
  invert_transposed(u, size, ld, x);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) {
      corner[i * t.block.ld + j] = j <= i ? x[i * ld + j] : 0.0f;
      if (j <= i) a[i * t.block.ld + j] = u[j * ld + i];
    }
  return -1;
}

// Right-looking Cholesky. Returns the first bad pivot or -1.
int32_t tiled_cholesky(const Tiled& t) {
  const Blas& blas = t.context.blas;
  for (int64_t k = 0; k < t.tiles(); ++k) {
    const int nk = t.size(k), ld = t.ld();
    const int64_t pivot = diagonal_tile(t, k);
    if (pivot >= 0) return static_cast<int32_t>(t.begin(k) + pivot);
    const int64_t below = t.tiles() - k - 1, rows = t.block.n - t.begin(k + 1);
    // L_ik = A_ik L_kk^-T
    t.context.pool.parallel_for(below, t.work(rows, nk, nk) / 2, [&](int64_t task, int32_t) {
      const int64_t i = k + 1 + task;
      blas.strsm(kRowMajor, kRight, kLower, kTrans, kNonUnit, t.size(i), nk, 1.0f, t.at(t.a, k, k), ld, t.at(t.a, i, k),
                 ld);
    });
    // A_ij -= L_ik L_jk^T for k < j <= i; long rows first
    t.context.pool.parallel_for(below, t.work(rows, rows, nk) / 2, [&](int64_t task, int32_t) {
      const int64_t i = t.tiles() - 1 - task;
      const int width = static_cast<int>(t.begin(i) - t.begin(k + 1));
      if (width > 0)
        blas.sgemm(kRowMajor, kNoTrans, kTrans, t.size(i), width, nk, -1.0f, t.at(t.a, i, k), ld, t.at(t.a, k + 1, k),
                   ld, 1.0f, t.at(t.a, i, k + 1), ld);
      blas.ssyrk(kRowMajor, kLower, kNoTrans, t.size(i), nk, -1.0f, t.at(t.a, i, k), ld, 1.0f, t.at(t.a, i, i), ld);
    });
  }
  return -1;
}

// Column tile j of X = L^-1: X_jj is there, X_ij = -L_ii^-1 sum_{j <= k < i} L_ik X_kj.
void invert_column(const Tiled& t, int64_t j) {
  const Blas& blas = t.context.blas;
  const int nj = t.size(j), ld = t.ld();
  const float* const corner = t.at(t.x, j, j);
  for (int64_t i = j + 1; i < t.tiles(); ++i) {
    const int depth = static_cast<int>(t.begin(i) - t.begin(j));
    blas.sgemm(kRowMajor, kNoTrans, kNoTrans, t.size(i), nj, depth, 1.0f, t.at(t.a, i, j), ld, corner, ld, 0.0f,
               t.at(t.x, i, j), ld);
    blas.strsm(kRowMajor, kLeft, kLower, kNoTrans, kNonUnit, t.size(i), nj, -1.0f, t.at(t.a, i, i), ld, t.at(t.x, i, j),
               ld);
  }
}

// Tile (i, j), i >= j, of X^T X: rows of X from tile i on, those above are zero in column i.
void multiply_tile(const Tiled& t, int64_t i, int64_t j) {
  const int depth = static_cast<int>(t.block.n - t.begin(i)), ld = t.ld(), ni = t.size(i), nj = t.size(j);
  float* const lower = t.block.inverse + t.begin(i) * t.block.ld + t.begin(j);
  float* const upper = t.block.inverse + t.begin(j) * t.block.ld + t.begin(i);
  t.context.blas.sgemm(kRowMajor, kTrans, kNoTrans, ni, nj, depth, 1.0f, t.at(t.x, i, i), ld, t.at(t.x, i, j), ld, 0.0f,
                       lower, ld);
  for (int64_t row = 0; row < ni; ++row)
    for (int64_t col = 0; col < (i == j ? row : nj); ++col) upper[col * ld + row] = lower[row * ld + col];
}

int32_t invert_large(CpuContext& context, const Block& block, double lambda, float* scratch) {
  const int64_t square = block.n * block.ld;
  const Tiled t{context, block, scratch, scratch + square, scratch + 2 * square};
  copy_damped(block, lambda, t.a);
  const int32_t pivot = tiled_cholesky(t);
  if (pivot >= 0) return pivot;
  if (!positive_diagonal(t.a, block.n, block.ld)) return 0;
  const int64_t tiles = t.tiles();
  const double cube = t.work(block.n, block.n, block.n);
  context.pool.parallel_for(tiles, cube / 6, [&](int64_t j, int32_t) { invert_column(t, j); });
  context.pool.parallel_for(tiles * (tiles + 1) / 2, cube / 6, [&](int64_t task, int32_t) {
    // Tasks by rows: tile (i, j) is task i (i + 1) / 2 + j.
    int64_t i = static_cast<int64_t>((std::sqrt(8.0 * static_cast<double>(task) + 1.0) - 1.0) / 2.0);
    while (i * (i + 1) / 2 > task) --i;
    while ((i + 1) * (i + 2) / 2 <= task) ++i;
    multiply_tile(t, i, task - i * (i + 1) / 2);
  });
  return -1;
}

// Of a diagonal block; as above, the inverse is written only where every pivot is positive.
int32_t invert_diagonal(const Block& block, double lambda) {
  for (int64_t i = 0; i < block.n; ++i) {
    const float inverse = static_cast<float>(1.0 / (block.phi[i] + lambda));
    if (!(inverse > 0) || std::isinf(inverse)) return static_cast<int32_t>(i);
  }
  for (int64_t i = 0; i < block.n; ++i) block.inverse[i] = static_cast<float>(1.0 / (block.phi[i] + lambda));
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

void invert_psi(const lngd_config& config, const StepLayer& layer) {
  const float* const psi = layer.memory->psi;
  double trace = 0;
  for (int64_t i = 0; i < layer.shape->outputs; ++i) trace += psi[i];
  const double lambda = damping(config, trace, layer.shape->outputs);
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
  for (int64_t g = 0; g < layer.shape->second_count(); ++g) complete = complete && layer.memory->lambda_second[g] > 0;
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
    for (int64_t g = 0; g < layer.shape->second_count(); ++g) {
      record.lambda_psi = std::max(g == 0 ? 0.0 : record.lambda_psi, layer.memory->lambda_second[g]);
      complete = complete && layer.memory->lambda_second[g] > 0;
    }
    if (complete) record.has_inverse = 1;
  }
}

} // namespace

void factor_inverse(Context& base, const StepArgs& args) {
  CpuContext& context = cpu(base);
  CpuPlan& plan = cpu(args.plan);
  const KernelScope scope(context, plan.work_inverse);
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
          return layer.shape->blocks.is_diagonal ? invert_diagonal(block, lambda)
                                                 : invert_large(context, block, lambda, plan.factor.data());
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
      return layer.shape->blocks.is_diagonal ? invert_diagonal(block, lambda) : invert_small(block, lambda, scratch);
    });
  });
  record_results(args);
}

} // namespace lngd::cpu::LNGD_ISA
