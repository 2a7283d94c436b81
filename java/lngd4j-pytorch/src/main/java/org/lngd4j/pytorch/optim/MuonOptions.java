// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import java.util.HashSet;
import java.util.Set;
import org.lngd4j.nativelib.LngdArgumentException;

/** Settings of {@link Muon}. Unchangeable. */
public final class MuonOptions {
    private final double learningRate;
    private final double momentum;
    private final boolean nesterov;
    private final int newtonSchulzSteps;
    private final MuonScale scale;
    private final double weightDecay;
    private final RestOptions rest;
    private final Set<String> adamW;

    private MuonOptions(Builder builder) {
        learningRate = builder.learningRate;
        momentum = builder.momentum;
        nesterov = builder.nesterov;
        newtonSchulzSteps = builder.newtonSchulzSteps;
        scale = builder.scale;
        weightDecay = builder.weightDecay;
        rest = builder.rest;
        adamW = Set.copyOf(builder.adamW);
    }

    /**
     * Begins with Jordan's defaults: rate 0.02, momentum 0.95, Nesterov, 5 Newton-Schulz steps,
     * {@link MuonScale#SHAPE}, no decay; for the rest AdamW with rate 3e-4, betas 0.9 and 0.95,
     * epsilon 1e-10 and no decay.
     *
     * @return a builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Begins with the settings of "Muon is scalable": {@link MuonScale#MATCH_ADAMW}, and the same
     * rate and decay for the matrices and for the rest; betas 0.9 and 0.95 and epsilon 1e-8 of its
     * AdamW.
     *
     * @param learningRate AdamW's, above 0
     * @param weightDecay 0 or more; the paper has 0.1
     * @return a builder
     * @throws LngdArgumentException if a number is outside of its range
     */
    public static Builder matchingAdamW(double learningRate, double weightDecay) {
        return builder()
                .scale(MuonScale.MATCH_ADAMW)
                .learningRate(learningRate)
                .weightDecay(weightDecay)
                .rest(new RestOptions(learningRate, 0.9, 0.95, 1e-8, weightDecay));
    }

    /**
     * The learning rate of the matrices at the start.
     *
     * @return above 0
     */
    public double learningRate() {
        return learningRate;
    }

    /**
     * The momentum.
     *
     * @return 0 or more, below 1
     */
    public double momentum() {
        return momentum;
    }

    /**
     * Whether the momentum is Nesterov's.
     *
     * @return true for Nesterov's
     */
    public boolean nesterov() {
        return nesterov;
    }

    /**
     * The steps of the Newton-Schulz iteration.
     *
     * @return 1 or more
     */
    public int newtonSchulzSteps() {
        return newtonSchulzSteps;
    }

    /**
     * The factor of the orthogonalised update.
     *
     * @return the rule
     */
    public MuonScale scale() {
        return scale;
    }

    /**
     * The decoupled weight decay of the matrices.
     *
     * @return the factor that is multiplied with the learning rate and the weights; 0: none
     */
    public double weightDecay() {
        return weightDecay;
    }

    /**
     * What trains the rest.
     *
     * @return settings of AdamW
     */
    public RestOptions rest() {
        return rest;
    }

    /**
     * Layers that AdamW trains as well.
     *
     * @return their names
     */
    public Set<String> adamW() {
        return adamW;
    }

    /** Settings of {@link Muon}. Every setter checks its range at once. */
    public static final class Builder {
        private double learningRate = 0.02;
        private double momentum = 0.95;
        private boolean nesterov = true;
        private int newtonSchulzSteps = 5;
        private MuonScale scale = MuonScale.SHAPE;
        private double weightDecay;
        private RestOptions rest = new RestOptions(3e-4, 0.9, 0.95, 1e-10, 0);
        private final Set<String> adamW = new HashSet<>();

        private Builder() {}

        /**
         * Sets the learning rate of the matrices. The rest has its own: {@link #rest}.
         *
         * @param value above 0; default 0.02
         * @return this builder
         * @throws LngdArgumentException if it is not above 0 and finite
         */
        public Builder learningRate(double value) {
            learningRate = Ranges.positive("learningRate", value);
            return this;
        }

        /**
         * Sets the momentum.
         *
         * @param value 0 or more, below 1; default 0.95
         * @return this builder
         * @throws LngdArgumentException if it is outside of that
         */
        public Builder momentum(double value) {
            momentum = Ranges.beta("momentum", value);
            return this;
        }

        /**
         * Sets whether the momentum is Nesterov's.
         *
         * @param value default true
         * @return this builder
         */
        public Builder nesterov(boolean value) {
            nesterov = value;
            return this;
        }

        /**
         * Sets the steps of the Newton-Schulz iteration.
         *
         * @param value 1 or more; default 5
         * @return this builder
         * @throws LngdArgumentException if it is below 1
         */
        public Builder newtonSchulzSteps(int value) {
            newtonSchulzSteps = Ranges.atLeastOne("newtonSchulzSteps", value);
            return this;
        }

        /**
         * Sets the factor of the orthogonalised update.
         *
         * @param value default {@link MuonScale#SHAPE}
         * @return this builder
         * @throws LngdArgumentException if it is null
         */
        public Builder scale(MuonScale value) {
            scale = Ranges.notNull("scale", value);
            return this;
        }

        /**
         * Sets the decoupled weight decay of the matrices.
         *
         * @param value 0 or more, times the learning rate; default 0
         * @return this builder
         * @throws LngdArgumentException if it is negative or not finite
         */
        public Builder weightDecay(double value) {
            weightDecay = Ranges.notNegative("weightDecay", value);
            return this;
        }

        /**
         * Sets what trains everything that is no hidden matrix.
         *
         * @param value with rate and decay of its own; default: rate 3e-4, betas 0.9 and 0.95,
         *     epsilon 1e-10, no decay
         * @return this builder
         * @throws LngdArgumentException if it is null
         */
        public Builder rest(RestOptions value) {
            rest = Ranges.notNull("rest", value);
            return this;
        }

        /**
         * Names layers whose weights AdamW shall train as well.
         *
         * @param layers names of modules, as {@code named_parameters()} has them before the last
         *     dot
         * @return this builder
         * @throws LngdArgumentException if one is null
         */
        public Builder adamW(String... layers) {
            for (String layer : layers) {
                adamW.add(Ranges.notNull("adamW", layer));
            }
            return this;
        }

        /**
         * Makes the options.
         *
         * @return with these settings
         */
        public MuonOptions build() {
            return new MuonOptions(this);
        }
    }
}
