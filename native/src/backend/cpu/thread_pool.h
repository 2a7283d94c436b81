// SPDX-License-Identifier: Apache-2.0
// The CPU backend's threads. One pool an optimizer; the caller works too, so a pool of T has T - 1 threads.
//
// A step is a handful of short parallel loops. Waking a sleeping thread costs tens of microseconds, so between the
// loops of a kernel the workers spin, for a bounded time; between steps they sleep, because the caller's framework then
// wants the processors. Whoever has spun for long sleeps on a futex and never calls sched_yield: since Linux 6.18 a
// yield gives up the thread's claim on the processor for a whole slice, and with anything else runnable a spinning
// yielder is starved (measured: 400 ms a step instead of 0.8).
#ifndef LNGD_BACKEND_CPU_THREAD_POOL_H
#define LNGD_BACKEND_CPU_THREAD_POOL_H

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace lngd::cpu {

// Denormals as zeros, in and out, for the life of the object. Momentum of a dead unit, or a gradient that vanishes,
// decays through the denormals, and arithmetic on them is up to a hundred times slower (measured here: a step of 0.8 ms
// became one of 110 ms). The caller's setting comes back.
class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() : saved_(__builtin_ia32_stmxcsr()) { __builtin_ia32_ldmxcsr(saved_ | kFlush); }
  ~FlushDenormals() { __builtin_ia32_ldmxcsr(saved_); }
#else
  FlushDenormals() = default;
#endif
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  static constexpr unsigned int kFlush = 0x8040; // FTZ and DAZ of MXCSR
  unsigned int saved_ = 0;
};

class ThreadPool {
 public:
  explicit ThreadPool(int32_t threads); // throws std::system_error, std::bad_alloc
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int32_t threads() const { return threads_; }

  // body(task, worker) for task = 0 .. tasks-1 in any order, worker in 0 .. threads-1. Returns when all are done.
  // `work` is a rough count of floating-point operations: below kSerialWork the caller does it alone. body must not
  // throw.
  template <typename Body>
  void parallel_for(int64_t tasks, double work, Body&& body) {
    if (threads_ == 1 || tasks <= 1 || work < kSerialWork) {
      for (int64_t task = 0; task < tasks; ++task) body(task, 0);
      return;
    }
    run(
        tasks, [](void* context, int64_t task, int32_t worker) { (*static_cast<Body*>(context))(task, worker); },
        const_cast<void*>(static_cast<const void*>(&body)));
  }

  // One kernel. While one of these lives, workers that have nothing to do spin instead of sleeping, and the caller's
  // arithmetic flushes denormals as the workers' always does.
  class Session {
   public:
    // `work`: of the whole session; a session of little work wakes nobody.
    Session(ThreadPool& pool, double work) : pool_(pool) { pool_.begin(work); }
    ~Session() { pool_.end(); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

   private:
    ThreadPool& pool_;
    const FlushDenormals flush_;
  };

 private:
  // About 20 microseconds at 50 GFLOP/s: what handing work over costs when the workers spin already.
  static constexpr double kSerialWork = 1e6;

  using Call = void (*)(void* context, int64_t task, int32_t worker);
  void run(int64_t tasks, Call call, void* context);
  void begin(double work);
  void end();
  void work_loop(int32_t worker);
  void wake_workers();
  void wait_until_done(uint32_t tasks);
  bool claim_and_run(int32_t worker);

  const int32_t threads_;
  std::vector<std::thread> workers_;

  // The job: its generation, size and next task in one word, so that a worker that comes late cannot take a task of
  // a job that it did not read: generation (24 bits) | tasks (20) | next (20).
  std::atomic<uint64_t> job_{0};
  std::atomic<Call> call_{nullptr};
  std::atomic<void*> context_{nullptr};
  alignas(64) std::atomic<uint32_t> done_{0}; // finished tasks of the job; futex of the caller
  std::atomic<bool> caller_sleeps_{false};
  alignas(64) std::atomic<uint32_t> wake_{0}; // counts jobs and sessions; futex of the workers
  std::atomic<int32_t> sleepers_{0};
  std::atomic<bool> session_{false};
  std::atomic<bool> stop_{false};
};

} // namespace lngd::cpu
#endif
