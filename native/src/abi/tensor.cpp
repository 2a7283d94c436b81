// SPDX-License-Identifier: Apache-2.0
#include "abi/tensor.h"

#include <cstdlib>

#include "abi/guard.h"

namespace lngd::abi {
namespace {

constexpr uint8_t kFloat = 2;                // kDLFloat
constexpr int64_t kLimit = int64_t{1} << 48; // of extents, in elements: beyond it, address arithmetic could wrap

float* start(const lngd_tensor* t) { return reinterpret_cast<float*>(static_cast<char*>(t->data) + t->byte_offset); }

// Returns whether the tensor lies in device memory.
bool check_header(const Optimizer& optimizer, const lngd_tensor* t, const char* name, int32_t rank) {
  require_pointer(t, name);
  require(t->data != nullptr, name, "->data is NULL, allowed is a valid address");
  bool device = false;
  if (!optimizer.accepts(t->device_type, t->device_id, device)) {
    const bool cuda = optimizer.config().device != LNGD_DEVICE_CPU;
    fail(LNGD_INVALID_ARGUMENT, name, "->device_type is ", t->device_type, " and device_id ", t->device_id,
         ", allowed is 1 or 3 (host memory)",
         cuda ? ", or 2 or 13 (CUDA) of device " : "; the CPU backend reads no other",
         cuda ? std::to_string(optimizer.config().device_index) : "");
  }
  require(!device || reinterpret_cast<uintptr_t>(start(t)) % sizeof(float) == 0, name, " begins at ",
          static_cast<const void*>(start(t)), ", allowed is a multiple of 4 in device memory");
  require(t->dtype_code == kFloat && t->dtype_bits == 32 && t->dtype_lanes == 1, name, "->dtype is (code ",
          int{t->dtype_code}, ", bits ", int{t->dtype_bits}, ", lanes ", t->dtype_lanes,
          "), allowed is float32 (2, 32, 1)");
  require(t->ndim == rank, name, "->ndim is ", t->ndim, ", allowed is ", rank);
  require(t->shape != nullptr, name, "->shape is NULL, allowed is an array of ndim sizes");
  return device;
}

void check_size(const char* name, const char* axis, int64_t size, int64_t wanted) {
  if (wanted < 0) {
    require(size >= 1 && size < kLimit, name, " has ", size, " ", axis, ", allowed is 1 or more");
  } else {
    require(size == wanted, name, " has ", size, " ", axis, ", allowed is ", wanted);
  }
}

void check_stride(const char* name, int64_t stride, int64_t size) {
  require(stride > -kLimit && stride < kLimit && std::llabs(stride) < kLimit / size, name, " has a stride of ", stride,
          " elements, allowed is less than 2^48 over the whole axis");
}

} // namespace

Matrix matrix(const Optimizer& optimizer, const lngd_tensor* t, const char* name, int64_t rows, int64_t cols) {
  const bool device = check_header(optimizer, t, name, 2);
  check_size(name, "rows", t->shape[0], rows);
  check_size(name, "columns", t->shape[1], cols);
  const int64_t rs = t->strides ? t->strides[0] : t->shape[1];
  const int64_t cs = t->strides ? t->strides[1] : 1;
  check_stride(name, rs, t->shape[0]);
  check_stride(name, cs, t->shape[1]);
  // The stride of an axis of one element means nothing; 1 keeps the fast paths open.
  return {{start(t), rs, t->shape[1] == 1 ? 1 : cs, device}, t->shape[0], t->shape[1]};
}

Strided vector(const Optimizer& optimizer, const lngd_tensor* t, const char* name, int64_t length) {
  const bool device = check_header(optimizer, t, name, 1);
  check_size(name, "elements", t->shape[0], length);
  const int64_t stride = t->strides ? t->strides[0] : 1;
  check_stride(name, stride, t->shape[0]);
  return {start(t), stride, 1, device};
}

void require_distinct(const Strided& view, int64_t rows, int64_t cols, const char* name) {
  // One axis must step over the whole of the other. Interleaved layouts that fail this and still have no double
  // element exist (strides 3 and 2 of a 2 x 2), but no framework makes them.
  const int64_t rs = std::llabs(view.rs), cs = std::llabs(view.cs);
  const bool rows_outside = (cols == 1 || cs >= 1) && (rows == 1 || rs >= (cols == 1 ? 1 : cs * (cols - 1) + 1));
  const bool cols_outside = (rows == 1 || rs >= 1) && (cols == 1 || cs >= (rows == 1 ? 1 : rs * (rows - 1) + 1));
  require(rows_outside || cols_outside, name, " has strides (", view.rs, ", ", view.cs, ") for ", rows, " x ", cols,
          " elements, which puts several at one address; allowed is one address for each");
}

} // namespace lngd::abi
