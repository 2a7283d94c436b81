// SPDX-License-Identifier: Apache-2.0
// What g++ calls from code compiled with -fsanitize=thread, bounds-strict and alignment, when the sanitizers' own
// libraries are not linked: every access of a kernel arrives at the checker, with no change to the kernel's source.
#include <cstdio>
#include <cstdlib>

#include "emulator.hpp"

using simt::checker_access;

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
// The guard of a function's static variable, in host code.
unsigned char __tsan_atomic8_load(const volatile unsigned char* p, int) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }

#define SIMT_ACCESS(name, bytes, access) \
  void name(void* p) { checker_access(p, bytes, access, SIMT_SITE); }
#define SIMT_ACCESSES(bytes)                                   \
  SIMT_ACCESS(__tsan_read##bytes, bytes, simt::Read)           \
  SIMT_ACCESS(__tsan_write##bytes, bytes, simt::Write)         \
  SIMT_ACCESS(__tsan_unaligned_read##bytes, bytes, simt::Read) \
  SIMT_ACCESS(__tsan_unaligned_write##bytes, bytes, simt::Write)
SIMT_ACCESSES(1)
SIMT_ACCESSES(2)
SIMT_ACCESSES(4)
SIMT_ACCESSES(8)
SIMT_ACCESSES(16)

void __tsan_read_range(void* p, size_t bytes) { checker_access(p, bytes, simt::Read, SIMT_SITE); }
void __tsan_write_range(void* p, size_t bytes) { checker_access(p, bytes, simt::Write, SIMT_SITE); }

struct SourceLocation {
  const char* file;
  uint32_t line, column;
};

static void fault(simt::Kind kind, const SourceLocation& where, const std::string& what) {
  const char* const slash = std::strrchr(where.file, '/');
  const std::string text = what + " at " + (slash ? slash + 1 : where.file) + ":" + std::to_string(where.line);
  if (simt::current) simt::report(kind, simt::thread_name(simt::current->id) + ": " + text);
  std::fprintf(stderr, "host code of a kernel file: %s\n", text.c_str());
  std::abort();
}

// The layouts that GCC 12 emits; the first member is all that is read of most.
[[noreturn]] void __ubsan_handle_out_of_bounds_abort(SourceLocation* where, uintptr_t index) {
  fault(simt::Kind::Index, *where,
        "index " + std::to_string(static_cast<intptr_t>(index)) + " is outside of the array");
  std::abort();
}

[[noreturn]] void __ubsan_handle_type_mismatch_v1_abort(SourceLocation* where, uintptr_t address) {
  const unsigned char log_alignment =
      *(reinterpret_cast<unsigned char*>(where) + sizeof(SourceLocation) + sizeof(void*));
  const unsigned alignment = 1u << log_alignment;
  fault(simt::Kind::Misaligned, *where,
        "an address " + std::to_string(address % alignment) + " bytes off a multiple of " + std::to_string(alignment));
  std::abort();
}

} // extern "C"
