// SPDX-License-Identifier: Apache-2.0
//
// Whole steps against the twin over shapes: 1, odd numbers, around multiples of the vector width, N < d, d < N, every
// block size.
#include <string>

#include "training.hpp"

using namespace conformance;

namespace {

Case shape_case(std::int64_t batch, std::int64_t inputs, std::int64_t outputs, int block, bool bias) {
  Case c;
  c.name = "N " + std::to_string(batch) + " inputs " + std::to_string(inputs) + " outputs " + std::to_string(outputs) +
           " block " + std::to_string(block) + (bias ? "" : " no bias");
  c.config = preset(LNGD_PRESET_RECIPE);
  c.config.statistics_samples = 0;
  c.config.statistics_interval = 2;
  c.config.inverse_interval = 3;
  c.config.block_size = block;
  c.config.rate = LNGD_RATE_EMPIRICAL;
  c.config.trust = LNGD_TRUST_CAP;
  // Two layers, so that several sizes are in one plan.
  c.layers = {dense(inputs, outputs, bias, LNGD_ACTIVATION_TANH),
              dense(outputs, 3, true, LNGD_ACTIVATION_IDENTITY, LNGD_OUTPUT_SOFTMAX)};
  c.batch = batch;
  c.steps = 4;
  c.seed = static_cast<std::uint64_t>(batch * 131 + inputs * 17 + outputs);
  return c;
}

} // namespace

TEST(step_shapes_small) {
  int number = 0;
  for (const std::int64_t batch : {1, 2, 5, 16, 33})
    for (const std::int64_t inputs : {1, 2, 7, 15, 16, 17, 31})
      for (const std::int64_t outputs : {1, 3, 16, 19}) {
        if (!takes(number++, 11)) continue;
        const int blocks[] = {0, 1, 7, 16, 128};
        const int block = blocks[static_cast<std::size_t>(batch + inputs + outputs) % 5];
        run_case(shape_case(batch, inputs, outputs, block, (inputs + outputs) % 2 == 0));
      }
}

TEST(step_shapes_block_sizes) {
  int number = 0;
  for (const int block : {0, 1, 7, 16, 128})
    for (const std::int64_t inputs : {1, 7, 13, 14, 15, 47, 48, 127, 128, 129})
      for (const bool bias : {false, true})
        if (takes(number++, 9)) run_case(shape_case(9, inputs, 5, block, bias));
}

// Ragged last blocks that hold nothing but the bias column, and those one column short of full.
SLOW_TEST(step_shapes_large) {
  run_case(shape_case(70, 255, 40, 128, true));
  run_case(shape_case(70, 256, 40, 128, true));
  run_case(shape_case(130, 200, 65, 0, true));
  run_case(shape_case(300, 33, 130, 0, true));
  run_case(shape_case(257, 130, 129, 64, false));
}
