// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.lngd4j.nativelib.global.lngd_tensor;

/**
 * An {@code lngd_tensor} with the memory of its sizes and strides, made once and filled for each
 * call; filling allocates nothing. Whoever fills it keeps the tensor reachable until the call is
 * over. Like all native memory that an optimizer keeps, it holds a reference to itself: the end of
 * a {@code PointerScope} that the caller had open when it was made would free it otherwise.
 */
final class TensorStruct implements AutoCloseable {
    private final lngd_tensor struct;
    private final LongPointer extents;
    private final AddressPointer address = new AddressPointer();

    TensorStruct() {
        this(new lngd_tensor().retainReference());
    }

    /** On a struct that is a part of another one, whose owner outlives this object. */
    TensorStruct(lngd_tensor struct) {
        this.struct = struct;
        this.extents = new LongPointer(2L * NativeTensor.MAX_RANK).retainReference();
        Pointer.memset(struct, 0, struct.sizeof());
        struct.dtype_code(Dlpack.FLOAT).dtype_bits((byte) Float.SIZE).dtype_lanes((short) 1);
        struct.shape(extents);
        extents.position(NativeTensor.MAX_RANK);
        struct.strides(extents);
        extents.position(0);
    }

    /** A tensor that was checked, of a rank that has room. */
    lngd_tensor set(TensorView t) {
        int rank = t.rank();
        for (int i = 0; i < rank; i++) {
            extents.put(i, t.size(i));
            extents.put((long) NativeTensor.MAX_RANK + i, t.stride(i));
        }
        struct.device_type(t.kind().code()).device_id(t.deviceIndex()).ndim(rank);
        struct.data(address.at(t.address()));
        return struct;
    }

    @Override
    public void close() {
        struct.close();
        extents.close();
    }
}
