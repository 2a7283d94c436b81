// SPDX-License-Identifier: Apache-2.0
//
// Convolutions over several steps beside the twin: output models and modes at every position, micro-batches and sample
// limits, rates, presets, networks that mix kinds, threads, images large enough for several bands, chunks, panels and
// strips.
#include <string>

#include "training.hpp"

using namespace conformance;

namespace {

lngd_layer_config model(lngd_layer_config layer, int activation, int output = LNGD_OUTPUT_HIDDEN) {
  layer.activation = activation;
  layer.output = output;
  if (activation == LNGD_ACTIVATION_ELU) layer.activation_parameter = 1;
  return layer;
}

// A 3x3 convolution, one with groups, and a 1-D one in turn.
Case base_case(const std::string& name, int which = 0) {
  Case c;
  c.name = name;
  c.config = preset(LNGD_PRESET_RECIPE_EMPIRICAL, 50);
  c.config.block_size = 16;
  c.config.statistics_samples = 0;
  c.config.statistics_interval = 2;
  c.config.inverse_interval = 2;
  c.config.seed = 99;
  c.layers = {which == 0   ? with_geometry(convolution(3, 5, 3, 3), 1, 1, 1)
              : which == 1 ? with_geometry(convolution(4, 6, 3, 2), 2, 1, 0, 1, 2)
                           : with_geometry(convolution_1d(3, 4, 3), 1, 1, 1)};
  c.layers[0].activation = LNGD_ACTIVATION_TANH;
  c.height = which == 2 ? 1 : 5;
  c.width = 6;
  c.batch = 6;
  c.steps = 3;
  return c;
}

} // namespace

// NHWC signals go row by row, NCHW ones of elementwise models channel by channel.
TEST(conv_models_at_every_position) {
  for (const int fisher : {LNGD_FISHER_EXPECTED, LNGD_FISHER_SAMPLED, LNGD_FISHER_PROVIDED})
    for (const ImageLayout layout : {ImageLayout::Nchw, ImageLayout::Nhwc, ImageLayout::Nwch})
      for (int activation = LNGD_ACTIVATION_IDENTITY; activation <= LNGD_ACTIVATION_SWISH; ++activation)
        for (int which = 0; which < 3; ++which) {
          if (quick() && which != activation % 3) continue;
          Case c = base_case("fisher " + std::to_string(fisher) + " activation " + std::to_string(activation) + " in " +
                                 image_layout_name(layout) + " shape " + std::to_string(which),
                             which);
          c.config.fisher = fisher;
          c.image_layout = layout;
          c.layers[0] = model(c.layers[0], activation);
          c.steps = 1;
          run_case(c);
        }
}

TEST(conv_output_models_at_every_position) {
  for (const int fisher : {LNGD_FISHER_EXPECTED, LNGD_FISHER_SAMPLED})
    for (const int output :
         {LNGD_OUTPUT_SOFTMAX, LNGD_OUTPUT_SIGMOID, LNGD_OUTPUT_SQUARED_ERROR, LNGD_OUTPUT_SOFTMAX_GAUSSIAN})
      for (const int kind : {LNGD_SIGNAL_PRE_ACTIVATIONS, LNGD_SIGNAL_OUTPUTS})
        for (const ImageLayout layout : {ImageLayout::Nchw, ImageLayout::Nhwc})
          for (int which = 0; which < 3; ++which) {
            if (quick() && which != output % 3) continue;
            Case c = base_case("fisher " + std::to_string(fisher) + " output " + std::to_string(output) + " signal " +
                                   std::to_string(kind) + " in " + image_layout_name(layout) + " shape " +
                                   std::to_string(which),
                               which);
            c.config.fisher = fisher;
            c.signal_kind = kind;
            c.image_layout = layout;
            c.layers[0] = model(c.layers[0], LNGD_ACTIVATION_IDENTITY, output);
            c.steps = 1;
            run_case(c);
          }
}

TEST(conv_micro_batches_and_sample_limits) {
  for (int which = 0; which < 3; ++which)
    for (const int fisher : {LNGD_FISHER_EXPECTED, LNGD_FISHER_SAMPLED, LNGD_FISHER_PROVIDED})
      for (const int limit : {0, 1, 4, 6, 50})
        for (const int parts : {1, 2, 4, 6}) {
          if (quick() && (limit + parts + fisher) % 3 != which) continue;
          Case c = base_case("shape " + std::to_string(which) + " fisher " + std::to_string(fisher) + " limit " +
                                 std::to_string(limit) + " in " + std::to_string(parts) + " parts",
                             which);
          c.config.fisher = fisher;
          c.config.statistics_samples = limit;
          c.micro_batches = parts;
          c.steps = 2;
          run_case(c); // against the twin, which numbers samples over the parts
        }
}

// The EMPIRICAL rate sums over the positions of a sample before it squares.
TEST(conv_rates) {
  for (int which = 0; which < 3; ++which)
    for (const int rate : {LNGD_RATE_NONE, LNGD_RATE_EMPIRICAL, LNGD_RATE_KRONECKER})
      for (const int samples : {0, 1, 4})
        for (const ImageLayout layout : kImageLayouts) {
          if (rate != LNGD_RATE_EMPIRICAL && (samples > 0 || layout != ImageLayout::Nchw)) continue;
          Case c = base_case("shape " + std::to_string(which) + " rate " + std::to_string(rate) + " samples " +
                                 std::to_string(samples) + " in " + image_layout_name(layout),
                             which);
          c.config.rate = rate;
          c.config.rate_samples = samples;
          c.image_layout = layout;
          run_case(c);
        }
}

TEST(conv_presets_and_updates) {
  for (int which = LNGD_PRESET_RECIPE; which <= LNGD_PRESET_PAPER; ++which)
    for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS})
      for (int shape = 0; shape < 3; ++shape) {
        Case c = base_case(
            "preset " + std::to_string(which) + " update " + std::to_string(update) + " shape " + std::to_string(shape),
            shape);
        c.config = preset(which, 50);
        c.config.statistics_interval = 2;
        c.config.inverse_interval = 3;
        c.config.weight_decay = 0.01;
        c.update = update;
        c.steps = 7;
        run_case(c);
      }
}

// Convolutions and dense layers in one plan, every tensor in another layout.
TEST(conv_mixed_network) {
  for (const int threads : {1, 2, 3})
    for (const int update : {LNGD_UPDATE_WEIGHTS, LNGD_UPDATE_GRADIENTS}) {
      Case c = base_case("threads " + std::to_string(threads) + " update " + std::to_string(update));
      c.config.threads = threads;
      c.layers = {with_geometry(convolution(3, 6, 3, 3), 1, 1, 1),
                  with_geometry(convolution(6, 8, 3, 3), 2, 1, 1, 1, 2),
                  dense(12, 7, true, LNGD_ACTIVATION_RELU),
                  convolution(8, 5, 1, 1),
                  with_geometry(convolution(5, 5, 3, 3), 1, 1, 1, 1, 5),
                  dense(7, 4, true, LNGD_ACTIVATION_IDENTITY, LNGD_OUTPUT_SOFTMAX)};
      c.all_layouts = true;
      c.update = update;
      run_case(c);
    }
}

// The bits depend on nothing but the inputs, the build and the number of threads.
TEST(conv_bits_repeat) {
  for (const int threads : {1, 2, 3}) {
    Case c = base_case("threads " + std::to_string(threads));
    c.config.threads = threads;
    c.layers = {with_geometry(convolution(8, 70, 3, 3), 1, 1, 1),
                with_geometry(convolution(8, 8, 3, 3), 1, 1, 1, 1, 8)};
    c.height = quick() ? 5 : 20;
    c.width = quick() ? 9 : 33;
    c.steps = 2;
    const std::vector<std::uint8_t> bits = run_case(c);
    Training again(c);
    for (int t = 0; t < c.steps; ++t) again.step(1 - 0.1 * t / c.steps);
    CHECK(again.bits() == bits);
  }
}

// Sizes beyond the budgets of conv_tiles.cpp: several bands a sample, several chunks, several panels and strips. Blocks
// of 5 keep the twin quick.
SLOW_TEST(conv_beyond_one_band_chunk_panel_and_strip) {
  struct {
    const char* name;
    lngd_layer_config layer;
    std::int64_t height, width, batch;
    int block;
  } const cases[] = {
      {"bands of padded rows", with_geometry(convolution(6, 3, 3, 3), 1, 1, 1), 101, 150, 2, 5},
      {"bands with stride 2", with_geometry(convolution(6, 3, 5, 5), 2, 2, 1), 140, 117, 2, 5},
      {"bands with dilation", with_geometry(convolution(6, 2, 3, 2), 1, 0, 0, 3), 90, 160, 1, 5},
      {"bands read in place", convolution(4, 2, 1, 1), 200, 190, 3, 0},
      {"chunks", with_geometry(convolution(16, 3, 3, 3), 1, 1, 1), 24, 26, 70, 5},
      {"strips of blocks", with_geometry(convolution(67, 4, 3, 3), 1, 1, 1), 4, 5, 3, 128},
      {"one block larger than a strip", with_geometry(convolution(58, 3, 3, 3), 1, 1, 1), 3, 4, 3, 0},
      {"strips of groups", with_geometry(convolution(90, 90, 3, 3), 1, 1, 1, 1, 90), 6, 5, 3, 0},
      {"strips of blocks of groups", with_geometry(convolution(80, 4, 4, 4), 2, 1, 1, 1, 2), 6, 5, 2, 128},
      {"more outputs than a run of floats", with_geometry(convolution(2, 1100, 2, 2), 1, 0, 0), 4, 5, 3, 0},
      {"a long signal", with_geometry(convolution_1d(3, 4, 9), 1, 4, 4), 1, 9000, 4, 5},
  };
  for (const auto& what : cases)
    for (const ImageLayout layout : {ImageLayout::Nchw, ImageLayout::Nhwc})
      for (const int threads : {1, 2}) {
        Case c = base_case(std::string(what.name) + " in " + image_layout_name(layout) + " threads " +
                           std::to_string(threads));
        c.config.block_size = what.block;
        c.config.threads = threads;
        c.image_layout = layout;
        c.layers = {model(what.layer, LNGD_ACTIVATION_SIGMOID)};
        c.height = what.height;
        c.width = what.width;
        c.batch = what.batch;
        c.steps = 1;
        run_case(c);
      }
}

TEST(conv_state_continues_bitwise) {
  for (int which = 0; which < 3; ++which) {
    Case c = base_case("shape " + std::to_string(which), which);
    c.config.inverse_interval = 3;
    c.config.fisher = LNGD_FISHER_SAMPLED;
    for (int stop = 0; stop <= 4; ++stop) {
      const Scope scope(c.name + " saved after " + std::to_string(stop) + " steps");
      Training straight(c);
      for (int t = 0; t < stop; ++t) straight.step();
      const std::vector<std::uint8_t> state = straight.optimizer().state();
      Training resumed(c);
      resumed.step();
      REQUIRE_OK(
          lngd_state_restore(resumed.optimizer().handle(), state.data(), static_cast<std::int64_t>(state.size())));
      resumed.adopt_weights(straight);
      for (int t = 0; t < 4; ++t) {
        straight.step();
        resumed.step();
        CHECK(resumed.bits() == straight.bits());
      }
    }
  }
}

// Everything about the geometry is part of what a state belongs to, even where all arrays have the same sizes.
TEST(conv_state_of_another_geometry_is_refused) {
  const Case c = base_case("state");
  Training source(c);
  source.step();
  const std::vector<std::uint8_t> state = source.optimizer().state();
  const auto refused = [&](const char* what, const lngd_layer_config& layer) {
    const Scope scope(what);
    Case other = c;
    other.layers = {layer};
    Training target(other);
    const std::vector<std::uint8_t> before = target.optimizer().state();
    CHECK_EQ(lngd_state_restore(target.optimizer().handle(), state.data(), static_cast<std::int64_t>(state.size())),
             LNGD_BAD_STATE_DATA);
    CHECK(target.optimizer().state() == before);
  };
  const lngd_layer_config layer = c.layers[0];
  lngd_layer_config other = layer;
  other.stride[1] = 2;
  refused("stride", other);
  other = layer;
  other.padding_before[0] = 0;
  refused("padding_before", other);
  other = layer;
  other.padding_after[1] = 2;
  refused("padding_after", other);
  other = layer;
  other.dilation[0] = 2;
  refused("dilation", other);
  other = layer;
  other.kernel[0] = 9;
  other.kernel[1] = 1;
  other.padding_before[0] = other.padding_after[0] = 4;
  refused("kernel", other);
  other = dense(27, 5, true, LNGD_ACTIVATION_TANH);
  refused("kind", other);
}
