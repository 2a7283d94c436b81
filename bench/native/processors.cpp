// SPDX-License-Identifier: Apache-2.0
// Threads of the peers, and what the machine's processors give at this moment.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <map>
#include <thread>

#include "backend/cpu/thread_pool.h"
#include "row.hpp"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;

// Multiply-adds per microsecond of a loop that needs registers only: eight sums of 16 floats, each waiting for itself.
double multiply_adds(double seconds) {
  constexpr int kSums = 8, kWidth = 16, kRounds = 4000;
  typedef float Vector __attribute__((vector_size(4 * kWidth)));
  Vector sums[kSums] = {};
  const Vector factor = Vector{} + 0.999f, addend = Vector{} + 1.0f;
  double done = 0;
  const auto start = Clock::now();
  double elapsed = 0;
  do {
    for (int round = 0; round < kRounds; ++round)
#pragma GCC unroll 8
      for (int i = 0; i < kSums; ++i) sums[i] = sums[i] * factor + addend;
    for (Vector& sum : sums) asm volatile("" : "+m"(sum)); // each sum is wanted
    done += static_cast<double>(kRounds) * kSums * kWidth;
    elapsed = std::chrono::duration<double>(Clock::now() - start).count();
  } while (elapsed < seconds);
  return done / elapsed * 1e-6;
}

// Nanoseconds until another processor's answer to a store is seen.
double handoff() {
  constexpr int kRounds = 2000;
  alignas(128) std::atomic<int> ball{0};
  std::thread other([&ball] {
    for (int round = 0; round < kRounds; ++round) {
      while (ball.load(std::memory_order_acquire) != 2 * round + 1) {
      }
      ball.store(2 * round + 2, std::memory_order_release);
    }
  });
  auto start = Clock::now();
  for (int round = 0; round < kRounds; ++round) {
    if (round == kRounds / 10) start = Clock::now(); // the other has been started
    ball.store(2 * round + 1, std::memory_order_release);
    while (ball.load(std::memory_order_acquire) != 2 * round + 2) {
    }
  }
  const double ns = std::chrono::duration<double>(Clock::now() - start).count() / (kRounds - kRounds / 10) * 1e9;
  other.join();
  return ns;
}

} // namespace

// A pool that spins between calls as the library's own does: threads started for each call would be a handicap of 30
// microseconds.
void on_threads(int32_t threads, const std::function<void(int32_t, int32_t)>& body) {
  static std::map<int32_t, std::unique_ptr<lngd::cpu::ThreadPool>> pools;
  std::unique_ptr<lngd::cpu::ThreadPool>& pool = pools[threads];
  if (!pool) pool = std::make_unique<lngd::cpu::ThreadPool>(threads);
  constexpr double kMuch = 1e12; // operations: always handed out
  const lngd::cpu::ThreadPool::Session session(*pool, kMuch);
  pool->parallel_for(threads, kMuch, [&](int64_t part, int32_t) { body(static_cast<int32_t>(part), threads); });
}

void wait_until_idle() {
  const auto processor_ms = [] { return 1e3 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }; // of all threads
  for (int look = 0; look < 100; ++look) {
    const double before = processor_ms();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (processor_ms() - before < 1) return;
  }
}

Machine machine_now(int32_t threads) {
  static double best = 0; // rate of one thread, in this run
  constexpr double kSeconds = 0.003;
  std::vector<double> rates(static_cast<size_t>(threads));
  // The first call wakes the threads; without it they would not start together.
  for (int call = 0; call < 2; ++call)
    on_threads(threads, [&](int32_t part, int32_t) { rates[static_cast<size_t>(part)] = multiply_adds(kSeconds); });
  double sum = 0;
  for (const double rate : rates) {
    best = std::max(best, rate);
    sum += rate;
  }
  return {sum / best, threads > 1 ? handoff() : 0};
}

bool Machine::good(int32_t threads) const {
  static double best = 1e9; // handoff, in this run
  if (threads > 1) best = std::min(best, handoff_ns);
  // Far processors take six times as long as near ones, near ones up to twice; interrupts cost some percent of 3 ms.
  return processors >= 0.85 * threads && (threads == 1 || handoff_ns <= 3 * best);
}

} // namespace bench
