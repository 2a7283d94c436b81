// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import org.lngd4j.nativelib.LngdArgumentException;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.schedule.FixedSchedule;
import org.nd4j.linalg.schedule.ISchedule;

/**
 * Adam with decoupled weight decay (I. Loshchilov, F. Hutter, "Decoupled Weight Decay
 * Regularization", ICLR 2019, algorithm 2), for every parameter of a network:
 *
 * <pre>
 *   m = beta1 m + (1 - beta1) g            v = beta2 v + (1 - beta2) g^2
 *   w = w - rate ((m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon) + decay w)
 * </pre>
 *
 * <p>t is DL4J's iteration count plus 1, as in DL4J's Adam. The decay is multiplied with the
 * scheduled rate, as in PyTorch, and meets weights only: no biases, and no gains and shifts of
 * normalisations. It is in the update and not in the score. State: two numbers for each parameter.
 *
 * <p>Unchangeable; one can be installed in any number of networks.
 */
public final class AdamW extends NetworkUpdater {
    private final ISchedule rate;
    private final double beta1;
    private final double beta2;
    private final double epsilon;
    private final double weightDecay;

    private AdamW(Builder builder) {
        this.rate = builder.rate;
        this.beta1 = builder.beta1;
        this.beta2 = builder.beta2;
        this.epsilon = builder.epsilon;
        this.weightDecay = builder.weightDecay;
    }

    /**
     * Begins with the paper's defaults: rate 0.001, beta1 0.9, beta2 0.999, epsilon 1e-8; and
     * PyTorch's weight decay of 0.01.
     *
     * @return a builder
     */
    public static Builder builder() {
        return new Builder();
    }

    AdamWUpdater updater() {
        return new AdamWUpdater(rate, beta1, beta2, epsilon);
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
        return updater();
    }

    @Override
    AdamW rest() {
        return this;
    }

    /** Settings of {@link AdamW}. Every setter checks its range at once. */
    public static final class Builder {
        private ISchedule rate = new FixedSchedule(1e-3);
        private double beta1 = 0.9;
        private double beta2 = 0.999;
        private double epsilon = 1e-8;
        private double weightDecay = 0.01;

        private Builder() {}

        /**
         * Sets a constant learning rate.
         *
         * @param value above 0; default 0.001
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
         * @param value 0 or more, below 1; default 0.9
         * @return this builder
         * @throws LngdArgumentException if it is outside of that
         */
        public Builder beta1(double value) {
            beta1 = Ranges.beta("beta1", value);
            return this;
        }

        /**
         * Sets the running average of the squares.
         *
         * @param value 0 or more, below 1; default 0.999
         * @return this builder
         * @throws LngdArgumentException if it is outside of that
         */
        public Builder beta2(double value) {
            beta2 = Ranges.beta("beta2", value);
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
         * @param value 0 or more; default 0.01
         * @return this builder
         * @throws LngdArgumentException if it is negative or not finite
         */
        public Builder weightDecay(double value) {
            weightDecay = Ranges.notNegative("weightDecay", value);
            return this;
        }

        /**
         * Makes the optimizer.
         *
         * @return with these settings
         */
        public AdamW build() {
            return new AdamW(this);
        }
    }
}
