// SPDX-License-Identifier: Apache-2.0
//
// Images for the tests of convolutions: tensors of every stride order with guard bytes, and the explicit patch matrix.
#ifndef LNGD_TEST_IMAGES_HPP
#define LNGD_TEST_IMAGES_HPP

#include <vector>

#include "fixture.hpp"

namespace conformance {

// How a batch of images (samples, channels, height, width) lies in memory.
enum class ImageLayout {
  Nchw, // compact, strides NULL
  Nhwc,
  Nwch,        // neither the channel nor the width runs fastest
  PaddedRows,  // NCHW with gaps behind rows, channels and samples
  Spread,      // gaps between all elements
  Negative,    // all strides negative
  NegativeRow, // images upside down
  ByteOffset,  // NCHW, not aligned to 4 bytes
};
constexpr ImageLayout kImageLayouts[] = {ImageLayout::Nchw,        ImageLayout::Nhwc,      ImageLayout::Nwch,
                                         ImageLayout::PaddedRows,  ImageLayout::Spread,    ImageLayout::Negative,
                                         ImageLayout::NegativeRow, ImageLayout::ByteOffset};
const char* image_layout_name(ImageLayout layout);

class ImageTensor {
 public:
  // rank: spatial axes; with 1 the height is 1 and the tensor has three axes.
  ImageTensor(std::int64_t samples, std::int64_t channels, std::int64_t height, std::int64_t width, ImageLayout layout,
              int rank = 2);
  ImageTensor(const ImageTensor&) = delete;
  ImageTensor& operator=(const ImageTensor&) = delete;

  // values: samples x (channels height width), from row `first` on.
  void fill(const twin::Matrix& values, std::int64_t first = 0);
  // rows: (samples height width) x channels, from sample `first` on.
  void fill_rows(const twin::Matrix& rows, std::int64_t first = 0);
  void set(std::int64_t n, std::int64_t c, std::int64_t y, std::int64_t x, double value);

  lngd_tensor view() const;
  std::vector<std::uint8_t>& storage() { return storage_; }
  const lngd_tensor* pointer() const;
  bool guards_intact() const;

 private:
  std::size_t position(std::int64_t n, std::int64_t c, std::int64_t y, std::int64_t x) const;

  int rank_;
  bool strides_given_ = true;
  std::int64_t size_[4], stride_[4];   // samples, channels, height, width
  std::int64_t shape_[4], strides_[4]; // of the tensor
  std::size_t start_ = 0;
  std::uint64_t byte_offset_ = 0;
  std::vector<std::uint8_t> storage_;
  mutable lngd_tensor tensor_;
};

// A convolution with bias and identity activation, stride and dilation 1, no padding; tests change its fields.
lngd_layer_config convolution(std::int64_t channels, std::int64_t outputs, int kernel_height, int kernel_width);
lngd_layer_config convolution_1d(std::int64_t channels, std::int64_t outputs, int kernel);

// The same stride, padding and dilation along all axes.
lngd_layer_config with_geometry(lngd_layer_config layer, int stride, int before, int after, int dilation = 1,
                                int groups = 1);

struct Geometry {
  std::int64_t height, width;         // of the inputs
  std::int64_t out_height, out_width; // of the outputs
  std::int64_t positions() const { return out_height * out_width; }
};
Geometry geometry(const lngd_layer_config& layer, std::int64_t height, std::int64_t width);

// Row n T + t has a 1 in column indices(n, t), of `count`.
twin::Matrix one_hot(const twin::Matrix& indices, std::int64_t count);

// The explicit im2col matrix: (samples positions) x (groups d_w), columns in the order group, channel, kernel row,
// kernel column. images: samples x (channels height width).
twin::Matrix patches(const lngd_layer_config& layer, const Geometry& g, const twin::Matrix& images);

} // namespace conformance

#endif // LNGD_TEST_IMAGES_HPP
