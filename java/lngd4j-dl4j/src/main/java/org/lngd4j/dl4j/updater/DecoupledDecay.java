// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.impl.transforms.pairwise.arithmetic.Axpy;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.regularization.Regularization;
import org.nd4j.shade.jackson.annotation.JsonProperty;

/**
 * Decoupled weight decay: adds {@code rate decay w} to the update, after the updater. DL4J knows
 * the weights here, which an updater does not.
 *
 * <p>DL4J's own {@code WeightDecay} does the same, but adds {@code decay / 2 ||w||^2} to the score
 * as well. Decoupled decay is no part of the loss, and with it in the score the losses of a network
 * with and without could not be compared.
 */
final class DecoupledDecay implements Regularization {
    private static final long serialVersionUID = 1L;

    @JsonProperty private final double decay;

    DecoupledDecay(@JsonProperty("decay") double decay) {
        this.decay = decay;
    }

    @Override
    public ApplyStep applyStep() {
        return ApplyStep.POST_UPDATER;
    }

    @Override
    public void apply(INDArray weights, INDArray update, double rate, int iteration, int epoch) {
        Nd4j.exec(new Axpy(weights, update, update, rate * decay));
    }

    @Override
    public double score(INDArray weights, int iteration, int epoch) {
        return 0;
    }

    // Unchangeable, so a copy is itself.
    @Override
    public Regularization clone() {
        return this;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof DecoupledDecay that && decay == that.decay;
    }

    @Override
    public int hashCode() {
        return Double.hashCode(decay);
    }

    @Override
    public String toString() {
        return "DecoupledDecay(" + decay + ")";
    }
}
