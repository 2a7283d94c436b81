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
     * Fisher#PROVIDED} and the CPU, and cannot have {@link LayerRate#KRONECKER}.
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
     * Smallest lambda of {@link Damping#RELATIVE} and {@link Damping#FACTORED}.
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
        Check.positive("min", min);
        if (!(max >= min && max <= Double.MAX_VALUE)) {
            throw Check.bad("max", max, "a finite number, at least min = " + min);
        }
        v.dampingMin = min;
        v.dampingMax = max;
        v.damping = Damping.ABSOLUTE;
        return self();
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
