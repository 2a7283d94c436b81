// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.global.torch_cuda;

/**
 * PyTorch's current stream of a GPU. A class of its own, so that it is only loaded where a model
 * lies on one: the natives behind it are not there otherwise.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class CudaStream {
    private CudaStream() {}

    /** The address of the {@code cudaStream_t}; 0 is CUDA's default stream. */
    static long current(int device) {
        try (PointerScope scope = new PointerScope()) {
            var stream = torch_cuda.getCurrentCUDAStream((byte) device).stream();
            return stream == null ? 0 : stream.address();
        }
    }
}
