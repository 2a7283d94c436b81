// SPDX-License-Identifier: Apache-2.0
// From the caller's lngd_tensor to a checked Strided.
#ifndef LNGD_ABI_TENSOR_H
#define LNGD_ABI_TENSOR_H

#include <string>

#include "backend/backend.h"
#include "lngd/lngd.h"
#include "optimizer/optimizer.h"

namespace lngd::abi {

struct Matrix {
  Strided view;
  int64_t rows;
  int64_t cols;
};

// rank 2; rows or cols of -1: any number >= 1. In memory that the optimizer's backend takes. Throws
// LNGD_INVALID_ARGUMENT naming `name`.
Matrix matrix(const Optimizer& optimizer, const lngd_tensor* tensor, const char* name, int64_t rows, int64_t cols);
// The rows of a batch: rank 2, any number of rows that the backend takes.
Matrix batch(const Optimizer& optimizer, const lngd_tensor* tensor, const char* name, int64_t cols);
// rank 1, as a column: rs is the stride.
Strided vector(const Optimizer& optimizer, const lngd_tensor* tensor, const char* name, int64_t length);

// A tensor of one element, of any rank; nullptr where it is NULL.
const float* scalar(const Optimizer& optimizer, const lngd_tensor* tensor, const char* name, bool& device);

// The weights or weight gradients of a layer as outputs x inputs: rank 2 or, of a convolution, one axis more than it
// has spatial ones, then two: (m, channels of a group, kernel...), whose axes behind the first have one stride
// together.
Strided weight_matrix(const Optimizer& optimizer, const lngd_tensor* tensor, const char* name,
                      const lngd_layer_config& layer, const LayerShape& shape);

// The weights and the gradients of a parameter, cut alike: rank 1 to 4, whose axes collapse into at most two.
struct ParameterPair {
  Strided weights, gradients;
  int64_t rows, columns;
};
ParameterPair parameter_pair(const Optimizer& optimizer, const lngd_tensor* weights, const lngd_tensor* gradients,
                             const std::string& at, int64_t elements);

// Throws LNGD_INVALID_ARGUMENT for a parameter, which nothing is observed of.
void require_statistics(const Layer& layer, int32_t index);

struct Images {
  Activations view;
  int64_t samples;
};

// Inputs of a convolution: (N, channels, sizes...), any sizes that leave an output position. Of an embedding: indices
// (N) or (N, positions), as N x 1 x 1 x positions.
Images positional_inputs(const Optimizer& optimizer, const lngd_tensor* tensor, const char* name,
                         const lngd_layer_config& layer, const LayerShape& shape);
// What belongs to its outputs: (samples, m, positions...) for such inputs; of an embedding also (samples, m) where
// there is one position.
Activations positional_outputs(const Optimizer& optimizer, const lngd_tensor* tensor, const char* name,
                               const lngd_layer_config& layer, const LayerShape& shape, const Images& inputs);

// For tensors of a plan that will be written: no two elements at one address.
void require_distinct(const Strided& view, int64_t rows, int64_t cols, const char* name);

} // namespace lngd::abi
#endif
