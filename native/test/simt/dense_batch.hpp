// SPDX-License-Identifier: Apache-2.0
// A batch of a dense layer in device memory, and its double twin.
#ifndef LNGD_SIMT_DENSE_BATCH_HPP
#define LNGD_SIMT_DENSE_BATCH_HPP

#include "statistics_fixture.hpp"

namespace fixture {

using lngd::StatisticsArgs;
using lngd::cuda::StatisticsWorkspace;

struct Case {
  int64_t samples, inputs, outputs;
  bool bias;
  int32_t block;
  Layout layout;
  Precision precision = Precision::TripleTf32;
  int32_t multiprocessors = 4;
  int32_t output = LNGD_OUTPUT_HIDDEN, activation = LNGD_ACTIVATION_TANH;
  int32_t fisher = LNGD_FISHER_EXPECTED, signal_kind = LNGD_SIGNAL_PRE_ACTIVATIONS;
  int64_t first_sample = 0;
};

inline std::string text(const Case& c) {
  return std::to_string(c.samples) + " x " + std::to_string(c.inputs) + (c.bias ? " + bias" : "") + " -> " +
         std::to_string(c.outputs) + ", blocks of " + std::to_string(c.block) + ", " + name(c.layout) + ", " +
         name(c.precision) + ", " + std::to_string(c.multiprocessors) + " multiprocessors, output " +
         std::to_string(c.output) + ", activation " + std::to_string(c.activation) + ", fisher " +
         std::to_string(c.fisher) + ", signal " + std::to_string(c.signal_kind);
}

constexpr uint64_t kSeed = 0x123456789abcdef0u;
constexpr int64_t kStep = 7;

inline LayerShape shape_of(const Case& c) {
  LayerShape shape{};
  shape.index = 3;
  shape.inputs = c.inputs;
  shape.outputs = c.outputs;
  shape.bias = c.bias;
  shape.groups = 1;
  shape.d = c.inputs + (c.bias ? 1 : 0);
  shape.blocks = lngd::BlockLayout(shape.d, c.block);
  shape.activation = c.activation;
  shape.activation_parameter = 0.25f;
  shape.output = c.output;
  shape.fisher = c.fisher;
  return shape;
}

// The numbers of a case and their tensors in device memory.
struct Batch {
  Case c;
  LayerShape shape;
  std::vector<float> a, x;
  Tensor inputs, signal;
  size_t bytes;
  Array<unsigned char> workspace;

  explicit Batch(const Case& which, uint32_t seed = 11) : Batch(which, Numbers(seed)) {}

  StatisticsArgs args(LayerMemory* memory, int64_t first = 0, int64_t count = -1) const {
    StatisticsArgs args{};
    args.shape = &shape;
    args.memory = memory;
    args.inputs = inputs.strided();
    args.signal = signal.strided();
    args.inputs.data += first * args.inputs.rs;
    args.signal.data += first * args.signal.rs;
    args.signal_kind = c.signal_kind;
    args.samples = count < 0 ? c.samples : count;
    args.first_sample = c.first_sample + first;
    args.step = kStep;
    args.seed = kSeed;
    return args;
  }
  StatisticsWorkspace room() const {
    return {workspace.data, bytes, c.multiprocessors, simt::device().shared_per_block};
  }

  RowTwin twin() const {
    lngd_layer_config layer{};
    layer.activation = c.activation;
    layer.activation_parameter = 0.25;
    layer.output = c.output;
    const twin::Noise noise{kSeed, 3, kStep};
    RowTwin t{c.samples, shape.d, c.outputs, {}, {}};
    for (int64_t n = 0; n < c.samples; ++n) {
      for (int64_t j = 0; j < c.inputs; ++j) t.a.push_back(a[static_cast<size_t>(n * c.inputs + j)]);
      if (c.bias) t.a.push_back(1);
      const std::vector<double> row(x.begin() + n * c.outputs, x.begin() + (n + 1) * c.outputs);
      const int fisher = c.signal_kind == LNGD_SIGNAL_GRADIENTS ? int{LNGD_FISHER_PROVIDED} : c.fisher;
      const std::vector<double> q = twin::fisher_row(layer, fisher, noise, c.first_sample + n, row, c.signal_kind);
      t.q.insert(t.q.end(), q.begin(), q.end());
    }
    return t;
  }

 private:
  Batch(const Case& which, Numbers numbers)
      : c(which),
        shape(shape_of(which)),
        a(numbers.vector(c.samples * c.inputs, 2)),
        x(signal_of(which, numbers)),
        inputs(c.samples, c.inputs, c.layout, a),
        signal(c.samples, c.outputs, c.layout, x),
        bytes(lngd::cuda::layer_statistics_workspace(shape, c.samples, c.multiprocessors)),
        workspace(bytes) {}

  // Pre-activations in [-3, 3); outputs are probabilities where the model has them.
  static std::vector<float> signal_of(const Case& c, Numbers& numbers) {
    std::vector<float> x = numbers.vector(c.samples * c.outputs, 3);
    if (c.signal_kind != LNGD_SIGNAL_OUTPUTS) return x;
    for (int64_t n = 0; n < c.samples; ++n) {
      const auto first = x.begin() + n * c.outputs;
      const std::vector<double> p = twin::softmax(std::vector<double>(first, first + c.outputs));
      for (int64_t i = 0; i < c.outputs; ++i)
        first[i] = static_cast<float>(
            c.output == LNGD_OUTPUT_SOFTMAX || c.output == LNGD_OUTPUT_SOFTMAX_GAUSSIAN ? p[static_cast<size_t>(i)]
            : c.output == LNGD_OUTPUT_SIGMOID                                           ? 1 / (1 + std::exp(-first[i]))
                                              : twin::activation(c.activation, 0.25, first[i]));
    }
    return x;
  }
};

} // namespace fixture
#endif
