// SPDX-License-Identifier: Apache-2.0
// What the emulator's own files share. A launch runs its blocks one after another; a block's threads are fibers that
// give way only inside the collectives of device_emulated.h. So no access is ever really concurrent, and the checker
// can tell which ones would be.
#ifndef LNGD_SIMT_EMULATOR_HPP
#define LNGD_SIMT_EMULATOR_HPP

#include "simt.hpp"

namespace simt {

constexpr int kMaxThreads = 1024;
constexpr int kWarp = 32;
constexpr int kMaxPendingCopies = 128;
constexpr int kPathKept = 64;

// Called by functions whose caller's line matters.
#define SIMT_SITE __builtin_extract_return_addr(__builtin_return_address(0))

enum class Wait : unsigned char { Ready, Warp, Block, Done };

struct PendingCopy {
  char* to;
  const char* from;
  const void* site;
  int bytes, valid;
  unsigned group; // number of its group; groups are numbered from 0 in each thread
};

struct Fiber {
  void* stack_pointer;
  char* stack_low;
  char* stack_high;
  const void* site; // where it waits
  const char* what; // in what
  int id;
  Wait wait;
  // Accesses since the lanes of its warp were last together: a hash of their sites, and the first of these.
  uint64_t path;
  int path_length;
  const void* path_begin[kPathKept];
  unsigned groups; // committed
  int copies;
  PendingCopy copy[kMaxPendingCopies];
};

using WarpFunction = void (*)(void* const* operands);

struct Warp {
  int arrived;
  unsigned epoch; // grows with every __syncwarp
  WarpFunction function;
  void* operand[kWarp];
};

// The block that runs now.
struct Block {
  Fiber* fibers;
  int threads;
  int arrived;
  int votes;
  int vote_kind;
  int vote_result;
  uint64_t linear; // its number in the grid
  Warp warps[kMaxThreads / kWarp];
  char* shared; // dynamic; ends (rounded to 16) at a guard page
  size_t shared_bytes;
  const char* arguments;
  size_t argument_bytes;
};

extern Fiber* current; // nullptr outside of kernels: then nothing is checked
extern Block block;

// block.cpp
void run_grid(const Launch& launch);
// `aligned`: an instruction that all lanes must execute as one (.sync.aligned), not only each at some time.
void warp_collective(WarpFunction function, void* operand, const char* what, const void* site, bool aligned = false);
// An access of the running thread. Lanes whose accesses differ have taken different branches.
void note_access(const void* site);
// The lanes of a warp are together again.
void reconverge(int warp);
unsigned random_number();
Order schedule();
// Leaves the kernel for good; from inside a fiber.
[[noreturn]] void abandon_launch();

// memory.cpp
struct Allocation {
  char* base;
  size_t bytes;
  char* map;
  size_t map_bytes;
  bool device;
  struct Cell* cells; // shadow, when the checker is on
};
// The allocation that holds this address, or nullptr. `near`: the one whose guard pages hold it counts as well.
const Allocation* find_allocation(const void* address, bool near = false);
char* map_guarded(size_t bytes, char** map, size_t* map_bytes);
void unmap_guarded(char* map, size_t map_bytes);
Live live_memory();

// report.cpp
// Records the report; inside a kernel it also ends the launch and does not return.
void report(Kind kind, const std::string& text);
std::string source_line(const void* return_address);
bool same_line(const void* a, const void* b);
std::string thread_name(int thread);
bool any_report();
const char* first_report(); // nullptr: none

// checker.cpp: nothing happens there unless the checker is on.
void checker_begin_launch();
void checker_begin_block();
void checker_barrier();
void checker_end_block(); // after its last thread has returned
void checker_end_launch();
enum Access { Read, Write, AtomicAccess, AsyncIssue, AsyncDone };
void checker_access(const void* address, size_t bytes, Access access, const void* site);
void checker_host_write(const void* address, size_t bytes);
struct Cell* checker_cells(size_t bytes);
void checker_free_cells(struct Cell* cells, size_t bytes);

// Shared memory, for operations that want an address there.
bool in_shared(const void* address, size_t bytes);
extern Counters counter;

} // namespace simt
#endif
