// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.lngd4j.Convolution;
import org.lngd4j.LayerSpec;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.api.buffer.DataBuffer;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Broadcast;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;

/**
 * How DL4J keeps the arrays of a kind of layer, and how LNGD sees them: samples x channels x
 * positions, and weights m x d_w. All are views; nothing is copied.
 */
enum ArrayForm {
    /** Weights [nIn, nOut] in 'f' order: m x d_w in row-major order, seen through a transpose. */
    DENSE,
    /**
     * A dense layer behind a time axis: DL4J has made rows of its samples and times, N T of them,
     * in an order of its own.
     */
    TIME_ROWS,
    /** Convolution on NCHW, weights [m, channels, kernel] in 'c' order. */
    CHANNELS_FIRST,
    /** Convolution on NHWC; DL4J permutes pre-activations and deltas itself, but not the inputs. */
    CHANNELS_LAST,
    /**
     * Depthwise convolution, weights [height, width, channels, multiplier] in 'c' order: output
     * channel c multiplier + k has the stride 1 there, the kernel's elements that of all outputs.
     */
    DEPTHWISE_FIRST,
    /** The same on NHWC, where everything is left in that order. */
    DEPTHWISE_LAST,
    /**
     * 1-D convolution on sequences N x C x L. DL4J shapes the weights [m, C, kernel, 1] but
     * computes with the same memory as [kernel, C, m]. The patch (channel, kernel element) would be
     * no matrix of one stride there; as an image of one channel, L high and C wide, under a kernel
     * of k x C, the patch is (kernel element, channel), and is.
     */
    SEQUENCE_CONVOLUTION,
    /** Indices [N, 1], outputs [N, nOut], weights as those of a dense layer. */
    EMBEDDING,
    /** Indices [N, T] or [N, 1, T], outputs [N, nOut, T], weights as those of a dense layer. */
    SEQUENCE_FIRST,
    /** The same with outputs [N, T, nOut]. */
    SEQUENCE_LAST;

    /**
     * The library takes the first {@code limit} rows; of sequences they would all be of the first
     * times. So every k-th row of the batch, k odd, since batches are powers of two in most cases.
     *
     * @param limit 0: all rows are wanted
     */
    INDArray spread(INDArray rows, int limit) {
        long step = this == TIME_ROWS && limit > 0 ? rows.size(0) / limit : 1;
        if (step < 2) {
            return rows;
        }
        long odd = step % 2 == 0 ? step - 1 : step;
        return rows.get(NDArrayIndex.interval(0, odd, rows.size(0)), NDArrayIndex.all());
    }

    /**
     * Whether each position of a sample is a row of its own, which nothing of another position
     * enters: an embedding of sequences, a 1-D convolution with a kernel of 1.
     */
    boolean hasRows(LayerSpec spec) {
        if (this == SEQUENCE_CONVOLUTION) {
            Convolution.Axis axis = spec.convolution().axes().get(0);
            return axis.kernel() == 1
                    && axis.stride() == 1
                    && axis.before() == 0
                    && axis.after() == 0;
        }
        return this == SEQUENCE_FIRST || this == SEQUENCE_LAST;
    }

    INDArray inputs(INDArray a) {
        if (this == SEQUENCE_CONVOLUTION) {
            return withAxis(a.permute(0, 2, 1), 1);
        }
        if ((this == SEQUENCE_FIRST || this == SEQUENCE_LAST) && a.rank() == 3) {
            return a.get(NDArrayIndex.all(), NDArrayIndex.point(0), NDArrayIndex.all());
        }
        return this == CHANNELS_LAST || this == DEPTHWISE_LAST ? a.permute(0, 3, 1, 2) : a;
    }

    /** Pre-activations and deltas, as {@code IActivation.backprop} sees them. */
    INDArray signal(INDArray a) {
        if (this == SEQUENCE_CONVOLUTION) {
            return withAxis(a, 3);
        }
        if (this == SEQUENCE_LAST) {
            return a.permute(0, 2, 1);
        }
        return this == DEPTHWISE_LAST ? a.permute(0, 3, 1, 2) : a;
    }

    INDArray weights(INDArray w, long outputs) {
        return switch (this) {
            case DENSE, TIME_ROWS, EMBEDDING, SEQUENCE_FIRST, SEQUENCE_LAST -> w.transpose();
            case CHANNELS_FIRST, CHANNELS_LAST -> view(w, outputs, w.length() / outputs);
            case DEPTHWISE_FIRST, DEPTHWISE_LAST, SEQUENCE_CONVOLUTION ->
                    view(w, w.length() / outputs, outputs).transpose();
        };
    }

    /**
     * A masked sample's delta is left out by dense layers and embeddings; convolutions of DL4J take
     * it in.
     */
    boolean masksSamples() {
        return switch (this) {
            case DENSE, TIME_ROWS, EMBEDDING, SEQUENCE_FIRST, SEQUENCE_LAST -> true;
            default -> false;
        };
    }

    /** Deltas as LNGD sees them, with those that a mask leaves out set to zero. */
    static void mask(INDArray deltas, INDArray mask) {
        if (deltas.rank() == 3) { // [N, nOut, T] by [N, T]
            Broadcast.mul(deltas, mask, deltas, 0, 2);
        } else {
            deltas.muliColumnVector(mask);
        }
    }

    /** The view with one more axis of size 1; ND4J's reshape would copy where strides are odd. */
    private static INDArray withAxis(INDArray a, int at) {
        long[] shape = new long[a.rank() + 1];
        long[] strides = new long[a.rank() + 1];
        for (int i = 0; i < shape.length; i++) {
            int from = i < at ? i : i - 1;
            shape[i] = i == at ? 1 : a.size(from);
            strides[i] = i == at ? 1 : a.stride(from);
        }
        return Nd4j.create(a.data(), shape, strides, a.offset(), 'c');
    }

    private static INDArray view(INDArray w, long rows, long columns) {
        INDArray result = w.reshape('c', rows, columns);
        if (address(result) != address(w)) {
            throw new LngdStateException(
                    "the weights of a convolution are not in 'c' order, so that no view of them is a matrix");
        }
        return result;
    }

    private static long address(INDArray a) {
        DataBuffer data = a.data();
        return data.address() + data.offset() * data.getElementSize();
    }
}
