// SPDX-License-Identifier: Apache-2.0
//
// lngd_fuzz [--seconds S] [--seed N] [--worlds N] [--device cpu|emulated]: sequences of calls and damaged states until
// the time is up or something is found. Exit status 0: nothing was, 1: something was, with the seed of its world.
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "calls.hpp"

namespace {

constexpr int kCallsPerWorld = 120;

struct Options {
  double seconds = 10;
  std::uint64_t seed = 1;
  std::uint64_t worlds = UINT64_MAX;
  std::int32_t device = LNGD_DEVICE_CPU;
};

bool parse(int count, char** arguments, Options& options) {
  for (int i = 1; i + 1 < count; i += 2) {
    const char* const value = arguments[i + 1];
    if (!std::strcmp(arguments[i], "--seconds"))
      options.seconds = std::atof(value);
    else if (!std::strcmp(arguments[i], "--seed"))
      options.seed = std::strtoull(value, nullptr, 10);
    else if (!std::strcmp(arguments[i], "--worlds"))
      options.worlds = std::strtoull(value, nullptr, 10);
    else if (!std::strcmp(arguments[i], "--device"))
      options.device = std::strcmp(value, "emulated") ? LNGD_DEVICE_CPU : LNGD_DEVICE_CUDA_EMULATED;
    else
      return false;
  }
  return count % 2 == 1;
}

} // namespace

int main(int count, char** arguments) {
  Options options;
  if (!parse(count, arguments, options)) {
    std::fprintf(stderr, "usage: lngd_fuzz [--seconds S] [--seed N] [--worlds N] [--device cpu|emulated]\n");
    return 2;
  }
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const auto elapsed = [start] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  std::map<std::string, long> calls;
  long states = 0;
  std::uint64_t seed = options.seed;
  for (std::uint64_t world = 0; world < options.worlds && elapsed() < options.seconds; ++world, ++seed) {
    int number = 0;
    try {
      fuzz::Random random(seed);
      fuzz::World all(random, options.device);
      for (; number < kCallsPerWorld; ++number) {
        ++calls[fuzz::one_call(all, random)];
        if (number % 5 != 0) continue;
        fuzz::one_state(all, random);
        ++states;
      }
    } catch (const fuzz::Found& problem) {
      std::fprintf(stderr, "lngd_fuzz: %s\n  call %d of --seed %" PRIu64 " --worlds 1\n", problem.what.c_str(), number,
                   seed);
      return 1;
    }
  }
  long total = 0;
  for (const auto& [name, times] : calls) {
    std::printf("%-14s %9ld\n", name.c_str(), times);
    total += times;
  }
  std::printf("%ld calls, %ld damaged states, %" PRIu64 " networks, %.0f s: nothing found\n", total, states,
              seed - options.seed, elapsed());
  return 0;
}
