// SPDX-License-Identifier: Apache-2.0
// The portability header of the CUDA kernels: everything in a kernel that is not plain CUDA C++ stands here, and inline
// assembly nowhere else. The same .cu files are compiled twice:
//   nvcc                      cuda_runtime.h is CUDA's, the wrappers below are one PTX instruction each;
//   g++ -x c++ -DSIMT_EMU     cuda_runtime.h is that of native/test/simt/include, a SIMT emulator on the CPU that also
//                             holds these wrappers (device_emulated.h), so that every kernel is tested without a GPU.
//
// Rules that the emulator enforces: blocks are multiples of 32 threads, warp functions take the full mask and are
// reached by all 32 lanes, no thread returns before a barrier of its block, shared memory above 48 KB (__shared__
// variables and dynamic together) is asked for with cudaFuncSetAttribute, __shared__ variables stand in kernels and not
// in functions that these call, and the name of a kernel ends in _kernel. test_wrappers.cu compares each wrapper with a
// plain computation, on the emulator and on a GPU.
#ifndef LNGD_BACKEND_CUDA_SIMT_CUH
#define LNGD_BACKEND_CUDA_SIMT_CUH

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#if !defined(SIMT_EMU)

// `type* const name`: the dynamic shared memory of the launch, 16-byte aligned. A macro because `extern __shared__`
// cannot be given a meaning on a CPU. Only one type may be named in a kernel; cast it for others.
#define SIMT_DYNAMIC_SHARED(type, name)                          \
  extern __shared__ __align__(16) unsigned char simt_dynamic_[]; \
  type* const name = reinterpret_cast<type*>(simt_dynamic_)

namespace lngd::cuda {

template <class T>
struct SimtIdentity {
  using type = T;
};

// kernel<<<grid, block, shared_bytes, stream>>>(args...) as a function, with the launch's own error as its result.
// Arguments are converted to the kernel's parameter types, as in a call.
template <class... P>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                   typename SimtIdentity<P>::type... args) {
  void* pointers[] = {const_cast<void*>(static_cast<const void*>(&args))..., nullptr};
  return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block, pointers, shared_bytes, stream);
}

// The same pointer, known to the compiler to lie in global memory: ld.global and st.global instead of the generic ones,
// where it cannot see that itself (a pointer that was read from a table and kept in a struct).
template <class T>
__device__ __forceinline__ T* in_global(T* p) {
  __builtin_assume(__isGlobal(p));
  return p;
}

// a b, rounded: not fused with a sum that it is added to.
__device__ __forceinline__ float rounded_product(float a, float b) { return __fmul_rn(a, b); }

__device__ __forceinline__ uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

// Asks for the sector of 32 bytes that holds this address of global memory to be brought into the second cache. Takes
// no register and no shared memory, and nothing waits for it.
__device__ __forceinline__ void prefetch_l2(const void* p) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(__cvta_generic_to_global(p)));
}

// Copies 16 bytes from global to shared memory without passing through registers; of these, only the first
// `valid_bytes` are read, the rest becomes 0. Both addresses are multiples of 16, also where nothing is read.
__device__ __forceinline__ void cp_async_16(void* shared, const void* global, int valid_bytes = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(valid_bytes)
               : "memory");
}

// The same for 4 bytes: the path for pointers and strides that are not multiples of 16 bytes.
__device__ __forceinline__ void cp_async_4(void* shared, const void* global, int valid_bytes = 4) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(valid_bytes)
               : "memory");
}

// Ends a group of this thread's copies.
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most `Pending` of this thread's youngest groups are under way. Other threads see the copied bytes
// after the next barrier.
template <int Pending>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

// Four 8 x 8 matrices of 16-bit elements (or 8 x 4 of 32-bit ones). Lane l passes the address of row l % 8 of matrix
// l / 8, a multiple of 16 bytes; r[i] gets elements 2 (l % 4), 2 (l % 4) + 1 of row l / 4 of matrix i.
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// The same with each matrix transposed: r[i] gets rows 2 (l % 4), 2 (l % 4) + 1 of column l / 4.
__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// D += A B for A 16 x 8, B 8 x 8, D 16 x 8 on the tensor cores, elements in TF32 (the low 13 bits are ignored),
// accumulated in float with truncation. With g = lane / 4 and t = lane % 4 a lane holds
//   a: A(g, t) A(g+8, t) A(g, t+4) A(g+8, t+4)      b: B(t, g) B(t+4, g)
//   d: D(g, 2t) D(g, 2t+1) D(g+8, 2t) D(g+8, 2t+1)
__device__ __forceinline__ void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// D += A B for A 16 x 16, B 16 x 8 in bfloat16, two elements (the lower index in the low half) in a register:
//   a: A(g, 2t..) A(g+8, 2t..) A(g, 2t+8..) A(g+8, 2t+8..)      b: B(2t.., g) B(2t+8.., g)      d: as above
__device__ __forceinline__ void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Rounded to TF32, to nearest with ties away from zero: without it the tensor cores truncate, which is biased. For
// mma_tf32 and nothing else, which ignores the low 13 bits: PTX does not say what they are (the emulator leaves
// rubbish).
__device__ __forceinline__ uint32_t tf32_operand(float x) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}

// Two floats rounded to bfloat16 (to nearest even), `low` in the low half.
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
  uint32_t bits;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
}

} // namespace lngd::cuda

#endif // !SIMT_EMU

namespace lngd::cuda {

// Once for each kernel and device, before its first launch. Loads its code, which CUDA otherwise does at that launch:
// there it may allocate, and breaks a capture that is under way. And gives leave to `dynamic_bytes` of shared memory;
// an error where the device has less in a block than these and the kernel's __shared__ variables.
template <class... P>
cudaError_t prepare_kernel(void (*kernel)(P...), size_t dynamic_bytes = 0) {
  cudaFuncAttributes attributes;
  const cudaError_t error = cudaFuncGetAttributes(&attributes, kernel);
  if (error != cudaSuccess || dynamic_bytes <= static_cast<size_t>(attributes.maxDynamicSharedSizeBytes)) return error;
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(dynamic_bytes));
}

// The same for several kernels, which want none or the same: the first error.
template <class... Kernels>
cudaError_t prepare_kernels(size_t dynamic_bytes, Kernels... kernels) {
  cudaError_t error = cudaSuccess;
  const auto one = [&](auto kernel) {
    if (error == cudaSuccess) error = prepare_kernel(kernel, dynamic_bytes);
  };
  (one(kernels), ...);
  return error;
}

constexpr unsigned kFullWarp = 0xffffffffu;
constexpr uint32_t kTf32Bits = 0xffffe000u; // of a float: what a tensor core looks at

// The same as a number: the float that the tensor cores see. One more instruction.
__device__ __forceinline__ uint32_t to_tf32(float x) { return tf32_operand(x) & kTf32Bits; }

// x = high + low for 3xTF32, but for 2^-22 of x at most: three instructions. `high` is cut and not rounded, because the
// subtraction needs it as a number: rounded, it would have to be masked as well. The price is in a product's missing
// term, low low', below 2^-20 instead of 2^-22 of it, and of the product's sign: 2^-23 of a product in the mean, which
// makes a sum of them smaller as if by one factor.
__device__ __forceinline__ void split_tf32(float x, uint32_t& high, uint32_t& low) {
  high = __float_as_uint(x) & kTf32Bits;
  low = tf32_operand(x - __uint_as_float(high));
}

// The sum over the warp, in every lane, always added in the same order.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(kFullWarp, value, distance);
  return value;
}

template <class T>
__device__ __forceinline__ T warp_max(T value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    const T other = __shfl_xor_sync(kFullWarp, value, distance);
    value = other > value ? other : value;
  }
  return value;
}

} // namespace lngd::cuda
#endif
