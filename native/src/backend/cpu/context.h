// SPDX-License-Identifier: Apache-2.0
// What the CPU kernels share: threads, OpenBLAS, workspaces, and the plan of a step.
#ifndef LNGD_BACKEND_CPU_CONTEXT_H
#define LNGD_BACKEND_CPU_CONTEXT_H

#include <cstdlib>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/blas.h"
#include "backend/cpu/memory.h"
#include "backend/cpu/thread_pool.h"
#include "backend/gradient_scale.h"
#include "backend/parameter_rules.h"

namespace lngd::cpu {

// Workspace of floats, 64-byte aligned, that only grows.
class Scratch {
 public:
  float* data() const { return memory_.get(); }
  int64_t floats() const { return floats_; }
  bool reserve(int64_t floats) {
    if (floats <= floats_) return true;
    void* memory = allocate_aligned(static_cast<size_t>(padded(floats)) * sizeof(float));
    if (!memory) return false;
    memory_.reset(static_cast<float*>(memory));
    floats_ = floats;
    return true;
  }

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float, Free> memory_;
  int64_t floats_ = 0;
};

// Sizes that the workspaces and the kernels agree on.
constexpr int64_t kRowTask = 32;      // samples of one row task of layer_statistics
constexpr int64_t kPanelRows = 256;   // most samples packed at once
constexpr int64_t kSmallFactor = 256; // blocks up to here are inverted by one thread each
constexpr int64_t kFactorTile = 128;  // tile of larger ones
// The scratch matrices of a small factor, U and X of small_inverse.h. Their leading dimension is a cache line more than
// the rows have, so that the rows of a column of tiles do not all fall into the same few sets of the first-level cache.
inline int64_t small_ld(int64_t n) { return padded(n) + kRowAlign; }
inline int64_t small_scratch(int64_t n) { return 2 * padded(n) * small_ld(n); }
// A square matrix in strips (large_inverse.h): room for the widest, 32 columns, and a cache line for each of the
// narrowest, 8.
inline int64_t strip_floats(int64_t n) {
  const int64_t size = padded(n);
  return (size + 31) / 32 * 32 * size + (size + 7) / 8 * kRowAlign;
}
inline int64_t large_scratch(int64_t n) { return 2 * strip_floats(n) + small_scratch(kFactorTile); }
constexpr int64_t kLargeRows = 512;   // of a product with a large block
constexpr int64_t kRateRows = 64;     // samples of one product of layer_rate
constexpr int64_t kRateColumns = 512; // outputs of one product of layer_rate
constexpr int64_t kRateTasks = 64;    // most tasks a layer in layer_rate

// Samples packed at once for a layer of d inputs: about two megabytes. Strips of it are read again and again from the
// second-level cache; fewer rows mean more traffic for Phi.
inline int64_t panel_rows(int64_t d) {
  const int64_t fitting = (int64_t{1} << 19) / padded(d) / kRowTask * kRowTask;
  return std::min(kPanelRows, std::max(2 * kRowTask, fitting));
}
// Floats of a packed panel (packed_syrk.h), for the widest strips of any instruction set: 32 columns, and a cache line
// for each strip of the narrowest, 8.
inline int64_t panel_floats(const BlockLayout& blocks, int64_t rows) {
  const int64_t widest = (blocks.block + 31) / 32 * 32, most_strips = (blocks.block + 7) / 8;
  return blocks.count() * (widest * rows + most_strips * kRowAlign);
}

// Whether the statistics give each thread whole diagonal blocks, which it packs and multiplies itself. What another
// core has packed would have to come out of that core's cache: two threads gained 4 to 17 % over one for the 3 x 3
// layers of ResNet-18. The order of the sums is the same.
inline bool block_a_thread(const BlockLayout& blocks, int32_t threads) {
  return blocks.block <= kSmallFactor && blocks.count() >= std::max(2, threads);
}

// Whether each thread takes whole panels of a convolution's patches: few columns have too few strips for all threads,
// and a copy of Phi for every panel is small.
inline bool panel_a_thread(const BlockLayout& blocks, int32_t threads) {
  return threads > 1 && blocks.floats() <= 128 * 128 && !block_a_thread(blocks, threads);
}
inline int64_t panels_at_once(int32_t threads) { return 4 * int64_t{threads}; }

// Rows of the panels of a layer whose second factor is a matrix: inputs and gradients go by side by side.
inline int64_t paired_rows(const LayerShape& shape) {
  return panel_rows(shape.embedding ? shape.outputs : std::max(shape.d, shape.outputs));
}
// Rows of the signal of a convolution that are gathered at once for its second factor.
inline int64_t second_rows(int64_t m) {
  return std::min<int64_t>(512, std::max<int64_t>(kRowTask, (int64_t{1} << 18) / padded(m) / kRowTask * kRowTask));
}

// Workspace of ssyevd for a block, with the copy that it works on, and its leading dimension.
inline int64_t eigen_scratch(int64_t n) { return n * padded(n) + padded(n) + 1 + 6 * n + 2 * n * n + 3 + 5 * n; }
// Workspace of EKFAC's scales.
inline int64_t projection_floats(const LayerShape& shape) {
  if (shape.convolution) return 3 * shape.outputs * shape.ldw;
  return 2 * paired_rows(shape) * (shape.ldw + padded(shape.outputs));
}

// A run of neighbouring output positions in a panel of patches: element e of patch column j comes from source[offset of
// j
// + e] of the image.
struct ConvRun {
  const float* source; // any byte alignment
  int32_t column;      // first column of the panel
  int32_t length;
  int32_t sample; // counted in the batch, or in the subsample of the rate
  int32_t y, x;   // output position of its first element
};

// Workspaces of the convolution kernels; they grow when larger images are first seen (reserve_conv).
struct ConvWorkspace {
  Scratch images;                  // padded copies, one for each unit of a chunk
  Scratch weights;                 // sqrt(r): groups x rows of a chunk; then those of a second factor
  Scratch product;                 // rate: outputs of a group x rows of a panel; panel_a_thread: Phi of each
  std::vector<Scratch> rows;       // for each worker: a block of signal rows, eps, q, psi
  std::vector<double> squares;     // for each unit: squares of the image, summed over the channels of a group
  std::vector<double> psi;         // for each unit: m
  std::vector<double> denominator; // for each unit: groups; three times that with a second factor
  std::vector<double> partial;     // rate: for each tile of outputs and each run
  std::vector<double> projections; // rate: for each sample
  std::vector<ConvRun> runs;       // rows of a panel; panel_a_thread: for each worker
};

struct CpuContext : Context {
  CpuContext(int32_t threads, const Blas& library) : pool(threads), blas(library) {}

  ThreadPool pool;
  const Blas& blas;
  Scratch panel;                    // packed, weighted inputs; with block_a_thread a block's for each worker
  Scratch second_panel;             // the same of the gradients, where the second factor is a matrix
  Scratch projection;               // EKFAC: rows in the caller's basis and in the layer's (scales.cpp)
  Scratch psi_partial;              // one row of m for each row task of a panel
  std::vector<Scratch> row;         // for each worker: 3 rows of m
  std::vector<float> weights;       // for each row of a panel: sqrt(r)
  std::vector<double> denominators; // for each row task: sum of c_n r_n; or of c_n r_n, c_n and r_n
  ConvWorkspace conv;
  Failure failure; // the first since take_failure
};

// The life of one kernel: workers at hand, denormals flushed, OpenBLAS on one thread.
class KernelScope {
 public:
  KernelScope(CpuContext& context, double work) : session_(context.pool, work) { keep_single_threaded(context.blas); }

 private:
  const ThreadPool::Session session_;
};

// One piece of precondition: rows [row0, row1) of one diagonal block.
struct PreconditionTask {
  int32_t layer;
  int32_t block;
  int64_t row0, row1;
};

// Sums over the elements of one such piece.
struct DirectionSums {
  double direction_gradient;  // <D, G>
  double direction_direction; // ||D||^2
  double weight_weight;       // ||W||^2
  double direction_psi;       // <D, Psi D>, Psi damped
  double psi_gradient;        // <D, Psi^-1 G>
};

struct BlockTask {
  int32_t layer;
  int32_t block;
  bool second; // of the second factor
};

// One piece of the product with a second factor: columns [column0, column1) of the rows of one of its blocks.
struct ColumnTask {
  int32_t layer;
  int32_t block;
  int64_t column0, column1;
};

// The blocks that a task's is one of.
inline const BlockLayout& layout_of(const LayerShape& shape, const BlockTask& task) {
  return task.second ? shape.second : shape.blocks;
}

// What became of one block in factor_inverse.
struct BlockResult {
  double lambda;
  int32_t retries;
  int32_t failed_pivot; // of the last failed try, -1: none failed
  bool renewed;
};

// One matrix of the whitened orthogonalisation: a group of a layer.
struct OrthogonalTask {
  int32_t layer;
  int32_t group;
};

// Operations of the Newton-Schulz steps for a group: 4 p^2 q + 10 p^3, p <= q the sides of its matrix.
inline double orthogonal_work(const LayerShape& shape) {
  const double rows = static_cast<double>(shape.outputs / shape.groups), columns = static_cast<double>(shape.d);
  const double p = std::min(rows, columns), q = std::max(rows, columns);
  return 4 * p * p * q + 10 * p * p * p;
}
// Whether all threads work on one matrix: about a millisecond of one.
inline bool large_orthogonal(const LayerShape& shape) { return orthogonal_work(shape) > 1e8; }
// The three squares of newton_schulz.h and its partial sums, which are fewer doubles than half of a row.
inline int64_t newton_schulz_floats(int64_t p) { return (3 * p + 1) * padded(p); }
// A copy of the matrix beside them.
inline int64_t orthogonal_scratch(const LayerShape& shape) {
  const int64_t rows = shape.outputs / shape.groups;
  return rows * shape.ldw + newton_schulz_floats(std::min(rows, shape.d));
}

struct UpdateTask {
  int32_t layer;
  int64_t row0, row1; // of a parameter: elements
};

struct CpuPlan : Plan {
  std::vector<PreconditionTask> precondition;
  std::vector<DirectionSums> sums;        // one for each
  std::vector<ColumnTask> columns;        // of layers whose second factor is a matrix
  std::vector<BlockTask> blocks;          // largest first
  std::vector<BlockResult> block_results; // one for each
  std::vector<OrthogonalTask> orthogonal; // with config.orthogonalise; the large ones lead
  std::vector<UpdateTask> updates;
  std::vector<UpdateTask> parameters;        // those of them that are of parameters
  std::vector<ParameterSums> parameter_sums; // one for each
  std::vector<double> gradient_squares;      // one for each of `updates`, where gradients are clipped
  GradientScale gradients;                   // of the present or the last step
  std::vector<double> rate_partial;          // kRateTasks for each layer
  std::vector<Scratch> worker;               // for each worker: packing of gradients and samples, small factors
  Scratch factor;                            // U and U^-T of the largest block beyond kSmallFactor
  Scratch newton_schulz;                     // orthogonal_scratch of the most demanding large matrix
  double work_average = 0, work_inverse = 0, work_precondition = 0, work_second = 0, work_orthogonal = 0;
  double work_update = 0, work_parameters = 0;
};

inline CpuContext& cpu(Context& context) { return static_cast<CpuContext&>(context); }
inline CpuPlan& cpu(Plan* plan) { return *static_cast<CpuPlan*>(plan); }

// The kernels of one instruction set.
struct Kernels {
#define LNGD_KERNEL(name, arguments) void (*name)(Context&, const arguments&);
#include "backend/kernels.def"
#undef LNGD_KERNEL
  void (*fisher_rows)(Context&, const StatisticsArgs&, const FisherRows&);
  void (*conv_fisher_rows)(Context&, const ConvStatisticsArgs&, const FisherRows&);
};

namespace portable {
extern const Kernels kernels;
}
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}

} // namespace lngd::cpu
#endif
