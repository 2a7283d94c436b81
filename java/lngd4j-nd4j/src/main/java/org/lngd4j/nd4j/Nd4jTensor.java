// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nd4j;

import java.util.Arrays;
import org.lngd4j.MemoryKind;
import org.lngd4j.TensorView;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.api.buffer.DataBuffer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.executioner.OpExecutioner;
import org.nd4j.linalg.factory.Nd4j;

/**
 * An ND4J array as a tensor: float32 in host memory, any view (order, offset, strides), never
 * copied. Can be pointed at another array, which allocates nothing. {@code address()} throws {@link
 * LngdStateException} where the array was closed, or its workspace.
 *
 * <p>For one thread at a time.
 */
public final class Nd4jTensor implements TensorView {
    private final String argument;
    private final boolean vector;
    private INDArray array;

    /**
     * A view of no array yet.
     *
     * @param argument what messages call it, for example {@code weights of layer "hidden"}
     * @param vector whether an array of shape [1, m] or [m, 1] is presented as [m]; any other is
     *     presented as it is
     * @throws LngdArgumentException if the backend of ND4J does not keep arrays in host memory
     */
    public Nd4jTensor(String argument, boolean vector) {
        checkBackend(Nd4j.getExecutioner().type());
        this.argument = argument;
        this.vector = vector;
    }

    /** Refuses a backend whose arrays are not in host memory. */
    static void checkBackend(OpExecutioner.ExecutionerType type) {
        if (type != OpExecutioner.ExecutionerType.NATIVE_CPU) {
            throw bad(
                    "the ND4J backend",
                    type.toString(),
                    "NATIVE_CPU (nd4j-native): arrays in device memory are not supported yet");
        }
    }

    /**
     * Points this view at an array. Allocates nothing unless it throws.
     *
     * @param a the array; kept reachable until another one takes its place
     * @return this view
     * @throws LngdArgumentException if it is null, closed, empty, of another type than FLOAT, or of
     *     a workspace that was closed since; the view stays where it was then
     */
    public Nd4jTensor point(INDArray a) {
        if (a == null) {
            throw bad(argument, "null", "an array");
        }
        if (a.wasClosed()) {
            throw bad(argument, "an array that was closed", "an open one");
        }
        if (a.dataType() != DataType.FLOAT) {
            String allowed = "FLOAT: convert it with castTo(DataType.FLOAT)";
            throw bad(argument, "of type " + a.dataType(), allowed);
        }
        if (a.isEmpty()) {
            throw bad(argument, "an empty array", "one with elements");
        }
        if (workspaceWasClosed(a.data())) {
            throw bad(
                    argument,
                    "an array of the workspace "
                            + a.data().getParentWorkspace().getId()
                            + ", which was closed since",
                    "one whose workspace is open, or a detached one");
        }
        array = a;
        return this;
    }

    /** Lets go of the array, which may be large. */
    void release() {
        array = null;
    }

    private static boolean workspaceWasClosed(DataBuffer data) {
        MemoryWorkspace workspace = data.getParentWorkspace();
        return workspace != null
                && (!workspace.isScopeActive()
                        || workspace.getGenerationId() != data.getGenerationId());
    }

    @Override
    public MemoryKind kind() {
        return MemoryKind.HOST;
    }

    @Override
    public int deviceIndex() {
        return 0;
    }

    /**
     * {@inheritDoc}
     *
     * <p>{@code data().address()} is the base allocation even for a view, so that element 0 is at
     * base + offset; {@code isView()} is not asked, since it is false for transposed arrays.
     */
    @Override
    public long address() {
        INDArray a = array();
        if (a.wasClosed() || workspaceWasClosed(a.data())) {
            throw new LngdStateException(
                    argument + " is an array that was closed, or whose workspace was");
        }
        DataBuffer data = a.data();
        return data.address() + data.offset() * Float.BYTES;
    }

    @Override
    public int rank() {
        return asVector() ? 1 : array().rank();
    }

    @Override
    public long size(int dimension) {
        return asVector() ? array.length() : array.size(dimension);
    }

    @Override
    public long stride(int dimension) {
        boolean row = asVector() && array.rank() == 2 && array.size(0) == 1;
        return array.stride(row ? 1 : dimension);
    }

    private boolean asVector() {
        INDArray a = array();
        return vector && a.rank() == 2 && (a.size(0) == 1 || a.size(1) == 1);
    }

    private INDArray array() {
        if (array == null) {
            throw new LngdStateException(argument + " is not pointed at an array");
        }
        return array;
    }

    /** {@return the array that this view is pointed at, or null} */
    public INDArray get() {
        return array;
    }

    @Override
    public String toString() {
        return argument + " " + (array == null ? "none" : Arrays.toString(array.shape()));
    }

    static LngdArgumentException bad(String argument, String seen, String allowed) {
        return new LngdArgumentException(argument + " is " + seen + "; allowed is " + allowed);
    }
}
