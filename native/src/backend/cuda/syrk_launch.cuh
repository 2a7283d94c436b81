// SPDX-License-Identifier: Apache-2.0
// Which weighted_syrk runs: by the size of the diagonal blocks and the precision.
#ifndef LNGD_BACKEND_CUDA_SYRK_LAUNCH_CUH
#define LNGD_BACKEND_CUDA_SYRK_LAUNCH_CUH

#include "backend/cuda/weighted_syrk.cuh"

namespace lngd::cuda {

// Calls use(kernel, shape) with the instance. 3xTF32 has a shape of its own where the other precisions' does not leave
// it registers enough.
template <class Shape, class TripleShape, class Loader, class Use>
cudaError_t with_precision(Precision precision, Use use) {
  switch (precision) {
    case Precision::Float32:
      return use(weighted_syrk_kernel<Shape, Precision::Float32, Loader>, Shape{});
    case Precision::TripleTf32:
      return use(weighted_syrk_kernel<TripleShape, Precision::TripleTf32, Loader>, TripleShape{});
    case Precision::Tf32:
      return use(weighted_syrk_kernel<Shape, Precision::Tf32, Loader>, Shape{});
    case Precision::Bfloat16:
      return use(weighted_syrk_kernel<Shape, Precision::Bfloat16, Loader>, Shape{});
  }
  return cudaErrorInvalidValue;
}

template <class Loader, class Use>
cudaError_t with_syrk(SyrkClass kind, Precision precision, Use use) {
  using Tile32 = SyrkShape<32, false, 1>;
  using Tile64 = SyrkShape<64, false, 2>;
  using Tile128 = SyrkShape<128, false, 4>;
  using Square = SyrkShape<128, true, 4>;
  using TripleSquare = SyrkShape<128, true, 8>;
  static_assert(Tile32::kRows == 128 && Tile64::kRows == 64 && Tile128::kRows == 32 && Square::kRows == 32 &&
                    TripleSquare::kRows == 32,
                "as chunk_rows says");
  switch (kind) {
    case SyrkClass::Tile32:
      return with_precision<Tile32, Tile32, Loader>(precision, use);
    case SyrkClass::Tile64:
      return with_precision<Tile64, Tile64, Loader>(precision, use);
    case SyrkClass::Tile128:
      return with_precision<Tile128, Tile128, Loader>(precision, use);
    case SyrkClass::Square128:
      return with_precision<Square, TripleSquare, Loader>(precision, use);
  }
  return cudaErrorInvalidValue;
}

// Static shared memory of a kernel and what the driver keeps of a block's, at most.
constexpr int32_t kReservedShared = 16 * 1024;

// As many stages as the device has room for in a block: with `shared_bytes` of cudaDevAttrMaxSharedMemoryPerBlockOptin
// (A100 163, Hopper 227, the others 99 KB). Two take the same sums in the same order.
template <class Shape>
int32_t syrk_stages(int32_t shared_bytes) {
  return Shape::shared_bytes(kMostSyrkStages) + kReservedShared <= static_cast<size_t>(shared_bytes) ? kMostSyrkStages
                                                                                                     : 2;
}

template <class Loader>
cudaError_t launch_weighted_syrk(SyrkArgs<Loader> args, SyrkClass kind, Precision precision, int32_t shared_bytes,
                                 cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(args.grid.tasks * args.grid.splits));
  return with_syrk<Loader>(kind, precision, [&](auto kernel, auto shape) {
    using Shape = decltype(shape);
    args.stages = syrk_stages<Shape>(shared_bytes);
    return launch(kernel, grid, dim3(kSyrkThreads), Shape::shared_bytes(args.stages), stream, args);
  });
}

// Every instance.
template <class Loader>
cudaError_t prepare_weighted_syrk(int32_t shared_bytes) {
  for (const SyrkClass kind : {SyrkClass::Tile32, SyrkClass::Tile64, SyrkClass::Tile128, SyrkClass::Square128})
    for (const Precision precision :
         {Precision::Float32, Precision::TripleTf32, Precision::Tf32, Precision::Bfloat16}) {
      const cudaError_t error = with_syrk<Loader>(kind, precision, [shared_bytes](auto kernel, auto shape) {
        using Shape = decltype(shape);
        return prepare_kernel(kernel, Shape::shared_bytes(syrk_stages<Shape>(shared_bytes)));
      });
      if (error != cudaSuccess) return error;
    }
  return cudaSuccess;
}

} // namespace lngd::cuda
#endif
