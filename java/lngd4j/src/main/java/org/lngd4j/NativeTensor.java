// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.Arrays;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * A float32 tensor at a fixed address, with a shape and strides: in memory of a GPU, of the host,
 * or of another framework. Nothing is copied, and the memory stays its owner's, who must keep it
 * allocated while an optimizer or a {@link StepPlan} uses it. Immutable.
 *
 * <p>Memory of a device is read and written in the order of the optimizer's stream: see {@link
 * LngdOptimizer#stream(long)}.
 *
 * <p><b>An address cannot be checked.</b> A wrong one, or one whose memory was freed, ends the
 * process or, on a GPU, the optimizer ({@link org.lngd4j.nativelib.LngdDeviceLostException}).
 */
public final class NativeTensor implements TensorView {
    /** Convolutions have 4; the rest is room. */
    static final int MAX_RANK = 8;

    private final MemoryKind kind;
    private final int device;
    private final long address;
    private final long[] shape;
    private final long[] strides;

    /** Kept so that a JavaCPP pointer that frees its memory is not collected. */
    private final Object owner;

    private NativeTensor(
            MemoryKind kind, int device, long address, long[] shape, long[] strides, Object owner) {
        this.kind = kind;
        this.device = device;
        this.address = address;
        this.shape = shape;
        this.strides = strides;
        this.owner = owner;
    }

    /**
     * A compact row-major tensor at the position of a pointer, for example of one that {@code
     * cudaMalloc} of {@code org.bytedeco.cuda} filled in.
     *
     * @param kind where the memory lies
     * @param device index of the device, from 0; 0 for {@link MemoryKind#HOST}
     * @param memory its memory; kept reachable by this tensor
     * @param shape its sizes, each at least 1
     * @return the tensor
     * @throws org.lngd4j.nativelib.LngdArgumentException for a null pointer, a size below 1, more
     *     than 8 sizes, or a pointer that knows its capacity and is too small
     */
    public static NativeTensor of(MemoryKind kind, int device, FloatPointer memory, long... shape) {
        if (Check.notNull("memory", memory).isNull()) {
            throw Check.bad("memory", "a null pointer", "one to memory");
        }
        long[] strides = compact(checkedShape(shape));
        long elements = elements(shape);
        // Capacity 0 means unknown: pointers that a native function filled in.
        long room = memory.limit() - memory.position();
        if (memory.capacity() > 0 && room < elements) {
            throw Check.bad("memory", "of " + room + " floats", "at least the shape's " + elements);
        }
        long address = memory.address() + memory.position() * Float.BYTES;
        return make(kind, device, address, shape.clone(), strides, memory);
    }

    /**
     * A compact row-major tensor at an address.
     *
     * @param kind where the memory lies
     * @param device index of the device, from 0; 0 for {@link MemoryKind#HOST}
     * @param address address of element 0
     * @param shape its sizes, each at least 1
     * @return the tensor
     * @throws org.lngd4j.nativelib.LngdArgumentException for address 0, a size below 1, or more
     *     than 8 sizes
     */
    public static NativeTensor at(MemoryKind kind, int device, long address, long... shape) {
        long[] strides = compact(checkedShape(shape));
        return make(kind, device, address, shape.clone(), strides, null);
    }

    /**
     * A tensor at an address with any strides.
     *
     * @param kind where the memory lies
     * @param device index of the device, from 0; 0 for {@link MemoryKind#HOST}
     * @param address address of element 0
     * @param shape its sizes, each at least 1
     * @param strides one for each size, in elements, of any sign; 0 only where it is read
     * @return the tensor
     * @throws org.lngd4j.nativelib.LngdArgumentException for address 0, a size below 1, more than 8
     *     sizes, or another number of strides
     */
    public static NativeTensor strided(
            MemoryKind kind, int device, long address, long[] shape, long[] strides) {
        return view(kind, device, address, shape, strides, null);
    }

    /**
     * A tensor of another framework: the pointer that its DLPack capsule named {@code "dltensor"}
     * holds (a {@code DLManagedTensor*}, DLPack 0.6 to 1.x). It stays the caller's: this class
     * never calls its deleter, which the caller does when no plan uses the tensor any more.
     *
     * @param managed the pointer
     * @return the tensor
     * @throws org.lngd4j.nativelib.LngdArgumentException for another type than float32 or a kind of
     *     memory that is not known here
     */
    public static NativeTensor fromDlpack(Pointer managed) {
        return Dlpack.read(managed);
    }

    /**
     * The same for a capsule named {@code "dltensor_versioned"} (a {@code
     * DLManagedTensorVersioned*}, DLPack 1.x).
     *
     * @param managed the pointer
     * @return the tensor
     * @throws org.lngd4j.nativelib.LngdArgumentException for another major version, another type
     *     than float32, or a kind of memory that is not known here
     */
    public static NativeTensor fromDlpackVersioned(Pointer managed) {
        return Dlpack.readVersioned(managed);
    }

    static NativeTensor view(
            MemoryKind kind, int device, long address, long[] shape, long[] strides, Object owner) {
        checkedShape(shape);
        if (Check.notNull("strides", strides).length != shape.length) {
            throw Check.bad(
                    "the number of strides", strides.length, "that of sizes, " + shape.length);
        }
        return make(kind, device, address, shape.clone(), strides.clone(), owner);
    }

    static NativeTensor make(
            MemoryKind kind, int device, long address, long[] shape, long[] strides, Object owner) {
        Check.notNull("kind", kind);
        Check.atLeast("device", device, 0);
        if (address == 0) {
            throw Check.bad("address", 0, "that of element 0");
        }
        return new NativeTensor(kind, device, address, shape, strides, owner);
    }

    static long[] checkedShape(long[] shape) {
        int rank = Check.notNull("shape", shape).length;
        if (rank < 1 || rank > MAX_RANK) {
            throw Check.bad("the number of sizes", rank, "1 to " + MAX_RANK);
        }
        for (long size : shape) {
            if (size < 1) {
                throw Check.bad("shape", Arrays.toString(shape), "sizes of 1 or more");
            }
        }
        elements(shape);
        return shape;
    }

    static long[] compact(long[] shape) {
        long[] strides = new long[shape.length];
        long stride = 1;
        for (int i = shape.length - 1; i >= 0; i--) {
            strides[i] = stride;
            stride *= shape[i];
        }
        return strides;
    }

    private static long elements(long[] shape) {
        try {
            long count = 1;
            for (long size : shape) {
                count = Math.multiplyExact(count, size);
            }
            Math.multiplyExact(count, (long) Float.BYTES);
            return count;
        } catch (ArithmeticException e) {
            throw Check.bad("shape", Arrays.toString(shape), "fewer than 2^61 elements");
        }
    }

    /**
     * This matrix with rows and columns exchanged, without a copy; for weights that are kept as
     * inputs x outputs.
     *
     * @return a tensor on the same memory
     * @throws org.lngd4j.nativelib.LngdArgumentException if this is not a matrix
     */
    public NativeTensor transpose() {
        if (shape.length != 2) {
            throw Check.bad("the number of sizes", shape.length, "2: only a matrix is transposed");
        }
        return new NativeTensor(
                kind,
                device,
                address,
                new long[] {shape[1], shape[0]},
                new long[] {strides[1], strides[0]},
                owner);
    }

    @Override
    public MemoryKind kind() {
        return kind;
    }

    @Override
    public int deviceIndex() {
        return device;
    }

    @Override
    public long address() {
        return address;
    }

    @Override
    public int rank() {
        return shape.length;
    }

    @Override
    public long size(int dimension) {
        return shape[dimension];
    }

    @Override
    public long stride(int dimension) {
        return strides[dimension];
    }

    /** {@return a copy of the sizes} */
    public long[] shape() {
        return shape.clone();
    }

    @Override
    public String toString() {
        return text(kind, device, shape, strides) + " 0x" + Long.toHexString(address);
    }

    /** A tensor in messages. */
    static String text(MemoryKind kind, int device, long[] shape, long[] strides) {
        return "float32"
                + Arrays.toString(shape)
                + " with strides "
                + Arrays.toString(strides)
                + " at "
                + kind
                + ":"
                + device;
    }
}
