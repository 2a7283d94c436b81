// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>

namespace lngd::cpu {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kAskFirst = size_t{64} << 20; // below it the question costs more than it saves
constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max();

// The number behind `key` of a file of "key number" lines, or the first number of the file where key is "". kUnknown
// where there is none ("max", in a control group, is none).
int64_t number_of(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string word;
  int64_t value = 0;
  if (key.empty()) return file >> value ? value : kUnknown;
  while (file >> word)
    if (word == key) return file >> value ? value : kUnknown;
  return kUnknown;
}

int64_t of_machine() {
  const int64_t available = number_of("/proc/meminfo", "MemAvailable:"), swap = number_of("/proc/meminfo", "SwapFree:");
  if (available == kUnknown) return kUnknown;
  return (available + (swap == kUnknown ? 0 : swap)) * 1024;
}

// What a control group leaves: its limit less what it uses, but for the file cache, which gives way.
int64_t of_group(const std::string& folder, const char* limit_file, const char* usage_file, const char* cache_key) {
  const int64_t limit = number_of(folder + limit_file, ""), used = number_of(folder + usage_file, "");
  if (limit == kUnknown || used == kUnknown) return kUnknown;
  const int64_t cache = number_of(folder + "/memory.stat", cache_key);
  return std::max<int64_t>(0, limit - used + (cache == kUnknown ? 0 : cache));
}

// A line is number:controllers:path. Inside of a container the path may be the host's, and the files those of the root.
int64_t of_groups() {
  int64_t least = kUnknown;
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool v2 = controllers == ",,";
    if (!v2 && controllers.find(",memory,") == std::string::npos) continue;
    const std::string root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    for (const std::string& folder : {root + line.substr(second + 1), root})
      least = std::min(
          least, v2 ? of_group(folder, "/memory.max", "/memory.current", "inactive_file")
                    : of_group(folder, "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file"));
  }
  return least;
}

} // namespace

int64_t available_memory() {
  try {
    return std::min(of_machine(), of_groups());
  } catch (...) { // no memory for a line
    return kUnknown;
  }
}

void* allocate_aligned(size_t bytes) {
  constexpr size_t kLine = 64;
  const bool large = bytes >= 2 * kHugePage;
  const size_t unit = large ? kHugePage : kLine, rounded = (bytes + unit - 1) / unit * unit;
  if (rounded < bytes) return nullptr;
  if (rounded >= kAskFirst && rounded > static_cast<size_t>(available_memory())) return nullptr;
  void* const memory = std::aligned_alloc(unit, rounded);
  if (memory && large) madvise(memory, rounded, MADV_HUGEPAGE); // a wish: nothing depends on it
  return memory;
}

} // namespace lngd::cpu
