// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.LngdArgumentException;

/**
 * Checks of the shapes of tensors; each message names argument and layer, the shape seen and what
 * is allowed. Nothing here allocates unless it throws.
 */
final class TensorChecks {
    private TensorChecks() {}

    /**
     * Inputs of a layer: [N, d_w], or [N, channels, ...] with the spatial axes of a convolution, or
     * [N, T] or [N] of an embedding.
     */
    static void inputs(String argument, LayerSpec layer, TensorView t) {
        there(argument, layer, t);
        if (layer.parameter() != null) {
            throw bad(argument, layer, "given", "none: a parameter has no statistics");
        }
        if (layer.embedding()) {
            if (t.rank() != 1 && t.rank() != 2) {
                String allowed = "[samples, positions] or [samples], indices of an embedding";
                throw shape(argument, layer, t, allowed);
            }
        } else if (layer.convolution() == null) {
            matrix(argument, layer, t, -1, layer.inputs());
        } else {
            images(argument, layer, t, -1, layer.inputs());
        }
    }

    /** A signal or deltas: [N, m], or [N, m, ...], whose positions the library checks. */
    static void outputs(String argument, LayerSpec layer, TensorView t, long samples) {
        there(argument, layer, t);
        if (layer.embedding()) {
            boolean fits = t.rank() == 2 || t.rank() == 3;
            if (!fits || t.size(0) != samples || t.size(1) != layer.outputs()) {
                String sizes = "[" + samples + ", " + layer.outputs();
                String alone = ", positions], or without positions where there is one";
                throw shape(argument, layer, t, sizes + alone);
            }
        } else if (layer.convolution() == null) {
            matrix(argument, layer, t, samples, layer.outputs());
        } else {
            images(argument, layer, t, samples, layer.outputs());
        }
    }

    /**
     * Weights: [m, d_w], or for a convolution also [m, channels of a group, kernel...]; of a
     * parameter anything of its number of elements, whose strides the library checks.
     */
    static void weights(String argument, LayerSpec layer, TensorView t) {
        there(argument, layer, t);
        if (layer.parameter() != null) {
            elements(argument, layer, t);
        } else if (layer.convolution() == null || t.rank() == 2) {
            matrix(argument, layer, t, layer.outputs(), layer.weightColumns());
        } else {
            kernels(argument, layer, t);
        }
    }

    private static void elements(String argument, LayerSpec layer, TensorView t) {
        long count = 1;
        for (int i = 0; i < t.rank(); i++) {
            count *= t.size(i);
        }
        if (t.rank() < 1 || t.rank() > 4 || count != layer.inputs()) {
            throw shape(argument, layer, t, "of 1 to 4 axes with " + layer.inputs() + " elements");
        }
    }

    /** [n]. */
    static void vector(String argument, LayerSpec layer, TensorView t, long n) {
        there(argument, layer, t);
        if (t.rank() != 1 || t.size(0) != n) {
            throw shape(argument, layer, t, "[" + n + "]");
        }
    }

    private static void there(String argument, LayerSpec layer, TensorView t) {
        if (t == null) {
            throw bad(argument, layer, "null", "a tensor");
        }
    }

    /** rows -1: any. */
    private static void matrix(
            String argument, LayerSpec layer, TensorView t, long rows, long columns) {
        if (t.rank() != 2 || t.size(1) != columns || (rows >= 0 && t.size(0) != rows)) {
            throw shape(argument, layer, t, "[" + samples(rows) + ", " + columns + "]");
        }
    }

    private static void images(
            String argument, LayerSpec layer, TensorView t, long n, long channels) {
        int axes = layer.convolution().axes().size();
        if (t.rank() != 2 + axes || t.size(1) != channels || (n >= 0 && t.size(0) != n)) {
            String spatial = axes == 2 ? ", height, width]" : ", length]";
            throw shape(argument, layer, t, "[" + samples(n) + ", " + channels + spatial);
        }
    }

    private static String samples(long n) {
        return n < 0 ? "samples" : Long.toString(n);
    }

    private static void kernels(String argument, LayerSpec layer, TensorView t) {
        Convolution conv = layer.convolution();
        int axes = conv.axes().size();
        boolean fits =
                t.rank() == 2 + axes
                        && t.size(0) == layer.outputs()
                        && t.size(1) == layer.inputs() / conv.groups();
        for (int i = 0; fits && i < axes; i++) {
            fits = t.size(2 + i) == conv.axes().get(i).kernel();
        }
        if (!fits) {
            String matrix = "[" + layer.outputs() + ", " + layer.weightColumns() + "]";
            String more = ", or the same with channels and kernel as axes of their own";
            throw shape(argument, layer, t, matrix + more);
        }
    }

    private static LngdArgumentException shape(
            String argument, LayerSpec layer, TensorView t, String allowed) {
        return bad(argument, layer, "of shape " + shape(t), "shape " + allowed);
    }

    /** For messages. */
    static String shape(TensorView t) {
        StringBuilder text = new StringBuilder("[");
        for (int i = 0; i < t.rank(); i++) {
            text.append(i == 0 ? "" : ", ").append(t.size(i));
        }
        return text.append(']').toString();
    }

    static LngdArgumentException bad(
            String argument, LayerSpec layer, String seen, String allowed) {
        return Check.bad(argument + " of layer \"" + layer.name() + "\"", seen, allowed);
    }
}
