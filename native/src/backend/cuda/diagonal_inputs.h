// SPDX-License-Identifier: Apache-2.0
// The first step of a direction where A is diagonal (an embedding) and the second factor a matrix: G or its average,
// each column times its element of A^-1.
#ifndef LNGD_BACKEND_CUDA_DIAGONAL_INPUTS_H
#define LNGD_BACKEND_CUDA_DIAGONAL_INPUTS_H

#include "backend/cuda/second_factor.h"

namespace lngd::cuda {

// diagonal_inputs.cu; tiles as of launch_diagonal_precondition. prepare_diagonal_inputs is called once before.
cudaError_t prepare_diagonal_inputs();
// X = G A^-1 to the plan's products, as dense_precondition has them.
cudaError_t launch_diagonal_inputs(const StepSettings* settings, const DeviceLayer* layers, const SecondTables& seconds,
                                   const DirectionTile* tiles, int32_t count, cudaStream_t stream);
// With orthogonalise: x A^-1 to the direction, x the averaged gradient; an element of DirectionTile::inverse is the
// root of one of A^-1.
cudaError_t launch_diagonal_averages(const StepSettings* settings, const DeviceLayer* layers,
                                     const DirectionTile* tiles, int32_t count, cudaStream_t stream);

} // namespace lngd::cuda
#endif
