// SPDX-License-Identifier: Apache-2.0
#include "abi/tensor.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "abi/guard.h"

namespace lngd::abi {
namespace {

constexpr int32_t kCpu = 1;                        // kDLCPU
constexpr uint8_t kFloat = 2;                      // kDLFloat
constexpr int64_t kLimit = int64_t{1} << 48;       // of extents, in elements: beyond it, address arithmetic could wrap
constexpr int64_t kLongestAxis = int64_t{1} << 24; // of images: height times width fits into 48 bits

void check_header(const lngd_tensor* t, const char* name, int32_t rank) {
  require_pointer(t, name);
  require(t->data != nullptr, name, "->data is NULL, allowed is a valid address");
  require(t->device_type == kCpu, name, "->device_type is ", t->device_type,
          ", allowed is 1 (host memory): the CPU backend reads no other");
  require(t->dtype_code == kFloat && t->dtype_bits == 32 && t->dtype_lanes == 1, name, "->dtype is (code ",
          int{t->dtype_code}, ", bits ", int{t->dtype_bits}, ", lanes ", t->dtype_lanes,
          "), allowed is float32 (2, 32, 1)");
  require(t->ndim == rank, name, "->ndim is ", t->ndim, ", allowed is ", rank);
  require(t->shape != nullptr, name, "->shape is NULL, allowed is an array of ndim sizes");
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

float* start(const lngd_tensor* t) { return reinterpret_cast<float*>(static_cast<char*>(t->data) + t->byte_offset); }

void row_major_strides(const lngd_tensor* t, int64_t* strides) {
  int64_t next = 1;
  for (int axis = t->ndim - 1; axis >= 0; --axis) {
    strides[axis] = t->strides ? t->strides[axis] : next;
    next *= t->shape[axis];
  }
}

// Inputs along an axis below which the kernel does not fit once.
int64_t reach(const ConvGeometry& conv, int axis) {
  return std::max<int64_t>(
      1, conv.dilation[axis] * (int64_t{conv.kernel[axis]} - 1) + 1 - conv.before[axis] - conv.after[axis]);
}

// (samples, channels, height, width), or without the height where rank is 1. sizes: of the spatial axes, nullptr: any.
Activations activations(const lngd_tensor* t, const char* name, int32_t rank, int64_t samples, int64_t channels,
                        const int64_t* sizes) {
  check_header(t, name, rank + 2);
  int64_t strides[4];
  for (int axis = 0; axis < rank + 2; ++axis) {
    const int64_t wanted = axis == 0 ? samples : axis == 1 ? channels : sizes ? sizes[axis - rank] : -1;
    const char* const axes[] = {"samples", "channels", rank == 1 ? "elements" : "rows", "columns"};
    check_size(name, axes[axis], t->shape[axis], wanted);
    require(axis < 2 || t->shape[axis] <= kLongestAxis, name, " has ", t->shape[axis], " ", axes[axis], ", allowed is ",
            kLongestAxis, " or less");
  }
  row_major_strides(t, strides);
  for (int axis = 0; axis < rank + 2; ++axis) check_stride(name, strides[axis], t->shape[axis]);
  Activations view;
  view.data = start(t);
  view.stride[0] = strides[0];
  view.stride[1] = strides[1];
  view.stride[2] = rank == 2 ? strides[2] : 0;
  view.height = rank == 2 ? static_cast<int32_t>(t->shape[2]) : 1;
  view.width = static_cast<int32_t>(t->shape[rank + 1]);
  view.stride[3] = view.width == 1 ? 1 : strides[rank + 1]; // as in matrix()
  return view;
}

} // namespace

Matrix matrix(const lngd_tensor* t, const char* name, int64_t rows, int64_t cols) {
  check_header(t, name, 2);
  check_size(name, "rows", t->shape[0], rows);
  check_size(name, "columns", t->shape[1], cols);
  const int64_t rs = t->strides ? t->strides[0] : t->shape[1];
  const int64_t cs = t->strides ? t->strides[1] : 1;
  check_stride(name, rs, t->shape[0]);
  check_stride(name, cs, t->shape[1]);
  // The stride of an axis of one element means nothing; 1 keeps the fast paths open.
  return {{start(t), rs, t->shape[1] == 1 ? 1 : cs}, t->shape[0], t->shape[1]};
}

Strided vector(const lngd_tensor* t, const char* name, int64_t length) {
  check_header(t, name, 1);
  check_size(name, "elements", t->shape[0], length);
  const int64_t stride = t->strides ? t->strides[0] : 1;
  check_stride(name, stride, t->shape[0]);
  return {start(t), stride, 1};
}

Strided weight_matrix(const lngd_tensor* t, const char* name, const lngd_layer_config& layer, const LayerShape& shape) {
  if (!shape.convolution || !t || t->ndim == 2) return matrix(t, name, shape.outputs, shape.inputs).view;
  require(t->ndim == layer.rank + 2, name, "->ndim is ", t->ndim, ", allowed is 2 (outputs x ", shape.inputs, ") or ",
          layer.rank + 2, " (outputs, channels of a group, kernel sizes)");
  check_header(t, name, layer.rank + 2);
  const int64_t wanted[4] = {layer.outputs, layer.inputs / layer.groups, layer.kernel[0], layer.kernel[1]};
  const char* const axes[4] = {"output channels", "channels of a group", "kernel elements along axis 0",
                               "kernel elements along axis 1"};
  int64_t strides[4];
  row_major_strides(t, strides);
  for (int axis = 0; axis < t->ndim; ++axis) {
    check_size(name, axes[axis], t->shape[axis], wanted[axis]);
    check_stride(name, strides[axis], t->shape[axis]);
  }
  // Axes of one element do not matter. Of the others each must step over the whole of the next.
  int64_t column = 1, next = 0, elements = 1;
  for (int axis = t->ndim - 1; axis >= 1; --axis) {
    if (t->shape[axis] == 1) continue;
    if (elements == 1) column = strides[axis];
    require(elements == 1 || strides[axis] == next, name, " has strides (", strides[1], ", ", strides[2],
            t->ndim > 3 ? ", " : "", t->ndim > 3 ? std::to_string(strides[3]) : std::string(),
            ") behind its first axis, which are not one stride over channel, kernel row, kernel column in that order; "
            "allowed are axes that collapse into one (compact row-major weights do)");
    next = strides[axis] * t->shape[axis];
    elements *= t->shape[axis];
  }
  return {start(t), strides[0], column};
}

Images conv_inputs(const lngd_tensor* t, const char* name, const lngd_layer_config& layer, const LayerShape& shape) {
  Images images{};
  images.view = activations(t, name, layer.rank, -1, layer.inputs, nullptr);
  images.samples = t->shape[0];
  const int64_t size[2] = {images.view.height, images.view.width};
  for (int axis = 2 - layer.rank; axis < 2; ++axis)
    require(shape.conv.positions(axis, size[axis]) >= 1, name, " has ", size[axis], " elements along spatial axis ",
            axis - (2 - layer.rank), ", allowed are at least ", reach(shape.conv, axis),
            " (the reach of the kernel less the padding)");
  return images;
}

Activations conv_outputs(const lngd_tensor* t, const char* name, const lngd_layer_config& layer,
                         const LayerShape& shape, const Images& inputs) {
  const int64_t sizes[2] = {shape.conv.positions(0, inputs.view.height), shape.conv.positions(1, inputs.view.width)};
  return activations(t, name, layer.rank, inputs.samples, layer.outputs, sizes);
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
