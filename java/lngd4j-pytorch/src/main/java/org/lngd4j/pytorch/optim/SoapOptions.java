// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import org.lngd4j.nativelib.LngdArgumentException;

/** Settings of {@link Soap}. Unchangeable. */
public final class SoapOptions {
    private final double learningRate;
    private final AdamRule rule;
    private final double shampooBeta;
    private final double weightDecay;
    private final int preconditionFrequency;
    private final int maxPreconditionedSize;

    private SoapOptions(Builder builder) {
        learningRate = builder.learningRate;
        rule = new AdamRule(builder.beta1, builder.beta2, builder.epsilon);
        shampooBeta = builder.shampooBeta;
        weightDecay = builder.weightDecay;
        preconditionFrequency = builder.preconditionFrequency;
        maxPreconditionedSize = builder.maxPreconditionedSize;
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

    AdamRule rule() {
        return rule;
    }

    /**
     * The learning rate at the start.
     *
     * @return above 0
     */
    public double learningRate() {
        return learningRate;
    }

    /**
     * The coefficient of the running average of the gradients.
     *
     * @return 0 or more, below 1
     */
    public double beta1() {
        return rule.beta1();
    }

    /**
     * The coefficient of the running average of the squares.
     *
     * @return 0 or more, below 1
     */
    public double beta2() {
        return rule.beta2();
    }

    /**
     * What is added to the root.
     *
     * @return 0 or more
     */
    public double epsilon() {
        return rule.epsilon();
    }

    /**
     * The coefficient of the running averages L and R.
     *
     * @return 0 or more, below 1
     */
    public double shampooBeta() {
        return shampooBeta;
    }

    /**
     * The decoupled weight decay.
     *
     * @return the factor that is multiplied with the learning rate and the weights; 0: none
     */
    public double weightDecay() {
        return weightDecay;
    }

    /**
     * The steps between two bases.
     *
     * @return 1 or more
     */
    public int preconditionFrequency() {
        return preconditionFrequency;
    }

    /**
     * The longest side of a matrix that gets a basis of its own.
     *
     * @return 1 or more
     */
    public int maxPreconditionedSize() {
        return maxPreconditionedSize;
    }

    /** Settings of {@link Soap}. Every setter checks its range at once. */
    public static final class Builder {
        private double learningRate = 3e-3;
        private double beta1 = 0.95;
        private double beta2 = 0.95;
        private double shampooBeta = 0.95;
        private double epsilon = 1e-8;
        private double weightDecay = 0.01;
        private int preconditionFrequency = 10;
        private int maxPreconditionedSize = 10_000;

        private Builder() {}

        /**
         * Sets the learning rate.
         *
         * @param value above 0; default 0.003
         * @return this builder
         * @throws LngdArgumentException if it is not above 0 and finite
         */
        public Builder learningRate(double value) {
            learningRate = Ranges.positive("learningRate", value);
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
         * Sets the decoupled weight decay.
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
            preconditionFrequency = Ranges.atLeastOne("preconditionFrequency", value);
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
            maxPreconditionedSize = Ranges.atLeastOne("maxPreconditionedSize", value);
            return this;
        }

        /**
         * Makes the options.
         *
         * @return with these settings
         */
        public SoapOptions build() {
            return new SoapOptions(this);
        }
    }
}
