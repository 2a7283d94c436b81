// SPDX-License-Identifier: Apache-2.0
//
// See images.hpp.
#include "images.hpp"

#include <algorithm>
#include <cstring>

namespace conformance {
namespace {

constexpr std::uint8_t kGuard = 0xA5; // as in fixture.cpp
constexpr std::size_t kMargin = 256;

} // namespace

const char* image_layout_name(ImageLayout layout) {
  switch (layout) {
    case ImageLayout::Nchw:
      return "NCHW";
    case ImageLayout::Nhwc:
      return "NHWC";
    case ImageLayout::Nwch:
      return "NWCH";
    case ImageLayout::PaddedRows:
      return "padded rows";
    case ImageLayout::Spread:
      return "spread";
    case ImageLayout::Negative:
      return "negative strides";
    case ImageLayout::NegativeRow:
      return "negative row stride";
    case ImageLayout::ByteOffset:
      return "byte offset 3";
  }
  return "?";
}

ImageTensor::ImageTensor(std::int64_t samples, std::int64_t channels, std::int64_t height, std::int64_t width,
                         ImageLayout layout, int rank)
    : rank_(rank), size_{samples, channels, height, width} {
  // Axes from the fastest to the slowest, and the gap behind each.
  int order[4] = {3, 2, 1, 0};
  std::int64_t gap[4] = {0, 0, 0, 0}, sign[4] = {1, 1, 1, 1};
  switch (layout) {
    case ImageLayout::Nchw:
      strides_given_ = false;
      break;
    case ImageLayout::Nhwc:
      order[0] = 1, order[1] = 3, order[2] = 2;
      break;
    case ImageLayout::Nwch:
      order[0] = 2, order[1] = 1, order[2] = 3;
      break;
    case ImageLayout::PaddedRows:
      gap[1] = 3, gap[2] = 5, gap[3] = 7;
      break;
    case ImageLayout::Spread:
      gap[0] = gap[1] = gap[2] = gap[3] = 2;
      break;
    case ImageLayout::Negative:
      sign[0] = sign[1] = sign[2] = sign[3] = -1;
      break;
    case ImageLayout::NegativeRow:
      sign[2] = -1;
      break;
    case ImageLayout::ByteOffset:
      byte_offset_ = 3;
      break;
  }
  std::int64_t next = 1, lowest = 0, highest = 0;
  for (int k = 0; k < 4; ++k) {
    const int axis = order[k];
    next += gap[k];
    stride_[axis] = sign[axis] * next;
    next *= size_[axis];
    const std::int64_t reach = (size_[axis] - 1) * stride_[axis];
    (reach < 0 ? lowest : highest) += reach;
  }
  start_ = kMargin + static_cast<std::size_t>(-lowest) * 4 + byte_offset_;
  storage_.assign(start_ + static_cast<std::size_t>(highest) * 4 + 4 + kMargin, kGuard);
  for (int axis = 0, to = 0; axis < 4; ++axis) {
    if (rank == 1 && axis == 2) continue;
    shape_[to] = size_[axis];
    strides_[to++] = stride_[axis];
  }
  fill(twin::Matrix(samples, channels * height * width));
}

std::size_t ImageTensor::position(std::int64_t n, std::int64_t c, std::int64_t y, std::int64_t x) const {
  const std::int64_t elements = n * stride_[0] + c * stride_[1] + y * stride_[2] + x * stride_[3];
  return static_cast<std::size_t>(static_cast<std::int64_t>(start_) + 4 * elements);
}

void ImageTensor::set(std::int64_t n, std::int64_t c, std::int64_t y, std::int64_t x, double value) {
  const float single = static_cast<float>(value);
  std::memcpy(storage_.data() + position(n, c, y, x), &single, sizeof single);
}

void ImageTensor::fill(const twin::Matrix& values, std::int64_t first) {
  for (std::int64_t n = 0; n < size_[0]; ++n)
    for (std::int64_t c = 0; c < size_[1]; ++c)
      for (std::int64_t y = 0; y < size_[2]; ++y)
        for (std::int64_t x = 0; x < size_[3]; ++x)
          set(n, c, y, x, values(first + n, (c * size_[2] + y) * size_[3] + x));
}

void ImageTensor::fill_rows(const twin::Matrix& rows, std::int64_t first) {
  for (std::int64_t n = 0; n < size_[0]; ++n)
    for (std::int64_t c = 0; c < size_[1]; ++c)
      for (std::int64_t y = 0; y < size_[2]; ++y)
        for (std::int64_t x = 0; x < size_[3]; ++x)
          set(n, c, y, x, rows(((first + n) * size_[2] + y) * size_[3] + x, c));
}

lngd_tensor ImageTensor::view() const {
  lngd_tensor tensor{};
  tensor.data = const_cast<std::uint8_t*>(storage_.data()) + start_ - byte_offset_; // see Tensor::view
  tensor.device_type = 1;
  tensor.ndim = rank_ + 2;
  tensor.dtype_code = 2;
  tensor.dtype_bits = 32;
  tensor.dtype_lanes = 1;
  tensor.shape = const_cast<std::int64_t*>(shape_);
  tensor.strides = strides_given_ ? const_cast<std::int64_t*>(strides_) : nullptr;
  tensor.byte_offset = byte_offset_;
  return tensor;
}

const lngd_tensor* ImageTensor::pointer() const {
  tensor_ = view();
  return &tensor_;
}

bool ImageTensor::guards_intact() const {
  std::vector<bool> element(storage_.size(), false);
  for (std::int64_t n = 0; n < size_[0]; ++n)
    for (std::int64_t c = 0; c < size_[1]; ++c)
      for (std::int64_t y = 0; y < size_[2]; ++y)
        for (std::int64_t x = 0; x < size_[3]; ++x)
          for (std::size_t k = 0; k < 4; ++k) element[position(n, c, y, x) + k] = true;
  for (std::size_t k = 0; k < storage_.size(); ++k)
    if (!element[k] && storage_[k] != kGuard) return false;
  return true;
}

lngd_layer_config convolution(std::int64_t channels, std::int64_t outputs, int kernel_height, int kernel_width) {
  lngd_layer_config layer;
  std::memset(&layer, 0, sizeof layer);
  const std::int32_t kernel[2] = {kernel_height, kernel_width};
  REQUIRE_OK(lngd_conv_init(2, channels, outputs, kernel, &layer));
  layer.activation = LNGD_ACTIVATION_IDENTITY;
  return layer;
}

lngd_layer_config convolution_1d(std::int64_t channels, std::int64_t outputs, int kernel) {
  lngd_layer_config layer;
  std::memset(&layer, 0, sizeof layer);
  const std::int32_t sizes[1] = {kernel};
  REQUIRE_OK(lngd_conv_init(1, channels, outputs, sizes, &layer));
  layer.activation = LNGD_ACTIVATION_IDENTITY;
  return layer;
}

lngd_layer_config with_geometry(lngd_layer_config layer, int stride, int before, int after, int dilation, int groups) {
  for (int axis = 0; axis < layer.rank; ++axis) {
    layer.stride[axis] = stride;
    layer.padding_before[axis] = before;
    layer.padding_after[axis] = after;
    layer.dilation[axis] = dilation;
  }
  layer.groups = groups;
  return layer;
}

Geometry geometry(const lngd_layer_config& layer, std::int64_t height, std::int64_t width) {
  if (layer.kind == LNGD_LAYER_DENSE) return {1, 1, 1, 1};
  if (layer.kind == LNGD_LAYER_EMBEDDING) return {1, width, 1, width};
  const auto count = [&layer](int axis, std::int64_t size) {
    // Start positions y with y stride + dilation (kernel - 1) inside of the padded input, one by one.
    std::int64_t positions = 0;
    const std::int64_t padded = size + layer.padding_before[axis] + layer.padding_after[axis];
    while (positions * layer.stride[axis] + layer.dilation[axis] * (layer.kernel[axis] - 1) < padded) ++positions;
    return positions;
  };
  if (layer.rank == 1) return {1, width, 1, count(0, width)};
  return {height, width, count(0, height), count(1, width)};
}

twin::Matrix one_hot(const twin::Matrix& indices, std::int64_t count) {
  twin::Matrix rows(indices.rows * indices.cols, count);
  for (std::int64_t row = 0; row < rows.rows; ++row)
    rows(row, static_cast<std::int64_t>(indices.values[static_cast<std::size_t>(row)])) = 1;
  return rows;
}

twin::Matrix patches(const lngd_layer_config& layer, const Geometry& g, const twin::Matrix& images) {
  const bool flat = layer.rank == 1; // the only axis is the horizontal one
  const int vertical = 0, horizontal = flat ? 0 : 1;
  const std::int64_t kh = flat ? 1 : layer.kernel[0], kw = layer.kernel[horizontal];
  twin::Matrix result(images.rows * g.positions(), layer.inputs * kh * kw);
  for (std::int64_t row = 0; row < result.rows; ++row)
    for (std::int64_t column = 0; column < result.cols; ++column) {
      const std::int64_t n = row / g.positions(), oy = row % g.positions() / g.out_width, ox = row % g.out_width;
      const std::int64_t c = column / (kh * kw), ky = column / kw % kh, kx = column % kw; // groups are whole channels
      const std::int64_t y =
          flat ? 0 : oy * layer.stride[vertical] - layer.padding_before[vertical] + ky * layer.dilation[vertical];
      const std::int64_t x =
          ox * layer.stride[horizontal] - layer.padding_before[horizontal] + kx * layer.dilation[horizontal];
      const bool inside = y >= 0 && y < g.height && x >= 0 && x < g.width;
      result(row, column) = inside ? images(n, (c * g.height + y) * g.width + x) : 0.0;
    }
  return result;
}

} // namespace conformance
