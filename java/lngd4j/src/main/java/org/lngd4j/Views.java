// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.LngdArgumentException;
import org.nd4j.linalg.api.buffer.DataBuffer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.executioner.OpExecutioner;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Addresses and strides of ND4J arrays, read without a copy. {@code data().address()} is the base
 * allocation even for a view, so that element 0 is at base + offset; {@code isView()} is not asked,
 * since it is false for transposed arrays. Nothing here allocates unless it throws.
 */
final class Views {
    private Views() {}

    /** Refuses a backend whose arrays are not in host memory. */
    static void checkBackend(OpExecutioner.ExecutionerType type) {
        if (type != OpExecutioner.ExecutionerType.NATIVE_CPU) {
            throw Check.bad(
                    "the ND4J backend",
                    type,
                    "NATIVE_CPU (nd4j-native): arrays in device memory are not supported yet");
        }
    }

    static void checkBackend() {
        checkBackend(Nd4j.getExecutioner().type());
    }

    /**
     * Checks that an array is a float matrix of the columns wanted and, unless rows is -1, of the
     * rows wanted.
     */
    static void matrix(String argument, LayerSpec layer, INDArray a, long rows, long columns) {
        usable(argument, layer, a);
        if (a.rank() != 2 || a.size(1) != columns || (rows >= 0 && a.size(0) != rows)) {
            throw shape(
                    argument,
                    layer,
                    a,
                    "[" + (rows < 0 ? "samples" : Long.toString(rows)) + ", " + columns + "]");
        }
    }

    /** Checks that an array is a float vector: [n], [1, n] or [n, 1]. */
    static void vector(String argument, LayerSpec layer, INDArray a, long n) {
        usable(argument, layer, a);
        boolean fits =
                a.rank() == 1
                        ? a.size(0) == n
                        : a.rank() == 2 && a.length() == n && (a.size(0) == 1 || a.size(1) == 1);
        if (!fits) {
            throw shape(argument, layer, a, "[" + n + "], [1, " + n + "] or [" + n + ", 1]");
        }
    }

    /** The same for a tensor outside of ND4J. */
    static void matrix(String argument, LayerSpec layer, DeviceTensor t, long rows, long columns) {
        if (t == null) {
            throw bad(argument, layer, "null", "a tensor");
        }
        if (t.rank() != 2 || t.size(1) != columns || (rows >= 0 && t.size(0) != rows)) {
            throw bad(
                    argument,
                    layer,
                    t.toString(),
                    "shape ["
                            + (rows < 0 ? "samples" : Long.toString(rows))
                            + ", "
                            + columns
                            + "]");
        }
    }

    /** The same for a tensor outside of ND4J: [n]. */
    static void vector(String argument, LayerSpec layer, DeviceTensor t, long n) {
        if (t == null) {
            throw bad(argument, layer, "null", "a tensor");
        }
        if (t.rank() != 1 || t.size(0) != n) {
            throw bad(argument, layer, t.toString(), "shape [" + n + "]");
        }
    }

    /** An array of exactly this shape; of one axis also as a row or column. */
    static void shaped(String argument, LayerSpec layer, INDArray a, long[] shape) {
        if (shape.length == 1) {
            vector(argument, layer, a, shape[0]);
            return;
        }
        usable(argument, layer, a);
        if (!java.util.Arrays.equals(a.shape(), shape)) {
            throw shape(argument, layer, a, java.util.Arrays.toString(shape));
        }
    }

    /**
     * Inputs of a layer: [N, d_w], or [N, channels, ...] with the spatial axes of a convolution, or
     * [N, T] or [N] of an embedding.
     */
    static void inputs(String argument, LayerSpec layer, INDArray a) {
        if (layer.embedding()) {
            usable(argument, layer, a);
            indices(argument, layer, a.shape());
        } else if (layer.convolution() == null) {
            matrix(argument, layer, a, -1, layer.inputs());
        } else {
            usable(argument, layer, a);
            images(argument, layer, a.shape(), -1, layer.inputs());
        }
    }

    /** A signal or deltas: [N, m], or [N, m, ...], whose positions the library checks. */
    static void outputs(String argument, LayerSpec layer, INDArray a, long samples) {
        if (layer.embedding()) {
            usable(argument, layer, a);
            embedded(argument, layer, a.shape(), samples);
        } else if (layer.convolution() == null) {
            matrix(argument, layer, a, samples, layer.outputs());
        } else {
            usable(argument, layer, a);
            images(argument, layer, a.shape(), samples, layer.outputs());
        }
    }

    /** Weights: [m, d_w], or for a convolution also [m, channels of a group, kernel...]. */
    static void weights(String argument, LayerSpec layer, INDArray a) {
        if (layer.convolution() == null || a == null || a.rank() == 2) {
            matrix(argument, layer, a, layer.outputs(), layer.weightColumns());
        } else {
            usable(argument, layer, a);
            kernels(argument, layer, a.shape());
        }
    }

    /** The same for tensors outside of ND4J. */
    static void inputs(String argument, LayerSpec layer, DeviceTensor t) {
        if (layer.embedding() && t != null) {
            indices(argument, layer, sizes(t));
        } else if (layer.convolution() == null || t == null) {
            matrix(argument, layer, t, -1, layer.inputs());
        } else {
            images(argument, layer, sizes(t), -1, layer.inputs());
        }
    }

    static void outputs(String argument, LayerSpec layer, DeviceTensor t, long samples) {
        if (layer.embedding() && t != null) {
            embedded(argument, layer, sizes(t), samples);
        } else if (layer.convolution() == null || t == null) {
            matrix(argument, layer, t, samples, layer.outputs());
        } else {
            images(argument, layer, sizes(t), samples, layer.outputs());
        }
    }

    static void weights(String argument, LayerSpec layer, DeviceTensor t) {
        if (layer.convolution() == null || t == null || t.rank() == 2) {
            matrix(argument, layer, t, layer.outputs(), layer.weightColumns());
        } else {
            kernels(argument, layer, sizes(t));
        }
    }

    private static long[] sizes(DeviceTensor t) {
        long[] sizes = new long[t.rank()];
        for (int i = 0; i < sizes.length; i++) {
            sizes[i] = t.size(i);
        }
        return sizes;
    }

    private static void indices(String argument, LayerSpec layer, long[] shape) {
        if (shape.length != 1 && shape.length != 2) {
            throw bad(
                    argument,
                    layer,
                    "of shape " + java.util.Arrays.toString(shape),
                    "shape [samples, positions] or [samples], indices of an embedding");
        }
    }

    private static void embedded(String argument, LayerSpec layer, long[] shape, long n) {
        boolean fits = shape.length == 2 || shape.length == 3;
        if (!fits || shape[0] != n || shape[1] != layer.outputs()) {
            throw bad(
                    argument,
                    layer,
                    "of shape " + java.util.Arrays.toString(shape),
                    "shape ["
                            + n
                            + ", "
                            + layer.outputs()
                            + ", positions], or without positions where there is one");
        }
    }

    private static void images(
            String argument, LayerSpec layer, long[] shape, long n, long channels) {
        int axes = layer.convolution().axes().size();
        if (shape.length != 2 + axes || shape[1] != channels || (n >= 0 && shape[0] != n)) {
            throw bad(
                    argument,
                    layer,
                    "of shape " + java.util.Arrays.toString(shape),
                    "shape ["
                            + (n < 0 ? "samples" : Long.toString(n))
                            + ", "
                            + channels
                            + (axes == 2 ? ", height, width]" : ", length]"));
        }
    }

    private static void kernels(String argument, LayerSpec layer, long[] shape) {
        Convolution conv = layer.convolution();
        int axes = conv.axes().size();
        boolean fits =
                shape.length == 2 + axes
                        && shape[0] == layer.outputs()
                        && shape[1] == layer.inputs() / conv.groups();
        for (int i = 0; fits && i < axes; i++) {
            fits = shape[2 + i] == conv.axes().get(i).kernel();
        }
        if (!fits) {
            throw bad(
                    argument,
                    layer,
                    "of shape " + java.util.Arrays.toString(shape),
                    "shape ["
                            + layer.outputs()
                            + ", "
                            + layer.weightColumns()
                            + "], or the same with channels and kernel as axes of their own");
        }
    }

    /** Stride of a checked vector, in elements. */
    static long vectorStride(INDArray a) {
        return a.rank() == 2 && a.size(0) == 1 ? a.stride(1) : a.stride(0);
    }

    /** Address of element 0. The caller keeps the array reachable while it uses it. */
    static long address(INDArray a) {
        DataBuffer data = a.data();
        return data.address() + data.offset() * Float.BYTES;
    }

    /** Checks everything but the shape. */
    static void usable(String argument, LayerSpec layer, INDArray a) {
        if (a == null) {
            throw bad(argument, layer, "null", "an array");
        }
        if (a.wasClosed()) {
            throw bad(argument, layer, "an array that was closed", "an open one");
        }
        if (a.dataType() != DataType.FLOAT) {
            throw bad(
                    argument,
                    layer,
                    "of type " + a.dataType(),
                    "FLOAT: convert it with castTo(DataType.FLOAT)");
        }
        if (a.isEmpty()) {
            throw bad(argument, layer, "an empty array", "one with elements");
        }
        MemoryWorkspace workspace = a.data().getParentWorkspace();
        if (workspace != null
                && (!workspace.isScopeActive()
                        || workspace.getGenerationId() != a.data().getGenerationId())) {
            throw bad(
                    argument,
                    layer,
                    "an array of the workspace " + workspace.getId() + ", which was closed since",
                    "one whose workspace is open, or a detached one");
        }
    }

    private static LngdArgumentException shape(
            String argument, LayerSpec layer, INDArray a, String allowed) {
        return bad(
                argument,
                layer,
                "of shape " + java.util.Arrays.toString(a.shape()),
                "shape " + allowed);
    }

    private static LngdArgumentException bad(
            String argument, LayerSpec layer, String seen, String allowed) {
        String where = layer == null ? "" : " of layer \"" + layer.name() + "\"";
        return new LngdArgumentException(
                argument + where + " is " + seen + "; allowed is " + allowed);
    }
}
