// SPDX-License-Identifier: Apache-2.0
// pixel_squares: the first launch of conv_statistics.
//
//   s(g, n, y, x) = sum over the channels of group g of input(n, c, y, x)^2
//
// Bound by memory: the input is read once, and one float for all channels of a group is written.
#include "backend/cuda/conv_rows.cuh"
#include "backend/cuda/squares.cuh"
#include "backend/cuda/statistics.h"
#include "backend/cuda/statistics_plan.h"

namespace lngd::cuda {
namespace {

constexpr int kPixelThreads = 256;

struct PixelArgs {
  Activations inputs;
  Divisor area, width;
  int32_t pixels;   // samples x height x width
  int32_t channels; // of a group
  bool by_channels; // neighbouring channels are neighbours in memory: a warp for each pixel
  float* squares;   // groups x pixels
};

__global__ void __launch_bounds__(kPixelThreads) pixel_squares_kernel(const PixelArgs args) {
  // Pixels are numbered in 32 bits (kMostRows); the threads of a grid, 32 a pixel, would not be.
  const int block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  const int pixel = args.by_channels ? block * (kPixelThreads / 32) + thread / 32 : block * kPixelThreads + thread;
  const int group = static_cast<int>(blockIdx.y);
  double sum = 0;
  if (pixel < args.pixels) {
    const int sample = args.area.divide(pixel), at = args.area.remainder(pixel, sample);
    const int y = args.width.divide(at), x = args.width.remainder(at, y);
    const int64_t* const s = args.inputs.stride;
    const float* const a =
        args.inputs.data + sample * s[0] + int64_t{group} * args.channels * s[1] + y * s[2] + x * s[3];
    sum = args.by_channels ? sum_of_squares(a, s[1], args.channels, lane, 32)
                           : sum_of_squares(a, s[1], args.channels, 0, 1);
  }
  if (args.by_channels) sum = warp_sum(sum);
  if (pixel < args.pixels && (!args.by_channels || lane == 0))
    args.squares[int64_t{group} * args.pixels + pixel] = static_cast<float>(sum);
}

} // namespace

cudaError_t prepare_pixel_squares() { return prepare_kernel(pixel_squares_kernel); }

cudaError_t launch_pixel_squares(const LayerShape& shape, const Activations& a, int64_t samples, float* squares,
                                 cudaStream_t stream) {
  const int64_t area = int64_t{a.height} * a.width, pixels = samples * area;
  const int64_t taps = int64_t{shape.conv.kernel[0]} * shape.conv.kernel[1];
  const PixelArgs pixel{a,
                        Divisor(area),
                        Divisor(a.width),
                        static_cast<int32_t>(pixels),
                        static_cast<int32_t>(shape.inputs / taps),
                        a.stride[1] == 1 && a.stride[3] != 1,
                        squares};
  const int64_t threads = pixel.by_channels ? 32 * pixels : pixels;
  return launch(pixel_squares_kernel,
                dim3(static_cast<unsigned>(ceil_div(threads, kPixelThreads)), static_cast<unsigned>(shape.groups)),
                dim3(kPixelThreads), 0, stream, pixel);
}

} // namespace lngd::cuda
