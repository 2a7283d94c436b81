// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.impl.updaters.AdamUpdater;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Adam's step by ND4J's one pass over memory, made to follow the paper's formula. ND4J's kernel
 * computes {@code rate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon)}, which is the
 * paper's with an epsilon that is smaller in the first steps; an epsilon times {@code sqrt(1 -
 * beta2^t)} undoes that. It computes the powers in single precision, where 1 - 0.999 has lost four
 * digits; so they are computed here, and it is told of a step so late that its own are 0.
 */
record AdamStep(double rate, double beta1, double beta2, double epsilon) {
    // beta^t is 0 from here on for every beta below 1 that a float can tell from 1.
    private static final int LATE = 1_000_000_000 * 2;

    /**
     * Turns a gradient into its step, to be subtracted from the weights.
     *
     * @param gradient in and out, as the two averages in the order of memory
     * @param means running average of the gradients, changed
     * @param squares running average of their squares, changed
     * @param step counted from 1
     */
    void apply(INDArray gradient, INDArray means, INDArray squares, long step) {
        double root = Math.sqrt(1 - Math.pow(beta2, step));
        double scaled = rate * root / (1 - Math.pow(beta1, step));
        INDArray flat = gradient.reshape(squares.shape());
        Nd4j.exec(
                new AdamUpdater(flat, squares, means, scaled, beta1, beta2, epsilon * root, LATE));
    }
}
