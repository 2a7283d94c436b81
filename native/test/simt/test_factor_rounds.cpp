// SPDX-License-Identifier: Apache-2.0
// The queue that retries of large factors are shared out by (factor_rounds.h), with threads of the host in place of
// blocks: the emulator runs blocks one after another and never has two that take tasks from one matrix at a time.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "backend/cuda/factor_rounds.h"
#include "harness.hpp"

using namespace lngd::cuda;

namespace {

struct HostAtomics {
  static unsigned long long load(unsigned long long* p) {
    return std::atomic_ref<unsigned long long>(*p).load(std::memory_order_relaxed);
  }
  static unsigned long long add(unsigned long long* p, unsigned long long x) {
    return std::atomic_ref<unsigned long long>(*p).fetch_add(x, std::memory_order_relaxed);
  }
  static int32_t add(int32_t* p, int32_t x) {
    return std::atomic_ref<int32_t>(*p).fetch_add(x, std::memory_order_relaxed);
  }
  static void exchange(unsigned long long* p, unsigned long long x) {
    std::atomic_ref<unsigned long long>(*p).store(x, std::memory_order_relaxed);
  }
  static void fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
};

// A matrix whose tries fail at a diagonal tile, but for the last one.
struct Simulated {
  int32_t panels, tries, failing_tile; // tile -1: the try that is number `tries` - 1 succeeds
  FactorQueue queue;
  // Plain, as what tasks write is: the queue's fences have to order them.
  std::vector<int> runs;      // of the tasks of the open round
  std::vector<int64_t> order; // (retry, round) as they were completed
  int early = 0;              // tasks that were taken before the round before was complete
  bool settled = false;

  Simulated(int32_t p, int32_t t, int32_t tile) : panels(p), tries(t), failing_tile(tile) {
    runs.assign(static_cast<size_t>(factor_product_tasks(p)), 0);
  }

  unsigned long long next(const FactorTicket& ticket) {
    const int32_t tasks = factor_round_tasks(panels, ticket.round);
    for (int32_t t = 0; t < tasks; ++t) early += runs[static_cast<size_t>(t)] != 1;
    for (int& count : runs) count = 0;
    order.push_back(int64_t{ticket.retry} * 65536 + ticket.round);
    const bool diagonal = ticket.round % 2 == 0 && ticket.round != factor_last_round(panels);
    if (diagonal && ticket.round / 2 == failing_tile && ticket.retry + 1 < tries)
      return factor_open(ticket.retry + 1, 0);
    if (ticket.round < factor_last_round(panels)) return factor_open(ticket.retry, ticket.round + 1);
    settled = true;
    return kFactorSettled;
  }
};

// As factor_retry_kernel does, without the arithmetic.
void work(std::vector<std::unique_ptr<Simulated>>& matrices, size_t at) {
  while (true) {
    bool all_settled = true;
    FactorTicket ticket{};
    Simulated* found = nullptr;
    for (size_t i = 0; i < matrices.size() && !found; ++i) {
      Simulated& m = *matrices[(at + i) % matrices.size()];
      const Taken taken = take_ticket<HostAtomics>(m.queue, m.panels, ticket);
      all_settled &= taken == Taken::Settled;
      if (taken != Taken::Ticket) continue;
      found = &m;
      at = (at + i) % matrices.size();
    }
    if (!found && all_settled) return;
    if (!found) {
      std::this_thread::yield();
      continue;
    }
    ++found->runs[static_cast<size_t>(ticket.task)];
    if (ticket.task % 7 == 0) std::this_thread::yield();
    finish_ticket<HostAtomics>(found->queue, found->panels, ticket,
                               [&](const FactorTicket& t) { return found->next(t); });
  }
}

} // namespace

TEST(factor_rounds_are_complete_and_in_order) {
  for (const int workers : {1, 2, 4, 9})
    for (int turn = 0; turn < 20; ++turn) {
      const conformance::Scope scope(std::to_string(workers) + " workers");
      std::vector<std::unique_ptr<Simulated>> matrices;
      for (const int32_t panels : {2, 3, 6})
        for (const int32_t tries : {1, 3, 6})
          matrices.push_back(std::make_unique<Simulated>(panels, tries, (tries + turn) % panels));
      std::vector<std::thread> threads;
      for (int w = 0; w < workers; ++w)
        threads.emplace_back([&matrices, w] { work(matrices, static_cast<size_t>(w)); });
      for (std::thread& t : threads) t.join();
      for (const auto& m : matrices) {
        CHECK(m->settled);
        CHECK_EQ(m->early, 0);
        std::vector<int64_t> expected;
        for (int64_t retry = 0; retry < m->tries; ++retry)
          for (int64_t round = 0; round <= (retry + 1 < m->tries ? 2 * m->failing_tile : 2 * m->panels); ++round)
            expected.push_back(retry * 65536 + round);
        CHECK(m->order == expected);
      }
    }
}
