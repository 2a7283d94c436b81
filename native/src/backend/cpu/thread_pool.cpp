// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu/thread_pool.h"

#include <sched.h>

#include <chrono>

namespace lngd::cpu {
namespace {

constexpr int kTaskBits = 20;
constexpr uint64_t kTaskMask = (uint64_t{1} << kTaskBits) - 1;
// A worker that finds nothing for this long sleeps even inside a session (the caller may be in a long serial part).
constexpr std::chrono::microseconds kSpin{300};

uint64_t pack(uint64_t generation, uint64_t tasks) { return (generation << (2 * kTaskBits)) | (tasks << kTaskBits); }

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

} // namespace

ThreadPool::ThreadPool(int32_t threads) : threads_(threads) {
  workers_.reserve(static_cast<size_t>(threads - 1));
  try {
    for (int32_t worker = 1; worker < threads; ++worker) workers_.emplace_back([this, worker] { work_loop(worker); });
  } catch (...) {
    stop_.store(true);
    end();
    for (std::thread& thread : workers_) thread.join();
    throw;
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  end();
  for (std::thread& thread : workers_) thread.join();
}

bool ThreadPool::claim_and_run(int32_t worker) {
  uint64_t job = job_.load(std::memory_order_acquire);
  if ((job & kTaskMask) >= ((job >> kTaskBits) & kTaskMask)) return false;
  const Call call = call_.load(std::memory_order_relaxed);
  void* const context = context_.load(std::memory_order_relaxed);
  // Succeeds only if the job is still the one that was read above, and then call and context are its own: they are
  // changed only between jobs, when every task of the old one has been taken.
  if (!job_.compare_exchange_strong(job, job + 1, std::memory_order_acq_rel)) return true;
  call(context, static_cast<int64_t>(job & kTaskMask), worker);
  done_.fetch_add(1, std::memory_order_release);
  return true;
}

void ThreadPool::run(int64_t tasks, Call call, void* context) {
  // Larger loops than the word can count are cut; callers do not come near it.
  const int64_t most = static_cast<int64_t>(kTaskMask);
  if (tasks > most) {
    for (int64_t task = 0; task < tasks; ++task) call(context, task, 0);
    return;
  }
  done_.store(0, std::memory_order_relaxed);
  // The old job has no task left, so no worker reads these now for keeps.
  call_.store(call, std::memory_order_relaxed);
  context_.store(context, std::memory_order_relaxed);
  const uint64_t generation = (job_.load(std::memory_order_relaxed) >> (2 * kTaskBits)) + 1;
  job_.store(pack(generation, static_cast<uint64_t>(tasks)), std::memory_order_seq_cst);
  wake_.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) > 0) {
    const std::lock_guard<std::mutex> hold(mutex_);
    condition_.notify_all();
  }
  while (claim_and_run(0)) {
  }
  for (int spins = 0; done_.load(std::memory_order_acquire) < tasks; ++spins) {
    relax();
    if (spins > 1000) sched_yield(); // the worker may be waiting for this very processor
  }
}

void ThreadPool::begin(double work) {
  if (threads_ == 1 || work < kSerialWork) return;
  session_.store(true);
  wake_.fetch_add(1);
  const std::lock_guard<std::mutex> hold(mutex_);
  condition_.notify_all();
}

void ThreadPool::end() {
  session_.store(false);
  if (!stop_.load()) return;
  wake_.fetch_add(1);
  const std::lock_guard<std::mutex> hold(mutex_);
  condition_.notify_all();
}

void ThreadPool::work_loop(int32_t worker) {
  const FlushDenormals flush;
  while (!stop_.load()) {
    const uint32_t seen = wake_.load(std::memory_order_seq_cst);
    while (claim_and_run(worker)) {
    }
    const auto deadline = std::chrono::steady_clock::now() + kSpin;
    bool sleep = false;
    for (int spins = 0; wake_.load(std::memory_order_acquire) == seen && !sleep; ++spins) {
      relax();
      if (spins % 64 != 63) continue;
      sleep = !session_.load() || std::chrono::steady_clock::now() > deadline;
      sched_yield();
    }
    if (!sleep) continue;
    std::unique_lock<std::mutex> hold(mutex_);
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    condition_.wait(hold, [this, seen] { return wake_.load(std::memory_order_seq_cst) != seen || stop_.load(); });
    sleepers_.fetch_sub(1, std::memory_order_seq_cst);
  }
}

} // namespace lngd::cpu
