// SPDX-License-Identifier: Apache-2.0
// Which weighted_syrk runs: by the size of the diagonal blocks and the precision.
#ifndef LNGD_BACKEND_CUDA_SYRK_LAUNCH_CUH
#define LNGD_BACKEND_CUDA_SYRK_LAUNCH_CUH

#include "backend/cuda/weighted_syrk.cuh"

namespace lngd::cuda {

// Calls use(kernel, shape) with the instance.
template <class Shape, class Loader, class Use>
cudaError_t with_precision(Precision precision, Use use) {
  switch (precision) {
    case Precision::Float32:
      return use(weighted_syrk_kernel<Shape, Precision::Float32, Loader>, Shape{});
    case Precision::TripleTf32:
      return use(weighted_syrk_kernel<Shape, Precision::TripleTf32, Loader>, Shape{});
    case Precision::Tf32:
      return use(weighted_syrk_kernel<Shape, Precision::Tf32, Loader>, Shape{});
    case Precision::Bfloat16:
      return use(weighted_syrk_kernel<Shape, Precision::Bfloat16, Loader>, Shape{});
  }
  return cudaErrorInvalidValue;
}

template <class Loader, class Use>
cudaError_t with_syrk(SyrkClass kind, Precision precision, Use use) {
  static_assert(SyrkShape<32, false>::kRows == 128 && SyrkShape<64, false>::kRows == 64 &&
                    SyrkShape<128, false>::kRows == 32 && SyrkShape<128, true>::kRows == 32,
                "as chunk_rows says");
  switch (kind) {
    case SyrkClass::Tile32:
      return with_precision<SyrkShape<32, false>, Loader>(precision, use);
    case SyrkClass::Tile64:
      return with_precision<SyrkShape<64, false>, Loader>(precision, use);
    case SyrkClass::Tile128:
      return with_precision<SyrkShape<128, false>, Loader>(precision, use);
    case SyrkClass::Square128:
      return with_precision<SyrkShape<128, true>, Loader>(precision, use);
  }
  return cudaErrorInvalidValue;
}

template <class Loader>
cudaError_t launch_weighted_syrk(const SyrkArgs<Loader>& args, SyrkClass kind, Precision precision,
                                 cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(args.grid.tasks * args.grid.splits));
  return with_syrk<Loader>(kind, precision, [&](auto kernel, auto shape) {
    return launch(kernel, grid, dim3(kSyrkThreads), decltype(shape)::kSharedBytes, stream, args);
  });
}

// Asks for the shared memory of every instance.
template <class Loader>
cudaError_t prepare_weighted_syrk() {
  for (const SyrkClass kind : {SyrkClass::Tile32, SyrkClass::Tile64, SyrkClass::Tile128, SyrkClass::Square128})
    for (const Precision precision :
         {Precision::Float32, Precision::TripleTf32, Precision::Tf32, Precision::Bfloat16}) {
      const cudaError_t error = with_syrk<Loader>(kind, precision, [](auto kernel, auto shape) {
        return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(decltype(shape)::kSharedBytes));
      });
      if (error != cudaSuccess) return error;
    }
  return cudaSuccess;
}

} // namespace lngd::cuda
#endif
