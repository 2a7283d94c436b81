// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * The shape of a layer's weight matrix W, outputs x inputs; the inputs of a convolution are
 * channels times kernel. DL4J's flat arrays hold it by rows, whatever the layer: a dense [nIn,
 * nOut] in 'f' order and a convolution [nOut, nIn, kH, kW] in 'c' order are both that. ND4J's
 * products want 'f' order, so the code works on the transpose, {@link #transposed}.
 *
 * @param outputs rows of W
 * @param inputs columns of W
 */
record MatrixShape(long outputs, long inputs) {
    long size() {
        return outputs * inputs;
    }

    /** W's transpose, inputs x outputs in 'f' order, as a view of a flat vector. */
    INDArray transposed(INDArray flat) {
        return flat.reshape('f', inputs, outputs);
    }

    @Override
    public String toString() {
        return outputs + " x " + inputs;
    }
}
