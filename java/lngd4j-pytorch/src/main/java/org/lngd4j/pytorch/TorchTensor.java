// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.MemoryKind;
import org.lngd4j.TensorView;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * A float32 tensor of PyTorch as LNGD takes it: where it lies, without a copy. The address is the
 * one of the last {@link #refresh()}: asking PyTorch costs a call of JNI, and a step asks once.
 */
final class TorchTensor implements TensorView {
    private final Tensor tensor;
    private final MemoryKind kind;
    private final int device;
    private final long[] shape;
    private final long[] strides;
    private long address;

    private TorchTensor(Tensor tensor, MemoryKind kind, int device, long[] shape, long[] strides) {
        this.tensor = tensor;
        this.kind = kind;
        this.device = device;
        this.shape = shape;
        this.strides = strides;
    }

    /** Refuses what LNGD cannot work on, by name. */
    static TorchTensor of(String name, Tensor tensor) {
        check(name, tensor);
        int rank = Math.toIntExact(tensor.dim());
        long[] shape = new long[rank];
        long[] strides = new long[rank];
        for (int i = 0; i < rank; i++) {
            shape[i] = tensor.size(i);
            strides[i] = tensor.stride(i);
        }
        Device device = tensor.device();
        boolean cuda = device.is_cuda();
        TorchTensor made =
                new TorchTensor(
                        tensor,
                        cuda ? MemoryKind.CUDA : MemoryKind.HOST,
                        cuda ? Math.max(0, device.index()) : 0,
                        shape,
                        strides);
        made.refresh();
        return made;
    }

    /** A tensor of the same form that need not be there yet: a gradient. */
    TorchTensor like(Tensor other) {
        return new TorchTensor(other, kind, device, shape, strides);
    }

    static void check(String name, Tensor tensor) {
        if (!tensor.defined()) {
            throw new LngdArgumentException(name + " is not defined, allowed is a tensor");
        }
        torch.ScalarType type = tensor.scalar_type().intern();
        if (type != torch.ScalarType.Float) {
            throw new LngdArgumentException(
                    name + " has the type " + type + ", allowed is Float (float32)");
        }
        if (!tensor.device().is_cpu() && !tensor.device().is_cuda()) {
            throw new LngdArgumentException(
                    name
                            + " lies on "
                            + tensor.device().str().getString()
                            + ", allowed are cpu and cuda");
        }
    }

    /**
     * Asks PyTorch where the tensor lies now.
     *
     * @return whether it has moved
     */
    boolean refresh() {
        long now = tensor.data_ptr().address();
        boolean moved = now != address;
        address = now;
        return moved;
    }

    Tensor tensor() {
        return tensor;
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
}
