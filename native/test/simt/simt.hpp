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

// Launches run only these blocks of their grids, by their number (x first, then y, z); count 0: all. So a grid that
// would take hours, or memory that nobody has, can be run where it is of interest: at its end. A test that does so
// passes pointers to where its few elements would have to begin.
void set_grid_window(uint64_t first, uint64_t count);

// What the emulator stands for: one product of an architecture. Sizes in bytes.
struct Device {
  const char* name; // "sm_86"
  const char* product;
  int major, minor;
  int multiprocessors;
  int shared_per_block; // static and dynamic, after cudaFuncSetAttribute; without it 48 KB
  int shared_per_multiprocessor;
  int registers;       // of a multiprocessor, and the most of a block
  int threads, blocks; // of a multiprocessor
  int l2_bytes;
};
Device device();
// By name: "sm_80", "sm_86", "sm_89", "sm_90" or "sm_120", with ":N" for another number of multiprocessors. nullptr: as
// the environment variable LNGD_SIMT_DEVICE names it, or, without one, sm_80 with few multiprocessors. Returns whether
// there is such a device. What was asked for kernels before is forgotten.
bool set_device(const char* name);
// The first kernel since then whose code was not loaded before it was launched (cudaFuncGetAttributes does that); ""
// where there was none. Such a launch breaks a capture.
std::string first_late_kernel();

struct Live {
  int device_allocations, host_allocations, streams, events, graphs;
  size_t device_bytes;
};
Live live();

// Catches accesses to guard pages inside kernels as reports, instead of dying. Installs a SIGSEGV handler: for test
// programs only, never inside a JVM.
void catch_guard_pages();

struct Counters {
  long long launches, blocks, switches, mma;
};
Counters counters();

} // namespace simt
#endif
