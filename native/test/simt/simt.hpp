// SPDX-License-Identifier: Apache-2.0
// What a test asks of the emulator: schedules, reports, injected faults, leaks.
#ifndef LNGD_SIMT_HPP
#define LNGD_SIMT_HPP

#include <cuda_runtime.h>

#include <string>
#include <vector>

namespace simt {

// In which order the threads of a block run between their barriers, and the blocks of a grid. Streams: Forward runs
// work when it is issued; Reverse as late as the program allows; Random decides each time.
enum class Order { Forward, Reverse, Random };
void set_schedule(Order order, unsigned seed = 1);

enum class Kind {
  Divergence,    // a barrier or warp function that not all threads reach
  Bounds,        // outside of any memory that the kernel may touch
  Index,         // static array index (compiler instrumentation)
  Misaligned,    // address not a multiple of the type's alignment
  Race,          // two accesses without a barrier between, at least one a write
  BlockRace,     // the same between two blocks of a launch
  Uninitialised, // read of memory that nobody wrote
  PendingCopy,   // access to a cp.async destination before its wait
  Usage          // a call that the emulator (or the hardware) does not allow
};
const char* name(Kind kind);

struct Report {
  Kind kind;
  std::string text; // what, where (file:line of each access), by which threads
};

// Reports since the last call, oldest first. A launch ends at its first report; later calls return
// cudaErrorLaunchFailure until reset(), as a CUDA context is lost after such an error.
std::vector<Report> take_reports();
// Ends all pending work and clears the sticky error. Memory, streams and events stay.
void reset();

// True where plain accesses are seen: the program has files compiled with instrumentation.
bool checking();

// The n-th call from now (1: the next) of this runtime function, of "launch", or, with "*", of any function, fails with
// `error`; functions that free or destroy do so all the same, as CUDA's do when they return an earlier error. An error
// from cudaErrorIllegalAddress on is sticky. Replaces the fault that was set before.
void inject_fault(const char* function, int nth, cudaError_t error);
// Calls of that function since inject_fault(function, 0, cudaSuccess) began to count.
int calls_counted();

// The device: 80 or 90 decides the shared memory limit (166912 or 232448 bytes a block).
void set_architecture(int sm);

// The context that is current on this thread, by its device; -1: none. And whether a device has one.
int current_device();
bool has_context(int device);
// No device has one any more, and this thread has chosen none.
void forget_contexts();

struct Live {
  int device_allocations, host_allocations, streams, events, graphs;
  size_t device_bytes;
};
Live live();

// Catches accesses to guard pages inside kernels as reports, instead of dying. Installs a SIGSEGV handler: for test
// programs only, never inside a JVM.
void catch_guard_pages();

struct Counters {
  long long launches, blocks, switches, mma, prefetches;
};
Counters counters();

} // namespace simt
#endif
