// SPDX-License-Identifier: Apache-2.0
// Functions that every backend compiles into its own kernels.
#ifndef LNGD_BACKEND_PORTABLE_H
#define LNGD_BACKEND_PORTABLE_H

// Always inlined: the CPU kernels compile them once for each instruction set, and an out-of-line copy could be the
// wrong one. nvcc compiles them for the device as well.
#if defined(__CUDACC__)
#define LNGD_INLINE __host__ __device__ __forceinline__
#else
#define LNGD_INLINE [[gnu::always_inline]] inline
#endif

#endif
