// SPDX-License-Identifier: Apache-2.0
// q, r and c of the row pass (fisher_rows.cuh) against the double twin: every model, mode and signal.
#include "dense_batch.hpp"

namespace {

using namespace fixture;
using lngd::FisherRows;

struct Rows {
  std::vector<float> q, r, c;
};

Rows rows_of(const Batch& batch) {
  const auto count = static_cast<size_t>(batch.c.samples);
  const Array<float> q(count * static_cast<size_t>(batch.c.outputs)), r(count), c(count);
  CHECK_EQ(
      lngd::cuda::launch_fisher_rows(batch.args(nullptr), batch.room(), FisherRows{q.data, r.data, c.data}, nullptr),
      cudaSuccess);
  finish_launches();
  return {q.read(), r.read(), c.read()};
}

void check_rows(const Case& c) {
  const conformance::Scope scope(text(c));
  const Batch batch(c);
  const Rows rows = rows_of(batch);
  const RowTwin twin = batch.twin();
  constexpr double kEps = 2 * kFloatEps;
  const bool softmax = c.output == LNGD_OUTPUT_SOFTMAX || c.output == LNGD_OUTPUT_SOFTMAX_GAUSSIAN;
  const bool gaussian = c.signal_kind != LNGD_SIGNAL_GRADIENTS && c.fisher == LNGD_FISHER_SAMPLED &&
                        c.output != LNGD_OUTPUT_SOFTMAX && c.output != LNGD_OUTPUT_SIGMOID;
  const twin::Noise noise{kSeed, 3, kStep};
  for (int64_t n = 0; n < c.samples; ++n) {
    double r_tolerance = 0;
    for (int64_t i = 0; i < c.outputs; ++i) {
      const double q = twin.q[static_cast<size_t>(n * c.outputs + i)];
      // phi' and p are good to a few roundings absolute (they may come from 1 - t^2 or 1 - p), and q is a product of
      // two of them times the squared noise. Softmax: exp(s - max) with |s - max| < 6; its Gaussian subtracts numbers
      // of order 1.
      const double eps = gaussian ? noise.gaussian(static_cast<uint64_t>((c.first_sample + n) * c.outputs + i)) : 1.0;
      const double tolerance =
          c.signal_kind == LNGD_SIGNAL_GRADIENTS
              ? kEps * q
              : 24 * kEps * q + (softmax && !gaussian ? 4 * kEps : 0.0) * std::sqrt(q) +
                    8 * kEps * (eps * eps + (gaussian ? 1 : 0)) * std::min(1.0, std::sqrt(q) + kEps);
      CHECK_NEAR(rows.q[static_cast<size_t>(n * c.outputs + i)], q, tolerance);
      r_tolerance += tolerance;
    }
    CHECK_NEAR(rows.r[static_cast<size_t>(n)], twin.r(n), r_tolerance + 8 * kEps * twin.r(n)); // runs of 16
    CHECK_NEAR(rows.c[static_cast<size_t>(n)], twin.c(n), 8 * kEps * twin.c(n));               // runs of 8
  }
}

struct Model {
  int32_t output, activation;
};
constexpr Model kModels[] = {{LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_IDENTITY},
                             {LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_RELU},
                             {LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_LEAKY_RELU},
                             {LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_ELU},
                             {LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_TANH},
                             {LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_SIGMOID},
                             {LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_SOFTPLUS},
                             {LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_GELU},
                             {LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_SWISH},
                             {LNGD_OUTPUT_SQUARED_ERROR, LNGD_ACTIVATION_TANH},
                             {LNGD_OUTPUT_SOFTMAX, LNGD_ACTIVATION_IDENTITY},
                             {LNGD_OUTPUT_SIGMOID, LNGD_ACTIVATION_IDENTITY},
                             {LNGD_OUTPUT_SOFTMAX_GAUSSIAN, LNGD_ACTIVATION_IDENTITY}};

} // namespace

TEST(kernel_fisher_rows_models) {
  start();
  for (const Model& model : kModels)
    for (const int32_t fisher : {LNGD_FISHER_EXPECTED, LNGD_FISHER_SAMPLED, LNGD_FISHER_PROVIDED})
      for (const bool outputs : {false, true}) {
        if (outputs && (fisher == LNGD_FISHER_PROVIDED || model.activation == LNGD_ACTIVATION_GELU ||
                        model.activation == LNGD_ACTIVATION_SWISH))
          continue;
        for (const auto& [n, m, layout] :
             {std::tuple{1, 1, Layout::Rows}, std::tuple{9, 7, Layout::Columns}, std::tuple{17, 33, Layout::OffByOne},
              std::tuple{3, 530, Layout::EveryOther}}) {
          Case c{n, 3, m, true, 0, layout};
          c.output = model.output;
          c.activation = model.activation;
          c.fisher = fisher;
          c.signal_kind = fisher == LNGD_FISHER_PROVIDED ? int{LNGD_SIGNAL_GRADIENTS}
                          : outputs                      ? int{LNGD_SIGNAL_OUTPUTS}
                                                         : int{LNGD_SIGNAL_PRE_ACTIVATIONS};
          check_rows(c);
        }
      }
}

// Numbers of elements beyond 32 bits.
TEST(kernel_fisher_rows_numbering) {
  start();
  for (const int64_t first : {int64_t{1}, int64_t{5}, (int64_t{1} << 35) + 3})
    for (const int32_t output : {LNGD_OUTPUT_HIDDEN, LNGD_OUTPUT_SOFTMAX, LNGD_OUTPUT_SIGMOID}) {
      Case c{11, 2, 7, false, 0, Layout::Rows};
      c.output = output;
      c.fisher = LNGD_FISHER_SAMPLED;
      c.first_sample = first;
      check_rows(c);
    }
}

// Long rows of inputs, of every layout: c.
TEST(kernel_fisher_rows_inputs) {
  for (const Schedule& schedule : kSchedules) {
    start();
    simt::set_schedule(schedule.order, schedule.seed);
    for (const Layout layout : kLayouts)
      for (const int64_t inputs : {int64_t{31}, int64_t{257}, int64_t{1030}})
        check_rows({19, inputs, 3, true, 0, layout});
  }
  simt::set_schedule(simt::Order::Forward);
}

// The noise has the right first and second moment: the mean of SAMPLED is EXPECTED. By six standard errors.
TEST(kernel_fisher_rows_sampled_means) {
  start();
  constexpr int64_t kDraws = 1200, kOutputs = 5;
  for (const Model& model :
       {Model{LNGD_OUTPUT_HIDDEN, LNGD_ACTIVATION_TANH}, Model{LNGD_OUTPUT_SOFTMAX, LNGD_ACTIVATION_IDENTITY},
        Model{LNGD_OUTPUT_SIGMOID, LNGD_ACTIVATION_IDENTITY},
        Model{LNGD_OUTPUT_SOFTMAX_GAUSSIAN, LNGD_ACTIVATION_IDENTITY}}) {
    const conformance::Scope scope("output " + std::to_string(model.output));
    Case c{kDraws, 1, kOutputs, false, 0, Layout::Rows};
    c.output = model.output;
    c.activation = model.activation;
    Batch batch(c);
    for (int64_t n = 1; n < kDraws; ++n)
      for (int64_t i = 0; i < kOutputs; ++i)
        batch.x[static_cast<size_t>(n * kOutputs + i)] = batch.x[static_cast<size_t>(i)];
    batch.signal = Tensor(kDraws, kOutputs, Layout::Rows, batch.x);
    const std::vector<float> expected = rows_of(batch).q;
    batch.shape.fisher = LNGD_FISHER_SAMPLED;
    const std::vector<float> draws = rows_of(batch).q;
    for (size_t i = 0; i < kOutputs; ++i) {
      double sum = 0, squares = 0;
      for (size_t n = 0; n < kDraws; ++n) {
        const double q = draws[n * kOutputs + i];
        sum += q;
        squares += q * q;
      }
      const double mean = sum / kDraws, deviation = std::sqrt(squares / kDraws - mean * mean);
      CHECK_GT(deviation, 0.0);
      CHECK_NEAR(mean, expected[i], 6 * deviation / std::sqrt(double{kDraws}));
    }
  }
}
