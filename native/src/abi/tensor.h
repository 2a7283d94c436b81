// SPDX-License-Identifier: Apache-2.0
// From the caller's lngd_tensor to a checked Strided.
#ifndef LNGD_ABI_TENSOR_H
#define LNGD_ABI_TENSOR_H

#include "backend/layout.h"
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
// rank 1, as a column: rs is the stride.
Strided vector(const Optimizer& optimizer, const lngd_tensor* tensor, const char* name, int64_t length);

// For tensors of a plan that will be written: no two elements at one address.
void require_distinct(const Strided& view, int64_t rows, int64_t cols, const char* name);

} // namespace lngd::abi
#endif
