// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.Map;
import java.util.Objects;

/**
 * Everything an {@link LngdOptimizer} can be told. Immutable; made by a {@link Builder} that starts
 * from a preset.
 *
 * <pre>{@code
 * LngdOptions options = LngdOptions.recipe(6 * 235).momentum(0.95).build();
 * }</pre>
 */
public final class LngdOptions extends OptionAccessors {
    LngdOptions(OptionValues values) {
        super(values);
    }

    /**
     * The default preset, for a run of known length.
     *
     * @param totalSteps length of the run in steps; 0: not known, then a trust ratio must be set
     * @return a builder with the values of {@link Preset#RECIPE}
     */
    public static Builder recipe(long totalSteps) {
        return preset(Preset.RECIPE, totalSteps);
    }

    /**
     * The preset for autoencoders and regression.
     *
     * @param totalSteps length of the run in steps, for the schedule; 0: not known
     * @return a builder with the values of {@link Preset#RECIPE_FIT}
     */
    public static Builder recipeFit(long totalSteps) {
        return preset(Preset.RECIPE_FIT, totalSteps);
    }

    /**
     * The default preset with the layer rate of the paper.
     *
     * @param totalSteps length of the run in steps; 0: not known, then a trust ratio must be set
     * @return a builder with the values of {@link Preset#RECIPE_EMPIRICAL}
     */
    public static Builder recipeEmpirical(long totalSteps) {
        return preset(Preset.RECIPE_EMPIRICAL, totalSteps);
    }

    /**
     * The paper as printed.
     *
     * @return a builder with the values of {@link Preset#PAPER}
     */
    public static Builder paper() {
        return preset(Preset.PAPER, 0);
    }

    /**
     * A preset by its name.
     *
     * @param preset the preset
     * @param totalSteps length of the run in steps, at least 0; 0: not known
     * @return a builder with the values of the preset
     * @throws org.lngd4j.nativelib.LngdNativeLoadException if the native library, which has the
     *     values, cannot be loaded
     */
    public static Builder preset(Preset preset, long totalSteps) {
        return new Builder(OptionValues.of(preset, totalSteps));
    }

    /**
     * A builder that starts from these options.
     *
     * @return a new builder
     */
    public Builder toBuilder() {
        return new Builder(values);
    }

    /**
     * All options by name, in a fixed order; null for a schedule that is not set.
     *
     * @return a new map
     */
    public Map<String, Object> asMap() {
        return values.map();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof LngdOptions that && asMap().equals(that.asMap());
    }

    @Override
    public int hashCode() {
        return Objects.hash(asMap());
    }

    @Override
    public String toString() {
        return "LngdOptions" + asMap();
    }

    /**
     * Sets options one by one. Each setter checks its argument and throws {@link
     * org.lngd4j.nativelib.LngdArgumentException} with its name, value and range. Not thread-safe.
     */
    public static final class Builder {
        private final OptionValues v;

        Builder(OptionValues start) {
            v = start.copy();
        }

        /**
         * Where the kernels run.
         *
         * @param device the device
         * @return this builder
         */
        public Builder device(Device device) {
            v.device = Check.notNull("device", device);
            return this;
        }

        /**
         * Threads of the CPU backend.
         *
         * @param threads at least 1; 0: $LNGD_NUM_THREADS, else all processors of the process
         * @return this builder
         */
        public Builder threads(int threads) {
            v.threads = Check.atLeast("threads", threads, 0);
            return this;
        }

        /**
         * How Fisher information is taken, where a layer does not say otherwise.
         *
         * @param fisher the way
         * @return this builder
         */
        public Builder fisher(Fisher fisher) {
            v.fisher = Check.notNull("fisher", fisher);
            return this;
        }

        /**
         * The rule of damping, with the bounds that are set.
         *
         * @param damping the rule
         * @return this builder
         */
        public Builder damping(Damping damping) {
            v.damping = Check.notNull("damping", damping);
            return this;
        }

        /**
         * Damping relative to the mean eigenvalue: {@link Damping#RELATIVE}.
         *
         * @param gamma at least 0
         * @return this builder
         */
        public Builder relativeDamping(double gamma) {
            v.dampingFactor = Check.notNegative("gamma", gamma);
            v.damping = Damping.RELATIVE;
            return this;
        }

        /**
         * Smallest lambda of {@link Damping#RELATIVE}.
         *
         * @param floor above 0
         * @return this builder
         */
        public Builder dampingFloor(double floor) {
            v.dampingFloor = Check.positive("dampingFloor", floor);
            return this;
        }

        /**
         * Damping clipped to fixed bounds: {@link Damping#ABSOLUTE}.
         *
         * @param min nu1, above 0
         * @param max nu2, at least nu1
         * @return this builder
         */
        public Builder absoluteDamping(double min, double max) {
            Check.positive("min", min);
            if (!(max >= min && max <= Double.MAX_VALUE)) {
                throw Check.bad("max", max, "a finite number, at least min = " + min);
            }
            v.dampingMin = min;
            v.dampingMax = max;
            v.damping = Damping.ABSOLUTE;
            return this;
        }

        /**
         * The trust ratio.
         *
         * @param mode what it does
         * @param tau length of a step relative to the weights, above 0 (0 is allowed with OFF)
         * @return this builder
         */
        public Builder trustRatio(TrustRatio mode, double tau) {
            Check.notNull("mode", mode);
            v.trustRatio =
                    mode == TrustRatio.OFF
                            ? Check.notNegative("tau", tau)
                            : Check.positive("tau", tau);
            v.trustMode = mode;
            return this;
        }

        /**
         * Slope of tau over the depth: layer i of L has tau slope^(2 i / (L - 1) - 1).
         *
         * @param slope above 0; 1: the same everywhere
         * @return this builder
         */
        public Builder trustDepthSlope(double slope) {
            v.trustDepthSlope = Check.positive("slope", slope);
            return this;
        }

        /**
         * The learning rate of a layer.
         *
         * @param rate the rule
         * @return this builder
         */
        public Builder layerRate(LayerRate rate) {
            v.layerRate = Check.notNull("layerRate", rate);
            return this;
        }

        /**
         * Samples of a batch, evenly spaced, that {@link LayerRate#EMPIRICAL} uses.
         *
         * @param samples at least 1; 0: all
         * @return this builder
         */
        public Builder rateSamples(int samples) {
            v.rateSamples = Check.atLeast("rateSamples", samples, 0);
            return this;
        }

        /**
         * The guard in alpha_l.
         *
         * @param mu above 0
         * @return this builder
         */
        public Builder mu(double mu) {
            v.mu = Check.positive("mu", mu);
            return this;
        }

        /**
         * The learning rate alpha, which the schedule multiplies.
         *
         * @param rate in (0, 1e6]
         * @return this builder
         */
        public Builder learningRate(double rate) {
            Check.positive("learningRate", rate);
            v.learningRate = Check.within("learningRate", rate, 0, 1e6);
            return this;
        }

        /**
         * The momentum.
         *
         * @param momentum in [0, 1)
         * @return this builder
         */
        public Builder momentum(double momentum) {
            v.momentum = Check.fraction("momentum", momentum);
            return this;
        }

        /**
         * Nesterov's momentum.
         *
         * @param on whether to use it
         * @return this builder
         */
        public Builder nesterov(boolean on) {
            v.nesterov = on;
            return this;
        }

        /**
         * Weight decay.
         *
         * @param decay at least 0
         * @param mode where it enters
         * @return this builder
         */
        public Builder weightDecay(double decay, WeightDecay mode) {
            Check.notNull("mode", mode);
            v.weightDecay = Check.notNegative("decay", decay);
            v.decayMode = mode;
            return this;
        }

        /**
         * Largest diagonal block of Phi.
         *
         * @param size at least 1; 0: full
         * @return this builder
         */
        public Builder blockSize(int size) {
            v.blockSize = Check.atLeast("blockSize", size, 0);
            return this;
        }

        /**
         * The first samples of an update that feed the statistics.
         *
         * @param samples at least 1; 0: all
         * @return this builder
         */
        public Builder statisticsSamples(int samples) {
            v.statisticsSamples = Check.atLeast("statisticsSamples", samples, 0);
            return this;
        }

        /**
         * T_FIM: every so many steps statistics are taken.
         *
         * @param steps at least 1
         * @return this builder
         */
        public Builder statisticsInterval(int steps) {
            v.statisticsInterval = Check.atLeast("statisticsInterval", steps, 1);
            return this;
        }

        /**
         * T_INV: every so many steps the inverses are renewed.
         *
         * @param steps at least 1
         * @return this builder
         */
        public Builder inverseInterval(int steps) {
            v.inverseInterval = Check.atLeast("inverseInterval", steps, 1);
            return this;
        }

        /**
         * Weight of the old estimate in the running averages.
         *
         * @param rho in [0, 1)
         * @return this builder
         */
        public Builder rho(double rho) {
            v.rho = Check.fraction("rho", rho);
            return this;
        }

        /**
         * Averaged weights for evaluation.
         *
         * @param on whether to keep them
         * @return this builder
         */
        public Builder averaging(boolean on) {
            v.averaging = on;
            return this;
        }

        /**
         * The constant c of the averaged weights: about the last c-th part of a run counts.
         *
         * @param c above 0
         * @return this builder
         */
        public Builder averagingWindow(double c) {
            v.averagingWindow = Check.positive("averagingWindow", c);
            return this;
        }

        /**
         * Seed of {@link Fisher#SAMPLED}.
         *
         * @param seed any number; read as unsigned
         * @return this builder
         */
        public Builder seed(long seed) {
            v.seed = seed;
            return this;
        }

        /**
         * Factor of the learning rate over time.
         *
         * @param schedule finite values, at least 0
         * @return this builder
         */
        public Builder schedule(Schedule schedule) {
            v.schedule = Check.notNull("schedule", schedule);
            return this;
        }

        /**
         * Factor of gamma of {@link Damping#RELATIVE} over time.
         *
         * @param schedule finite values, at least 0; null: 1
         * @return this builder
         */
        public Builder dampingSchedule(Schedule schedule) {
            v.dampingSchedule = schedule;
            return this;
        }

        /**
         * T_FIM over time, rounded to whole steps.
         *
         * @param schedule values of at least 1; null: constant
         * @return this builder
         */
        public Builder statisticsIntervalSchedule(Schedule schedule) {
            v.statisticsIntervalSchedule = schedule;
            return this;
        }

        /**
         * T_INV over time, rounded to whole steps.
         *
         * @param schedule values of at least 1; null: constant
         * @return this builder
         */
        public Builder inverseIntervalSchedule(Schedule schedule) {
            v.inverseIntervalSchedule = schedule;
            return this;
        }

        /**
         * The options.
         *
         * @return the options, immutable; this builder may go on to be used
         * @throws org.lngd4j.nativelib.LngdArgumentException if the trust ratio is on and has no
         *     tau, since neither the number of steps nor tau was given
         */
        public LngdOptions build() {
            if (v.trustMode != TrustRatio.OFF && !(v.trustRatio > 0)) {
                throw Check.bad(
                        "trustRatio",
                        v.trustRatio,
                        "a number above 0: give the preset the number of steps, or call trustRatio("
                                + v.trustMode
                                + ", tau)");
            }
            return new LngdOptions(v);
        }
    }
}
