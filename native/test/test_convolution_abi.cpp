// SPDX-License-Identifier: Apache-2.0
//
// Convolutions at the ABI: weights of three shapes, row quantities, fields of groups, batches with NaN, workspaces.
#include <algorithm>
#include <cmath>
#include <string>

#include "images.hpp"
#include "raw_tensor.hpp"
#include "single.hpp"

using namespace conformance;

// Weights as m x d_w or with an axis each for channel and kernel; the bits are the same.
TEST(conv_weights_of_every_rank) {
  lngd_config config = bare_config();
  for (const bool flat : {false, true}) {
    lngd_layer_config layer = flat ? with_geometry(convolution_1d(4, 6, 3), 1, 1, 1, 1, 2)
                                   : with_geometry(convolution(4, 6, 3, 2), 1, 1, 1, 1, 2);
    layer.bias = 0;
    const std::int64_t d = twin::weight_columns(layer);
    const std::vector<std::int64_t> split =
        flat ? std::vector<std::int64_t>{6, 2, 3} : std::vector<std::int64_t>{6, 2, 3, 2};
    std::vector<float> expected;
    for (int form = 0; form < 5; ++form) {
      const Scope scope(std::string(flat ? "1-D" : "2-D") + " form " + std::to_string(form));
      const Optimizer conv(config, {layer});
      Raw matrix({6, d}), tensor(split), gradients(split);
      const bool spread = form == 2, reversed = form == 3, axes = form > 0;
      Raw& weights = axes ? tensor : matrix;
      std::int64_t stride = spread ? 3 : reversed ? -1 : 1;
      if (spread || reversed) {
        weights.values.assign(static_cast<std::size_t>(18 * d + 40), 0.0f);
        weights.strides.assign(split.size(), 0);
        for (std::size_t axis = split.size(); axis-- > 1; stride *= split[axis]) weights.strides[axis] = stride;
        weights.strides[0] = stride + (spread ? 5 : 0);
      }
      if (form == 4) { // strides of axes of one element mean nothing: here there are none, so plain ones
        weights.strides.assign(split.size(), 1);
        for (std::size_t axis = split.size() - 1; axis-- > 0;)
          weights.strides[axis] = weights.strides[axis + 1] * split[axis + 1];
      }
      const std::int64_t row = axes && !weights.strides.empty() ? weights.strides[0] : d;
      const std::int64_t column = spread ? 3 : reversed ? -1 : 1;
      const std::int64_t start = reversed ? 6 * d - 1 : 0;
      const auto element = [&](std::int64_t i, std::int64_t j) -> float& {
        return weights.values[static_cast<std::size_t>(start + i * row + j * column)];
      };
      Random random(17);
      for (std::int64_t i = 0; i < 6; ++i)
        for (std::int64_t j = 0; j < d; ++j) {
          element(i, j) = random.normal_float();
          gradients.values[static_cast<std::size_t>(i * d + j)] = random.normal_float();
        }
      lngd_binding binding{};
      binding.weights = weights.view();
      binding.weights.data = &element(0, 0);
      binding.weight_gradients = gradients.view();
      lngd_plan* plan = nullptr;
      REQUIRE_OK(lngd_plan_create(conv.handle(), &binding, 1, LNGD_UPDATE_WEIGHTS, &plan));
      ImageTensor images(3, 4, flat ? 1 : 5, 5, ImageLayout::Nchw, layer.rank);
      const Geometry size = geometry(layer, 5, 5);
      ImageTensor signal(3, 6, size.out_height, size.out_width, ImageLayout::Nchw, layer.rank);
      images.fill(random_matrix(3, 4 * size.height * 5, &random));
      signal.fill(random_matrix(3, 6 * size.positions(), &random));
      REQUIRE_OK(lngd_observe(conv.handle(), 0, images.pointer(), signal.pointer(), 0));
      REQUIRE_OK(lngd_step(plan, 1, nullptr));
      std::vector<float> result;
      for (std::int64_t i = 0; i < 6; ++i)
        for (std::int64_t j = 0; j < d; ++j) result.push_back(element(i, j));
      if (form == 0) expected = result;
      CHECK(result == expected);
      CHECK_EQ(conv.health(0).last_step_skipped, 0);
    }
  }
}

// Row n T + t; q of all outputs, r and c of each group.
TEST(conv_fisher_rows) {
  for (const int fisher : {LNGD_FISHER_EXPECTED, LNGD_FISHER_SAMPLED, LNGD_FISHER_PROVIDED})
    for (const int output : {LNGD_OUTPUT_HIDDEN, LNGD_OUTPUT_SOFTMAX})
      for (const int groups : {1, 2})
        for (const bool bias : {true, false})
          for (const ImageLayout layout : kImageLayouts) {
            const Scope scope("fisher " + std::to_string(fisher) + " output " + std::to_string(output) + " groups " +
                              std::to_string(groups) + (bias ? " bias in " : " in ") + image_layout_name(layout));
            lngd_config config = preset(LNGD_PRESET_PAPER);
            config.fisher = fisher;
            config.seed = 0x123456789abcdef0u;
            lngd_layer_config layer = with_geometry(convolution(4, 6, 3, 2), 2, 1, 0, 1, groups);
            layer.bias = bias;
            layer.output = output;
            layer.activation = output == LNGD_OUTPUT_HIDDEN ? LNGD_ACTIVATION_TANH : LNGD_ACTIVATION_IDENTITY;
            const Optimizer optimizer(config, {dense(2, 2), layer}); // not layer 0: the index is in the Philox counter
            const std::int64_t samples = 3;
            const Geometry size = geometry(layer, 6, 7);
            Random random(5);
            const twin::Matrix images = random_matrix(samples, 4 * 6 * 7, &random);
            const twin::Matrix s = random_matrix(samples * size.positions(), 6, &random);
            ImageTensor inputs(samples, 4, 6, 7, layout), signal(samples, 6, size.out_height, size.out_width, layout);
            inputs.fill(images);
            signal.fill_rows(s);
            const int kind = fisher == LNGD_FISHER_PROVIDED ? LNGD_SIGNAL_GRADIENTS : LNGD_SIGNAL_PRE_ACTIVATIONS;
            const auto rows = static_cast<std::size_t>(s.rows), g = static_cast<std::size_t>(groups);
            std::vector<float> q(rows * 6 + 1, -7.0f), r(rows * g + 1, -7.0f), c(rows * g + 1, -7.0f);
            REQUIRE_OK(lngd_fisher_rows(optimizer.handle(), 1, 9, inputs.pointer(), signal.pointer(), kind, q.data(),
                                        r.data(), c.data()));
            CHECK_EQ(q.back(), -7.0f); // nothing beyond the end
            CHECK_EQ(r.back(), -7.0f);
            CHECK_EQ(c.back(), -7.0f);
            const twin::Matrix a = patches(layer, size, images);
            const twin::Noise noise{config.seed, 1, 9};
            const std::int64_t d = a.cols / groups;
            for (std::int64_t row = 0; row < s.rows; ++row) {
              const std::vector<double> x(s.values.begin() + row * 6, s.values.begin() + (row + 1) * 6);
              const std::vector<double> want = twin::fisher_row(layer, fisher, noise, row, x, kind);
              for (std::int64_t k = 0; k < groups; ++k) {
                double sum = 0, square = bias ? 1 : 0, slack = 0;
                for (std::int64_t i = k * 6 / groups; i < (k + 1) * 6 / groups; ++i) {
                  const double value = want[static_cast<std::size_t>(i)];
                  // As in test_fisher_rows.cpp: phi' and p are good to a few u absolute, q is a product of two of them.
                  const double eps = fisher == LNGD_FISHER_SAMPLED && output == LNGD_OUTPUT_HIDDEN
                                         ? noise.gaussian(static_cast<std::uint64_t>(row * 6 + i))
                                         : 1;
                  const double tolerance = kEps * (48 * value + 16 * (eps * eps + 1) * std::min(1.0, std::sqrt(value)));
                  CHECK_NEAR(q[static_cast<std::size_t>(row * 6 + i)], value, tolerance);
                  sum += value;
                  slack += tolerance;
                }
                for (std::int64_t j = k * d; j < (k + 1) * d; ++j) square += a(row, j) * a(row, j);
                const auto at = static_cast<std::size_t>(row * groups + k);
                CHECK_NEAR(r[at], sum, slack + 8 * kEps * sum); // the terms, their sum in float32, the rounding
                CHECK_NEAR(c[at], square, 2 * kEps * square);   // summed in double, rounded once
              }
            }
            CHECK_OK(lngd_fisher_rows(optimizer.handle(), 1, 9, inputs.pointer(), signal.pointer(), kind, nullptr,
                                      nullptr, nullptr));
          }
}

TEST(conv_fields_of_groups) {
  lngd_config config = bare_config();
  config.block_size = 4; // d = 7: blocks of 4 and 3
  lngd_layer_config layer = with_geometry(convolution(3, 6, 2, 3), 1, 0, 0, 1, 3);
  const Optimizer conv(config, {layer});
  const std::int64_t d = 7;
  std::vector<float> phi(3 * 7 * 7, 0.0f), psi(6);
  Random random(3);
  for (std::int64_t g = 0; g < 3; ++g)
    for (std::int64_t i = 0; i < d; ++i)
      for (std::int64_t j = 0; j <= i; ++j)
        if (i / 4 == j / 4) {
          const float value = random.normal_float(0.1) + (i == j ? 2.0f : 0.0f);
          phi[static_cast<std::size_t>((g * d + i) * d + j)] = phi[static_cast<std::size_t>((g * d + j) * d + i)] =
              value;
        }
  for (float& value : psi) value = static_cast<float>(random.uniform());
  const auto write = [&](int field, const std::vector<float>& values, std::size_t count) {
    return lngd_layer_write(conv.handle(), 0, field, values.data(), static_cast<std::int64_t>(count));
  };
  CHECK_EQ(write(LNGD_FIELD_PHI, phi, 49), LNGD_INVALID_ARGUMENT); // of one group
  REQUIRE_OK(write(LNGD_FIELD_PHI, phi, phi.size()));
  REQUIRE_OK(write(LNGD_FIELD_PSI, psi, psi.size()));
  CHECK(conv.read(0, LNGD_FIELD_PHI) == phi);
  CHECK(conv.read(0, LNGD_FIELD_PSI) == psi);
  CHECK_EQ(conv.read(0, LNGD_FIELD_PHI_INVERSE).size(), phi.size());
  CHECK_EQ(conv.read(0, LNGD_FIELD_MOMENTUM).size(), std::size_t{6 * 7});

  // The next step inverts what was written, group by group.
  Raw weights({6, 6}), gradients({6, 6}), bias({6}), bias_gradients({6});
  lngd_binding binding{};
  binding.weights = weights.view();
  binding.weight_gradients = gradients.view();
  binding.bias = bias.view();
  binding.bias_gradients = bias_gradients.view();
  lngd_plan* plan = nullptr;
  REQUIRE_OK(lngd_plan_create(conv.handle(), &binding, 1, LNGD_UPDATE_WEIGHTS, &plan));
  REQUIRE_OK(lngd_step(plan, 1, nullptr));
  twin::Layer twin(config, layer, 0, 1);
  twin::Matrix wanted(21, 7);
  for (std::size_t k = 0; k < phi.size(); ++k) wanted.values[k] = phi[k];
  twin.set_averages(wanted, std::vector<double>(psi.begin(), psi.end()));
  twin.set_weights(twin::Matrix(6, 7));
  twin.step(1, twin::Matrix(6, 7), nullptr, nullptr);
  // A factorisation of 4 rows: a few roundings times the condition number.
  CHECK_WITHIN(distance(conv.read(0, LNGD_FIELD_PHI_INVERSE, 21, 7), twin.phi_inverse()),
               32 * kEps * twin.condition() * twin::norm(twin.phi_inverse()));
}

// A group whose outputs are all dead keeps what it had, and the others go on.
TEST(conv_dead_group_keeps_its_factor) {
  lngd_config config = bare_config();
  config.rho = 0.5;
  lngd_layer_config layer = with_geometry(convolution(2, 4, 2, 2), 1, 0, 0, 1, 2);
  layer.activation = LNGD_ACTIVATION_RELU;
  const Optimizer conv(config, {layer});
  Raw weights({4, 4}), gradients({4, 4}), bias({4}), bias_gradients({4});
  lngd_binding binding{};
  binding.weights = weights.view();
  binding.weight_gradients = gradients.view();
  binding.bias = bias.view();
  binding.bias_gradients = bias_gradients.view();
  lngd_plan* plan = nullptr;
  REQUIRE_OK(lngd_plan_create(conv.handle(), &binding, 1, LNGD_UPDATE_WEIGHTS, &plan));
  twin::Layer twin(config, layer, 0, 1);
  twin.set_weights(twin::Matrix(4, 5));
  Random random(8);
  const Geometry size = geometry(layer, 3, 4);
  std::vector<float> first;
  for (int step = 0; step < 3; ++step) {
    const twin::Matrix images = random_matrix(3, 2 * 12, &random);
    twin::Matrix s = random_matrix(3 * size.positions(), 4, &random);
    if (step == 1) // group 1 is dead; in step 2 all are
      for (std::int64_t row = 0; row < s.rows; ++row) s(row, 2) = s(row, 3) = -1;
    if (step == 2)
      for (double& value : s.values) value = -1;
    ImageTensor inputs(3, 2, 3, 4, ImageLayout::Nchw), signal(3, 4, size.out_height, size.out_width, ImageLayout::Nchw);
    inputs.fill(images);
    signal.fill_rows(s);
    REQUIRE_OK(lngd_observe(conv.handle(), 0, inputs.pointer(), signal.pointer(), 0));
    REQUIRE_OK(lngd_step(plan, 1, nullptr));
    twin.observe(patches(layer, size, images), s, LNGD_SIGNAL_PRE_ACTIVATIONS, size.positions());
    twin.step(1, twin::Matrix(4, 5), nullptr, nullptr);
    const std::vector<float> phi = conv.read(0, LNGD_FIELD_PHI);
    // Sums of 18 products in float32, averaged: below 64 u of the largest element.
    CHECK_WITHIN(distance(conv.read(0, LNGD_FIELD_PHI, 10, 5), twin.phi()), 64 * kEps * twin::norm(twin.phi()));
    if (step == 0) first = phi;
    const bool kept = std::equal(phi.begin() + 25, phi.end(), first.begin() + 25);
    CHECK_EQ(kept, true); // group 1: never changed after step 0
    CHECK_EQ(std::equal(phi.begin(), phi.begin() + 25, first.begin()), step == 0); // group 0: by step 1
    CHECK_EQ(conv.health(0).skipped_statistics, step == 2 ? 1 : 0);
  }
}

TEST(conv_batches_with_nan_are_kept_out) {
  const lngd_layer_config layers[] = {with_geometry(convolution(2, 4, 3, 3), 1, 1, 1),
                                      with_geometry(convolution(2, 4, 3, 3), 1, 1, 1, 1, 2)};
  for (const lngd_layer_config& layer : layers)
    for (const double poison : {std::nan(""), HUGE_VAL, 1e30})
      for (const bool in_signal : {false, true}) {
        if (in_signal && poison == 1e30) continue; // a large pre-activation is nothing wrong
        const Scope scope("groups " + std::to_string(layer.groups) + " poison " + std::to_string(poison));
        const Optimizer conv(bare_config(), {layer});
        const std::int64_t d = twin::weight_columns(layer);
        Raw weights({4, d}), gradients({4, d}), bias({4}), bias_gradients({4});
        lngd_binding binding{};
        binding.weights = weights.view();
        binding.weight_gradients = gradients.view();
        binding.bias = bias.view();
        binding.bias_gradients = bias_gradients.view();
        lngd_plan* plan = nullptr;
        REQUIRE_OK(lngd_plan_create(conv.handle(), &binding, 1, LNGD_UPDATE_WEIGHTS, &plan));
        Random random(2);
        ImageTensor inputs(3, 2, 5, 4, ImageLayout::Nchw), signal(3, 4, 5, 4, ImageLayout::Nchw);
        inputs.fill(random_matrix(3, 40, &random));
        signal.fill(random_matrix(3, 80, &random));
        const auto round = [&] {
          REQUIRE_OK(lngd_observe(conv.handle(), 0, inputs.pointer(), signal.pointer(), 0));
          REQUIRE_OK(lngd_step(plan, 1, nullptr));
        };
        round();
        const std::vector<float> phi = conv.read(0, LNGD_FIELD_PHI), psi = conv.read(0, LNGD_FIELD_PSI);
        if (in_signal)
          signal.set(2, 3, 4, 3, poison);
        else
          inputs.set(2, 1, 4, 3, poison);
        // With the identity an infinite pre-activation has the derivative 1: only a NaN is a fault there.
        const int skipped = in_signal && !std::isnan(poison) ? 0 : 1;
        round();
        CHECK_EQ(conv.health(0).skipped_statistics, skipped);
        if (skipped == 1) {
          CHECK(conv.read(0, LNGD_FIELD_PHI) == phi);
          CHECK(conv.read(0, LNGD_FIELD_PSI) == psi);
        }
        inputs.set(2, 1, 4, 3, 0.5);
        signal.set(2, 3, 4, 3, 0.5);
        round(); // nothing is left of it
        CHECK_EQ(conv.health(0).skipped_statistics, skipped);
        for (const float value : conv.read(0, LNGD_FIELD_PHI)) CHECK(std::isfinite(value));
      }
}

// What no patch touches is not looked at.
TEST(conv_ignores_what_no_patch_touches) {
  for (const ImageLayout layout : {ImageLayout::Nchw, ImageLayout::Nhwc}) {
    lngd_layer_config layer =
        with_geometry(convolution(2, 3, 2, 2), 3, 0, 0); // rows 0, 1, 3, 4 of 6; columns 0, 1 of 4
    const Optimizer clean(bare_config(), {layer}), dirty(bare_config(), {layer});
    Random random(2);
    ImageTensor inputs(2, 2, 6, 4, layout), signal(2, 3, 2, 1, layout);
    inputs.fill(random_matrix(2, 48, &random));
    signal.fill(random_matrix(2, 6, &random));
    const auto phi = [&](const Optimizer& conv) {
      Raw weights({3, 8}), gradients({3, 8}), bias({3}), bias_gradients({3});
      lngd_binding binding{};
      binding.weights = weights.view();
      binding.weight_gradients = gradients.view();
      binding.bias = bias.view();
      binding.bias_gradients = bias_gradients.view();
      lngd_plan* plan = nullptr;
      REQUIRE_OK(lngd_plan_create(conv.handle(), &binding, 1, LNGD_UPDATE_WEIGHTS, &plan));
      REQUIRE_OK(lngd_observe(conv.handle(), 0, inputs.pointer(), signal.pointer(), 0));
      REQUIRE_OK(lngd_step(plan, 1, nullptr));
      return conv.read(0, LNGD_FIELD_PHI);
    };
    const std::vector<float> expected = phi(clean);
    for (std::int64_t n = 0; n < 2; ++n)
      for (std::int64_t y = 0; y < 6; ++y)
        for (std::int64_t x = 0; x < 4; ++x)
          if (y % 3 == 2 || x > 1) inputs.set(n, 1, y, x, std::nan(""));
    CHECK(phi(dirty) == expected);
    CHECK_EQ(dirty.health(0).skipped_statistics, 0);
  }
}

// A workspace that no machine has: the call says so, and the optimizer goes on.
TEST(conv_images_beyond_memory_are_refused) {
  if (preset(LNGD_PRESET_RECIPE).device != LNGD_DEVICE_CPU) skip("workspaces of the CPU backend");
  lngd_layer_config layer = with_geometry(convolution(4096, 1, 2, 1), 1, 0, 0);
  layer.dilation[0] = 65535;
  const Optimizer conv(preset(LNGD_PRESET_RECIPE), {layer, layer});
  const auto observe = [&](int index, std::int64_t height, std::int64_t width) {
    Raw images({1, 1, 1, 1}), signal({1, 1, 1, 1});
    images.shape = {1, 4096, height, width};
    signal.shape = {1, 1, height - 65535, width};
    images.strides = signal.strides = {0, 0, 0, 0}; // one float for all of it
    images.values[0] = signal.values[0] = 0.5f;
    const lngd_tensor a = images.view(), s = signal.view();
    return lngd_observe(conv.handle(), index, &a, &s, 0);
  };
  const std::vector<std::uint8_t> before = conv.state();
  // A row of patches touches 65536 rows of 2^24 columns of 4096 channels.
  CHECK_EQ(observe(0, 65537, std::int64_t{1} << 24), LNGD_OUT_OF_MEMORY);
  CHECK_NE(std::string(lngd_last_error()).find("layer 0"), std::string::npos);
  CHECK(conv.state() == before);
}

// Beyond the factors a convolution needs a few megabytes, however large the batch: here its patches are 75 MiB.
TEST(conv_workspace_is_bounded) {
  lngd_config config = preset(LNGD_PRESET_RECIPE);
  if (config.device != LNGD_DEVICE_CPU) skip("workspaces of the CPU backend");
  config.statistics_samples = 0;
  const lngd_layer_config layer = with_geometry(convolution(16, 4, 3, 3), 1, 1, 1);
  const Optimizer conv(config, {layer});
  ImageTensor inputs(128, 16, 32, 32, ImageLayout::Nchw), signal(128, 4, 32, 32, ImageLayout::Nchw);
  REQUIRE_OK(lngd_observe(conv.handle(), 0, inputs.pointer(), signal.pointer(), 0));
  lngd_memory memory{};
  memory.struct_size = sizeof memory;
  REQUIRE_OK(lngd_memory_report(conv.handle(), &memory));
  CHECK_LE(memory.workspace, std::int64_t{5} << 20); // images, squares and weights 2 MiB, panel 1, and what is small
  CHECK_GE(memory.workspace, std::int64_t{1} << 20); // it is in the report
}
