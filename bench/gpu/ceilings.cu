// SPDX-License-Identifier: Apache-2.0
// What this card can do, measured with the instructions that the kernels use, in the same run as they: a copy for the
// bandwidth, mma.sync for the tensor cores (wgmma could do more on Hopper, but no kernel here uses it), and fused
// multiply-add. All on random data: zeros run faster, on less power.
#include <cmath>

#include "backend/cuda/simt.cuh"
#include "ceilings.hpp"
#include "numbers.cuh"

namespace bench {
namespace {

constexpr int kThreads = 256;

// Four loads in flight a thread.
__global__ void __launch_bounds__(kThreads) copy_kernel(const float4* from, float4* to, int64_t quads) {
  const int64_t step = int64_t{gridDim.x} * kThreads;
  int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  for (; i + 3 * step < quads; i += 4 * step) {
    const float4 a = from[i], b = from[i + step], c = from[i + 2 * step], d = from[i + 3 * step];
    to[i] = a;
    to[i + step] = b;
    to[i + 2 * step] = c;
    to[i + 3 * step] = d;
  }
  for (; i < quads; i += step) to[i] = from[i];
}

// Independent accumulators hide the latency; operands stay in registers, so nothing but the tensor cores is used.
constexpr int kTiles = 8;

template <bool Bf16>
__global__ void __launch_bounds__(kThreads) mma_kernel(int turns, float* out) {
  const uint32_t lane = threadIdx.x + kThreads * blockIdx.x;
  uint32_t a[2][4], b[kTiles / 2][2];
  for (uint32_t i = 0; i < 8; ++i)
    a[i / 4][i % 4] = Bf16 ? lngd::cuda::pack_bf16(uniform(lane, 2 * i), uniform(lane, 2 * i + 1))
                           : lngd::cuda::to_tf32(uniform(lane, i));
  for (uint32_t i = 0; i < kTiles; ++i)
    b[i / 2][i % 2] = Bf16 ? lngd::cuda::pack_bf16(uniform(lane, 32 + 2 * i), uniform(lane, 33 + 2 * i))
                           : lngd::cuda::to_tf32(uniform(lane, 32 + i));
  float acc[kTiles][4] = {};
  for (int turn = 0; turn < turns; ++turn) {
#pragma unroll
    for (int i = 0; i < kTiles; ++i) {
      if (Bf16)
        lngd::cuda::mma_bf16(acc[i], a[i % 2], b[i / 2]);
      else
        lngd::cuda::mma_tf32(acc[i], a[i % 2], b[i / 2]);
    }
  }
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kTiles; ++i) sum += acc[i][0] + acc[i][1] + acc[i][2] + acc[i][3];
  out[lane] = sum;
}

constexpr int kChains = 16;

__global__ void __launch_bounds__(kThreads) fma_kernel(int turns, float* out) {
  const uint32_t thread = threadIdx.x + kThreads * blockIdx.x;
  float x[kChains];
#pragma unroll
  for (int i = 0; i < kChains; ++i) x[i] = uniform(thread, static_cast<uint32_t>(i));
  const float a = 0.9f + 0.05f * uniform(thread, 100), b = uniform(thread, 101);
  for (int turn = 0; turn < turns; ++turn) {
#pragma unroll
    for (int i = 0; i < kChains; ++i) x[i] = a * x[i] + b;
  }
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kChains; ++i) sum += x[i];
  out[thread] = sum;
}

double measure_copy(const Options& options) {
  const int64_t quads = options.smoke ? 5000 : int64_t{1} << 26; // 1 GiB each way
  const Buffer<float4> from(quads), to(quads);
  fill(reinterpret_cast<float*>(from.get()), 4 * quads, 7);
  fill(reinterpret_cast<float*>(to.get()), 4 * quads, 8);
  const unsigned blocks = options.smoke ? 4 : static_cast<unsigned>(8 * device().multiprocessors);
  const Timing own = measure(options, 1, [&](int, cudaStream_t stream) {
    BENCH_CUDA(lngd::cuda::launch(copy_kernel, dim3(blocks), dim3(kThreads), 0, stream,
                                  static_cast<const float4*>(from.get()), to.get(), quads));
  });
  for (const int64_t at : {int64_t{0}, quads / 3, quads - 1})
    if (to.read(at, 1)[0].w != uniform(7, static_cast<uint64_t>(4 * at + 3))) throw Failed("the copy is wrong");
  const Timing runtimes = measure(options, 1, [&](int, cudaStream_t stream) {
    BENCH_CUDA(cudaMemcpyAsync(to.get(), from.get(), static_cast<size_t>(quads) * sizeof(float4),
                               cudaMemcpyDeviceToDevice, stream));
  });
  return 2.0 * 16 * static_cast<double>(quads) / std::min(own.median, runtimes.median) / 1e3; // GB/s
}

// Best over blocks a multiprocessor, in TFLOP/s. `per_turn`: operations of a block in one turn.
double measure_rate(const Options& options, void (*kernel)(int, float*), double per_turn) {
  const int turns = options.smoke ? 2 : 4096;
  double best = 0;
  for (int resident = 1; resident <= (options.smoke ? 1 : 4); ++resident) {
    const int blocks = options.smoke ? 1 : resident * device().multiprocessors;
    const Buffer<float> out(int64_t{blocks} * kThreads);
    const Timing t = measure(options, 1, [&](int, cudaStream_t stream) {
      BENCH_CUDA(
          lngd::cuda::launch(kernel, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0, stream, turns, out.get()));
    });
    if (!std::isfinite(out.read(0, 1)[0])) throw Failed("the accumulators overflowed");
    best = std::max(best, per_turn * turns * blocks / t.median / 1e6);
  }
  return best;
}

} // namespace

void measure_ceilings(const Options& options, Report& report) {
  report.ceiling("copy", "GB/s", measure_copy(options),
                 "device to device, bytes read plus written, the better of a float4 kernel and cudaMemcpy");
  const double warps = kThreads / 32.0;
  report.ceiling("mma_tf32", "TFLOP/s", measure_rate(options, mma_kernel<false>, warps * kTiles * 2 * 16 * 8 * 8),
                 "mma.sync m16n8k8, operands in registers");
  report.ceiling("mma_bf16", "TFLOP/s", measure_rate(options, mma_kernel<true>, warps * kTiles * 2 * 16 * 8 * 16),
                 "mma.sync m16n8k16, operands in registers");
  report.ceiling("fp32", "TFLOP/s", measure_rate(options, fma_kernel, 2.0 * kThreads * kChains), "fused multiply-add");
}

} // namespace bench
