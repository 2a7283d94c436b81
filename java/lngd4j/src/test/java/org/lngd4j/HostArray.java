// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.bytedeco.javacpp.FloatPointer;

/**
 * A compact tensor in memory of its own, as a framework has it: it can be freed, and made anew at
 * another address with the same values.
 */
final class HostArray implements TensorView {
    private final long[] shape;
    private final NativeTensor layout;
    private FloatPointer memory;

    HostArray(float[] values, long... shape) {
        this.shape = shape;
        this.memory = new FloatPointer(values);
        this.layout = NativeTensor.of(MemoryKind.HOST, 0, memory, shape);
    }

    static HostArray zeros(long... shape) {
        int count = 1;
        for (long size : shape) {
            count *= (int) size;
        }
        return new HostArray(new float[count], shape);
    }

    /** Row-major, to be compared bit by bit. */
    float[] values() {
        float[] values = new float[(int) memory.capacity()];
        memory.get(values);
        return values;
    }

    HostArray set(float... values) {
        assert values.length == memory.capacity();
        memory.put(values);
        return this;
    }

    HostArray dup() {
        return new HostArray(values(), shape);
    }

    /** The transpose as compact values of its own. */
    HostArray transposed() {
        int rows = (int) shape[0];
        int columns = (int) shape[1];
        float[] from = values();
        float[] to = new float[from.length];
        for (int i = 0; i < from.length; i++) {
            to[i % columns * rows + i / columns] = from[i];
        }
        return new HostArray(to, columns, rows);
    }

    /** The transpose on the same memory. */
    NativeTensor transpose() {
        return NativeTensor.of(MemoryKind.HOST, 0, memory, shape).transpose();
    }

    void free() {
        memory.close();
        memory = null;
    }

    /** Other memory, with the same values; the old one holds NaN and is freed. */
    void move() {
        float[] values = values();
        FloatPointer before = memory;
        memory = new FloatPointer(values);
        for (long i = 0; i < before.capacity(); i++) {
            before.put(i, Float.NaN);
        }
        before.close();
    }

    @Override
    public MemoryKind kind() {
        return MemoryKind.HOST;
    }

    @Override
    public int deviceIndex() {
        return 0;
    }

    @Override
    public long address() {
        if (memory == null) {
            throw new IllegalStateException("the array was freed");
        }
        return memory.address();
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
        return layout.stride(dimension);
    }

    long[] shape() {
        return shape;
    }
}
