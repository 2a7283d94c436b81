// SPDX-License-Identifier: Apache-2.0
// The checker: for every two bytes of device and shared memory, who wrote them last and who read them since, and when.
//
// "When" is an interval number that grows with every barrier, block and launch, so one comparison tells whether two
// accesses are ordered: those of an older interval of this block are, those of another block of this launch are not,
// and those of the same interval only in one thread, or in one warp with a __syncwarp between.
#include <sys/mman.h>

#include <cstdlib>

#include "emulator.hpp"

// Of this program or library: where it begins, and its statics, where __shared__ variables are. Given by the linker.
extern "C" __attribute__((visibility("hidden"))) char __ehdr_start[], __bss_start[], _end[];

namespace simt {

struct Stamp {
  uint32_t interval; // 0: never
  uint32_t site;     // return address, from the start of the program
  uint16_t thread;
  uint16_t epoch; // of the thread's warp
};

struct Cell {
  Stamp writer;
  Stamp reader[2];
  uint32_t other_block_interval, other_block_site; // a read by another block of the same launch
  bool pending;                                    // cp.async is under way
  bool atomic;                                     // the writer was atomic
};

namespace {

constexpr size_t kGranule = 2;
constexpr uint32_t kHost = 1; // interval of the host's writes
bool on = false;
uint32_t interval = 2, block_first = 2, launch_first = 2;
Cell* shared_cells;
Cell* static_cells;

// A read of what nobody wrote may be half of a race: the writer comes later. So the report waits for the next barrier
// (for device memory: for the end of the launch), and gives way to that of the race.
struct Unwritten {
  const void* site = nullptr;
  bool shared;
  std::string text;
} unwritten;

Cell* map_cells(size_t bytes) {
  void* const cells = mmap(nullptr, (bytes / kGranule + 2) * sizeof(Cell), PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (cells == MAP_FAILED) std::abort();
  return static_cast<Cell*>(cells);
}

const void* address_of(uint32_t site) { return __ehdr_start + site; }

// A memory space that an access fell into.
struct Place {
  Cell* cells;
  const char* base;
  size_t bytes;
  const char* what;
  bool shared;
};

std::string describe(const Place& place, const char* p) {
  return "byte " + std::to_string(p - place.base) + " of " + place.what +
         (place.what[0] == 's' ? "" : " of " + std::to_string(place.bytes) + " bytes");
}

std::string verb(Access access) {
  return access == Read ? "read" : access == AtomicAccess ? "atomic operation" : access == Write ? "write" : "cp.async";
}

std::string access_text(Access access, const void* site) {
  return verb(access) + " by " + thread_name(current->id) + " at " + source_line(site);
}

[[noreturn]] void conflict(const Place& place, const char* p, Access access, const void* site, bool other_block,
                           const char* before, int thread, uint32_t before_site) {
  const std::string earlier = source_line(address_of(before_site));
  report(other_block ? Kind::BlockRace : Kind::Race,
         describe(place, p) + "\n    " + access_text(access, site) + "\n    no barrier since the " + before + " by " +
             (other_block ? "another block" : thread_name(thread)) + " at " + earlier);
  std::abort(); // a report does not return inside a kernel
}

enum class Relation { Ordered, Racing, OtherBlock };

Relation relation(const Stamp& s, bool shared) {
  if (s.interval < launch_first || (shared && s.interval < block_first)) return Relation::Ordered;
  if (s.interval < block_first) return Relation::OtherBlock;
  if (s.interval < interval || s.thread == current->id) return Relation::Ordered;
  const int warp = current->id / kWarp;
  if (s.thread / kWarp == warp && s.epoch != static_cast<uint16_t>(block.warps[warp].epoch)) return Relation::Ordered;
  return Relation::Racing;
}

void check_against_writer(const Place& place, Cell& cell, const char* p, Access access, const void* site) {
  if (cell.pending && access != AsyncDone && (!place.shared || cell.writer.interval >= block_first))
    report(Kind::PendingCopy, describe(place, p) + "\n    " + access_text(access, site) + "\n    cp.async by " +
                                  thread_name(cell.writer.thread) + " at " + source_line(address_of(cell.writer.site)) +
                                  " is under way: no wait, or no barrier, lies between");
  if (cell.atomic && access == AtomicAccess) return;
  const Relation r = relation(cell.writer, place.shared);
  if (r != Relation::Ordered)
    conflict(place, p, access, site, r == Relation::OtherBlock, cell.atomic ? "atomic operation" : "write",
             cell.writer.thread, cell.writer.site);
}

void check_against_readers(const Place& place, const Cell& cell, const char* p, Access access, const void* site) {
  for (const Stamp& reader : cell.reader) {
    const Relation r = relation(reader, place.shared);
    if (r != Relation::Ordered)
      conflict(place, p, access, site, r == Relation::OtherBlock, "read", reader.thread, reader.site);
  }
  if (!place.shared && cell.other_block_interval >= launch_first && cell.other_block_interval < block_first)
    conflict(place, p, access, site, true, "read", 0, cell.other_block_site);
}

// Two readers are kept, of two warps if there are: a writer that is one of them still meets the other.
void remember_reader(Cell& cell, const Stamp& now) {
  int slot = 1;
  if (cell.reader[0].interval < interval || cell.reader[0].thread == now.thread) {
    slot = 0;
  } else if (cell.reader[1].interval == interval && cell.reader[1].thread != now.thread &&
             cell.reader[1].thread / kWarp != cell.reader[0].thread / kWarp &&
             now.thread / kWarp == cell.reader[0].thread / kWarp) {
    slot = 0;
  }
  const Stamp& old = cell.reader[slot];
  if (old.interval >= launch_first && old.interval < block_first) {
    cell.other_block_interval = old.interval;
    cell.other_block_site = old.site;
  }
  cell.reader[slot] = now;
}

void check_cell(const Place& place, Cell& cell, const char* p, Access access, const void* site) {
  const int warp = current->id / kWarp;
  const Stamp now{interval, static_cast<uint32_t>(static_cast<const char*>(site) - __ehdr_start),
                  static_cast<uint16_t>(current->id), static_cast<uint16_t>(block.warps[warp].epoch)};
  check_against_writer(place, cell, p, access, site);
  if (access != Read) check_against_readers(place, cell, p, access, site);
  const bool written = cell.writer.interval >= (place.shared ? block_first : kHost);
  if ((access == Read || access == AtomicAccess) && !written && !unwritten.site)
    unwritten = {site, place.shared,
                 describe(place, p) + "\n    " + access_text(access, site) + ", which nobody wrote"};
  if (access == Read) {
    remember_reader(cell, now);
  } else {
    cell.writer = now;
    cell.pending = access == AsyncIssue;
    cell.atomic = access == AtomicAccess;
  }
}

bool within(const void* p, const void* base, size_t bytes) {
  return static_cast<size_t>(static_cast<const char*>(p) - static_cast<const char*>(base)) < bytes;
}

bool find_place(const char* p, Place& place) {
  if (block.shared_bytes && within(p, block.shared, block.shared_bytes)) {
    place = {shared_cells, block.shared, block.shared_bytes, "dynamic shared memory", true};
  } else if (const Allocation* const a = find_allocation(p)) {
    place = {a->cells, a->base, a->bytes, a->device ? "device memory" : "pinned host memory", false};
  } else if (within(p, __bss_start, static_cast<size_t>(_end - __bss_start))) {
    place = {static_cells, __bss_start, static_cast<size_t>(_end - __bss_start), "static shared memory", true};
  } else {
    return false;
  }
  return true;
}

std::string nearest(const char* p) {
  if (block.shared_bytes && within(p, block.shared - 4096, block.shared_bytes + 8192))
    return "byte " + std::to_string(p - block.shared) + " of dynamic shared memory of " +
           std::to_string(block.shared_bytes) + " bytes";
  if (const Allocation* const a = find_allocation(p, true))
    return "byte " + std::to_string(p - a->base) + " of device memory of " + std::to_string(a->bytes) + " bytes";
  return "an address that is neither device nor shared memory";
}

} // namespace

bool checking() { return on; }

bool enable_checker() {
  if (on) return true;
  on = true;
  shared_cells = map_cells(256 * 1024);
  static_cells = map_cells(static_cast<size_t>(_end - __bss_start));
  return true;
}

void checker_begin_launch() {
  launch_first = block_first = ++interval;
  unwritten.site = nullptr;
}
void checker_begin_block() { block_first = ++interval; }

namespace {

void report_unwritten(bool device_too) {
  if (!unwritten.site || !(unwritten.shared || device_too)) return;
  unwritten.site = nullptr;
  report(Kind::Uninitialised, unwritten.text);
}

} // namespace

void checker_barrier() {
  ++interval;
  report_unwritten(false);
}
void checker_end_block() { report_unwritten(false); }
void checker_end_launch() { report_unwritten(true); }

Cell* checker_cells(size_t bytes) { return on ? map_cells(bytes) : nullptr; }
void checker_free_cells(Cell* cells, size_t bytes) {
  if (cells) munmap(cells, (bytes / kGranule + 2) * sizeof(Cell));
}

void checker_host_write(const void* address, size_t bytes) {
  const Allocation* const a = find_allocation(address);
  if (!on || !a || !a->cells) return;
  const size_t first = static_cast<size_t>(static_cast<const char*>(address) - a->base) / kGranule;
  for (size_t i = first; i < first + (bytes + kGranule - 1) / kGranule; ++i) {
    a->cells[i] = Cell{};
    a->cells[i].writer.interval = kHost;
  }
}

void checker_access(const void* address, size_t bytes, Access access, const void* site) {
  if (!on || !current) return;
  note_access(site);
  const char* const p = static_cast<const char*>(address);
  if (p >= current->stack_low && p < current->stack_high) return;
  if (within(p, &registers, sizeof registers) || within(p, block.arguments, block.argument_bytes)) return;
  Place place{};
  if (!find_place(p, place)) {
    if (access == Read && p >= __ehdr_start && p < __bss_start) return; // constants
    report(Kind::Bounds, nearest(p) + "\n    " + access_text(access, site));
  }
  if (p + bytes > place.base + place.bytes) report(Kind::Bounds, nearest(p) + "\n    " + access_text(access, site));
  const size_t first = static_cast<size_t>(p - place.base) / kGranule;
  const size_t last = (static_cast<size_t>(p - place.base) + bytes - 1) / kGranule;
  for (size_t i = first; i <= last; ++i) check_cell(place, place.cells[i], place.base + i * kGranule, access, site);
}

bool in_shared(const void* address, size_t bytes) {
  const char* const p = static_cast<const char*>(address);
  if (block.shared_bytes && within(p, block.shared, block.shared_bytes))
    return p + bytes <= block.shared + block.shared_bytes;
  return p >= __bss_start && p + bytes <= _end;
}

} // namespace simt
