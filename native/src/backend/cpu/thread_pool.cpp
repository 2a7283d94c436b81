// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu/thread_pool.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <climits>

namespace lngd::cpu {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTaskBits = 20;
constexpr uint64_t kTaskMask = (uint64_t{1} << kTaskBits) - 1;
// About what waking costs: who has waited this long in vain loses no more than a factor of two by sleeping.
constexpr std::chrono::microseconds kSpin{60};

uint64_t pack(uint64_t generation, uint64_t tasks) { return (generation << (2 * kTaskBits)) | (tasks << kTaskBits); }

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Sleeps while the word has this value; may wake for no reason.
void futex_wait(std::atomic<uint32_t>& word, uint32_t value) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void futex_wake_all(std::atomic<uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

// Spins until condition() or for kSpin; returns whether the condition holds.
template <typename Condition>
bool spin_until(Condition condition) {
  const Clock::time_point deadline = Clock::now() + kSpin;
  for (;;) {
    for (int i = 0; i < 32; ++i) {
      if (condition()) return true;
      relax();
    }
    if (Clock::now() > deadline) return false;
  }
}

} // namespace

ThreadPool::ThreadPool(int32_t threads) : threads_(threads) {
  workers_.reserve(static_cast<size_t>(threads - 1));
  try {
    for (int32_t worker = 1; worker < threads; ++worker) workers_.emplace_back([this, worker] { work_loop(worker); });
  } catch (...) {
    stop_.store(true);
    wake_workers();
    for (std::thread& thread : workers_) thread.join();
    throw;
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  wake_workers();
  for (std::thread& thread : workers_) thread.join();
}

void ThreadPool::wake_workers() {
  // A worker announces that it sleeps before it looks at wake_ for the last time, so either it sees the new value or
  // it is counted here.
  wake_.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) > 0) futex_wake_all(wake_);
}

bool ThreadPool::claim_and_run(int32_t worker) {
  uint64_t job = job_.load(std::memory_order_acquire);
  const uint32_t tasks = static_cast<uint32_t>((job >> kTaskBits) & kTaskMask);
  if ((job & kTaskMask) >= tasks) return false;
  const Call call = call_.load(std::memory_order_relaxed);
  void* const context = context_.load(std::memory_order_relaxed);
  // Succeeds only if the job is still the one that was read above, and then call and context are its own: they are
  // changed only between jobs, when every task of the old one has been taken.
  if (!job_.compare_exchange_strong(job, job + 1, std::memory_order_acq_rel)) return true;
  call(context, static_cast<int64_t>(job & kTaskMask), worker);
  const bool last = done_.fetch_add(1, std::memory_order_seq_cst) + 1 == tasks;
  if (last && caller_sleeps_.load(std::memory_order_seq_cst)) futex_wake_all(done_);
  return true;
}

void ThreadPool::run(int64_t tasks, Call call, void* context) {
  // Larger loops than the word can count are not handed out; callers do not come near it.
  if (tasks > static_cast<int64_t>(kTaskMask)) {
    for (int64_t task = 0; task < tasks; ++task) call(context, task, 0);
    return;
  }
  done_.store(0, std::memory_order_relaxed);
  // The old job has no task left, so no worker reads these now for keeps.
  call_.store(call, std::memory_order_relaxed);
  context_.store(context, std::memory_order_relaxed);
  const uint64_t generation = (job_.load(std::memory_order_relaxed) >> (2 * kTaskBits)) + 1;
  job_.store(pack(generation, static_cast<uint64_t>(tasks)), std::memory_order_seq_cst);
  wake_workers();
  while (claim_and_run(0)) {
  }
  wait_until_done(static_cast<uint32_t>(tasks));
}

void ThreadPool::wait_until_done(uint32_t tasks) {
  if (spin_until([&] { return done_.load(std::memory_order_acquire) == tasks; })) return;
  caller_sleeps_.store(true, std::memory_order_seq_cst);
  for (uint32_t done; (done = done_.load(std::memory_order_seq_cst)) != tasks;) futex_wait(done_, done);
  caller_sleeps_.store(false, std::memory_order_relaxed);
}

void ThreadPool::begin(double work) {
  if (threads_ == 1 || work < kSerialWork) return;
  session_.store(true, std::memory_order_relaxed);
  wake_workers();
}

void ThreadPool::end() { session_.store(false, std::memory_order_relaxed); }

void ThreadPool::work_loop(int32_t worker) {
  const FlushDenormals flush;
  while (!stop_.load()) {
    const uint32_t seen = wake_.load(std::memory_order_seq_cst);
    while (claim_and_run(worker)) {
    }
    const auto news = [&] { return wake_.load(std::memory_order_acquire) != seen; };
    if (session_.load(std::memory_order_relaxed) && spin_until(news)) continue;
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    while (wake_.load(std::memory_order_seq_cst) == seen) futex_wait(wake_, seen);
    sleepers_.fetch_sub(1, std::memory_order_seq_cst);
  }
}

} // namespace lngd::cpu
