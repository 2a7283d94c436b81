// SPDX-License-Identifier: Apache-2.0
// Where the numbers of a layer lie. The same on every backend.
#ifndef LNGD_BACKEND_LAYOUT_H
#define LNGD_BACKEND_LAYOUT_H

#include <algorithm>
#include <cstdint>

namespace lngd {

// Leading dimensions are multiples of 16 floats, one cache line and one AVX-512 register: rows start aligned.
constexpr int64_t kRowAlign = 16;
inline int64_t padded(int64_t n) { return (n + kRowAlign - 1) / kRowAlign * kRowAlign; }

// A strided matrix of the caller: element (i, j) at data + i * rs + j * cs. Any byte alignment in host memory, a
// multiple of 4 bytes in device memory.
struct Strided {
  float* data = nullptr;
  int64_t rs = 0;
  int64_t cs = 0;
  bool device = false; // device memory of the backend, else host memory
};

// Activations of a convolution: element (n, c, y, x) at data + n * stride[0] + c * stride[1] + y * stride[2] + x *
// stride[3]. NCHW, NHWC and everything between are strides. A 1-D convolution has height 1.
struct Activations {
  float* data = nullptr;
  int64_t stride[4] = {0, 0, 0, 0};
  int32_t height = 1, width = 1;
  bool device = false;
};

// A convolution; a 1-D one has 1 in every vertical entry (0 padding). Index 0 is vertical, 1 horizontal.
//   patch element (c, ky, kx) of output position (oy, ox), c within the group, zero outside of the input:
//     input(c, oy * stride[0] - before[0] + ky * dilation[0], ox * stride[1] - before[1] + kx * dilation[1])
struct ConvGeometry {
  int32_t kernel[2] = {1, 1};
  int32_t stride[2] = {1, 1};
  int32_t before[2] = {0, 0}; // zero padding above and left
  int32_t after[2] = {0, 0};  // below and right
  int32_t dilation[2] = {1, 1};
  bool same = false; // the padding follows from the image: see at()

  // Output positions along an axis of that many inputs; 0 or less where the kernel does not fit.
  int64_t positions(int axis, int64_t size) const {
    if (same) return (size + stride[axis] - 1) / stride[axis];
    const int64_t reach = size + before[axis] + after[axis] - dilation[axis] * (int64_t{kernel[axis]} - 1) - 1;
    return reach < 0 ? 0 : reach / stride[axis] + 1;
  }

  // The geometry for one image: with `same`, as many zeros as size / stride positions (rounded up) take, the odd one
  // at the end. What a kernel begins with.
  ConvGeometry at(int64_t height, int64_t width) const {
    ConvGeometry g = *this;
    if (!same) return g;
    const int64_t size[2] = {height, width};
    for (int axis = 0; axis < 2; ++axis) {
      const int64_t reach =
          (positions(axis, size[axis]) - 1) * stride[axis] + dilation[axis] * (int64_t{kernel[axis]} - 1) + 1;
      const int64_t total = std::max<int64_t>(reach - size[axis], 0);
      g.before[axis] = static_cast<int32_t>(total / 2);
      g.after[axis] = static_cast<int32_t>(total - total / 2);
    }
    g.same = false;
    return g;
  }
};

// The diagonal blocks of a layer's factor. Each of `groups` groups (of a grouped convolution; otherwise 1) has a d x d
// factor of its own, cut into contiguous blocks of `block` columns, the last of what is left. Block k is a row-major
// square with leading dimension ld(k), at offset(k); the blocks of group 0 come first.
//
// A diagonal factor (of an embedding) has only its d diagonal elements, side by side: block k is a run of size(k) of
// them at offset(k), and ld(k) is 0, so that diagonal element i is i * (ld(k) + 1) behind the first in either form.
struct BlockLayout {
  int64_t d = 0;
  int64_t block = 1; // with d = 0, where there is no factor: no blocks and no floats
  int64_t groups = 1;
  bool is_diagonal = false;

  BlockLayout() = default;
  BlockLayout(int64_t size, int64_t largest, int64_t group_count = 1)
      : d(size), block(largest <= 0 ? size : std::min(size, largest)), groups(group_count) {}
  // The columns of the weights are one block with one damping; that of a bias, if size is weight_columns + 1, another.
  static BlockLayout diagonal(int64_t size, int64_t weight_columns) {
    BlockLayout layout(size, weight_columns);
    layout.is_diagonal = true;
    return layout;
  }

  int64_t group_blocks() const { return (d + block - 1) / block; }
  int64_t count() const { return groups * group_blocks(); }
  int64_t group(int64_t k) const { return k / group_blocks(); }
  int64_t begin(int64_t k) const { return k % group_blocks() * block; } // first column
  int64_t size(int64_t k) const { return std::min(block, d - begin(k)); }
  int64_t ld(int64_t k) const { return is_diagonal ? 0 : padded(size(k)); }
  int64_t offset(int64_t k) const {
    return is_diagonal ? begin(k) : group(k) * group_floats() + begin(k) * padded(block);
  }
  int64_t group_floats() const {
    if (is_diagonal) return padded(d);
    const int64_t last = group_blocks() - 1, rest = d - last * block;
    return last * block * padded(block) + rest * padded(rest);
  }
  int64_t floats() const { return groups * group_floats(); }
};

} // namespace lngd
#endif
