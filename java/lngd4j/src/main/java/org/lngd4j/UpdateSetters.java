// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * The setters of {@link LngdOptions.Builder} for what is made of a direction: trust ratio, rates,
 * momentum, decay, averages.
 *
 * @param <B> the builder, so that calls can be chained
 */
abstract class UpdateSetters<B> extends CurvatureSetters<B> {
    UpdateSetters(OptionValues start) {
        super(start);
    }

    /**
     * The trust ratio.
     *
     * @param mode what it does
     * @param tau length of a step relative to the weights, above 0 (0 is allowed with OFF)
     * @return this builder
     */
    public B trustRatio(TrustRatio mode, double tau) {
        Check.notNull("mode", mode);
        v.trustRatio =
                mode == TrustRatio.OFF ? Check.notNegative("tau", tau) : Check.positive("tau", tau);
        v.trustMode = mode;
        return self();
    }

    /**
     * Slope of tau over the depth: layer i of L has tau slope^(2 i / (L - 1) - 1).
     *
     * @param slope above 0; 1: the same everywhere
     * @return this builder
     */
    public B trustDepthSlope(double slope) {
        v.trustDepthSlope = Check.positive("slope", slope);
        return self();
    }

    /**
     * The learning rate of a layer.
     *
     * @param rate the rule
     * @return this builder
     */
    public B layerRate(LayerRate rate) {
        v.layerRate = Check.notNull("layerRate", rate);
        return self();
    }

    /**
     * Samples of a batch, evenly spaced, that {@link LayerRate#EMPIRICAL} uses.
     *
     * @param samples at least 1; 0: all
     * @return this builder
     */
    public B rateSamples(int samples) {
        v.rateSamples = Check.atLeast("rateSamples", samples, 0);
        return self();
    }

    /**
     * The guard in alpha_l.
     *
     * @param mu above 0
     * @return this builder
     */
    public B mu(double mu) {
        v.mu = Check.positive("mu", mu);
        return self();
    }

    /**
     * The learning rate alpha, which the schedule multiplies.
     *
     * @param rate in (0, 1e6]
     * @return this builder
     */
    public B learningRate(double rate) {
        Check.positive("learningRate", rate);
        v.learningRate = Check.within("learningRate", rate, 0, 1e6);
        return self();
    }

    /**
     * The momentum.
     *
     * @param momentum in [0, 1)
     * @return this builder
     */
    public B momentum(double momentum) {
        v.momentum = Check.fraction("momentum", momentum);
        return self();
    }

    /**
     * Nesterov's momentum.
     *
     * @param on whether to use it
     * @return this builder
     */
    public B nesterov(boolean on) {
        v.nesterov = on;
        return self();
    }

    /**
     * Weight decay.
     *
     * @param decay at least 0
     * @param mode where it enters
     * @return this builder
     */
    public B weightDecay(double decay, WeightDecay mode) {
        Check.notNull("mode", mode);
        v.weightDecay = Check.notNegative("decay", decay);
        v.decayMode = mode;
        return self();
    }

    /**
     * Averaged weights for evaluation.
     *
     * @param on whether to keep them
     * @return this builder
     */
    public B averaging(boolean on) {
        v.averaging = on;
        return self();
    }

    /**
     * The constant c of the averaged weights: about the last c-th part of a run counts.
     *
     * @param c above 0
     * @return this builder
     */
    public B averagingWindow(double c) {
        v.averagingWindow = Check.positive("averagingWindow", c);
        return self();
    }
}
