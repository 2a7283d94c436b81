// SPDX-License-Identifier: Apache-2.0
// One step of a small layer through the entries of the backend table: statistics, running average, inverse,
// precondition, rate, update, with host tensors on the way in and out; against the formulas in double precision.
#include <cmath>

#include "backend/cuda/cuda_plan.h"
#include "backend/cuda/cuda_step.h"
#include "backend/cuda/known_answers.h"

namespace lngd::cuda {
namespace {

// A block that fills its tiles and one that does not, with the bias in it.
constexpr int64_t kInputs = 40, kColumns = kInputs + 1, kOutputs = 24, kSamples = 32, kBlock = 24;

// Numbers in [-1, 1) that are floats.
std::vector<float> numbers(int64_t count, uint32_t seed) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<float>(static_cast<int32_t>(seed >> 8 << 8)) * 0x1p-31f;
  }
  return values;
}

struct Data {
  std::vector<float> inputs = numbers(kSamples * kInputs, 1), gradients = numbers(kSamples * kOutputs, 2),
                     deltas = numbers(kSamples * kOutputs, 3), weights = numbers(kOutputs * kInputs, 4),
                     bias = numbers(kOutputs, 5), weight_gradients = numbers(kOutputs * kInputs, 6),
                     bias_gradients = numbers(kOutputs, 7);
};

Strided matrix(std::vector<float>& values, int64_t columns) { return {values.data(), columns, 1, false}; }

using Matrix = std::vector<double>; // row-major

struct Answers {
  Matrix direction, weights; // kOutputs x kColumns, the bias last
  double alpha = 0;
};

// The inverse of a positive definite matrix, by Gauss-Jordan elimination.
Matrix inverse(Matrix a, size_t n) {
  Matrix x(n * n, 0.0);
  for (size_t i = 0; i < n; ++i) x[i * n + i] = 1;
  for (size_t k = 0; k < n; ++k) {
    const double pivot = 1 / a[k * n + k];
    for (size_t j = 0; j < n; ++j) a[k * n + j] *= pivot, x[k * n + j] *= pivot;
    for (size_t i = 0; i < n; ++i) {
      const double factor = i == k ? 0 : a[i * n + k];
      for (size_t j = 0; j < n; ++j) a[i * n + j] -= factor * a[k * n + j], x[i * n + j] -= factor * x[k * n + j];
    }
  }
  return x;
}

// rows x columns with a last column: the bias, or ones.
Matrix augmented(const std::vector<float>& values, int64_t rows, const std::vector<float>* last) {
  Matrix m;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < kInputs; ++j) m.push_back(values[static_cast<size_t>(i * kInputs + j)]);
    m.push_back(last ? (*last)[static_cast<size_t>(i)] : 1.0);
  }
  return m;
}

Answers answers(const Data& data, const lngd_config& config) {
  constexpr size_t d = kColumns, m = kOutputs, samples = kSamples;
  const Matrix a = augmented(data.inputs, kSamples, nullptr), w = augmented(data.weights, kOutputs, &data.bias),
               g = augmented(data.weight_gradients, kOutputs, &data.bias_gradients);
  // Phi = (1/N) sum r a a^T, psi = sum c q / sum c r
  Matrix phi(d * d, 0.0), psi(m, 0.0);
  double total = 0;
  for (size_t n = 0; n < samples; ++n) {
    double c = 0, r = 0;
    for (size_t j = 0; j < d; ++j) c += a[n * d + j] * a[n * d + j];
    for (size_t i = 0; i < m; ++i) {
      const double q = std::pow(static_cast<double>(data.gradients[n * m + i]), 2);
      r += q;
      psi[i] += c * q;
    }
    total += c * r;
    for (size_t i = 0; i < d; ++i)
      for (size_t j = 0; j < d; ++j) phi[i * d + j] += r * a[n * d + i] * a[n * d + j] / samples;
  }
  // D = Psi^-1 G Phi^-1, block by block, with lambda = gamma tr / n
  Answers out;
  out.direction.assign(m * d, 0.0);
  for (size_t begin = 0; begin < d; begin += kBlock) {
    const size_t n = std::min<size_t>(kBlock, d - begin);
    Matrix block(n * n);
    double trace = 0;
    for (size_t i = 0; i < n; ++i) trace += phi[(begin + i) * d + begin + i];
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j)
        block[i * n + j] =
            phi[(begin + i) * d + begin + j] + (i == j ? config.damping_factor * trace / static_cast<double>(n) : 0.0);
    const Matrix inverted = inverse(block, n);
    for (size_t i = 0; i < m; ++i)
      for (size_t j = 0; j < n; ++j)
        for (size_t k = 0; k < n; ++k) out.direction[i * d + begin + j] += g[i * d + begin + k] * inverted[k * n + j];
  }
  double inner = 0, curvature = 0;
  for (size_t i = 0; i < m; ++i)
    for (size_t j = 0; j < d; ++j) {
      out.direction[i * d + j] /= psi[i] / total + config.damping_factor / static_cast<double>(m); // sum of psi: 1
      inner += out.direction[i * d + j] * g[i * d + j];
    }
  for (size_t n = 0; n < samples; ++n) {
    double x = 0;
    for (size_t i = 0; i < m; ++i)
      for (size_t j = 0; j < d; ++j) x += data.deltas[n * m + i] * out.direction[i * d + j] * a[n * d + j];
    curvature += x * x / samples;
  }
  out.alpha = inner / (curvature + config.mu);
  // The first momentum is zeta; Nesterov adds momentum times it once more.
  for (size_t k = 0; k < m * d; ++k) {
    const double zeta = -config.learning_rate * out.alpha * out.direction[k];
    out.weights.push_back((1 - config.learning_rate * config.weight_decay) * w[k] + (1 + config.momentum) * zeta);
  }
  return out;
}

LayerShape known_shape() {
  LayerShape shape{};
  shape.inputs = kInputs;
  shape.outputs = kOutputs;
  shape.bias = true;
  shape.groups = 1;
  shape.d = kColumns;
  shape.ldw = padded(kColumns);
  shape.blocks = BlockLayout(kColumns, kBlock);
  shape.fisher = LNGD_FISHER_PROVIDED;
  shape.rules.trust_slope = 1;
  return shape;
}

// All of a layer's memory in one allocation; zero, as the optimizer's is.
class Memory {
 public:
  Memory(CudaContext& context, const LayerShape& shape) {
    const size_t factor = static_cast<size_t>(shape.blocks.floats()),
                 blocks = static_cast<size_t>(shape.blocks.count()), outputs = static_cast<size_t>(shape.outputs),
                 weights = outputs * static_cast<size_t>(shape.ldw);
    const size_t record = arena_.zeros<LayerRecord>(1), sums = arena_.zeros<float>(factor),
                 phi = arena_.zeros<float>(factor), inverses = arena_.zeros<float>(factor),
                 psi_sum = arena_.zeros<double>(outputs), denominator = arena_.zeros<double>(1),
                 psi = arena_.zeros<float>(outputs), psi_inverse = arena_.zeros<float>(outputs),
                 lambda = arena_.zeros<double>(blocks), momentum = arena_.zeros<float>(weights),
                 average = arena_.zeros<float>(weights), direction = arena_.zeros<float>(weights);
    if (!arena_.create(context.calls, context.caller)) return;
    layer.record = arena_.at<LayerRecord>(record);
    layer.phi_sum = arena_.at<float>(sums);
    layer.phi = arena_.at<float>(phi);
    layer.phi_inverse = arena_.at<float>(inverses);
    layer.psi_sum = arena_.at<double>(psi_sum);
    layer.denominator = arena_.at<double>(denominator);
    layer.psi = arena_.at<float>(psi);
    layer.psi_inverse = arena_.at<float>(psi_inverse);
    layer.lambda_phi = arena_.at<double>(lambda);
    layer.momentum = arena_.at<float>(momentum);
    layer.average = arena_.at<float>(average);
    layer.direction = arena_.at<float>(direction);
  }
  ~Memory() { arena_.destroy(); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  LayerMemory layer{};

 private:
  Arena arena_;
};

template <class T>
void fetch(CudaContext& context, T* to, const T* from, size_t count) {
  context.calls("cudaMemcpyAsync",
                [&] { return cudaMemcpyAsync(to, from, count * sizeof(T), cudaMemcpyDeviceToHost, context.caller); });
  context.calls("cudaStreamSynchronize", [&] { return cudaStreamSynchronize(context.caller); });
}

// Keeps the number that is farthest from right.
void compare(StepNumber& worst, const StepNumber& number) {
  const auto miss = [](const StepNumber& n) { return std::fabs(n.got - n.expected) / n.tolerance; };
  if (!(miss(number) <= miss(worst))) worst = number; // a NaN stays
}

double largest(const Matrix& values) {
  double most = 0;
  for (const double value : values) most = std::max(most, std::fabs(value));
  return most;
}

void run_step(CudaContext& context, StepLayer& layer, const lngd_config& config) {
  Plan* const plan = plan_create(&context, &layer, 1, config);
  if (!plan) return;
  const StepArgs args{&layer, 1, LNGD_UPDATE_WEIGHTS, &config, 1.0, plan, false};
  running_average(context, args);
  factor_inverse(context, args);
  begin_step(context, args);
  precondition(context, args);
  layer_rate(context, args);
  apply_update(context, args);
  end_step(context, args);
  plan_destroy(&context, plan);
}

} // namespace

lngd_config known_step_config(int32_t device) {
  lngd_config config{};
  config.struct_size = sizeof config;
  config.device_index = device;
  config.damping = LNGD_DAMPING_RELATIVE;
  config.damping_factor = 1;
  config.damping_floor = 1e-10;
  config.second_damping = 1;
  config.rate = LNGD_RATE_EMPIRICAL;
  config.mu = 1e-8;
  config.trust = LNGD_TRUST_OFF;
  config.decay = LNGD_DECAY_DECOUPLED;
  config.learning_rate = 0.02; // with it the step is about as large as the weights, and so is what decays of them
  config.weight_decay = 5;
  config.output_decay = 1;
  config.momentum = 0.9;
  config.nesterov = 1;
  config.averaging = 1;
  config.averaging_window = 8;
  config.precision = LNGD_PRECISION_TF32X3;
  config.overlap = 1;
  config.statistics_samples = kSamples;
  return config;
}

StepNumber take_known_step(CudaContext& context) {
  const lngd_config config = known_step_config(context.device);
  Data data;
  const Answers expected = answers(data, config);
  const LayerShape shape = known_shape();
  Memory memory(context, shape);
  const StatisticsArgs statistics{&shape,
                                  &memory.layer,
                                  matrix(data.inputs, kInputs),
                                  matrix(data.gradients, kOutputs),
                                  LNGD_SIGNAL_GRADIENTS,
                                  kSamples,
                                  0,
                                  0,
                                  0,
                                  config.precision};
  StepLayer layer{};
  layer.rows = kOutputs;
  layer.columns = kInputs;
  layer.shape = &shape;
  layer.memory = &memory.layer;
  layer.weights = matrix(data.weights, kInputs);
  layer.bias = matrix(data.bias, 1);
  layer.weight_gradients = matrix(data.weight_gradients, kInputs);
  layer.bias_gradients = matrix(data.bias_gradients, 1);
  layer.average_due = layer.inverse_due = true;
  layer.sample_inputs = matrix(data.inputs, kInputs);
  layer.sample_deltas = matrix(data.deltas, kOutputs);
  layer.samples = kSamples;
  layer_statistics(context, statistics);
  run_step(context, layer, config);
  LayerRecord record{};
  std::vector<float> direction(static_cast<size_t>(kOutputs * shape.ldw)), average(direction.size());
  fetch(context, &record, memory.layer.record, 1);
  fetch(context, direction.data(), memory.layer.direction, direction.size());
  fetch(context, average.data(), memory.layer.average, average.size());
  // With gamma = 1 the damped blocks have condition numbers up to 1 + kBlock; the products before and after the inverse
  // are good to some 2^-21 of their addends. So D is within 25 * 8 * 2^-21 = 1e-4 of its largest element; alpha, whose
  // curvature has D twice, within 1e-3; and what moves the weights too. A wrong kernel is off by the whole.
  const double largest_direction = largest(expected.direction),
               step = 2 * config.learning_rate * std::fabs(expected.alpha) * largest_direction;
  StepNumber worst{"alpha", 0, record.alpha, expected.alpha, 1e-3 * std::fabs(expected.alpha)};
  for (int64_t i = 0; i < kOutputs; ++i)
    for (int64_t j = 0; j < kColumns; ++j) {
      const int64_t k = i * kColumns + j;
      const size_t at = static_cast<size_t>(k), own = static_cast<size_t>(i * shape.ldw + j);
      const float weight =
          j < kInputs ? data.weights[static_cast<size_t>(i * kInputs + j)] : data.bias[static_cast<size_t>(i)];
      compare(worst, {"direction", k, direction[own], expected.direction[at], 1e-4 * largest_direction});
      compare(worst, {"weights", k, weight, expected.weights[at], 2e-3 * step + 1e-6});
      compare(worst, {"averaged weights", k, average[own], expected.weights[at], 2e-3 * step + 1e-6}); // the first
    }
  return worst;
}

} // namespace lngd::cuda
