// SPDX-License-Identifier: Apache-2.0
//
// Training steps of convolutions beside the twin, which works on the explicit patch matrix: geometries, layouts, output
// models, micro-batches, the EMPIRICAL rate, groups. Tolerances are those of training.cpp, with a term for each
// (sample, position).
#include <string>

#include "training.hpp"

using namespace conformance;

namespace {

struct Shape {
  const char* name;
  lngd_layer_config layer;
  std::int64_t height, width;
};

// Geometries that a kernel may treat differently.
std::vector<Shape> shapes() {
  std::vector<Shape> list = {
      {"1x1", convolution(5, 4, 1, 1), 6, 5},
      {"1x1 stride 2", with_geometry(convolution(5, 4, 1, 1), 2, 0, 0), 7, 6},
      {"1x1 stride 3 padding 1", with_geometry(convolution(3, 4, 1, 1), 3, 1, 1), 7, 6},
      {"3x3 padding 1", with_geometry(convolution(3, 4, 3, 3), 1, 1, 1), 6, 5},
      {"3x3 no padding", convolution(3, 4, 3, 3), 6, 7},
      {"3x3 stride 2 padding 1", with_geometry(convolution(3, 4, 3, 3), 2, 1, 1), 8, 8},
      {"3x3 stride 2 Same of an even size", with_geometry(convolution(3, 4, 3, 3), 2, 0, 1), 8, 6},
      {"3x3 stride 3 width not used up", with_geometry(convolution(2, 3, 3, 3), 3, 0, 0), 8, 10},
      {"5x5", convolution(2, 6, 5, 5), 9, 9},
      {"5x3 not square", with_geometry(convolution(2, 3, 5, 3), 1, 2, 1), 5, 9},
      {"1x3", with_geometry(convolution(3, 2, 1, 3), 1, 0, 1), 4, 6},
      {"3x1 stride 2", with_geometry(convolution(3, 2, 3, 1), 2, 1, 0), 6, 5},
      {"2x2 stride 2", with_geometry(convolution(4, 3, 2, 2), 2, 0, 0), 6, 8},
      {"3x3 dilation 2", with_geometry(convolution(2, 3, 3, 3), 1, 2, 2, 2), 6, 7},
      {"3x3 dilation 2 stride 3", with_geometry(convolution(2, 3, 3, 3), 3, 1, 2, 2), 9, 8},
      {"2x3 dilation 3 stride 2", with_geometry(convolution(2, 3, 2, 3), 2, 3, 0, 3), 7, 9},
      {"groups 2", with_geometry(convolution(4, 6, 3, 3), 1, 1, 1, 1, 2), 5, 5},
      {"groups 3 1x1 stride 2", with_geometry(convolution(6, 3, 1, 1), 2, 0, 0, 1, 3), 5, 6},
      {"depthwise", with_geometry(convolution(4, 4, 3, 3), 1, 1, 1, 1, 4), 5, 6},
      {"depthwise multiplier 2 stride 2", with_geometry(convolution(3, 6, 3, 3), 2, 1, 1, 1, 3), 7, 5},
      {"asymmetric padding", with_geometry(convolution(3, 4, 3, 2), 1, 2, 0), 5, 4},
      {"kernel larger than the input", with_geometry(convolution(2, 3, 5, 5), 1, 2, 2), 3, 2},
      {"one position", convolution(3, 4, 4, 3), 4, 3},
      {"padding beyond the kernel", with_geometry(convolution(2, 3, 2, 2), 1, 3, 2), 2, 3},
      {"widths 16 and 17", with_geometry(convolution(1, 2, 3, 3), 1, 1, 1), 3, 16},
      {"width 28", with_geometry(convolution(1, 2, 3, 3), 1, 1, 1), 2, 28},
      {"1-D", convolution_1d(3, 4, 3), 1, 11},
      {"1-D stride 2 dilation 2 padding 3/1", with_geometry(convolution_1d(4, 4, 3), 2, 3, 1, 2, 2), 1, 12},
      {"1-D 1", convolution_1d(5, 3, 1), 1, 9},
  };
  // Padding above, but no row of padding below and none at the sides: only the first row of the image is not the
  // caller's.
  lngd_layer_config above = convolution(3, 2, 2, 2);
  above.stride[0] = 3;
  above.padding_before[0] = 1;
  list.push_back({"stride and padding of the rows alone", above, 8, 5});
  for (Shape& shape : list) shape.layer.activation = LNGD_ACTIVATION_TANH;
  return list;
}

Case conv_case(const std::string& name, const Shape& shape) {
  Case c;
  c.name = name;
  c.config = preset(LNGD_PRESET_RECIPE_EMPIRICAL, 50);
  c.config.block_size = 0;
  c.config.statistics_samples = 0;
  c.config.statistics_interval = 2;
  c.config.inverse_interval = 2;
  c.layers = {shape.layer};
  c.height = shape.height;
  c.width = shape.width;
  c.batch = 5;
  c.steps = 3;
  return c;
}

} // namespace

TEST(conv_geometries) {
  for (const Shape& shape : shapes())
    for (const bool bias : {true, false}) {
      if (quick() && !bias) continue;
      Case c = conv_case(std::string(shape.name) + (bias ? "" : " without bias"), shape);
      c.layers[0].bias = bias;
      run_case(c);
    }
}

// Lines of a patch more than 2^15 apart.
TEST(conv_kernel_over_many_rows) {
  lngd_layer_config layer = convolution(2, 3, 3, 1);
  layer.dilation[0] = 20000;
  layer.padding_before[0] = 2;
  for (const ImageLayout layout : kImageLayouts) {
    Case c = conv_case(std::string("3x1 dilation 20000 in ") + image_layout_name(layout),
                       {"over 40,000 rows", layer, 40003, 1});
    c.image_layout = layout;
    c.batch = 2;
    c.steps = 2;
    run_case(c);
  }
}

TEST(conv_layouts) {
  int number = 0;
  for (const Shape& shape : shapes())
    for (const ImageLayout layout : kImageLayouts) {
      if (quick() && ++number % 9 != 0) continue; // each layout and each shape still comes up
      Case c = conv_case(std::string(shape.name) + " in " + image_layout_name(layout), shape);
      c.image_layout = layout;
      c.steps = 1;
      run_case(c);
    }
}

TEST(conv_blocks) {
  for (const Shape& shape : shapes())
    for (const int block : {128, 5, 1}) {
      if (quick() && block != 5) continue;
      Case c = conv_case(std::string(shape.name) + " blocks of " + std::to_string(block), shape);
      c.config.block_size = block;
      c.steps = 2;
      run_case(c);
    }
}
