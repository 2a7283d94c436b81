// SPDX-License-Identifier: Apache-2.0
// Runs one grid: fibers, the order they run in, barriers and warp collectives.
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <map>

#include "emulator.hpp"

namespace simt {

Registers registers;
Fiber* current = nullptr;
Block block;
Counters counter;

namespace {

constexpr size_t kStack = 64 * 1024; // and a guard page below
constexpr size_t kPage = 4096;

void* scheduler_stack;
bool abandoned;
Order order = Order::Forward;
uint64_t random_state = 1;
const Launch* launch_now;
uint64_t window_first, window_count; // 0: all blocks
unsigned ready[kMaxThreads / kWarp]; // lanes that can run

} // namespace

// Saves what a call must keep, swaps stacks: the whole context switch.
extern "C" void simt_switch(void** save, void* to);
asm(R"(
.text
.globl simt_switch
.hidden simt_switch
.type simt_switch, @function
simt_switch:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
.size simt_switch, .-simt_switch
)");

namespace {

uint3 thread_index(int id) {
  const unsigned t = static_cast<unsigned>(id);
  const dim3& d = registers.block_dim;
  return {t % d.x, t / d.x % d.y, t / d.x / d.y};
}

void make_ready(int id) { ready[id / kWarp] |= 1u << (id % kWarp); }

// Gives way to the scheduler until this fiber is ready again.
void wait(Wait reason) {
  Fiber* const me = current;
  me->wait = reason;
  current = nullptr;
  simt_switch(&me->stack_pointer, scheduler_stack);
}

extern "C" void simt_fiber_main() {
  launch_now->call(block.arguments);
  wait(Wait::Done);
  std::abort(); // a finished fiber is never resumed
}

Fiber* fiber_pool() {
  static Fiber* pool = nullptr;
  if (pool) return pool;
  pool = new Fiber[kMaxThreads]();
  const size_t each = kStack + kPage;
  void* const stacks =
      mmap(nullptr, each * kMaxThreads, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stacks == MAP_FAILED) std::abort();
  for (int i = 0; i < kMaxThreads; ++i) {
    char* const low = static_cast<char*>(stacks) + each * static_cast<size_t>(i);
    mprotect(low, kPage, PROT_NONE);
    pool[i].stack_low = low + kPage;
    pool[i].stack_high = low + each;
    pool[i].id = i;
  }
  return pool;
}

void start_fiber(Fiber& fiber) {
  // As if simt_switch had been called: six registers, then the address to return to. A function expects a stack that
  // was 16-byte aligned before its return address was pushed.
  void** const top = reinterpret_cast<void**>(fiber.stack_high - 8);
  top[0] = nullptr;
  top[-1] = reinterpret_cast<void*>(&simt_fiber_main);
  for (int i = 2; i <= 7; ++i) top[-i] = nullptr;
  fiber.stack_pointer = top - 7;
  fiber.wait = Wait::Ready;
  fiber.path = 0;
  fiber.path_length = 0;
  fiber.groups = 0;
  fiber.copies = 0;
}

void run_fiber(int id) {
  Fiber& fiber = block.fibers[id];
  ready[id / kWarp] &= ~(1u << (id % kWarp));
  fiber.wait = Wait::Ready;
  registers.thread = thread_index(id);
  current = &fiber;
  ++counter.switches;
  simt_switch(&scheduler_stack, fiber.stack_pointer);
  current = nullptr;
}

// The warp to run next, or -1.
int next_warp(int warps) {
  if (order == Order::Forward) {
    for (int w = 0; w < warps; ++w)
      if (ready[w]) return w;
  } else if (order == Order::Reverse) {
    for (int w = warps - 1; w >= 0; --w)
      if (ready[w]) return w;
  } else {
    const int first = static_cast<int>(random_number() % static_cast<unsigned>(warps));
    for (int i = 0; i < warps; ++i)
      if (ready[(first + i) % warps]) return (first + i) % warps;
  }
  return -1;
}

void run_lanes(int warp) {
  const unsigned lanes = ready[warp]; // those that become ready meanwhile wait for the next turn
  const unsigned flip = order == Order::Forward ? 0 : order == Order::Reverse ? 31 : random_number() % kWarp;
  for (unsigned i = 0; i < kWarp && !abandoned; ++i) {
    const unsigned lane = i ^ flip;
    if (lanes >> lane & 1) run_fiber(warp * kWarp + static_cast<int>(lane));
  }
}

// All threads that are left wait for something that cannot come.
void report_divergence() {
  std::map<std::string, std::string> groups;
  std::map<std::string, int> counts;
  for (int i = 0; i < block.threads; ++i) {
    const Fiber& f = block.fibers[i];
    const std::string where =
        f.wait == Wait::Done ? "returned" : std::string("waits in ") + f.what + " at " + source_line(f.site);
    if (counts[where]++ == 0) groups[where] = thread_name(i);
  }
  std::string text = "a barrier that not all threads reach:";
  for (const auto& group : groups)
    text += "\n    " + group.second +
            (counts[group.first] > 1 ? " and " + std::to_string(counts[group.first] - 1) + " more" : std::string()) +
            ": " + group.first;
  report(Kind::Divergence, text);
}

void run_block() {
  const int warps = block.threads / kWarp;
  block.arrived = 0;
  for (int w = 0; w < warps; ++w) {
    block.warps[w].arrived = 0;
    block.warps[w].epoch = 0;
    ready[w] = 0xffffffffu;
  }
  for (int i = 0; i < block.threads; ++i) start_fiber(block.fibers[i]);
  if (block.shared_bytes) std::memset(block.shared, 0xff, block.shared_bytes); // NaN
  checker_begin_block();
  ++counter.blocks;
  while (!abandoned) {
    const int warp = next_warp(warps);
    if (warp < 0) break;
    run_lanes(warp);
  }
  for (int i = 0; i < block.threads && !abandoned; ++i)
    if (block.fibers[i].wait != Wait::Done) {
      report_divergence();
      abandoned = true;
    }
  if (!abandoned) checker_end_block();
  if (any_report()) abandoned = true;
}

// Lanes of one warp have to be at the same barrier instruction.
void check_alignment(int warp) {
  const Fiber* const fibers = block.fibers + warp * kWarp;
  for (int lane = 1; lane < kWarp; ++lane) {
    if (fibers[lane].site == fibers[0].site || same_line(fibers[lane].site, fibers[0].site)) continue;
    report(Kind::Divergence, "lanes of one warp at different barriers:\n    " + thread_name(warp * kWarp) + ": " +
                                 fibers[0].what + " at " + source_line(fibers[0].site) + "\n    " +
                                 thread_name(warp * kWarp + lane) + ": " + fibers[lane].what + " at " +
                                 source_line(fibers[lane].site));
  }
}

// Hardware need not have brought lanes together again that went different branches, and what an aligned instruction
// does that only some of them execute is undefined. What the emulator sees of a branch are the accesses in it.
void check_together(int warp) {
  const Fiber* const fibers = block.fibers + warp * kWarp;
  for (int lane = 1; lane < kWarp; ++lane) {
    const Fiber &a = fibers[0], &b = fibers[lane];
    if (a.path == b.path) continue;
    int at = 0; // where they parted, as far as it was kept
    while (at + 1 < kPathKept && at < a.path_length && at < b.path_length && a.path_begin[at] == b.path_begin[at]) ++at;
    const auto access = [at](const Fiber& f) {
      return thread_name(f.id) +
             (at < f.path_length ? ": access at " + source_line(f.path_begin[at]) : std::string(": none"));
    };
    report(Kind::Divergence, std::string(a.what) + " at " + source_line(a.site) +
                                 " by lanes that went different branches, without a __syncwarp behind these:\n    " +
                                 access(a) + "\n    " + access(b));
  }
}

} // namespace

void note_access(const void* site) {
  current->path = (current->path + reinterpret_cast<uintptr_t>(site)) * 0x9e3779b97f4a7c15ull;
  if (current->path_length < kPathKept) current->path_begin[current->path_length] = site;
  ++current->path_length;
}

void reconverge(int warp) {
  for (int lane = 0; lane < kWarp; ++lane) {
    block.fibers[warp * kWarp + lane].path = 0;
    block.fibers[warp * kWarp + lane].path_length = 0;
  }
}

void set_schedule(Order new_order, unsigned seed) {
  order = new_order;
  random_state = 0x9e3779b97f4a7c15ull * (seed + 1);
}

Order schedule() { return order; }

void set_grid_window(uint64_t first, uint64_t count) {
  window_first = first;
  window_count = count;
}

unsigned random_number() { // xorshift64*
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return static_cast<unsigned>((random_state * 0x2545f4914f6cdd1dull) >> 33);
}

void abandon_launch() {
  abandoned = true;
  void* ignored;
  current = nullptr;
  simt_switch(&ignored, scheduler_stack);
  std::abort();
}

int block_barrier(BlockVote kind, int predicate) {
  Fiber& me = *current;
  me.site = SIMT_SITE;
  me.what = "__syncthreads";
  if (block.arrived == 0) {
    block.vote_kind = static_cast<int>(kind);
    block.votes = 0;
  } else if (block.vote_kind != static_cast<int>(kind)) {
    report(Kind::Divergence, "two kinds of __syncthreads meet, the second at " + source_line(me.site));
  }
  block.votes += predicate != 0;
  if (++block.arrived < block.threads) {
    wait(Wait::Block);
    return block.vote_result;
  }
  for (int w = 0; w < block.threads / kWarp; ++w) {
    check_alignment(w);
    reconverge(w);
  }
  block.arrived = 0;
  block.vote_result = kind == BlockVote::Or    ? block.votes > 0
                      : kind == BlockVote::And ? block.votes == block.threads
                                               : block.votes;
  checker_barrier();
  for (int i = 0; i < block.threads; ++i) make_ready(i);
  // Waits for its turn like the others: the last to arrive must not always be the first to go on.
  wait(Wait::Block);
  return block.vote_result;
}

void warp_collective(WarpFunction function, void* operand, const char* what, const void* site, bool aligned) {
  Fiber& me = *current;
  const int index = me.id / kWarp, lane = me.id % kWarp;
  Warp& warp = block.warps[index];
  me.site = site;
  me.what = what;
  if (warp.arrived == 0) {
    warp.function = function;
  } else if (warp.function != function) {
    report(Kind::Divergence, thread_name(me.id) + " reaches " + what + " at " + source_line(site) +
                                 " while lanes of its warp wait in another warp function");
  }
  warp.operand[lane] = operand;
  if (++warp.arrived == kWarp) {
    warp.arrived = 0;
    check_alignment(index);
    if (aligned) check_together(index);
    function(warp.operand);
    for (int i = 0; i < kWarp; ++i) make_ready(index * kWarp + i);
  }
  wait(Wait::Warp);
}

void* dynamic_shared() { return block.shared; }

void run_grid(const Launch& launch) {
  launch_now = &launch;
  abandoned = false;
  registers.block_dim = launch.block;
  registers.grid_dim = launch.grid;
  block.fibers = fiber_pool();
  block.threads = static_cast<int>(launch.block.x * launch.block.y * launch.block.z);
  block.arguments = static_cast<const char*>(launch.arguments);
  block.argument_bytes = launch.argument_bytes;
  block.shared_bytes = launch.shared_bytes;
  char* map = nullptr;
  size_t map_bytes = 0;
  block.shared = map_guarded((launch.shared_bytes + 15) / 16 * 16, &map, &map_bytes);
  checker_begin_launch();
  ++counter.launches;
  const uint64_t x = launch.grid.x, y = launch.grid.y, all = x * y * launch.grid.z;
  const uint64_t first = window_count ? std::min(window_first, all) : 0;
  const uint64_t blocks = window_count ? std::min(window_count, all - first) : all;
  const uint64_t start = order == Order::Random && blocks ? random_number() % blocks : 0;
  for (uint64_t i = 0; i < blocks && !abandoned; ++i) {
    const uint64_t at = first + (order == Order::Reverse ? blocks - 1 - i : (start + i) % blocks);
    block.linear = at;
    registers.block = {static_cast<unsigned>(at % x), static_cast<unsigned>(at / x % y),
                       static_cast<unsigned>(at / x / y)};
    run_block();
  }
  if (!any_report()) checker_end_launch();
  unmap_guarded(map, map_bytes);
  block.shared = nullptr;
  block.shared_bytes = 0;
  launch_now = nullptr;
}

Counters counters() { return counter; }

} // namespace simt
