// SPDX-License-Identifier: Apache-2.0
//
// Misuse of an embedding, and indices that are none: a message that names what was wrong, or an update kept out, and in
// no case a read beyond the arrays.
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "images.hpp"
#include "single.hpp"

using namespace conformance;

namespace {

void refused(lngd_status got, const std::string& name, const char* file, int line) {
  const std::string message = lngd_last_error();
  if (got != LNGD_INVALID_ARGUMENT)
    fail(file, line, name + ": got " + lngd_status_name(got) + ", wanted LNGD_INVALID_ARGUMENT");
  else if (message.find(name) == std::string::npos || message.find("allowed") == std::string::npos ||
           message.find('\n') != std::string::npos)
    fail(file, line, "the message does not name '" + name + "' and what is allowed in one line: " + message);
  else
    passed();
}
#define REFUSED(call, name) refused((call), name, __FILE__, __LINE__)

lngd_layer_config embedding(std::int64_t vocabulary, std::int64_t outputs, bool bias = false) {
  lngd_layer_config layer;
  REQUIRE_OK(lngd_embedding_init(vocabulary, outputs, &layer));
  layer.bias = bias;
  return layer;
}

constexpr std::int64_t kVocabulary = 9, kOutputs = 3, kSamples = 4, kPositions = 5;

} // namespace

TEST(embedding_init_and_create) {
  lngd_layer_config layer;
  std::memset(&layer, 0x5A, sizeof layer);
  REQUIRE_OK(lngd_embedding_init(1000, 16, &layer));
  CHECK_EQ(layer.struct_size, sizeof layer);
  CHECK_EQ(layer.kind, LNGD_LAYER_EMBEDDING);
  CHECK_EQ(layer.inputs, 1000);
  CHECK_EQ(layer.outputs, 16);
  CHECK_EQ(layer.bias, 0);
  CHECK_EQ(layer.activation, LNGD_ACTIVATION_IDENTITY);
  CHECK_EQ(layer.output, LNGD_OUTPUT_HIDDEN);
  CHECK_EQ(layer.fisher, -1);
  REFUSED(lngd_embedding_init(0, 16, &layer), "inputs");
  REFUSED(lngd_embedding_init((std::int64_t{1} << 24) + 1, 16, &layer), "inputs");
  REFUSED(lngd_embedding_init(10, 0, &layer), "outputs");
  REFUSED(lngd_embedding_init(10, 16, nullptr), "layer");
  lngd_optimizer* out = nullptr;
  const lngd_config config = bare_config();
  layer = embedding(kVocabulary, kOutputs);
  const lngd_config ekfac = preset(LNGD_PRESET_EKFAC);
  REFUSED(lngd_create(&ekfac, &layer, 1, &out), "approximation");
  layer.kind = 4;
  REFUSED(lngd_create(&config, &layer, 1, &out), "layers[0].kind");
  // Beyond 65536 rows a full Phi is refused; a diagonal has no such limit, and its memory is that of vectors.
  layer = embedding(200000, 2);
  REQUIRE_OK(lngd_create(&config, &layer, 1, &out));
  lngd_memory memory{};
  memory.struct_size = sizeof memory;
  REQUIRE_OK(lngd_memory_report(out, &memory));
  CHECK_LE(memory.factors, 200000 * (4 + 8) + 4096); // Phi in float, its sums in double; psi and rounding
  CHECK_LE(memory.inverses, 200000 * 4 + 4096);
  CHECK_OK(lngd_destroy(out));
}

TEST(embedding_shapes) {
  Single layer(bare_config(), embedding(kVocabulary, kOutputs));
  lngd_optimizer* const handle = layer.optimizer.handle();
  const auto observe = [handle](const lngd_tensor& inputs, const lngd_tensor& signal) {
    return lngd_observe(handle, 0, &inputs, &signal, LNGD_SIGNAL_PRE_ACTIVATIONS);
  };
  Tensor vector(kSamples), matrix(kSamples, kPositions), narrow(kSamples, kOutputs), few(kSamples - 1, kOutputs);
  ImageTensor cube(kSamples, kOutputs, 1, kPositions, ImageLayout::Nchw, 1);
  ImageTensor wide(kSamples, kOutputs + 1, 1, kPositions, ImageLayout::Nchw, 1);
  ImageTensor late(kSamples, kOutputs, 1, kPositions + 1, ImageLayout::Nchw, 1);
  ImageTensor image(kSamples, kOutputs, 2, kPositions, ImageLayout::Nchw, 2);
  vector.fill(1.0);
  matrix.fill(1.0);
  narrow.fill(0.5);
  REFUSED(observe(cube.view(), cube.view()), "inputs->ndim");
  REFUSED(observe(matrix.view(), narrow.view()), "signal->ndim");
  REFUSED(observe(matrix.view(), image.view()), "signal->ndim");
  REFUSED(observe(matrix.view(), wide.view()), "signal");
  REFUSED(observe(matrix.view(), late.view()), "signal");
  REFUSED(observe(vector.view(), few.view()), "signal");
  lngd_tensor doubles = vector.view();
  doubles.dtype_bits = 64;
  REFUSED(observe(doubles, narrow.view()), "inputs->dtype");
  CHECK_EQ(lngd_observe(handle, 0, nullptr, narrow.pointer(), 0), LNGD_INVALID_ARGUMENT);
  CHECK_EQ(lngd_observe(handle, 0, vector.pointer(), nullptr, 0), LNGD_INVALID_ARGUMENT);
  const float one[1] = {1};
  REFUSED(lngd_observe_strided(handle, 0, 1, one, 1, 1, one, 1, 1, 0), "embedding");
  CHECK(layer.optimizer.needs_statistics(0));
  CHECK_EQ(layer.health().statistics_updates, 0);
  CHECK_OK(observe(vector.view(), narrow.view()));
}

// Anything but a whole number in [0, vocabulary) keeps the update out; the next one is taken.
TEST(embedding_indices_that_are_none) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double bad : {-1.0, -0.5, 0.5, 8.5, 9.0, 1e9, 1e30, infinity, -infinity, std::nan("")})
    for (const bool bias : {false, true}) {
      const Scope scope("index " + show(bad));
      lngd_config config = bare_config();
      config.rate = LNGD_RATE_EMPIRICAL;
      Single layer(config, embedding(kVocabulary, kOutputs, bias));
      Tensor indices(kSamples, kPositions);
      ImageTensor signal(kSamples, kOutputs, 1, kPositions, ImageLayout::Nchw, 1);
      signal.fill(twin::Matrix(kSamples, kOutputs * kPositions)); // zeros, and phi = identity: q = 1
      indices.fill(3.0);
      indices.set(kSamples - 1, kPositions - 1, bad);
      layer.weights.fill(0.25);
      layer.weight_gradients.fill(0.125);
      layer.bias_gradients.fill(0.125);
      const lngd_tensor bad_view = indices.view(), signal_view = signal.view();
      float q[kSamples * kPositions * kOutputs], r[kSamples * kPositions], c[kSamples * kPositions];
      REQUIRE_OK(lngd_fisher_rows(layer.optimizer.handle(), 0, 0, &bad_view, &signal_view, 0, q, r, c));
      CHECK_EQ(c[0], bias ? 2.0f : 1.0f);
      CHECK_EQ(r[0], 3.0f);
      CHECK(std::isnan(c[kSamples * kPositions - 1]));
      REQUIRE_OK(lngd_observe(layer.optimizer.handle(), 0, &bad_view, &signal_view, 0));
      lngd_samples samples{bad_view, signal_view};
      REQUIRE_OK(lngd_step(layer.plan, 1, &samples));
      CHECK_EQ(layer.health().skipped_statistics, 1);
      CHECK_EQ(layer.health().skipped_steps, 1); // it never had statistics
      CHECK_EQ(layer.weights.get(0, 3), 0.25f);

      Tensor good(kSamples, kPositions);
      good.fill(3.0);
      const lngd_tensor good_view = good.view();
      REQUIRE_OK(lngd_observe(layer.optimizer.handle(), 0, &good_view, &signal_view, 0));
      REQUIRE_OK(lngd_step(layer.plan, 1, &samples)); // good statistics, a bad index in the samples of the rate
      CHECK_EQ(layer.health().statistics_updates, 1);
      CHECK_EQ(layer.health().skipped_steps, 2);
      CHECK_EQ(layer.weights.get(0, 3), 0.25f);
      // N T rows with r = 3, over N: nothing of the update before is left in the sums.
      CHECK_EQ(layer.optimizer.read(0, LNGD_FIELD_PHI)[3], 3.0f * kPositions);
      samples.inputs = good_view;
      REQUIRE_OK(lngd_step(layer.plan, 1, &samples));
      CHECK_EQ(layer.health().skipped_steps, 2);
      CHECK_NE(layer.weights.get(0, 3), 0.25f);
    }
}

// 2^24 ones added one by one in float stop at 2^24 in a single sum, and lose digits long before.
SLOW_TEST(embedding_counts_frequent_indices) {
  Single layer(bare_config(), embedding(2, 1));
  constexpr std::int64_t kLength = 1 << 20;
  Tensor indices(1, kLength);
  ImageTensor signal(1, 1, 1, kLength, ImageLayout::Nchw, 1);
  signal.fill(twin::Matrix(1, kLength));
  indices.fill(1.0);
  const lngd_tensor a = indices.view(), s = signal.view();
  constexpr int kTimes = 17;
  for (int i = 0; i < kTimes; ++i) REQUIRE_OK(lngd_observe(layer.optimizer.handle(), 0, &a, &s, 0));
  layer.weight_gradients.fill(1.0);
  REQUIRE_OK(layer.step());
  CHECK_EQ(layer.optimizer.read(0, LNGD_FIELD_PHI)[1], static_cast<float>(kLength)); // the sum over 17, exactly
}

// Phi can be written like that of other layers; a negative entry is a pivot that is not positive.
TEST(embedding_fields_and_failed_inverse) {
  lngd_config config = bare_config();
  config.damping = LNGD_DAMPING_RELATIVE;
  config.damping_factor = 1;
  Single layer(config, embedding(4, 2, true));
  layer.write(LNGD_FIELD_PHI, {4, 0, 2, 2, 8});
  layer.write(LNGD_FIELD_PSI, {0.5, 0.5});
  layer.weight_gradients.fill(1.0);
  layer.bias_gradients.fill(1.0);
  REQUIRE_OK(layer.step());
  // lambda: the mean of the four indices is 2, that of the bias alone 8; of psi 0.5.
  const std::vector<float> inverse = layer.optimizer.read(0, LNGD_FIELD_PHI_INVERSE);
  const float wanted[5] = {1.0f / 6, 1.0f / 2, 1.0f / 4, 1.0f / 4, 1.0f / 16};
  REQUIRE(inverse.size() == 5);
  for (std::size_t i = 0; i < 5; ++i) CHECK_EQ(inverse[i], wanted[i]);
  CHECK_EQ(layer.health().lambda_phi_min, 2.0);
  CHECK_EQ(layer.health().lambda_phi_max, 8.0);
  const std::vector<float> direction = layer.optimizer.read(0, LNGD_FIELD_DIRECTION);
  for (std::size_t i = 0; i < direction.size(); ++i) CHECK_EQ(direction[i], wanted[i % 5]); // Psi^-1 = 1
  CHECK_EQ(layer.health().retries, 0);

  layer.write(LNGD_FIELD_PHI, {4, 1, -1e9f, 2, 8}); // lambda: the floor, and never enough
  REQUIRE_OK(layer.step());
  CHECK_EQ(layer.health().failed_inverses, 1);
  CHECK_EQ(layer.health().last_failed_block, 0);
  CHECK_EQ(layer.health().last_failed_pivot, 2);
  CHECK_EQ(layer.health().retries, 6);
  CHECK_EQ(layer.optimizer.read(0, LNGD_FIELD_PHI_INVERSE)[0], wanted[0]); // the old one stays
}
