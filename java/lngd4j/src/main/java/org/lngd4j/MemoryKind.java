// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/** Where the memory of a {@link TensorView} lies: the kinds of DLPack that are known here. */
public enum MemoryKind {
    /** Ordinary memory of the process ({@code kDLCPU}). */
    HOST(1),

    /** Memory of a CUDA device ({@code kDLCUDA}), as {@code cudaMalloc} gives it. */
    CUDA(2),

    /** Pinned memory of the process ({@code kDLCUDAHost}), as {@code cudaMallocHost} gives it. */
    CUDA_HOST(3),

    /** Managed memory ({@code kDLCUDAManaged}), as {@code cudaMallocManaged} gives it. */
    CUDA_MANAGED(13);

    private final int code;

    MemoryKind(int code) {
        this.code = code;
    }

    /**
     * The value of this constant in DLPack.
     *
     * @return a {@code DLDeviceType}
     */
    public int code() {
        return code;
    }
}
