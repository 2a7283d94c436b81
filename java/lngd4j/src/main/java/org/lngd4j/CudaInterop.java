// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.javacpp.FloatPointer;

/**
 * For programs that use CUDA through JavaCPP's presets, which are an optional dependency: add
 * {@code org.bytedeco:cuda} of the CUDA version you run on. This is the only class that refers to
 * theirs; it needs their classes but not their native part, since only addresses are passed on.
 */
public final class CudaInterop {
    private CudaInterop() {}

    /**
     * {@link LngdOptimizer#stream(long)} for a stream of the presets.
     *
     * @param optimizer the optimizer
     * @param stream the stream, which stays the caller's; null: CUDA's default stream, as the
     *     presets themselves have it
     */
    public static void stream(LngdOptimizer optimizer, CUstream_st stream) {
        Check.notNull("optimizer", optimizer).stream(address(stream));
    }

    static long address(CUstream_st stream) {
        return stream == null ? 0 : stream.address();
    }

    /**
     * A compact row-major tensor in memory that {@code cudaMalloc} gave.
     *
     * @param device index of the device, from 0
     * @param memory what {@code cudaMalloc} filled in, which stays the caller's
     * @param shape its sizes, each at least 1
     * @return the tensor
     */
    public static NativeTensor tensor(int device, FloatPointer memory, long... shape) {
        return NativeTensor.of(MemoryKind.CUDA, device, memory, shape);
    }
}
