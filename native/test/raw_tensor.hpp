// SPDX-License-Identifier: Apache-2.0
//
// A tensor of any rank over floats of the test's own, whose shape and strides a test may set to anything.
#ifndef LNGD_TEST_RAW_TENSOR_HPP
#define LNGD_TEST_RAW_TENSOR_HPP

#include <utility>
#include <vector>

#include "lngd/lngd.h"

namespace conformance {

struct Raw {
  std::vector<float> values;
  std::vector<std::int64_t> shape, strides;

  explicit Raw(std::vector<std::int64_t> sizes) : shape(std::move(sizes)) {
    std::size_t count = 1;
    for (const std::int64_t size : shape) count *= static_cast<std::size_t>(size);
    values.assign(count, 0.0f);
  }
  lngd_tensor view() {
    lngd_tensor tensor{};
    tensor.data = values.data();
    tensor.device_type = 1;
    tensor.ndim = static_cast<int>(shape.size());
    tensor.dtype_code = 2;
    tensor.dtype_bits = 32;
    tensor.dtype_lanes = 1;
    tensor.shape = shape.data();
    tensor.strides = strides.empty() ? nullptr : strides.data();
    return tensor;
  }
};

} // namespace conformance

#endif // LNGD_TEST_RAW_TENSOR_HPP
