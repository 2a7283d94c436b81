// SPDX-License-Identifier: Apache-2.0
// Entry points of data-parallel training: the sums of the coming update, out and in.
#include "abi/guard.h"
#include "abi/handles.h"

using namespace lngd;      // NOLINT: entry points only
using namespace lngd::abi; // NOLINT

extern "C" {

lngd_status lngd_get_sums(const lngd_optimizer* handle, lngd_sums* out) {
  return guard([&] {
    require_struct(out, "out");
    *out = Locked(handle).optimizer().sums();
  });
}

lngd_status lngd_sum_range(const lngd_optimizer* handle, int32_t layer, int32_t sum, int64_t* offset, int64_t* count) {
  return guard([&] {
    require_pointer(offset, "offset");
    require_pointer(count, "count");
    const SumRange range = Locked(handle).optimizer().sum_range(layer, sum);
    *offset = range.offset;
    *count = range.count;
  });
}

lngd_status lngd_sums_close(lngd_optimizer* handle) {
  return guard([&] { Locked(handle).optimizer().close_sums(); });
}

lngd_status lngd_sums_reduced(lngd_optimizer* handle) {
  return guard([&] { Locked(handle).optimizer().take_reduced_sums(); });
}

lngd_status lngd_set_reduction(lngd_optimizer* handle, int32_t needed) {
  return guard([&] { Locked(handle).optimizer().set_reduction(needed); });
}

lngd_status lngd_set_sample_offset(lngd_optimizer* handle, int64_t offset) {
  return guard([&] { Locked(handle).optimizer().set_sample_offset(offset); });
}

} // extern "C"
