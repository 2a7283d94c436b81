// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/device_check.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>

#include "backend/cuda/known_answers.h"
#include "backend/cuda/tables.h"

namespace lngd::cuda {
namespace {

struct Outcome {
  bool final = false; // right or wrong, and not merely impossible to say
  Failure failure;    // LNGD_OK: right
};
std::mutex checking;
std::map<int32_t, Outcome> outcomes;

bool spoiled(const char* name) {
  const char* const wanted = std::getenv("LNGD_CUDA_WRONG_ANSWER");
  return wanted && !std::strcmp(wanted, name);
}

// The words of the wrappers, or an empty vector where a call failed.
std::vector<uint32_t> ask_wrappers(CudaContext& context, size_t count) {
  Arena arena;
  const size_t in = arena.table(known_inputs()), out = arena.zeros<uint32_t>(count);
  std::vector<uint32_t> words(count);
  if (arena.create(context.calls, context.caller)) {
    context.calls("launch known_answers", [&] {
      return launch_known_answers(arena.at<uint32_t>(in), arena.at<uint32_t>(out), context.caller);
    });
    context.calls("cudaMemcpyAsync", [&] {
      return cudaMemcpyAsync(words.data(), arena.at<uint32_t>(out), count * sizeof(uint32_t), cudaMemcpyDeviceToHost,
                             context.caller);
    });
    context.calls("cudaStreamSynchronize", [&] { return cudaStreamSynchronize(context.caller); });
  }
  arena.destroy();
  return words;
}

void check_wrappers(CudaContext& context, Outcome& outcome) {
  const std::vector<uint32_t> expected = known_outputs();
  std::vector<uint32_t> words = ask_wrappers(context, expected.size());
  if (!context.calls.ok()) return;
  for (const KnownAnswer& answer : kKnownAnswers) {
    if (spoiled(answer.name)) words[static_cast<size_t>(answer.first + answer.count / 2)] ^= 0x10000u;
    for (int i = 0; i < answer.count; ++i) {
      const size_t at = static_cast<size_t>(answer.first + i);
      if (words[at] == expected[at]) continue;
      std::snprintf(outcome.failure.message, sizeof outcome.failure.message,
                    "%s gave 0x%08x for word %d, right is 0x%08x", answer.name, words[at], i, expected[at]);
      return;
    }
  }
}

void check_step(CudaContext& context, Outcome& outcome) {
  StepNumber worst = take_known_step(context);
  if (!context.calls.ok()) return;
  if (spoiled("step")) worst.got += 2 * worst.tolerance;
  if (std::fabs(worst.got - worst.expected) <= worst.tolerance) return;
  std::snprintf(outcome.failure.message, sizeof outcome.failure.message,
                "a small step gave %.9g for element %lld of %s, right is %.9g within %.2g", worst.got,
                static_cast<long long>(worst.index), worst.name, worst.expected, worst.tolerance);
}

// A context of the check's own, destroyed whatever happens.
struct CheckContext : CudaContext {
  explicit CheckContext(int32_t index) {
    device = index;
    calls.ignore_planted_faults(); // the caller's calls are counted from his own context on
  }
  ~CheckContext() {
    const DeviceScope scope(*this);
    destroy();
  }
};

Outcome ask(int32_t device) {
  Outcome outcome;
  CheckContext context(device);
  const DeviceScope scope(context);
  if (context.create(known_step_config(device))) {
    check_wrappers(context, outcome);
    if (context.calls.ok() && !outcome.failure.message[0]) check_step(context, outcome);
  }
  const Failure call = context.calls.take();
  outcome.final = call.status == LNGD_OK;
  char text[sizeof outcome.failure.message];
  std::snprintf(text, sizeof text, "%.400s", outcome.final ? outcome.failure.message : call.message);
  if (!text[0]) return outcome;
  outcome.failure.status = outcome.final ? LNGD_BACKEND_UNAVAILABLE : call.status;
  std::snprintf(outcome.failure.message, sizeof outcome.failure.message,
                outcome.final ? "device %d computes wrong answers: %.400s" : "device %d could not be checked: %.400s",
                device, text);
  return outcome;
}

} // namespace

bool check_answers(int32_t device, Failure& failure) {
  try {
    const std::lock_guard<std::mutex> hold(checking);
    Outcome& outcome = outcomes[device];
    if (!outcome.final) outcome = ask(device);
    failure = outcome.failure;
  } catch (const std::bad_alloc&) {
    failure.status = LNGD_OUT_OF_MEMORY;
    std::snprintf(failure.message, sizeof failure.message, "no memory for the check of device %d", device);
  }
  return failure.status == LNGD_OK;
}

bool answers_as_known(int32_t device, char* reason, size_t room) {
  const std::lock_guard<std::mutex> hold(checking);
  const auto found = outcomes.find(device);
  if (found == outcomes.end() || found->second.failure.status == LNGD_OK) return true;
  std::snprintf(reason, room, "%s", found->second.failure.message);
  return false;
}

void forget_answers() {
  const std::lock_guard<std::mutex> hold(checking);
  outcomes.clear();
}

} // namespace lngd::cuda
