// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu/cpu_info.h"

#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "backend/cpu/blas.h"

namespace lngd::cpu {
namespace {

bool supported(Level level) {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  return level == Level::kPortable || (level == Level::kAvx2 ? avx2 : avx512);
#else
  return level == Level::kPortable;
#endif
}

std::string brand() {
#if defined(__x86_64__)
  unsigned int words[12] = {};
  for (unsigned int i = 0; i < 3; ++i)
    if (!__get_cpuid(0x80000002u + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2], &words[4 * i + 3]))
      return "unknown";
  char text[sizeof words + 1] = {};
  std::memcpy(text, words, sizeof words);
  std::string name(text);
  name.erase(name.find_last_not_of(' ') + 1);
  return name;
#else
  return "unknown";
#endif
}

std::string features() {
  std::string list;
#if defined(__x86_64__)
#define LNGD_FEATURE(name) \
  if (__builtin_cpu_supports(name)) list += (list.empty() ? "" : " ") + std::string(name);
  LNGD_FEATURE("sse4.2")
  LNGD_FEATURE("avx")
  LNGD_FEATURE("fma")
  LNGD_FEATURE("avx2")
  LNGD_FEATURE("avx512f")
  LNGD_FEATURE("avx512dq")
  LNGD_FEATURE("avx512bw")
  LNGD_FEATURE("avx512vl")
  LNGD_FEATURE("avx512vnni")
  LNGD_FEATURE("avx512bf16")
#undef LNGD_FEATURE
#endif
  return list;
}

template <size_t N>
void copy(char (&to)[N], const std::string& from) {
  std::snprintf(to, N, "%s", from.c_str());
}

} // namespace

const char* level_name(Level level) {
  return level == Level::kAvx512 ? "avx512" : level == Level::kAvx2 ? "avx2" : "portable";
}

bool choose_level(Level& level, char* reason, size_t reason_bytes) {
  const char* forced = std::getenv("LNGD_CPU");
  for (const Level candidate : {Level::kAvx512, Level::kAvx2, Level::kPortable}) {
    if (forced && *forced && std::strcmp(forced, level_name(candidate)) != 0) continue;
    if (!supported(candidate)) {
      if (!forced || !*forced) continue;
      std::snprintf(reason, reason_bytes, "LNGD_CPU is \"%s\", which this processor does not support", forced);
      return false;
    }
    level = candidate;
    return true;
  }
  std::snprintf(reason, reason_bytes, "LNGD_CPU is \"%s\", allowed is avx512, avx2 or portable", forced);
  return false;
}

int32_t default_threads() {
  if (const char* text = std::getenv("LNGD_NUM_THREADS")) {
    char* end;
    const long value = std::strtol(text, &end, 10);
    if (end != text && *end == '\0' && value >= 1 && value <= 1024) return static_cast<int32_t>(value);
  }
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::clamp(CPU_COUNT(&set), 1, 1024);
  return 1;
}

void describe(lngd_backend_description& out) {
  Level level;
  char ignored[8];
  if (choose_level(level, ignored, sizeof ignored)) copy(out.instruction_set, level_name(level));
  copy(out.cpu_model, brand());
  copy(out.cpu_features, features());
  out.default_threads = default_threads();
  std::string reason;
  if (!load_blas(nullptr, reason)) return;
  copy(out.blas, blas()->config);
  copy(out.blas_core, blas()->core);
  const std::string& path = blas()->path;
  const size_t room = sizeof out.blas_path - 1;
  copy(out.blas_path, path.size() <= room ? path : path.substr(path.size() - room));
}

} // namespace lngd::cpu
