// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * The setters of {@link LngdOptions.Builder} for the curvature: Fisher information, factors,
 * damping, intervals.
 *
 * @param <B> the builder, so that calls can be chained
 */
abstract class CurvatureSetters<B> extends RunSetters<B> {
    CurvatureSetters(OptionValues start) {
        super(start);
    }

    /**
     * What stands for the Fisher block of a layer. All but {@link Approximation#LNGD} need {@link
     * Fisher#PROVIDED} and cannot have {@link LayerRate#KRONECKER}.
     *
     * @param approximation the approximation
     * @return this builder
     */
    public B approximation(Approximation approximation) {
        v.approximation = Check.notNull("approximation", approximation);
        return self();
    }

    /**
     * How Fisher information is taken, where a layer does not say otherwise.
     *
     * @param fisher the way
     * @return this builder
     */
    public B fisher(Fisher fisher) {
        v.fisher = Check.notNull("fisher", fisher);
        return self();
    }

    /**
     * The rule of damping, with the bounds that are set.
     *
     * @param damping the rule
     * @return this builder
     */
    public B damping(Damping damping) {
        v.damping = Check.notNull("damping", damping);
        return self();
    }

    /**
     * Damping relative to the mean eigenvalue: {@link Damping#RELATIVE}.
     *
     * @param gamma at least 0
     * @return this builder
     */
    public B relativeDamping(double gamma) {
        v.dampingFactor = Check.notNegative("gamma", gamma);
        v.damping = Damping.RELATIVE;
        return self();
    }

    /**
     * KFAC's factored damping: {@link Damping#FACTORED}. Not with {@link Approximation#LNGD}.
     *
     * @param lambda at least 0
     * @return this builder
     */
    public B factoredDamping(double lambda) {
        v.dampingFactor = Check.notNegative("lambda", lambda);
        v.damping = Damping.FACTORED;
        return self();
    }

    /**
     * Damping by the strength of a layer's signal: {@link Damping#SIGNAL}. {@link
     * Approximation#KFAC} and {@link Approximation#TKFAC} only.
     *
     * @param g factor on the root of S0 / (alpha_l beta_l), at least 0
     * @param min smallest gamma_l, above 0
     * @param max largest gamma_l, at least min
     * @return this builder
     */
    public B signalDamping(double g, double min, double max) {
        Check.notNegative("g", g);
        bounds(min, max);
        v.dampingFactor = g;
        v.damping = Damping.SIGNAL;
        return self();
    }

    /**
     * S0 of {@link Damping#SIGNAL}: what alpha_l beta_l of a layer is compared with.
     *
     * @param reference above 0; 0: the geometric mean over the layers, taken at the first inversion
     *     and then held
     * @return this builder
     */
    public B signalReference(double reference) {
        v.signalReference = Check.notNegative("signalReference", reference);
        return self();
    }

    /**
     * Over what the mean diagonal element of a factor is taken for {@link Damping#RELATIVE}.
     *
     * @param scope the block or the layer
     * @return this builder
     */
    public B dampingScope(DampingScope scope) {
        v.dampingScope = Check.notNull("dampingScope", scope);
        return self();
    }

    /**
     * Factor on lambda of the second factor, psi or B: {@link Damping#RELATIVE} and {@link
     * Damping#SIGNAL}.
     *
     * @param factor above 0; 1: none
     * @return this builder
     */
    public B secondDamping(double factor) {
        v.secondDamping = Check.positive("secondDamping", factor);
        return self();
    }

    /**
     * Smallest lambda, but of {@link Damping#ABSOLUTE}, which has bounds of its own.
     *
     * @param floor above 0
     * @return this builder
     */
    public B dampingFloor(double floor) {
        v.dampingFloor = Check.positive("dampingFloor", floor);
        return self();
    }

    /**
     * Damping clipped to fixed bounds: {@link Damping#ABSOLUTE}.
     *
     * @param min nu1, above 0
     * @param max nu2, at least nu1
     * @return this builder
     */
    public B absoluteDamping(double min, double max) {
        bounds(min, max);
        v.damping = Damping.ABSOLUTE;
        return self();
    }

    private void bounds(double min, double max) {
        Check.positive("min", min);
        if (!(max >= min && max <= Double.MAX_VALUE)) {
            throw Check.bad("max", max, "a finite number, at least min = " + min);
        }
        v.dampingMin = min;
        v.dampingMax = max;
    }

    /**
     * Largest diagonal block of Phi.
     *
     * @param size at least 1; 0: full
     * @return this builder
     */
    public B blockSize(int size) {
        v.blockSize = Check.atLeast("blockSize", size, 0);
        return self();
    }

    /**
     * Largest diagonal block of the second factor over the outputs of a group. {@link
     * Approximation#KFAC} and {@link Approximation#TKFAC} only.
     *
     * @param size at least 1; 0: full
     * @return this builder
     */
    public B secondBlockSize(int size) {
        v.secondBlockSize = Check.atLeast("secondBlockSize", size, 0);
        return self();
    }

    /**
     * The first samples of an update that feed the statistics.
     *
     * @param samples at least 1; 0: all
     * @return this builder
     */
    public B statisticsSamples(int samples) {
        v.statisticsSamples = Check.atLeast("statisticsSamples", samples, 0);
        return self();
    }

    /**
     * T_FIM: every so many steps statistics are taken.
     *
     * @param steps at least 1
     * @return this builder
     */
    public B statisticsInterval(int steps) {
        v.statisticsInterval = Check.atLeast("statisticsInterval", steps, 1);
        return self();
    }

    /**
     * T_INV: every so many steps the inverses are renewed.
     *
     * @param steps at least 1
     * @return this builder
     */
    public B inverseInterval(int steps) {
        v.inverseInterval = Check.atLeast("inverseInterval", steps, 1);
        return self();
    }

    /**
     * Weight of the old estimate in the running averages.
     *
     * @param rho in [0, 1)
     * @return this builder
     */
    public B rho(double rho) {
        v.rho = Check.fraction("rho", rho);
        return self();
    }
}
