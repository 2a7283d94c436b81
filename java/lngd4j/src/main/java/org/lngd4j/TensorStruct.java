// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.lngd4j.nativelib.global.lngd_tensor;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * An {@code lngd_tensor} with the memory of its sizes and strides, made once and filled for each
 * call; filling allocates nothing. Whoever fills it keeps the array reachable until the call is
 * over.
 */
final class TensorStruct implements AutoCloseable {
    private final lngd_tensor struct;
    private final LongPointer extents;
    private final AddressPointer address = new AddressPointer();

    TensorStruct() {
        this(new lngd_tensor());
    }

    /** On a struct that is a part of another one, whose owner outlives this object. */
    TensorStruct(lngd_tensor struct) {
        this.struct = struct;
        this.extents = new LongPointer(2L * DeviceTensor.MAX_RANK);
        Pointer.memset(struct, 0, struct.sizeof());
        struct.dtype_code(Dlpack.FLOAT).dtype_bits((byte) Float.SIZE).dtype_lanes((short) 1);
        struct.shape(extents);
        extents.position(DeviceTensor.MAX_RANK);
        struct.strides(extents);
        extents.position(0);
    }

    /** An array that was checked. */
    lngd_tensor set(INDArray a) {
        int rank = a.rank();
        for (int i = 0; i < rank; i++) {
            extent(i, a.size(i), a.stride(i));
        }
        return place(MemoryKind.HOST, 0, rank, Views.address(a));
    }

    /** An array that was checked to be a vector, of one of the shapes that are allowed for it. */
    lngd_tensor setVector(INDArray a) {
        extent(0, a.length(), Views.vectorStride(a));
        return place(MemoryKind.HOST, 0, 1, Views.address(a));
    }

    lngd_tensor set(DeviceTensor t) {
        for (int i = 0; i < t.rank(); i++) {
            extent(i, t.size(i), t.stride(i));
        }
        return place(t.kind(), t.device(), t.rank(), t.address());
    }

    private void extent(int dimension, long size, long stride) {
        extents.put(dimension, size);
        extents.put((long) DeviceTensor.MAX_RANK + dimension, stride);
    }

    private lngd_tensor place(MemoryKind kind, int device, int rank, long element) {
        struct.device_type(kind.code()).device_id(device).ndim(rank);
        struct.data(address.at(element));
        return struct;
    }

    @Override
    public void close() {
        struct.close();
        extents.close();
    }
}
