// SPDX-License-Identifier: Apache-2.0
// The known answers of device_check.cpp: right on the emulator, and such that a wrong device would show.
#include <cmath>

#include "backend/cuda/known_answers.h"
#include "layer_fixture.hpp"

namespace {

using namespace lngd::cuda;
using fixture::Schedule;

std::vector<uint32_t> run(const std::vector<uint32_t>& in) {
  const Array<uint32_t> device_in(in), device_out(known_outputs().size());
  CHECK_EQ(launch_known_answers(device_in.data, device_out.data, nullptr), cudaSuccess);
  fixture::finish_launches();
  return device_out.read();
}

} // namespace

TEST(known_answers_are_the_emulators) {
  fixture::start();
  const std::vector<uint32_t> expected = known_outputs();
  size_t covered = 0;
  for (const KnownAnswer& answer : kKnownAnswers) {
    CHECK_EQ(static_cast<size_t>(answer.first), covered);
    covered += static_cast<size_t>(answer.count);
  }
  CHECK_EQ(covered, expected.size());
  for (const Schedule& schedule : fixture::kSchedules) {
    simt::set_schedule(schedule.order, schedule.seed);
    const std::vector<uint32_t> out = run(known_inputs());
    for (size_t i = 0; i < out.size(); ++i) CHECK_EQ(out[i], expected[i]);
  }
  simt::set_schedule(simt::Order::Forward);
}

// A bit of an input shows in the output of the wrappers that it goes through.
TEST(known_answers_depend_on_every_input) {
  fixture::start();
  const std::vector<uint32_t> right = known_outputs();
  for (size_t i = 0; i < known_inputs().size(); i += 7) {
    if (i >= 128 && i < 160 && (i - 128) % 3 == 0) continue; // copies of no bytes
    const conformance::Scope scope("input " + std::to_string(i));
    std::vector<uint32_t> in = known_inputs();
    in[i] ^= 0x00100000u;
    const std::vector<uint32_t> out = run(in);
    size_t changed = 0;
    for (size_t k = 0; k < out.size(); ++k) changed += out[k] != right[k];
    CHECK_GE(changed, i < 128 ? size_t{2} : size_t{1}); // 128 words: ldmatrix plain and transposed
  }
}

// The small step is right by a margin, and measured: its error is that of float32 arithmetic and not 0.
TEST(known_step_is_right) {
  fixture::start();
  CudaContext context;
  REQUIRE(context.create(known_step_config(0)));
  const StepNumber worst = take_known_step(context);
  CHECK_EQ(context.calls.ok(), true);
  const double miss = std::fabs(worst.got - worst.expected) / worst.tolerance;
  CHECK_WITHIN(miss, 0.25);
  CHECK_GT(miss, 1e-6);
  context.destroy();
}
