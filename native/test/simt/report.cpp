// SPDX-License-Identifier: Apache-2.0
// Reports, source lines of return addresses, and guard pages as reports.
#include <dlfcn.h>
#include <elf.h>
#include <signal.h>
#include <ucontext.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <utility>

#include "emulator.hpp"

namespace simt {
namespace {

std::vector<Report> reports;
bool failed_since_reset = false;

// "file:line" of the call, from addr2line: the innermost function that is not the emulator's own header.
std::string look_up(const void* return_address) {
  Dl_info info;
  if (!dladdr(return_address, &info) || !info.dli_fname) return "an unknown place";
  const uintptr_t base = reinterpret_cast<uintptr_t>(info.dli_fbase);
  uintptr_t pc = reinterpret_cast<uintptr_t>(return_address) - 1; // inside the call
  if (static_cast<const Elf64_Ehdr*>(info.dli_fbase)->e_type == ET_DYN) pc -= base;
  char command[4400], line[4096];
  std::snprintf(command, sizeof command, "addr2line -i -e '%s' 0x%zx 2>/dev/null", info.dli_fname,
                static_cast<size_t>(pc));
  std::string found;
  if (FILE* const pipe = popen(command, "r")) {
    while (std::fgets(line, sizeof line, pipe)) {
      if (!found.empty() || std::strstr(line, "device_emulated.h") || std::strstr(line, "simt.cuh")) continue;
      const char* const slash = std::strrchr(line, '/');
      found = slash ? slash + 1 : line;
      found = found.substr(0, found.find_first_of(" \n"));
    }
    pclose(pipe);
  }
  if (!found.empty() && found[0] != '?') return found;
  std::snprintf(line, sizeof line, "address 0x%zx", static_cast<size_t>(pc));
  return line;
}

char signal_stack[64 * 1024];
struct sigaction previous;
const void* fault_address;
const void* fault_pc;

void report_fault() {
  const Allocation* const a = find_allocation(fault_address, true);
  const char* const p = static_cast<const char*>(fault_address);
  std::string where = "an address that is no device memory";
  if (a)
    where = "an address " + std::to_string(p - a->base) + " bytes into an allocation of " + std::to_string(a->bytes) +
            " bytes";
  if (block.shared && p >= block.shared && p < block.shared + block.shared_bytes + 8192)
    where = "byte " + std::to_string(p - block.shared) + " of " + std::to_string(block.shared_bytes) +
            " bytes of dynamic shared memory";
  report(Kind::Bounds,
         thread_name(current->id) + " touches " + where + " at " + source_line(static_cast<const char*>(fault_pc) + 1));
}

// Goes on in report_fault instead of the faulting instruction, on the fiber's stack; that never returns.
void on_fault(int signal, siginfo_t* info, void* context) {
  if (!current) {
    sigaction(SIGSEGV, &previous, nullptr);
    return;
  }
  (void)signal;
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  fault_address = info->si_addr;
  fault_pc = reinterpret_cast<void*>(registers[REG_RIP]);
  registers[REG_RSP] = (registers[REG_RSP] - 1024) / 16 * 16 - 8;
  registers[REG_RIP] = reinterpret_cast<greg_t>(&report_fault);
}

} // namespace

const char* name(Kind kind) {
  switch (kind) {
    case Kind::Divergence:
      return "barrier divergence";
    case Kind::Bounds:
      return "out of bounds";
    case Kind::Index:
      return "array index";
    case Kind::Misaligned:
      return "misaligned address";
    case Kind::Race:
      return "race";
    case Kind::BlockRace:
      return "race between blocks";
    case Kind::Uninitialised:
      return "uninitialised read";
    case Kind::PendingCopy:
      return "cp.async not waited for";
    case Kind::Usage:
      return "not allowed";
  }
  return "?";
}

// Memory that the abandoned threads held on the host's heap is lost; kernels hold none.
void report(Kind kind, const std::string& text) {
  reports.push_back({kind, std::string(name(kind)) + ": " + text});
  failed_since_reset = true;
  if (current) abandon_launch();
}

std::vector<Report> take_reports() {
  failed_since_reset = false;
  return std::exchange(reports, {});
}

const char* first_report() { return reports.empty() ? nullptr : reports.front().text.c_str(); }

bool any_report() { return failed_since_reset; }

std::string source_line(const void* return_address) {
  static std::map<const void*, std::string> known;
  const auto found = known.find(return_address);
  if (found != known.end()) return found->second;
  return known[return_address] = look_up(return_address);
}

// One line of source may be compiled to several calls.
bool same_line(const void* a, const void* b) { return source_line(a) == source_line(b); }

std::string thread_name(int thread) {
  return "thread " + std::to_string(thread) + " of block " + std::to_string(block.linear);
}

void catch_guard_pages() {
  static bool caught = false;
  if (std::exchange(caught, true)) return;
  stack_t stack{};
  stack.ss_sp = signal_stack;
  stack.ss_size = sizeof signal_stack;
  sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigaction(SIGSEGV, &action, &previous);
}

} // namespace simt
