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
     * Soft trust ratio (ours): tau is multiplied by min(1, 2 ||D|| / usual), usual the geometric
     * mean of ||D|| over the steps of the layer, weights falling by 0.95 a step, so that a gradient
     * that all but vanishes makes no full step. Not with {@link TrustRatio#OFF}.
     *
     * @param on whether to use it
     * @return this builder
     */
    public B softTrust(boolean on) {
        v.softTrust = on;
        return self();
    }

    /**
     * Bound of the output layer (ours): its trust ratio takes min(||W||, ||W_0||) for ||W||, W_0
     * the weights of its first step; steps in proportion to ||W|| make it grow exponentially. It
     * concerns the layer whose {@link LayerSpec#output()} is not {@link OutputModel#HIDDEN}, where
     * it is not the only layer and ||W_0|| is above 1e-3. Not with {@link TrustRatio#OFF}.
     *
     * @param on whether to use it
     * @return this builder
     */
    public B outputBound(boolean on) {
        v.outputBound = on;
        return self();
    }

    /**
     * Factor on the weight decay of such an output layer while ||W|| is above ||W_0||.
     *
     * @param factor at least 0; 1: none
     * @return this builder
     */
    public B outputDecay(double factor) {
        v.outputDecay = Check.notNegative("outputDecay", factor);
        return self();
    }

    /**
     * Whitened orthogonalisation (ours), for large batches: momentum averages gradients, and the
     * average, whitened by the Cholesky factors of both damped factors, is orthogonalised by two
     * quintic Newton-Schulz steps before it is mapped back. {@link Approximation#KFAC} and {@link
     * Approximation#TKFAC} with {@link TrustRatio#ALWAYS} and {@link LayerRate#NONE} only.
     *
     * @param on whether to use it
     * @return this builder
     */
    public B orthogonalise(boolean on) {
        v.orthogonalise = on;
        return self();
    }

    /**
     * Gradients are clipped by their norm before they are preconditioned, as PyTorch's {@code
     * clip_grad_norm_} does: those of all layers and parameters of a plan are multiplied by min(1,
     * maxNorm / (norm + 1e-6)), norm that of all of them together. They are scaled as they are
     * read, and not changed. Where the norm is not finite, nothing of the plan moves in that step.
     *
     * <p>With {@link TrustRatio#ALWAYS} the length of a layer's step does not depend on that of its
     * gradient: clipping then changes only what a step counts beside others in averages of
     * gradients ({@link #orthogonalise}, {@link #softTrust}, the moments of parameters outside of
     * layers) and beside {@link WeightDecay#COUPLED} decay.
     *
     * @param maxNorm at least 0; 0: not clipped
     * @return this builder
     */
    public B gradientClipping(double maxNorm) {
        v.gradientClipping = Check.notNegative("gradientClipping", maxNorm);
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
