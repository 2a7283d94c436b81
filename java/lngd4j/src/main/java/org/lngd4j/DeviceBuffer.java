// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.lang.ref.Reference;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.global.lngd;

/**
 * Floats in the memory of an optimizer's device, for programs that have no CUDA runtime of their
 * own; made by {@link LngdOptimizer#allocate}. Of the CPU it is ordinary memory, so that the same
 * program runs on both. Freed by {@link #close()}, or with its optimizer.
 *
 * <p>The rule of one thread at a time is that of the optimizer.
 */
public final class DeviceBuffer implements AutoCloseable {
    private final LngdOptimizer optimizer;
    private final long address;
    private final long length;
    private final Leaks.Registration registration;
    private boolean closed;

    private DeviceBuffer(LngdOptimizer optimizer, Pointer memory, long length) {
        this.optimizer = optimizer;
        this.address = memory.address();
        this.length = length;
        OptimizerHandle handle = optimizer.handle;
        OptimizerHandle.Part part = o -> lngd.lngd_device_free(o, memory);
        handle.keep(part);
        this.registration =
                Leaks.register(
                        this, "DeviceBuffer of " + length + " floats", () -> handle.release(part));
    }

    static DeviceBuffer allocate(LngdOptimizer optimizer, long length) {
        if (length < 1 || length > Long.MAX_VALUE / Float.BYTES) {
            throw Check.bad("length", length, "1 to " + Long.MAX_VALUE / Float.BYTES);
        }
        try (PointerPointer<Pointer> out = new PointerPointer<>(1)) {
            optimizer.call(o -> lngd.lngd_device_allocate(o, length * Float.BYTES, out));
            return new DeviceBuffer(optimizer, out.get(0), length);
        }
    }

    /**
     * The beginning of this buffer as a compact row-major tensor.
     *
     * @param shape its sizes, each at least 1
     * @return the tensor; usable until this buffer is closed
     * @throws org.lngd4j.nativelib.LngdArgumentException if it does not fit
     */
    public NativeTensor tensor(long... shape) {
        return tensor(0, shape, NativeTensor.compact(NativeTensor.checkedShape(shape)));
    }

    /**
     * A view of this buffer.
     *
     * @param offset where element 0 is, in floats, from 0
     * @param shape its sizes, each at least 1
     * @param strides one for each size, in floats, of any sign
     * @return the tensor; usable until this buffer is closed
     * @throws org.lngd4j.nativelib.LngdArgumentException if it does not fit
     */
    public NativeTensor tensor(long offset, long[] shape, long[] strides) {
        checkOpen();
        Check.atLeast("offset", offset, 0);
        NativeTensor.checkedShape(shape);
        long first = offset;
        long last = offset;
        for (int i = 0; i < Math.min(shape.length, Check.notNull("strides", strides).length); i++) {
            long reach = Math.multiplyExact(shape[i] - 1, strides[i]);
            first += Math.min(reach, 0);
            last += Math.max(reach, 0);
        }
        if (first < 0 || last >= length) {
            throw Check.bad(
                    "the view",
                    "of elements " + first + " to " + last,
                    "within the buffer's 0 to " + (length - 1));
        }
        return NativeTensor.view(
                kind(),
                optimizer.deviceIndex(),
                address + offset * Float.BYTES,
                shape,
                strides,
                this);
    }

    private MemoryKind kind() {
        return optimizer.device() == Device.CPU ? MemoryKind.HOST : MemoryKind.CUDA;
    }

    /**
     * Copies values to the beginning of this buffer, after everything that was asked of the
     * optimizer before; complete on return.
     *
     * @param values at most {@link #length()} of them
     * @throws org.lngd4j.nativelib.LngdDeviceException if the device fails
     */
    public void write(float... values) {
        checkOpen();
        if (Check.notNull("values", values).length > length) {
            throw Check.bad("the number of values", values.length, "at most " + length);
        }
        if (values.length == 0) {
            return;
        }
        try (FloatPointer host = new FloatPointer(values)) {
            copy(new AddressPointer().at(address), host, values.length);
        }
    }

    /**
     * Copies values out of the beginning of this buffer, after everything that was asked of the
     * optimizer before.
     *
     * @param count how many, 1 to {@link #length()}
     * @return the values
     * @throws org.lngd4j.nativelib.LngdDeviceException if the device fails
     */
    public float[] read(int count) {
        checkOpen();
        if (count < 1 || count > length) {
            throw Check.bad("count", count, "1 to " + length);
        }
        float[] values = new float[count];
        try (FloatPointer host = new FloatPointer(count)) {
            copy(host, new AddressPointer().at(address), count);
            host.get(values);
        }
        return values;
    }

    private void copy(Pointer to, Pointer from, long count) {
        optimizer.call(o -> lngd.lngd_device_copy(o, to, from, count * Float.BYTES));
        Reference.reachabilityFence(this);
    }

    private void checkOpen() {
        if (closed) {
            throw new LngdHandleException("the buffer was closed");
        }
    }

    /** {@return the number of floats} */
    public long length() {
        return length;
    }

    /**
     * Frees the memory. No plan may use it any more. A second call, or one after the optimizer's
     * close, does nothing.
     */
    @Override
    public void close() {
        closed = true;
        registration.close();
    }

    @Override
    public String toString() {
        return "DeviceBuffer["
                + length
                + " floats of "
                + optimizer.device()
                + (closed ? ", closed]" : "]");
    }
}
