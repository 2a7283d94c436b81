// SPDX-License-Identifier: Apache-2.0
#include "abi/tensor.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "abi/guard.h"

namespace lngd::abi {
namespace {

constexpr uint8_t kFloat = 2;                // kDLFloat
constexpr int64_t kLimit = int64_t{1} << 48; // of extents, in elements: beyond it, address arithmetic could wrap
constexpr int64_t kMostPositions = int64_t{1} << 26; // of a convolution, for a sample: 8192 x 8192
constexpr int64_t kLongestAxis = int64_t{1} << 24;   // of images: height times width fits into 48 bits

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
  require(t->shape != nullptr || rank == 0, name, "->shape is NULL, allowed is an array of ndim sizes");
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
Activations activations(const Optimizer& optimizer, const lngd_tensor* t, const char* name, int32_t rank,
                        int64_t samples, int64_t channels, const int64_t* sizes) {
  const bool device = check_header(optimizer, t, name, rank + 2);
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
  view.device = device;
  view.stride[0] = strides[0];
  view.stride[1] = strides[1];
  view.stride[2] = rank == 2 ? strides[2] : 0;
  view.height = rank == 2 ? static_cast<int32_t>(t->shape[2]) : 1;
  view.width = static_cast<int32_t>(t->shape[rank + 1]);
  view.stride[3] = view.width == 1 ? 1 : strides[rank + 1]; // as in matrix()
  return view;
}

// Samples, or samples x positions.
Activations indices(const Optimizer& optimizer, const lngd_tensor* t, const char* name) {
  require_pointer(t, name);
  require(t->ndim == 1 || t->ndim == 2, name, "->ndim is ", t->ndim,
          ", allowed is 1 (samples) or 2 (samples x positions) for the indices of an embedding");
  Activations view;
  view.device = check_header(optimizer, t, name, t->ndim);
  int64_t strides[2] = {1, 1};
  check_size(name, "samples", t->shape[0], -1);
  if (t->ndim == 2) check_size(name, "positions", t->shape[1], -1);
  require(t->ndim == 1 || t->shape[1] <= kLongestAxis, name, " has ", t->shape[t->ndim - 1], " positions, allowed is ",
          kLongestAxis, " or less");
  row_major_strides(t, strides);
  for (int axis = 0; axis < t->ndim; ++axis) check_stride(name, strides[axis], t->shape[axis]);
  view.data = start(t);
  view.width = t->ndim == 2 ? static_cast<int32_t>(t->shape[1]) : 1;
  view.stride[0] = strides[0];
  view.stride[3] = t->ndim == 2 ? strides[1] : 1;
  return view;
}

// Samples x outputs x positions, or samples x outputs where there is one position.
Activations embedding_outputs(const Optimizer& optimizer, const lngd_tensor* t, const char* name, int64_t samples,
                              int64_t outputs, int64_t positions) {
  require_pointer(t, name);
  const int32_t rank = positions == 1 && t->ndim == 2 ? 2 : 3;
  Activations view;
  view.device = check_header(optimizer, t, name, rank);
  const int64_t wanted[3] = {samples, outputs, positions};
  const char* const axes[3] = {"samples", "outputs", "positions"};
  int64_t strides[3] = {1, 1, 1};
  for (int axis = 0; axis < rank; ++axis) check_size(name, axes[axis], t->shape[axis], wanted[axis]);
  row_major_strides(t, strides);
  for (int axis = 0; axis < rank; ++axis) check_stride(name, strides[axis], t->shape[axis]);
  view.data = start(t);
  view.width = static_cast<int32_t>(positions);
  view.stride[0] = strides[0];
  view.stride[1] = outputs == 1 ? 1 : strides[1];
  view.stride[3] = rank == 3 ? strides[2] : 1;
  return view;
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

namespace {

// `each`: rows (or elements of an image) of a sample, and what they are called.
void check_rows(const Optimizer& optimizer, const char* name, int64_t samples, int64_t each, const char* what) {
  const int64_t most = optimizer.most_rows();
  require(samples <= most / each, name, " has ", samples, " samples of ", each, " ", what, ", allowed on ",
          optimizer.device_name(), " are ", most, " in all");
}

} // namespace

Matrix batch(const Optimizer& optimizer, const lngd_tensor* t, const char* name, int64_t cols) {
  const Matrix rows = matrix(optimizer, t, name, -1, cols);
  check_rows(optimizer, name, rows.rows, 1, "row");
  return rows;
}

Strided vector(const Optimizer& optimizer, const lngd_tensor* t, const char* name, int64_t length) {
  const bool device = check_header(optimizer, t, name, 1);
  check_size(name, "elements", t->shape[0], length);
  const int64_t stride = t->strides ? t->strides[0] : 1;
  check_stride(name, stride, t->shape[0]);
  return {start(t), stride, 1, device};
}

const float* scalar(const Optimizer& optimizer, const lngd_tensor* t, const char* name, bool& device) {
  if (!t) return nullptr;
  require(t->ndim >= 0 && t->ndim <= 4, name, "->ndim is ", t->ndim, ", allowed is 0 to 4 for one element");
  device = check_header(optimizer, t, name, t->ndim);
  for (int axis = 0; axis < t->ndim; ++axis) check_size(name, "elements along an axis", t->shape[axis], 1);
  return start(t);
}

Strided weight_matrix(const Optimizer& optimizer, const lngd_tensor* t, const char* name,
                      const lngd_layer_config& layer, const LayerShape& shape) {
  if (!shape.convolution || !t || t->ndim == 2) return matrix(optimizer, t, name, shape.outputs, shape.inputs).view;
  require(t->ndim == layer.rank + 2, name, "->ndim is ", t->ndim, ", allowed is 2 (outputs x ", shape.inputs, ") or ",
          layer.rank + 2, " (outputs, channels of a group, kernel sizes)");
  const bool device = check_header(optimizer, t, name, layer.rank + 2);
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
  return {start(t), strides[0], column, device};
}

namespace {

// A parameter in row-major order: `inner` neighbours at `stride`, and such runs at `outer_stride`; one run where all
// axes collapse into one.
struct Runs {
  int64_t inner = 1, stride = 1, outer = 1, outer_stride = 0;
};

Runs parameter_runs(const lngd_tensor* t, const char* name, int64_t elements) {
  int64_t strides[4], count = 1;
  for (int axis = 0; axis < t->ndim; ++axis) {
    check_size(name, "elements along an axis", t->shape[axis], -1);
    count = count > elements / t->shape[axis] ? elements + 1 : count * t->shape[axis]; // no overflow
  }
  require(count == elements, name, " has ", count > elements ? "more than " : "", std::min(count, elements),
          " elements, allowed is ", elements);
  row_major_strides(t, strides);
  Runs runs;
  for (int axis = t->ndim - 1; axis >= 0; --axis) {
    const int64_t size = t->shape[axis], stride = strides[axis];
    check_stride(name, stride, size);
    if (size == 1) continue; // its stride does not matter
    if (runs.inner == 1) {
      runs.inner = size, runs.stride = stride;
    } else if (runs.outer == 1 && stride == runs.stride * runs.inner) {
      runs.inner *= size;
    } else if (runs.outer == 1) {
      runs.outer = size, runs.outer_stride = stride;
    } else {
      require(stride == runs.outer_stride * runs.outer, name, " has a stride of ", stride, " along axis ", axis,
              ", which leaves more than two axes of one stride each; allowed are tensors that collapse into two "
              "(compact ones, transposed and padded matrices do)");
      runs.outer *= size;
    }
  }
  return runs;
}

// Cut into runs of `columns`; a single run may be cut anywhere.
Strided cut(float* data, bool device, const Runs& runs, int64_t columns) {
  return {data, runs.outer > 1 ? runs.outer_stride : runs.stride * columns, columns == 1 ? 1 : runs.stride, device};
}

} // namespace

ParameterPair parameter_pair(const Optimizer& optimizer, const lngd_tensor* weights, const lngd_tensor* gradients,
                             const std::string& at, int64_t elements) {
  const lngd_tensor* const tensors[2] = {weights, gradients};
  const std::string names[2] = {at + "weights", at + "weight_gradients"};
  Runs runs[2];
  bool device[2];
  for (int i = 0; i < 2; ++i) {
    const char* const name = names[i].c_str();
    require(tensors[i]->ndim >= 1 && tensors[i]->ndim <= 4, name, "->ndim is ", tensors[i]->ndim,
            ", allowed is 1 to 4 for a parameter");
    device[i] = check_header(optimizer, tensors[i], name, tensors[i]->ndim);
    runs[i] = parameter_runs(tensors[i], name, elements);
  }
  require(runs[0].outer == 1 || runs[1].outer == 1 || runs[0].inner == runs[1].inner, names[1], " lies in runs of ",
          runs[1].inner, " elements, allowed are runs of ", runs[0].inner, " as in ", names[0],
          ", or one stride for all elements");
  const int64_t columns = runs[0].outer > 1 ? runs[0].inner : runs[1].inner;
  const ParameterPair pair{cut(start(weights), device[0], runs[0], columns),
                           cut(start(gradients), device[1], runs[1], columns), elements / columns, columns};
  require_distinct(pair.weights, pair.rows, columns, names[0].c_str());
  require_distinct(pair.gradients, pair.rows, columns, names[1].c_str());
  return pair;
}

void require_statistics(const Layer& layer, int32_t index) {
  require(!layer.shape.parameter, "layer is ", index,
          ", a parameter (kind 3), which has no statistics; allowed is a layer of another kind");
}

Images positional_inputs(const Optimizer& optimizer, const lngd_tensor* t, const char* name,
                         const lngd_layer_config& layer, const LayerShape& shape) {
  Images images{};
  if (shape.embedding) {
    images.view = indices(optimizer, t, name);
    images.samples = t->shape[0];
    check_rows(optimizer, name, images.samples, images.view.width, "positions");
    return images;
  }
  images.view = activations(optimizer, t, name, layer.rank, -1, layer.inputs, nullptr);
  images.samples = t->shape[0];
  const int64_t size[2] = {images.view.height, images.view.width};
  for (int axis = 2 - layer.rank; axis < 2; ++axis)
    require(shape.conv.positions(axis, size[axis]) >= 1, name, " has ", size[axis], " elements along spatial axis ",
            axis - (2 - layer.rank), ", allowed are at least ", reach(shape.conv, axis),
            " (the reach of the kernel less the padding)");
  check_rows(optimizer, name, images.samples, size[0] * size[1], "elements a channel");
  // Padding alone can make 2^34 of them out of one element; nobody has such a signal, but strides of 0 can pretend it.
  const int64_t positions = shape.conv.positions(0, size[0]) * shape.conv.positions(1, size[1]);
  require(positions <= kMostPositions, name, " has ", positions, " output positions a sample, allowed is ",
          kMostPositions);
  check_rows(optimizer, name, images.samples, positions, "output positions");
  return images;
}

Activations positional_outputs(const Optimizer& optimizer, const lngd_tensor* t, const char* name,
                               const lngd_layer_config& layer, const LayerShape& shape, const Images& inputs) {
  if (shape.embedding) return embedding_outputs(optimizer, t, name, inputs.samples, shape.outputs, inputs.view.width);
  const int64_t sizes[2] = {shape.conv.positions(0, inputs.view.height), shape.conv.positions(1, inputs.view.width)};
  return activations(optimizer, t, name, layer.rank, inputs.samples, layer.outputs, sizes);
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
