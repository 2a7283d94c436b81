// SPDX-License-Identifier: Apache-2.0
// apply_update: momentum, weight decay, weights, averaged weights (spec section 7), all layers of a plan in one launch:
//
//   zeta = coefficient D                                  M <- tau M + zeta
//   u = decay W - (M, or with Nesterov tau M + zeta)
//   W <- W - u      or, for frameworks that subtract, G <- u
//   avg <- avg + c/(c + t) ((W - u) - avg)                t = moves of the layer before this one
//
// With orthogonalise M averages gradients, of which layer_rate's D was made:
//
//   M <- tau M + (1 - tau) (s G + wd W)    u = decay W - zeta         wd: of coupled decay, else 0; s: scale of
//                                                                     the gradients (gradient_scale.h)
//
// Bound by memory: 4 streams read, 3 written, 28 bytes an element. What layer_rate decided is read from the layer's
// record, so the host need not know it. Tasks of parameters outside of any layer are in parameter_update.cuh.
//
// A thread takes patches of 4 rows by 4 columns and loads all of a patch before it uses any of it: 16 accesses of 16
// bytes in flight. Our arrays lie by rows. The caller's tensors
//   by rows, aligned       16 bytes of each row; a warp goes along the rows
//   by columns, aligned    16 bytes of each column, transposed in registers; a warp is 8 by 4 patches, so an access is
//                          128 bytes of each of its columns, and 64 of each of our rows
//   by columns, not        4 bytes; the rows of a patch are 8 apart, so that 8 lanes have a sector of 32 bytes
//   by rows, not           4 bytes, and patches are one column wide, for our arrays too: accesses 16 bytes apart would
//                          write each sector four times (stores are not gathered in the first cache)
// Transposing through shared memory would make whole lines of both, the same traffic, and cost two barriers a tile.
#include "backend/cuda/parameter_update.cuh"

namespace lngd::cuda {
namespace {

constexpr int kThreads = 256, kPatchRows = 4;

struct Coefficients {
  float zeta, momentum, momentum_part, zeta_part, decay, average;
  float fresh, coupled; // where momentum averages gradients: 1 - tau and wd
  float gradient;       // likewise: what G is multiplied by
};

// Called by every thread; the few doubles cost less than a barrier would.
template <bool OfGradients>
__device__ Coefficients coefficients(const StepSettings& s, const DeviceLayer& layer) {
  const LayerRecord& record = *layer.record;
  const double t = static_cast<double>(record.moves - 1); // layer_rate has counted this one
  Coefficients k{};
  k.zeta = static_cast<float>(record.coefficient);
  k.momentum = s.momentum;
  k.momentum_part = OfGradients ? 0.0f : s.nesterov ? s.momentum : 1.0f;
  k.zeta_part = OfGradients || s.nesterov ? 1.0f : 0.0f;
  k.decay = static_cast<float>(record.decay);
  k.average = static_cast<float>(s.averaging_window / (s.averaging_window + t));
  k.fresh = s.fresh;
  k.coupled = coupled_decay(s, layer.decay_multiplier);
  k.gradient = s.gradients.factor;
  return k;
}

// One element; returns u. w - u is what a framework that subtracts u will hold: the same bits in both modes. g: read
// where momentum averages gradients.
template <bool OfGradients>
__device__ __forceinline__ float update(const Coefficients& k, float d, float& momentum, float& average, float w,
                                        float g) {
  const float zeta = k.zeta * d;
  momentum = k.momentum * momentum + (OfGradients ? k.fresh * (rounded_product(k.gradient, g) + k.coupled * w) : zeta);
  const float u = k.decay * w - (k.momentum_part * momentum + k.zeta_part * zeta);
  average += k.average * ((w - u) - average);
  return u;
}

// How a matrix of the caller can be accessed.
enum class Access { RowQuads, ColumnQuads, Elements };

__device__ __forceinline__ bool by_columns_here(const Strided& m) {
  return (m.rs < 0 ? -m.rs : m.rs) < (m.cs < 0 ? -m.cs : m.cs);
}
__device__ __forceinline__ Access access(const Strided& m) {
  if (reinterpret_cast<uintptr_t>(m.data) % 16 != 0) return Access::Elements;
  if (m.cs == 1 && m.rs % 4 == 0) return Access::RowQuads;
  return m.rs == 1 && m.cs % 4 == 0 ? Access::ColumnQuads : Access::Elements;
}

// A patch: rows row, row + step, ... of which `valid` (1 to 4) are in the tile, and Width columns from `column`.
struct Patch {
  int row, step, valid, column;
  // Row r, or the last valid one: what is loaded there twice is not stored twice, and no load waits for a condition.
  __device__ __forceinline__ int at(int r) const { return row + step * min(r, valid - 1); }
};

// Calls visit(patch) over `rows` by `columns` (a multiple of Width) from (row0, column0).
template <int Width, class Visit>
__device__ __forceinline__ void visit_patches(int row0, int rows, int column0, int columns, bool down, int step,
                                              const Visit& visit) {
  const int across = columns / Width, bands = (rows + kPatchRows - 1) / kPatchRows;
  if (down) { // a warp: 8 patches down, 4 across; its lanes run down first. Both numbers are rounded up.
    const int groups = (bands + 7) / 8, count = groups * ((across + 3) / 4) * 32;
    for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) {
      const int row = i / 32 % groups * 32 + i % 8 * (step == 1 ? kPatchRows : 1),
                column = i / 32 / groups * 4 + i % 32 / 8;
      if (row < rows && column < across)
        visit(Patch{row0 + row, step, min(kPatchRows, (rows - row + step - 1) / step), column0 + column * Width});
    }
  } else {
    for (int i = static_cast<int>(threadIdx.x); i < bands * across; i += kThreads) {
      const int row = i / across * kPatchRows;
      visit(Patch{row0 + row, 1, min(kPatchRows, rows - row), column0 + i % across * Width});
    }
  }
}

// How a task is cut up. `quads`: of the columns from the first, as many as come in fours; the rest is one column wide.
struct Cut {
  bool down;
  int step, quads;
};

__device__ __forceinline__ Cut cut(const UpdateTask& task, int inputs, const Strided& a, const Strided& b) {
  const Access of_a = access(a), of_b = access(b);
  const bool down = by_columns_here(a) || by_columns_here(b);
  const bool fours = down || (of_a == Access::RowQuads && of_b == Access::RowQuads);
  const bool apart =
      (by_columns_here(a) && of_a == Access::Elements) || (by_columns_here(b) && of_b == Access::Elements);
  return {down, apart ? 8 : 1, fours ? max(0, min(task.column1, inputs) - task.column0) / 4 * 4 : 0};
}

// Calls four(patch) and one(patch), of those widths, over the task's tile.
template <class Four, class One>
__device__ __forceinline__ void visit_tile(const UpdateTask& task, const Cut& cut, const Four& four, const One& one) {
  const int rows = task.row1 - task.row0, rest0 = task.column0 + cut.quads;
  if (cut.quads > 0) visit_patches<4>(task.row0, rows, task.column0, cut.quads, cut.down, cut.step, four);
  if (rest0 < task.column1) visit_patches<1>(task.row0, rows, rest0, task.column1 - rest0, cut.down, cut.step, one);
}

__device__ __forceinline__ void spread(const float4& q, float (&v)[4]) {
  v[0] = q.x, v[1] = q.y, v[2] = q.z, v[3] = q.w;
}
__device__ __forceinline__ float4 gathered(const float (&v)[4]) { return make_float4(v[0], v[1], v[2], v[3]); }

// A patch of our arrays, which begin at `p` for (row 0, column of the patch).
template <int Width>
__device__ __forceinline__ void load(const float* p, int64_t ld, const Patch& patch, float (&v)[4][Width]) {
#pragma unroll
  for (int r = 0; r < kPatchRows; ++r) {
    const float* const from = p + patch.at(r) * ld + patch.column;
    if constexpr (Width == 4) {
      spread(*reinterpret_cast<const float4*>(from), v[r]);
    } else {
      v[r][0] = *from;
    }
  }
}
template <int Width>
__device__ __forceinline__ void store(float* p, int64_t ld, const Patch& patch, const float (&v)[4][Width]) {
#pragma unroll
  for (int r = 0; r < kPatchRows; ++r) {
    if (r >= patch.valid) continue;
    float* const to = p + patch.at(r) * ld + patch.column;
    if constexpr (Width == 4) {
      *reinterpret_cast<float4*>(to) = gathered(v[r]);
    } else {
      *to = v[r][0];
    }
  }
}

// A matrix of the caller with its bias as column `inputs`.
struct Tensor {
  Strided matrix, bias;
  int inputs;
  Access access;

  __device__ Tensor(const Strided& m, const Strided& b, int columns)
      : matrix{in_global(m.data), m.rs, m.cs},
        bias{in_global(b.data), b.rs, b.cs},
        inputs(columns),
        access(cuda::access(m)) {}
  __device__ __forceinline__ float* at(int row, int column) const {
    return column < inputs ? matrix.data + row * matrix.rs + column * matrix.cs : bias.data + row * bias.rs;
  }
  __device__ __forceinline__ bool columns_of(const Patch& patch) const {
    return access == Access::ColumnQuads && patch.step == 1 && patch.valid == kPatchRows && patch.row % 4 == 0;
  }
  template <int Width>
  __device__ __forceinline__ void load(const Patch& patch, float (&v)[4][Width]) const {
    if constexpr (Width == 4) {
      if (access == Access::RowQuads) return cuda::load(matrix.data, matrix.rs, patch, v);
      if (columns_of(patch)) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          float column[4];
          spread(*reinterpret_cast<const float4*>(matrix.data + (patch.column + j) * matrix.cs + patch.row), column);
#pragma unroll
          for (int r = 0; r < kPatchRows; ++r) v[r][j] = column[r];
        }
        return;
      }
    }
#pragma unroll
    for (int r = 0; r < kPatchRows; ++r)
#pragma unroll
      for (int j = 0; j < Width; ++j) v[r][j] = *at(patch.at(r), patch.column + j);
  }
  template <int Width>
  __device__ __forceinline__ void store(const Patch& patch, const float (&v)[4][Width]) const {
    if constexpr (Width == 4) {
      if (access == Access::RowQuads) return cuda::store(matrix.data, matrix.rs, patch, v);
      if (columns_of(patch)) {
#pragma unroll
        for (int j = 0; j < 4; ++j)
          *reinterpret_cast<float4*>(matrix.data + (patch.column + j) * matrix.cs + patch.row) =
              make_float4(v[0][j], v[1][j], v[2][j], v[3][j]);
        return;
      }
    }
#pragma unroll
    for (int r = 0; r < kPatchRows; ++r) {
      if (r >= patch.valid) continue;
#pragma unroll
      for (int j = 0; j < Width; ++j) *at(patch.at(r), patch.column + j) = v[r][j];
    }
  }
};

// Our arrays of a layer, in registers: through a reference to the table each store would mean to read it anew.
struct Own {
  const float* direction;
  float *momentum, *average;
  int64_t ld;

  __device__ explicit Own(const DeviceLayer& layer)
      : direction(in_global(layer.direction)),
        momentum(in_global(layer.momentum)),
        average(in_global(layer.average)),
        ld(layer.ldw) {}
};

template <int Width, bool Gradients, bool OfGradients>
__device__ __forceinline__ void update_patch(const Coefficients& k, const Own& own, const Tensor& weights,
                                             const Tensor& gradients, const Patch& patch) {
  float d[4][Width], w[4][Width], m[4][Width], a[4][Width] = {}, g[4][Width] = {};
  load(own.direction, own.ld, patch, d);
  weights.load(patch, w);
  if constexpr (OfGradients) gradients.load(patch, g);
  load(own.momentum, own.ld, patch, m);
  if (own.average) load(own.average, own.ld, patch, a);
#pragma unroll
  for (int r = 0; r < kPatchRows; ++r)
#pragma unroll
    for (int j = 0; j < Width; ++j) {
      const float u = update<OfGradients>(k, d[r][j], m[r][j], a[r][j], w[r][j], g[r][j]);
      w[r][j] = Gradients ? u : w[r][j] - u;
    }
  store(own.momentum, own.ld, patch, m);
  if (own.average) store(own.average, own.ld, patch, a);
  (Gradients ? gradients : weights).store(patch, w);
}

// Gradients: they get what W would lose. OfGradients: momentum averages gradients.
template <bool Gradients, bool OfGradients>
__global__ void __launch_bounds__(kThreads, 2)
    apply_update_kernel(const StepSettings* settings, const DeviceLayer* layers, const UpdateTask* tasks) {
  const UpdateTask task = tasks[blockIdx.x];
  const DeviceLayer& layer = layers[task.layer];
  if (layer.parameter.columns > 0) { // the same in the whole block
    update_parameter<kThreads, Gradients>(layer, task, *settings);
    return;
  }
  const Own own(layer);
  const Tensor weights(layer.weights, layer.bias, layer.inputs);
  const Tensor gradients(layer.weight_gradients, layer.bias_gradients, layer.inputs);
  if (layer.record->last_step_skipped) { // nothing moves; a gradient that is handed out becomes 0
    if constexpr (Gradients)
      visit_tile(
          task, cut(task, layer.inputs, layer.weight_gradients, layer.weight_gradients),
          [&](const Patch& patch) { gradients.store<4>(patch, {}); },
          [&](const Patch& patch) { gradients.store<1>(patch, {}); });
    return;
  }
  const Coefficients k = coefficients<OfGradients>(*settings, layer);
  visit_tile(
      task, cut(task, layer.inputs, layer.weights, Gradients || OfGradients ? layer.weight_gradients : layer.weights),
      [&](const Patch& patch) { update_patch<4, Gradients, OfGradients>(k, own, weights, gradients, patch); },
      [&](const Patch& patch) { update_patch<1, Gradients, OfGradients>(k, own, weights, gradients, patch); });
}

template <int Width>
__device__ __forceinline__ void swap_patch(const Own& own, const Tensor& weights, const Patch& patch) {
  float ours[4][Width], theirs[4][Width];
  load(own.average, own.ld, patch, ours);
  weights.load(patch, theirs);
  store(own.average, own.ld, patch, theirs);
  weights.store(patch, ours);
}

// Moves only, no arithmetic: a NaN keeps its bits.
__global__ void __launch_bounds__(kThreads, 2)
    swap_averages_kernel(const DeviceLayer* layers, const UpdateTask* tasks) {
  const UpdateTask task = tasks[blockIdx.x];
  const DeviceLayer& layer = layers[task.layer];
  const Own own(layer);
  if (layer.record->moves == 0 || !own.average) return;
  if (layer.parameter.columns > 0) {
    swap_parameter<kThreads>(layer, task);
    return;
  }
  const Tensor weights(layer.weights, layer.bias, layer.inputs);
  visit_tile(
      task, cut(task, layer.inputs, layer.weights, layer.weights),
      [&](const Patch& patch) { swap_patch<4>(own, weights, patch); },
      [&](const Patch& patch) { swap_patch<1>(own, weights, patch); });
}

} // namespace

cudaError_t prepare_apply_update() {
  return prepare_kernels(0, apply_update_kernel<false, false>, apply_update_kernel<true, false>,
                         apply_update_kernel<false, true>, apply_update_kernel<true, true>, swap_averages_kernel);
}

cudaError_t launch_apply_update(const StepSettings* settings, const DeviceLayer* layers, const UpdateTask* tasks,
                                int32_t task_count, bool gradients, cudaStream_t stream, bool momentum_of_gradients) {
  if (task_count == 0) return cudaSuccess;
  const auto kernel = momentum_of_gradients
                          ? gradients ? apply_update_kernel<true, true> : apply_update_kernel<false, true>
                      : gradients ? apply_update_kernel<true, false>
                                  : apply_update_kernel<false, false>;
  return launch(kernel, dim3(static_cast<unsigned>(task_count)), dim3(kThreads), 0, stream, settings, layers, tasks);
}

cudaError_t launch_swap_averages(const DeviceLayer* layers, const UpdateTask* tasks, int32_t task_count,
                                 cudaStream_t stream) {
  if (task_count == 0) return cudaSuccess;
  return launch(swap_averages_kernel, dim3(static_cast<unsigned>(task_count)), dim3(kThreads), 0, stream, layers,
                tasks);
}

} // namespace lngd::cuda
