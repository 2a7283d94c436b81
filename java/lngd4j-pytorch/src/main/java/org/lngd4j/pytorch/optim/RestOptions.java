// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import org.lngd4j.nativelib.LngdArgumentException;

/**
 * AdamW (I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2)
 * for what {@link Muon} leaves to it:
 *
 * <pre>
 *   m = beta1 m + (1 - beta1) g            v = beta2 v + (1 - beta2) g^2
 *   w = w - rate ((m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon) + decay w)
 * </pre>
 *
 * <p>t counts the steps in which the parameter had a gradient, from 1. The decay meets weights
 * only: no {@link ParameterRole#VECTOR}.
 *
 * @param learningRate above 0
 * @param beta1 of the running average of the gradients, 0 or more, below 1
 * @param beta2 of that of their squares, 0 or more, below 1
 * @param epsilon added to the root, 0 or more
 * @param weightDecay times the learning rate, 0 or more
 */
public record RestOptions(
        double learningRate, double beta1, double beta2, double epsilon, double weightDecay) {
    /**
     * Checks the ranges.
     *
     * @param learningRate above 0
     * @param beta1 0 or more, below 1
     * @param beta2 0 or more, below 1
     * @param epsilon 0 or more
     * @param weightDecay 0 or more
     * @throws LngdArgumentException if a number is out of its range
     */
    public RestOptions {
        Ranges.positive("rest.learningRate", learningRate);
        Ranges.beta("rest.beta1", beta1);
        Ranges.beta("rest.beta2", beta2);
        Ranges.notNegative("rest.epsilon", epsilon);
        Ranges.notNegative("rest.weightDecay", weightDecay);
    }
}
