// SPDX-License-Identifier: Apache-2.0
// Memory of the CPU backend.
#ifndef LNGD_BACKEND_CPU_MEMORY_H
#define LNGD_BACKEND_CPU_MEMORY_H

#include <cstddef>
#include <cstdint>

namespace lngd::cpu {

// Bytes that this process can still touch before the kernel kills somebody for want of memory: what /proc/meminfo calls
// available, with free swap, or less where a control group (v1 or v2) says so. INT64_MAX where nothing can be read.
int64_t available_memory();

// Cache-line aligned, nullptr where memory runs out; for std::free. Large requests ask for huge pages: columns of tiles
// and of matrices lie pages apart, and the second-level TLB has 2048 entries of 4 KiB for a matrix of 85 MB. And they
// ask what is available first: Linux hands out addresses for more memory than there is, and kills the process when it
// touches them.
void* allocate_aligned(size_t bytes);

} // namespace lngd::cpu
#endif
