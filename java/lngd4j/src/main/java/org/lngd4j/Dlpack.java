// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.lngd4j.nativelib.NativeLibrary;
import org.lngd4j.nativelib.global.lngd_tensor;

/**
 * Reads the structs of DLPack. {@code DLManagedTensor} begins with its {@code DLTensor}, whose
 * layout is that of {@code lngd_tensor}; {@code DLManagedTensorVersioned} has it last, after
 * version (8 bytes), manager context, deleter and flags (8 bytes each).
 */
final class Dlpack {
    /** The major version of DLPack that has this layout. */
    private static final int MAJOR = 1;

    /** Of the {@code DLTensor} in a {@code DLManagedTensorVersioned}. */
    private static final long TENSOR_OFFSET = 32;

    /** {@code kDLFloat}. */
    static final byte FLOAT = 2;

    private Dlpack() {}

    static NativeTensor read(Pointer managed) {
        return tensor(notNull(managed), 0);
    }

    static NativeTensor readVersioned(Pointer managed) {
        IntPointer version = new IntPointer(notNull(managed));
        if (version.get(0) != MAJOR) {
            throw Check.bad(
                    "the DLPack version",
                    version.get(0) + "." + version.get(1),
                    MAJOR + ".x; is the capsule named \"dltensor\"? Then call fromDlpack");
        }
        return tensor(managed, TENSOR_OFFSET);
    }

    private static Pointer notNull(Pointer managed) {
        if (Check.notNull("managed", managed).isNull()) {
            throw Check.bad("managed", "a null pointer", "the pointer that a capsule holds");
        }
        NativeLibrary.load();
        return managed;
    }

    private static NativeTensor tensor(Pointer managed, long offset) {
        lngd_tensor t = new lngd_tensor(new AddressPointer().at(managed.address() + offset));
        if (t.dtype_code() != FLOAT || t.dtype_bits() != Float.SIZE || t.dtype_lanes() != 1) {
            throw Check.bad(
                    "the type of the DLPack tensor",
                    "code "
                            + t.dtype_code()
                            + ", "
                            + t.dtype_bits()
                            + " bits, "
                            + t.dtype_lanes()
                            + " lanes",
                    "float32 (code 2, 32 bits, 1 lane)");
        }
        if (t.ndim() < 1 || t.ndim() > NativeTensor.MAX_RANK) {
            throw Check.bad(
                    "the number of sizes of the DLPack tensor",
                    t.ndim(),
                    "1 to " + NativeTensor.MAX_RANK);
        }
        long[] shape = NativeTensor.checkedShape(longs(t.shape(), t.ndim()));
        LongPointer given = t.strides();
        long[] strides =
                given == null || given.isNull()
                        ? NativeTensor.compact(shape)
                        : longs(given, t.ndim());
        Pointer data = t.data();
        long address = data == null ? 0 : data.address() + t.byte_offset();
        return NativeTensor.make(
                kind(t.device_type()), t.device_id(), address, shape, strides, null);
    }

    private static long[] longs(LongPointer from, int count) {
        long[] values = new long[count];
        from.get(values);
        return values;
    }

    private static MemoryKind kind(int code) {
        for (MemoryKind kind : MemoryKind.values()) {
            if (kind.code() == code) {
                return kind;
            }
        }
        throw Check.bad(
                "the device type of the DLPack tensor",
                code,
                "1 (CPU), 2 (CUDA), 3 (CUDA host) or 13 (CUDA managed)");
    }
}
