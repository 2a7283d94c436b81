// SPDX-License-Identifier: Apache-2.0
// Whitened orthogonalisation on CUDA (the formula stands in lngd.h, at the end of lngd_config): what the backend calls
// and what its plan holds. All layers of a plan go through it together, in tiles of 64 x 128 (tile_product.cuh) of
// products A B^T whose operands have any strides:
//
//   whiten_rows     Z = x T_A^T          a launch; x is made of G, W and M as it is loaded
//   whiten_columns  D = T_B Z            a launch, and ||D||^2 tile by tile
//   normalise       Z = D / ||D||_F      a launch; each group of a layer by its own norm, 0 stays 0
//   three times     S = Z Z^T            a launch
//                   P = a I + b S + c S S             a launch
//                   D = P Z, and then Z and D change places            a launch
//   back_rows       Z = D T_A            a launch
//   back_columns    D = T_B^T Z          a launch; <D, G>, ||D||^2, ||W||^2
//
// T_A = C^-1 and T_B = B^-1 are the triangles of factor_inverse; their zeros are skipped by tiles. Where a group has
// more rows than columns, S = Z^T Z and D = Z P: always on the smaller side p. Of S and P the tiles that touch the
// lower triangle are made and written to both sides. M is only read: apply_update renews it.
#ifndef LNGD_BACKEND_CUDA_ORTHOGONAL_H
#define LNGD_BACKEND_CUDA_ORTHOGONAL_H

#include <cuda_runtime.h>

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
  float* c;      // of the tile's first element, by rows
  float* mirror; // of a symmetric result: where the tile's first element has its other place
  int64_t ldc;
  int32_t rows, columns, depth;
  int32_t row0, column0; // of a symmetric result
  int32_t layer;
};

// Rows of a group: to = from / its norm.
struct NormaliseTask {
  const float* from;
  float* to;
  int64_t ld;
  int32_t rows, columns;
  int32_t first_square, squares; // tiles of whiten_columns that the group has
  int32_t layer;
};
constexpr int32_t kNormaliseElements = 8192; // about as many elements as a task should have

// On the host: the tables of all layers of a plan, in the order of their launches.
struct OrthogonalTables {
  std::vector<float*> z;                                                                // by layer: outputs x ldw
  std::vector<OrthogonalTile> whiten_columns, gram[2], polynomial, apply[2], back_rows; // [0] from Z, [1] from D
  std::vector<NormaliseTask> normalise;
};

// Floats of a layer's workspace: Z, and S and P of each group.
int64_t orthogonal_floats(const LayerShape& shape);
// `workspace`: device memory, 16-byte aligned; its contents do not matter.
void append_orthogonal(int32_t index, const LayerShape& shape, const LayerMemory& memory, float* workspace,
                       OrthogonalTables& tables);

// The same on the device.
struct OrthogonalTileList {
  const OrthogonalTile* tiles = nullptr;
  int32_t count = 0;
};
struct OrthogonalPlan {
  float* const* z = nullptr;
  OrthogonalTileList whiten_columns, gram[2], polynomial, apply[2], back_rows;
  const NormaliseTask* normalise = nullptr;
  int32_t normalise_count = 0;
  double* squares = nullptr; // one for each tile of whiten_columns
};

// orthogonal_direction.cu. `input_tiles` are those of append_direction_tiles, `output_tiles` those of
// append_output_tiles, sums has one entry for each of the latter. precision: TripleTf32 or Tf32, of the Newton-Schulz
// products; those with triangles are always 3xTF32. prepare_orthogonal is called once before.
cudaError_t prepare_orthogonal();
cudaError_t launch_orthogonal(const StepSettings* settings, const DeviceLayer* layers, const OrthogonalPlan& plan,
                              const DirectionTile* input_tiles, int32_t inputs, const DirectionTile* output_tiles,
                              int32_t outputs, DirectionSums* sums, Precision precision, cudaStream_t stream);

} // namespace lngd::cuda
#endif
