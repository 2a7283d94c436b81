// SPDX-License-Identifier: Apache-2.0
// running_average: the sums of the observed update into the running averages (spec section 3), all layers of a plan:
//
//   Phi_hat <- rho Phi_hat + (1 - rho) Phi / N        psi_hat <- rho psi_hat + (1 - rho) psi / denominator
//
// and a second factor that is a matrix (KFAC, TKFAC) as Phi, by the rows or by the denominator (second_factor.h); its
// layer also has running averages of two means, of ||a||^2 over the columns and of g^2 (SIGNAL damping).
//
// The first update initialises. An update with NaN, Inf or overflow, or in which every c_n r_n was 0 (a dead layer),
// changes nothing, and neither does one group of a convolution in which they were. The sums are zero afterwards in
// every case.
//
// Bound by memory: 16 bytes for each element of a lower triangle (sum and average, read and written). A warp takes a
// row of a block, a lane four columns. Two launches: the first reads what the second resets, the record and the
// denominators. One launch whose last block resets them would save a microsecond or two every T_FIM steps, for a
// counter and a fence in each block.
#include "backend/cuda/running_average.h"
#include "backend/cuda/simt.cuh"

namespace lngd::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

// The decision over a layer, the same in every thread of the block; every thread must come.
struct Decision {
  bool accept, dropped; // dropped: the step is kept out, which is nothing that the statistics have to answer for
  double keep;          // weight of the old average
  double signal, phi;   // what squares of signals are multiplied by, and sums of Phi
};

__device__ Decision decide(const AverageLayer& layer, const StepSettings& settings) {
  bool any = false; // of the groups
  for (int g = static_cast<int>(threadIdx.x); g < layer.groups; g += kThreads) any |= layer.denominator[g] > 0;
  const LayerRecord& record = *layer.record;
  const double signal = signal_square(layer.gradient_signals, settings.gradients);
  const double count = layer.totals ? fmax(layer.totals[2 * layer.groups], 1.0) : static_cast<double>(record.samples);
  bool beyond = false;
  for (int g = static_cast<int>(threadIdx.x); signal != 1.0 && g < layer.groups; g += kThreads) {
    beyond |= !scales_within_float(signal, layer.denominator[g], count);
    if (layer.totals) beyond |= !scales_within_float(signal, layer.totals[layer.groups + g], count);
  }
  const bool dropped = settings.gradients.skip != 0, fits = __syncthreads_or(beyond) == 0,
             sound = __syncthreads_or(any) != 0 && fits && !record.poisoned && record.samples > 0;
  return {sound && !dropped, dropped, record.has_average ? settings.rho : 0.0, signal,
          layer.phi_has_signals ? signal : 1.0};
}

__device__ __forceinline__ float4& quad(float* p) { return *reinterpret_cast<float4*>(p); }

// Leading dimension of a block of n columns, as BlockLayout has it.
__device__ __forceinline__ int64_t leading(int n) { return (int64_t{n} + kRowAlign - 1) / kRowAlign * kRowAlign; }

// Row `at` of a factor, in the order of AverageTask, by one warp; `share` of the sum, where its group is accepted.
__device__ void average_row(const AverageFactor& factor, int at, bool accept, double old, double share) {
  const int group = at / factor.d, row = at % factor.d, i = row % factor.block, begin = row - i;
  const int64_t offset = group * factor.group_floats + begin * leading(factor.block) +
                         i * leading(min(factor.block, factor.d - begin)); // a multiple of 16
  const float keep = static_cast<float>(old), weight = accept ? static_cast<float>(share) : 0.0f;
  for (int j = static_cast<int>(threadIdx.x) % 32 * 4; j <= i; j += 128) {
    float4& sum = quad(factor.sum + offset + j);
    if (accept) {
      float4& average = quad(factor.average + offset + j);
      const float4 s = sum;
      float4 a = average; // what lies above the diagonal stays
      a.x = keep * a.x + weight * s.x;
      if (j + 1 <= i) a.y = keep * a.y + weight * s.y;
      if (j + 2 <= i) a.z = keep * a.z + weight * s.z;
      if (j + 3 <= i) a.w = keep * a.w + weight * s.w;
      average = a;
    }
    sum = make_float4(0, 0, 0, 0);
  }
}

// Row `at` of Phi, over the samples; of the second factor, over the rows (KFAC) or over sum c r (TKFAC).
__device__ void average_phi(const AverageLayer& layer, const Decision& decision, int at) {
  const bool accept = decision.accept && layer.denominator[at / layer.phi.d] > 0;
  average_row(layer.phi, at, accept, decision.keep,
              (1.0 - decision.keep) * decision.phi / static_cast<double>(layer.record->samples));
}
__device__ void average_second(const AverageLayer& layer, const Decision& decision, int at) {
  const double denominator = layer.denominator[at / layer.second.d];
  const double count = layer.second_by_rows ? layer.totals[2 * layer.groups] : denominator,
               signal = layer.second_by_rows ? decision.signal : 1.0; // a ratio has no scale
  average_row(layer.second, at, decision.accept && denominator > 0, decision.keep,
              (1.0 - decision.keep) * signal / count);
}

__device__ void average_diagonal(const AverageLayer& layer, const Decision& decision, int i) {
  const double share = (1.0 - decision.keep) * decision.phi / static_cast<double>(layer.record->samples);
  float& average = layer.phi.average[i];
  if (decision.accept)
    average = static_cast<float>(decision.keep * static_cast<double>(average) + share * layer.diagonal_sum[i]);
  layer.diagonal_sum[i] = 0;
}

__device__ void average_psi(const AverageLayer& layer, const Decision& decision, int i) {
  const double total = layer.denominator[i / (layer.outputs / layer.groups)];
  if (decision.accept && total > 0)
    layer.psi[i] = static_cast<float>(decision.keep * static_cast<double>(layer.psi[i]) +
                                      (1.0 - decision.keep) / total * layer.psi_sum[i]);
  layer.psi_sum[i] = 0;
}

__global__ void __launch_bounds__(kThreads)
    running_average_kernel(const StepSettings* settings, const AverageLayer* layers, const int32_t* due,
                           const AverageTask* tasks) {
  const AverageTask task = tasks[blockIdx.x];
  if (!due[task.layer]) return; // the whole block
  const AverageLayer& layer = layers[task.layer];
  const Decision decision = decide(layer, *settings);
  const int thread = static_cast<int>(threadIdx.x);
  if (task.part == AveragePart::Psi) {
    for (int i = task.row0 + thread; i < task.row1; i += kThreads) average_psi(layer, decision, i);
    return;
  }
  if (task.part == AveragePart::Diagonal) {
    for (int i = task.row0 + thread; i < task.row1; i += kThreads) average_diagonal(layer, decision, i);
    return;
  }
  for (int row = task.row0 + thread / 32; row < task.row1; row += kThreads / 32) {
    if (task.part == AveragePart::Phi)
      average_phi(layer, decision, row);
    else
      average_second(layer, decision, row);
  }
}

// The sum of totals[0..count), which are zero afterwards; where the first thread is. Every thread must come.
__device__ double take_sum(double* totals, int count, double (&of_warp)[kWarps]) {
  double sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) {
    sum += totals[i];
    totals[i] = 0;
  }
  sum = warp_sum(sum);
  __syncthreads(); // the sum before has been read
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = sum;
  __syncthreads();
  double total = 0;
  for (int warp = 0; warp < kWarps; ++warp) total += of_warp[warp];
  return total;
}

// alpha_l = sum ||a||^2 / (N d) and beta_l = the mean of g^2, over all groups, into the record; of an embedding N =
// rows.
__device__ void average_squares(const AverageLayer& layer, const Decision& decision, double (&of_warp)[kWarps]) {
  const double inputs = take_sum(layer.totals, layer.groups, of_warp),
               signals = take_sum(layer.totals + layer.groups, layer.groups, of_warp);
  if (threadIdx.x != 0) return;
  double& rows = layer.totals[2 * layer.groups];
  LayerRecord& record = *layer.record;
  if (decision.accept) {
    const double columns = static_cast<double>(layer.groups) * layer.phi.d, keep = decision.keep;
    const double samples = layer.diagonal_sum ? rows : static_cast<double>(record.samples);
    record.input_square = keep * record.input_square + (1.0 - keep) * inputs / (samples * columns);
    record.signal_square =
        keep * record.signal_square + (1.0 - keep) * decision.signal * signals / (rows * layer.outputs);
  }
  rows = 0;
}

// A block a layer.
__global__ void __launch_bounds__(kThreads)
    average_records_kernel(const StepSettings* settings, const AverageLayer* layers, const int32_t* due) {
  __shared__ double of_warp[kWarps];
  if (!due[blockIdx.x]) return;
  const AverageLayer& layer = layers[blockIdx.x];
  const Decision decision = decide(layer, *settings);
  __syncthreads(); // the denominators have been read
  for (int g = static_cast<int>(threadIdx.x); g < layer.groups; g += kThreads) layer.denominator[g] = 0;
  if (layer.totals) average_squares(layer, decision, of_warp);
  if (threadIdx.x != 0) return;
  LayerRecord& record = *layer.record;
  if (decision.accept) {
    record.has_average = 1;
    ++record.statistics_updates;
  } else if (!decision.dropped) {
    ++record.skipped_statistics;
  }
  record.samples = 0;
  record.poisoned = 0;
}

} // namespace

cudaError_t prepare_running_average() { return prepare_kernels(0, running_average_kernel, average_records_kernel); }

cudaError_t launch_running_average(const StepSettings* settings, const AverageLayer* layers, const int32_t* due,
                                   int32_t layer_count, const AverageTask* tasks, int32_t task_count,
                                   cudaStream_t stream) {
  if (task_count == 0 || layer_count == 0) return cudaSuccess;
  const cudaError_t error = launch(running_average_kernel, dim3(static_cast<unsigned>(task_count)), dim3(kThreads), 0,
                                   stream, settings, layers, due, tasks);
  if (error != cudaSuccess) return error;
  return launch(average_records_kernel, dim3(static_cast<unsigned>(layer_count)), dim3(kThreads), 0, stream, settings,
                layers, due);
}

} // namespace lngd::cuda
