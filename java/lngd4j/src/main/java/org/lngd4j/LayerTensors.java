// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * The arrays of one layer that a {@link StepPlan} works on: float32, any view (order, offset,
 * strides), never copied. The bias arrays may have the shape [m], [1, m] or [m, 1]. A weight matrix
 * kept as inputs x outputs, as DL4J does, is passed as its transpose.
 *
 * @param layer index of the layer in the optimizer, from 0
 * @param weights W, m x d_w; a convolution's may also be m x channels of a group x kernel, if those
 *     axes have one stride together, as in a compact array
 * @param bias b, m values; null where the layer has no bias
 * @param weightGradients gradient of the mean loss with respect to W, m x d_w
 * @param biasGradients gradient of the mean loss with respect to b, m values; null where the layer
 *     has no bias
 */
public record LayerTensors(
        int layer,
        INDArray weights,
        INDArray bias,
        INDArray weightGradients,
        INDArray biasGradients)
        implements PlanTensors {

    @Override
    public String toString() {
        return "LayerTensors[layer="
                + layer
                + ", weights="
                + shape(weights)
                + ", bias="
                + shape(bias)
                + "]";
    }

    private static String shape(INDArray a) {
        return a == null ? "none" : java.util.Arrays.toString(a.shape());
    }
}
