// SPDX-License-Identifier: Apache-2.0
// In which order the inverse of a large matrix is made, and how blocks of threads share it out without a barrier
// between them. No device is needed for it: test_factor_rounds.cpp runs it with threads of the host.
//
// With p panels there are 2 p + 1 rounds:
//
//   0          diagonal tile 0
//   2 k + 1    solve(k)
//   2 k + 2    update(k), and diagonal tile k + 1 as its task 0; for k < p - 1
//   2 p        the product
//
// The tasks of a round can run in any order. The first try makes each round a launch (factor_inverse_large.cu). A retry
// (factor_retry.cu) is one kernel for all of them, and its blocks take tasks from a queue for each matrix: a word with
// the number of the round and of the tasks taken, and a count of those that are done. Whoever finishes the last task of
// a round opens the next one. So a task that can be taken can be run at once: nobody holding one waits for another, and
// blocks that find none look at other matrices. It comes to an end with any number of blocks, however few of them the
// device runs at a time; a barrier of the whole grid would hang where they do not all fit (or on an emulator that runs
// one after another), and a cooperative launch, which makes sure that they do, waits for a device that nobody else
// uses.
#ifndef LNGD_BACKEND_CUDA_FACTOR_ROUNDS_H
#define LNGD_BACKEND_CUDA_FACTOR_ROUNDS_H

#include <cuda_runtime.h>

#include <cstdint>

namespace lngd::cuda {

// Tasks of a matrix of that many panels: halves of tiles.
// The panel below the diagonal tile and the row left of it, one tile less than there are panels in all.
__host__ __device__ inline int32_t factor_solve_tasks(int32_t panels) { return 2 * (panels - 1); }
// Row i behind the step has tiles 0..i, two halves each; those of the next diagonal tile are one task.
__host__ __device__ inline int32_t factor_update_tasks(int32_t panels, int32_t step) {
  return panels * (panels + 1) - (step + 1) * (step + 2) - 2 + 1;
}
__host__ __device__ inline int32_t factor_product_tasks(int32_t panels) { return panels * (panels + 1); }

__host__ __device__ inline int32_t factor_last_round(int32_t panels) { return 2 * panels; }
__host__ __device__ inline int32_t factor_round_tasks(int32_t panels, int32_t round) {
  if (round == 0) return 1;
  if (round % 2 == 1) return factor_solve_tasks(panels);
  return round == factor_last_round(panels) ? factor_product_tasks(panels) : factor_update_tasks(panels, round / 2 - 1);
}

// Starts as zeros: round 0 of retry 0 is open.
struct FactorQueue {
  int32_t done = 0;
  unsigned long long next = 0; // (retry, round) of 16 bits each, then 32 bits: tasks taken
};

struct FactorTicket {
  int32_t retry, round, task;
};

enum class Taken { Ticket, NothingNow, Settled };

constexpr unsigned long long kFactorSettled = ~0ull << 32;

__host__ __device__ inline unsigned long long factor_open(int32_t retry, int32_t round) {
  return (static_cast<unsigned long long>(retry) << 16 | static_cast<unsigned long long>(round)) << 32;
}

// Atomics has load, add, exchange and fence (of both kinds, for the whole device); none of them but `fence` need order
// anything.
template <class Atomics>
__host__ __device__ inline Taken take_ticket(FactorQueue& queue, int32_t panels, FactorTicket& ticket) {
  // Looked at first, so that the count cannot run away while many wait.
  for (int turn = 0; turn < 2; ++turn) {
    const unsigned long long next = turn == 0 ? Atomics::load(&queue.next) : Atomics::add(&queue.next, 1ull);
    if (next >= kFactorSettled) return Taken::Settled;
    ticket.retry = static_cast<int32_t>(next >> 48);
    ticket.round = static_cast<int32_t>(next >> 32 & 0xffffu);
    const auto taken = static_cast<uint32_t>(next);
    if (taken >= static_cast<uint32_t>(factor_round_tasks(panels, ticket.round))) return Taken::NothingNow;
    ticket.task = static_cast<int32_t>(taken);
  }
  Atomics::fence(); // what others have written in the rounds before is visible from here on
  return Taken::Ticket;
}

// After the task has been run. The last of a round calls next(ticket), which returns what is open now: factor_open, or
// kFactorSettled.
template <class Atomics, class Next>
__host__ __device__ inline void finish_ticket(FactorQueue& queue, int32_t panels, const FactorTicket& ticket,
                                              const Next& next) {
  Atomics::fence(); // what the task has written, before it counts
  if (Atomics::add(&queue.done, 1) + 1 < factor_round_tasks(panels, ticket.round)) return;
  Atomics::fence(); // and what those have that counted before
  queue.done = 0;
  const unsigned long long open = next(ticket);
  Atomics::fence();
  Atomics::exchange(&queue.next, open);
}

} // namespace lngd::cuda
#endif
