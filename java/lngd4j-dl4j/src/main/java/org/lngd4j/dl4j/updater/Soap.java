// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import org.lngd4j.nativelib.LngdArgumentException;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.schedule.FixedSchedule;
import org.nd4j.linalg.schedule.ISchedule;

/**
 * SOAP (N. Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", arXiv:2409.11321,
 * algorithm 3): Adam in the eigenbasis of Shampoo's preconditioner. For a weight matrix W of m
 * outputs and n inputs with gradient G:
 *
 * <pre>
 *   G' = Q_L^T G Q_R                               (m x m)(m x n)(n x n)
 *   N' = Adam's direction for G'                   M', V: running averages of G', G'^2
 *   W  = W - rate (Q_L N' Q_R^T + decay W)
 *   L  = beta L + (1 - beta) G G^T,   R = beta R + (1 - beta) G^T G
 *   every preconditionFrequency steps:  Q = QR(L Q), the same for R
 * </pre>
 *
 * <p>As in the authors' code: the first step only forms L, R and their eigenvectors and moves no
 * weights (but the decay); Adam's bias correction counts from the second; before a QR factorisation
 * the columns are sorted by falling estimates of their eigenvalues, and V with them. M' is kept in
 * the basis and turned with it, which is the same as the paper's M in the weights' own and saves
 * two products a step.
 *
 * <p>It trains every weight matrix: dense and output layers, embeddings, and 1-D and 2-D
 * convolutions as outputs x (channels times kernel). (The authors' code takes each of the four
 * sides of a convolution for itself unless told to merge them; the paper has matrices only.) A side
 * longer than {@code maxPreconditionedSize} is left as it is: its Q is the identity. {@link AdamW}
 * with the same rate, betas and epsilon, without decay, trains biases, gains and shifts, and layers
 * whose weights are not one matrix, such as recurrent ones, those with the decay.
 *
 * <p>State: 2 m n + 2 m^2 + 2 n^2 + 2 numbers. A step costs 6 m n (m + n) operations, and every
 * {@code preconditionFrequency}-th about 14/3 (m^3 + n^3) + 4 m n (m + n) more.
 *
 * <p>Unchangeable; one can be installed in any number of networks.
 */
public final class Soap extends NetworkUpdater {
    private final ISchedule rate;
    private final double beta1;
    private final double beta2;
    private final double shampooBeta;
    private final double epsilon;
    private final double weightDecay;
    private final int frequency;
    private final int largest;

    private Soap(Builder builder) {
        this.rate = builder.rate;
        this.beta1 = builder.beta1;
        this.beta2 = builder.beta2;
        this.shampooBeta = builder.shampooBeta;
        this.epsilon = builder.epsilon;
        this.weightDecay = builder.weightDecay;
        this.frequency = builder.frequency;
        this.largest = builder.largest;
    }

    /**
     * Begins with the authors' defaults: rate 0.003, betas 0.95 and 0.95, Shampoo's beta 0.95,
     * epsilon 1e-8, decay 0.01, a new basis every 10 steps, sides up to 10000.
     *
     * @return a builder
     */
    public static Builder builder() {
        return new Builder();
    }

    @Override
    public double weightDecay() {
        return weightDecay;
    }

    @Override
    String exclusion(NetworkLayer layer) {
        return null;
    }

    @Override
    IUpdater matrixUpdater(NetworkLayer layer) {
        MatrixShape shape = layer.matrix();
        return new SoapUpdater(
                rate,
                layer.name(),
                shape.outputs(),
                shape.inputs(),
                beta1,
                beta2,
                shampooBeta,
                epsilon,
                frequency,
                largest);
    }

    @Override
    AdamW rest() {
        return AdamW.builder()
                .learningRate(rate)
                .beta1(beta1)
                .beta2(beta2)
                .epsilon(epsilon)
                .weightDecay(weightDecay)
                .build();
    }

    /** Settings of {@link Soap}. Every setter checks its range at once. */
    public static final class Builder {
        private ISchedule rate = new FixedSchedule(3e-3);
        private double beta1 = 0.95;
        private double beta2 = 0.95;
        private double shampooBeta = 0.95;
        private double epsilon = 1e-8;
        private double weightDecay = 0.01;
        private int frequency = 10;
        private int largest = 10_000;

        private Builder() {}

        /**
         * Sets a constant learning rate.
         *
         * @param value above 0; default 0.003
         * @return this builder
         * @throws LngdArgumentException if it is not above 0 and finite
         */
        public Builder learningRate(double value) {
            rate = Ranges.rate("learningRate", value);
            return this;
        }

        /**
         * Sets a schedule of learning rates.
         *
         * @param schedule one of DL4J's, or any that Jackson can write if the network is to be
         *     saved
         * @return this builder
         * @throws LngdArgumentException if it is null
         */
        public Builder learningRate(ISchedule schedule) {
            rate = Ranges.notNull("learningRate", schedule);
            return this;
        }

        /**
         * Sets the running average of the gradients.
         *
         * @param value 0 or more, below 1; default 0.95
         * @return this builder
         * @throws LngdArgumentException if it is outside of that
         */
        public Builder beta1(double value) {
            beta1 = Ranges.beta("beta1", value);
            return this;
        }

        /**
         * Sets the running average of the squares in the eigenbasis.
         *
         * @param value 0 or more, below 1; default 0.95
         * @return this builder
         * @throws LngdArgumentException if it is outside of that
         */
        public Builder beta2(double value) {
            beta2 = Ranges.beta("beta2", value);
            return this;
        }

        /**
         * Sets the running averages L and R.
         *
         * @param value 0 or more, below 1; default 0.95
         * @return this builder
         * @throws LngdArgumentException if it is outside of that
         */
        public Builder shampooBeta(double value) {
            shampooBeta = Ranges.beta("shampooBeta", value);
            return this;
        }

        /**
         * Sets what is added to the root.
         *
         * @param value 0 or more; default 1e-8
         * @return this builder
         * @throws LngdArgumentException if it is negative or not finite
         */
        public Builder epsilon(double value) {
            epsilon = Ranges.notNegative("epsilon", value);
            return this;
        }

        /**
         * Sets the decoupled weight decay. It takes the place of a {@code WeightDecay} in the
         * configuration of the layers; 0 leaves the configuration's.
         *
         * @param value 0 or more, times the learning rate; default 0.01
         * @return this builder
         * @throws LngdArgumentException if it is negative or not finite
         */
        public Builder weightDecay(double value) {
            weightDecay = Ranges.notNegative("weightDecay", value);
            return this;
        }

        /**
         * Sets the steps between two bases.
         *
         * @param value 1 or more; default 10
         * @return this builder
         * @throws LngdArgumentException if it is below 1
         */
        public Builder preconditionFrequency(int value) {
            frequency = Ranges.atLeastOne("preconditionFrequency", value);
            return this;
        }

        /**
         * Sets the longest side of a matrix that gets a basis of its own.
         *
         * @param value 1 or more; default 10000
         * @return this builder
         * @throws LngdArgumentException if it is below 1
         */
        public Builder maxPreconditionedSize(int value) {
            largest = Ranges.atLeastOne("maxPreconditionedSize", value);
            return this;
        }

        /**
         * Makes the optimizer.
         *
         * @return with these settings
         */
        public Soap build() {
            return new Soap(this);
        }
    }
}
