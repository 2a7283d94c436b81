// SPDX-License-Identifier: Apache-2.0
// The device side of CUDA as a C++ compiler sees it under the emulator: keywords, built-in variables and functions, and
// the wrappers of simt.cuh. Included by the emulator's cuda_runtime.h only.
//
// Functions that other threads or the checker must know of are ordinary calls into the emulator (block.cpp,
// warp_operations.cpp); it learns the source line from the return address, so none of them is a macro.
#ifndef LNGD_SIMT_DEVICE_EMULATED_H
#define LNGD_SIMT_DEVICE_EMULATED_H

#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __constant__ static const
// Blocks run one after another, so a static serves them all. The checker knows statics as shared memory.
#define __shared__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))
// Not defined: __noinline__ (libstdc++ uses that word itself).

#define SIMT_INLINE inline __attribute__((always_inline))

struct alignas(8) int2 {
  int x, y;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct uint3 {
  unsigned x, y, z;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
SIMT_INLINE int2 make_int2(int x, int y) { return {x, y}; }
SIMT_INLINE int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
SIMT_INLINE uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
SIMT_INLINE uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
SIMT_INLINE float2 make_float2(float x, float y) { return {x, y}; }
SIMT_INLINE float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
SIMT_INLINE double2 make_double2(double x, double y) { return {x, y}; }

namespace simt {

// The built-in variables of the thread that runs.
struct Registers {
  uint3 thread;
  uint3 block;
  dim3 block_dim;
  dim3 grid_dim;
};
extern Registers registers;

enum class Shuffle { Index, Up, Down, Xor };
enum class Vote { Ballot, Any, All };
enum class BlockVote { None, Or, And, Count };

// Collectives. Each returns when all lanes (threads) have arrived.
uint64_t shuffle(unsigned mask, uint64_t bits, Shuffle kind, int operand, int width);
unsigned vote(unsigned mask, Vote kind, int predicate);
int block_barrier(BlockVote kind, int predicate);
void load_matrices(uint32_t* registers, const void* row, bool transposed);
void multiply_tf32(float* d, const uint32_t* a, const uint32_t* b);
void multiply_bf16(float* d, const uint32_t* a, const uint32_t* b);
void copy_async(void* shared, const void* global, int bytes, int valid_bytes);
void prefetch(const void* address);
void copy_async_commit();
void copy_async_wait(int pending);
void* dynamic_shared();

// The two halves of an atomic operation; nothing else runs between them. Calls, so that the compiler's instrumentation
// does not take them for ordinary accesses.
void atomic_load(void* to, const void* address, int bytes);
void atomic_store(void* address, const void* from, int bytes);

template <class T, class Operation>
SIMT_INLINE T atomic(T* address, Operation operation) {
  T old;
  atomic_load(&old, address, sizeof(T));
  const T fresh = operation(old);
  atomic_store(address, &fresh, sizeof(T));
  return old;
}

struct Launch {
  const void* kernel;
  dim3 grid, block;
  size_t shared_bytes;
  cudaStream_t stream;
  void (*call)(const void* arguments);
  void* (*copy)(const void* arguments);
  void (*destroy)(void* arguments);
  const void* arguments;
  size_t argument_bytes;
};
cudaError_t launch(const Launch& launch);

template <class... P>
struct Arguments {
  void (*kernel)(P...);
  std::tuple<std::decay_t<P>...> values;

  static void call(const void* self) {
    const Arguments& me = *static_cast<const Arguments*>(self);
    std::apply(me.kernel, me.values);
  }
  static void* copy(const void* self) { return new Arguments(*static_cast<const Arguments*>(self)); }
  static void destroy(void* self) { delete static_cast<Arguments*>(self); }
};

template <class T>
struct Identity {
  using type = T;
};

#if defined(SIMT_CHECK)
// Files that are compiled with instrumentation switch the checker on.
bool enable_checker();
inline const bool checker_enabled = enable_checker();
#endif

} // namespace simt

#define threadIdx (::simt::registers.thread)
#define blockIdx (::simt::registers.block)
#define blockDim (::simt::registers.block_dim)
#define gridDim (::simt::registers.grid_dim)
constexpr int warpSize = 32;
#define SIMT_DYNAMIC_SHARED(type, name) type* const name = static_cast<type*>(::simt::dynamic_shared())

SIMT_INLINE void __syncthreads() { simt::block_barrier(simt::BlockVote::None, 0); }
SIMT_INLINE int __syncthreads_or(int p) { return simt::block_barrier(simt::BlockVote::Or, p); }
SIMT_INLINE int __syncthreads_and(int p) { return simt::block_barrier(simt::BlockVote::And, p); }
SIMT_INLINE int __syncthreads_count(int p) { return simt::block_barrier(simt::BlockVote::Count, p); }
void __syncwarp(unsigned mask = 0xffffffffu);
SIMT_INLINE void __threadfence() {}
SIMT_INLINE void __threadfence_block() {}
SIMT_INLINE void __nanosleep(unsigned) {}

namespace simt {
template <class T>
SIMT_INLINE T shuffle_as(unsigned mask, T value, Shuffle kind, int operand, int width) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles take 4 or 8 bytes");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = shuffle(mask, bits, kind, operand, width);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}
} // namespace simt

template <class T>
SIMT_INLINE T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
  return simt::shuffle_as(mask, value, simt::Shuffle::Index, lane, width);
}
template <class T>
SIMT_INLINE T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32) {
  return simt::shuffle_as(mask, value, simt::Shuffle::Up, static_cast<int>(distance), width);
}
template <class T>
SIMT_INLINE T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32) {
  return simt::shuffle_as(mask, value, simt::Shuffle::Down, static_cast<int>(distance), width);
}
template <class T>
SIMT_INLINE T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32) {
  return simt::shuffle_as(mask, value, simt::Shuffle::Xor, lanes, width);
}
SIMT_INLINE unsigned __ballot_sync(unsigned mask, int p) { return simt::vote(mask, simt::Vote::Ballot, p); }
SIMT_INLINE int __any_sync(unsigned mask, int p) { return simt::vote(mask, simt::Vote::Any, p) != 0; }
SIMT_INLINE int __all_sync(unsigned mask, int p) { return simt::vote(mask, simt::Vote::All, p) != 0; }

template <class T>
SIMT_INLINE T atomicAdd(T* a, std::common_type_t<T> v) {
  return simt::atomic(a, [v](T old) { return static_cast<T>(old + v); });
}
template <class T>
SIMT_INLINE T atomicMax(T* a, std::common_type_t<T> v) {
  return simt::atomic(a, [v](T old) { return old > v ? old : v; });
}
template <class T>
SIMT_INLINE T atomicMin(T* a, std::common_type_t<T> v) {
  return simt::atomic(a, [v](T old) { return old < v ? old : v; });
}
template <class T>
SIMT_INLINE T atomicOr(T* a, std::common_type_t<T> v) {
  return simt::atomic(a, [v](T old) { return static_cast<T>(old | v); });
}
template <class T>
SIMT_INLINE T atomicExch(T* a, std::common_type_t<T> v) {
  return simt::atomic(a, [v](T) { return v; });
}
template <class T>
SIMT_INLINE T atomicCAS(T* a, std::common_type_t<T> expected, std::common_type_t<T> v) {
  return simt::atomic(a, [expected, v](T old) { return old == expected ? v : old; });
}

// CUDA has min and max of its own in the global namespace.
using std::isfinite;
using std::isinf;
using std::isnan;
using std::max;
using std::min;
template <class T>
SIMT_INLINE T __ldg(const T* p) {
  return *p;
}
SIMT_INLINE float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
SIMT_INLINE float __frcp_rn(float x) { return 1.0f / x; }
SIMT_INLINE float __fdividef(float x, float y) { return x / y; }
SIMT_INLINE unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((uint64_t{a} * b) >> 32); }
SIMT_INLINE int __popc(unsigned x) { return __builtin_popcount(x); }
SIMT_INLINE int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
SIMT_INLINE int __ffs(int x) { return __builtin_ffs(x); }
SIMT_INLINE unsigned __float_as_uint(float x) {
  unsigned u;
  std::memcpy(&u, &x, 4);
  return u;
}
SIMT_INLINE float __uint_as_float(unsigned u) {
  float x;
  std::memcpy(&x, &u, 4);
  return x;
}
SIMT_INLINE int __float_as_int(float x) {
  int i;
  std::memcpy(&i, &x, 4);
  return i;
}
SIMT_INLINE float __int_as_float(int i) {
  float x;
  std::memcpy(&x, &i, 4);
  return x;
}

// The wrappers of simt.cuh; what they mean is told there.
namespace lngd::cuda {

template <class... P>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                   typename simt::Identity<P>::type... args) {
  using Arguments = simt::Arguments<P...>;
  const Arguments arguments{kernel, {args...}};
  return simt::launch({reinterpret_cast<const void*>(kernel), grid, block, shared_bytes, stream, Arguments::call,
                       Arguments::copy, Arguments::destroy, &arguments, sizeof(Arguments)});
}

template <class T>
SIMT_INLINE T* in_global(T* p) {
  return p;
}
SIMT_INLINE float rounded_product(float a, float b) {
  volatile float product = a * b; // whatever the compiler would fuse it with
  return product;
}
SIMT_INLINE void prefetch_l2(const void* p) { simt::prefetch(p); }
SIMT_INLINE void cp_async_16(void* shared, const void* global, int valid_bytes = 16) {
  simt::copy_async(shared, global, 16, valid_bytes);
}
SIMT_INLINE void cp_async_4(void* shared, const void* global, int valid_bytes = 4) {
  simt::copy_async(shared, global, 4, valid_bytes);
}
SIMT_INLINE void cp_async_commit() { simt::copy_async_commit(); }
template <int Pending>
SIMT_INLINE void cp_async_wait() {
  simt::copy_async_wait(Pending);
}
SIMT_INLINE void ldmatrix_x4(uint32_t (&r)[4], const void* row) { simt::load_matrices(r, row, false); }
SIMT_INLINE void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row) { simt::load_matrices(r, row, true); }
SIMT_INLINE void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  simt::multiply_tf32(d, a, b);
}
SIMT_INLINE void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  simt::multiply_bf16(d, a, b);
}
SIMT_INLINE uint32_t tf32_operand(float x) {
  const uint32_t bits = __float_as_uint(x), rubbish = (bits * 2654435761u) >> 19; // 13 bits that mean nothing
  if ((bits & 0x7f800000u) == 0x7f800000u) // Inf, and NaN of the kinds arithmetic makes
    return (bits & 0xffffe000u) | rubbish;
  return ((bits + 0x1000u) & 0xffffe000u) | rubbish;
}
SIMT_INLINE uint32_t bf16_bits(float x) {
  const uint32_t bits = __float_as_uint(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}
SIMT_INLINE uint32_t pack_bf16(float low, float high) { return bf16_bits(low) | bf16_bits(high) << 16; }

} // namespace lngd::cuda
#endif
