// SPDX-License-Identifier: Apache-2.0
// Whitened orthogonalisation on CUDA (the formula stands in lngd.h, at the end of lngd_config): what the backend calls
// and what its plan holds. All layers of a plan go through it together, in tiles of 64 x 128 (tile_product.cuh) of
// products A B^T whose operands have any strides:
//
//   whiten_rows     Z = x T_A^T          a launch; x is made of G, W and M as it is loaded (averaged_gradient.cuh)
//   whiten_columns  D = T_B Z            a launch, and ||D||^2 tile by tile
//   normalise       Z = D / ||D||_F      a launch; each group of a layer by its own norm, 0 stays 0
//   gram            S = Z Z^T            a launch, and ||S||^2 tile by tile
//   normalise       S = S / t, t = ||S||_F            a launch
//   first           P = P_1(S) = a I + b S + c S S    a launch; a, b, c of quintic.h
//   r, gram_next    R = S P, S = R P     two launches: the Gram matrix of P_1 Z / sqrt(t), which is not made
//   second          R = P_2(S)           a launch
//   both            S = R P / sqrt(t)    a launch
//   apply           D = S Z              a launch
//   back_rows       Z = D T_A            a launch
//   back_columns    D = T_B^T Z          a launch; <D, G>, ||D||^2, ||W||^2
//
// An embedding, whose A is diagonal, is not orthogonalised, and D = T_B^T T_B x A^-1: D = x A^-1 (diagonal_inputs.cu),
// a launch, then Z = T_B D together with back_rows, and back_columns.
//
// T_A = C^-1 and T_B = B^-1 are the triangles of factor_inverse; their zeros are skipped by tiles. Where a group has
// more rows than columns, S = Z^T Z and D = Z S: always on the smaller side p. S, P and R are symmetric and commute: of
// them the tiles that touch the lower triangle are made and written to both sides. M is only read: apply_update renews
// it. (The CPU's newton_schulz.h says why the steps are taken on the Gram matrix.)
#ifndef LNGD_BACKEND_CUDA_ORTHOGONAL_H
#define LNGD_BACKEND_CUDA_ORTHOGONAL_H

#include <cuda_runtime.h>

#include <array>
#include <cstdint>
#include <vector>

#include "backend/cuda/kernels.h"

namespace lngd::cuda {

// Element (i, k) at data + i rs + k cs.
struct MatrixView {
  const float* data;
  int64_t rs, cs;
};

// One tile of a product: C = A B^T, A rows x depth, B columns x depth, from the tile's first row and column.
struct OrthogonalTile {
  MatrixView a, b;
  float* c;           // of the tile's first element, by rows
  float* mirror;      // of a symmetric result: where the tile's first element has its other place
  const float* scale; // of `both`: 1 / sqrt(t)
  int64_t ldc;
  int32_t rows, columns, depth;
  int32_t row0, column0; // of a symmetric result
  int32_t layer;
};

// Rows of a group's matrix or of its S: to = from / the whole one's norm.
struct NormaliseTask {
  const float* from;
  float* to;   // `from` for S
  float* root; // where 1 / sqrt(norm) goes, or NULL; 1 for a norm of 0
  int64_t ld;
  int32_t rows, columns;
  int32_t first_square, squares; // tiles of whiten_columns or of gram that the group has
  int32_t layer;
};
constexpr int32_t kNormaliseElements = 8192; // about as many elements as a task should have

enum class OrthogonalProduct { WhitenColumns, Gram, First, R, GramNext, Second, Both, Apply, BackRows };
constexpr size_t kOrthogonalProducts = static_cast<size_t>(OrthogonalProduct::BackRows) + 1;

// One for each product.
template <class T>
struct OrthogonalLists : std::array<T, kOrthogonalProducts> {
  T& of(OrthogonalProduct product) { return (*this)[static_cast<size_t>(product)]; }
  const T& of(OrthogonalProduct product) const { return (*this)[static_cast<size_t>(product)]; }
};

// On the host: the tables of all layers of a plan.
struct OrthogonalTables {
  std::vector<float*> z; // by layer: outputs x ldw
  OrthogonalLists<std::vector<OrthogonalTile>> products;
  std::vector<NormaliseTask> normalise, normalise_gram;
};

// Floats of a layer's workspace: Z, and, unless it is an embedding, S, P, R and 1 / sqrt(t) of each group.
int64_t orthogonal_floats(const LayerShape& shape);
// `workspace`: device memory, 16-byte aligned; its contents do not matter.
void append_orthogonal(int32_t index, const LayerShape& shape, const LayerMemory& memory, float* workspace,
                       OrthogonalTables& tables);

// The same on the device.
struct OrthogonalTileList {
  const OrthogonalTile* tiles = nullptr;
  int32_t count = 0;
};
struct NormaliseList {
  const NormaliseTask* tasks = nullptr;
  int32_t count = 0;
  double* squares = nullptr; // one for each tile of the product whose result is normalised
};
struct OrthogonalPlan {
  float* const* z = nullptr;
  OrthogonalLists<OrthogonalTileList> products;
  NormaliseList normalise, normalise_gram;
};

// orthogonal_direction.cu. `input_tiles` are those of append_direction_tiles of layers whose Phi has blocks,
// `diagonal_tiles` those of the others, `output_tiles` those of append_output_tiles, sums has one entry for each of
// these. precision: TripleTf32 or Tf32, of the Newton-Schulz products; those with triangles are always 3xTF32.
// prepare_orthogonal is called once before.
cudaError_t prepare_orthogonal();
cudaError_t launch_orthogonal(const StepSettings* settings, const DeviceLayer* layers, const OrthogonalPlan& plan,
                              const DirectionTile* input_tiles, int32_t inputs, const DirectionTile* output_tiles,
                              int32_t outputs, const DirectionTile* diagonal_tiles, int32_t diagonals,
                              DirectionSums* sums, Precision precision, cudaStream_t stream);

} // namespace lngd::cuda
#endif
