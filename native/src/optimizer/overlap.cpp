// SPDX-License-Identifier: Apache-2.0
#include "optimizer/overlap.h"

#include <algorithm>
#include <tuple>

#include "optimizer/error.h"

namespace lngd {
namespace {

[[noreturn]] void refuse(const Extent& a, const Extent& b) {
  fail(LNGD_INVALID_ARGUMENT, "bindings[", b.binding, "].", b.field, " overlaps bindings[", a.binding, "].", a.field,
       " in memory, allowed is memory of its own for what is written");
}

} // namespace

Extent extent(const Strided& view, int64_t rows, int64_t columns, bool written, int32_t binding, const char* field) {
  const int64_t r = view.rs * (rows - 1), c = view.cs * (columns - 1);
  const int64_t low = std::min<int64_t>(r, 0) + std::min<int64_t>(c, 0);
  const int64_t high = std::max<int64_t>(r, 0) + std::max<int64_t>(c, 0) + 1;
  const char* base = reinterpret_cast<const char*>(view.data);
  return {base + low * 4, base + high * 4, high - low == rows * columns, written, binding, field};
}

// In the order of their first bytes: an overlap of two compact tensors is then one with that of those before which
// reaches furthest.
void require_disjoint(std::vector<Extent>& extents) {
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return std::tie(a.low, a.binding) < std::tie(b.low, b.binding); });
  const Extent *furthest = nullptr, *furthest_written = nullptr; // compact ones
  const Extent *same = nullptr, *same_written = nullptr;         // with the first byte of the one before
  for (const Extent& e : extents) {
    if (!same || same->low != e.low) same = same_written = nullptr;
    if (same && (e.written || same_written)) refuse(e.written ? *same : *same_written, e);
    if (!same) same = &e;
    if (e.written) same_written = &e;
    if (!e.compact) continue;
    if (e.written && furthest && e.low < furthest->high) refuse(*furthest, e);
    if (furthest_written && e.low < furthest_written->high) refuse(*furthest_written, e);
    if (!furthest || e.high > furthest->high) furthest = &e;
    if (e.written && (!furthest_written || e.high > furthest_written->high)) furthest_written = &e;
  }
}

} // namespace lngd
