// SPDX-License-Identifier: Apache-2.0
// Entry points of data-parallel training: inverses that are shared among ranks, out and in.
#include "abi/guard.h"
#include "abi/handles.h"

using namespace lngd;      // NOLINT: entry points only
using namespace lngd::abi; // NOLINT

extern "C" {

lngd_status lngd_share_inverses(lngd_optimizer* handle, const int32_t* owners, int32_t count, int32_t rank) {
  return guard([&] { Locked(handle).optimizer().share_inverses(owners, count, rank); });
}

lngd_status lngd_get_inverses(const lngd_optimizer* handle, lngd_inverses* out) {
  return guard([&] {
    require_struct(out, "out");
    *out = Locked(handle).optimizer().inverses();
  });
}

lngd_status lngd_inverse_range(const lngd_optimizer* handle, int32_t owner, int64_t* offset, int64_t* count) {
  return guard([&] {
    require_pointer(offset, "offset");
    require_pointer(count, "count");
    const InversesLayout::Range range = Locked(handle).optimizer().inverse_range(owner);
    *offset = range.offset;
    *count = range.count;
  });
}

lngd_status lngd_inverse_cost(const lngd_optimizer* handle, int32_t layer, double* operations, int64_t* floats) {
  return guard([&] {
    require_pointer(operations, "operations");
    require_pointer(floats, "floats");
    *operations = Locked(handle).optimizer().inverse_cost(layer, *floats);
  });
}

lngd_status lngd_inverses_received(lngd_optimizer* handle) {
  return guard([&] { Locked(handle).optimizer().take_inverses(); });
}

} // extern "C"
