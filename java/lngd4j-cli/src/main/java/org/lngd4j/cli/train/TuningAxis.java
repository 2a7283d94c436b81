// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.util.List;

/**
 * One setting that is tuned, and the values it is tried with.
 *
 * @param option the option of {@code lngd train}, without its dashes
 * @param unit what the values are multiplied by
 * @param grid ascending
 * @param start where the search begins: the default, one of the grid
 */
public record TuningAxis(String option, Unit unit, List<Double> grid, double start) {
    /**
     * What the values of a grid are multiplied by, so that a short run's best holds for a long one.
     */
    public enum Unit {
        /** Nothing. */
        PLAIN,
        /** {@code 1 / sqrt(total steps)}, the law that LNGD's trust ratio follows. */
        OVER_ROOT_OF_STEPS
    }

    // The grid of the paper's group: 1 and 3 in every decade, 1e-4 to 3.
    private static final List<Double> RATES =
            List.of(1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0);

    /** Refuses a start that is not in the grid. */
    public TuningAxis {
        grid = List.copyOf(grid);
        if (!grid.contains(start)) {
            throw new IllegalArgumentException("start: " + start + " is not in " + grid);
        }
    }

    static TuningAxis learningRate(double start) {
        return new TuningAxis("learning-rate", Unit.PLAIN, RATES, start);
    }

    /** For steps in proportion to the weights: the same decades, below 1. */
    static TuningAxis relativeStep(double start) {
        return new TuningAxis("learning-rate", Unit.PLAIN, RATES.subList(0, 8), start);
    }

    /** A step's length over that of the weights, by the law that LNGD's recipe follows. */
    static TuningAxis trustRatio() {
        return new TuningAxis(
                "trust-ratio",
                Unit.OVER_ROOT_OF_STEPS,
                List.of(0.03, 0.06, 0.1, 0.17, 0.3, 0.5),
                0.17);
    }

    /** Gamma, in units of a factor's mean eigenvalue. */
    static TuningAxis relativeDamping() {
        return new TuningAxis("damping", Unit.PLAIN, List.of(0.1, 0.3, 1.0, 3.0, 10.0), 1);
    }

    /** The same for BLOCK_KRONECKER_FIT, whose own law is 0.2 / sqrt(steps + 100). */
    static TuningAxis fitTrustRatio() {
        return new TuningAxis(
                "trust-ratio",
                Unit.OVER_ROOT_OF_STEPS,
                List.of(0.035, 0.07, 0.12, 0.2, 0.35, 0.6),
                0.2);
    }

    /** G of SIGNAL damping, in steps of about 3 from the preset's own. */
    static TuningAxis signalDamping() {
        return new TuningAxis("damping", Unit.PLAIN, List.of(0.07, 0.2, 0.7, 2.0, 7.0), 0.7);
    }

    /** The same for BLOCK_KRONECKER_FIT. */
    static TuningAxis fitSignalDamping() {
        return new TuningAxis("damping", Unit.PLAIN, List.of(0.015, 0.05, 0.15, 0.5, 1.5), 0.15);
    }

    /** Weight decay in units of the trust ratio. */
    static TuningAxis decayOverTrustRatio() {
        return new TuningAxis("weight-decay", Unit.PLAIN, List.of(0.03, 0.1, 0.3, 1.0), 0.3);
    }

    /** KFAC's lambda, in units of the Fisher matrix. */
    static TuningAxis factoredDamping() {
        return new TuningAxis("damping", Unit.PLAIN, List.of(1e-4, 1e-3, 1e-2, 0.1, 1.0), 1e-2);
    }

    /** Decoupled, in units of the learning rate. */
    static TuningAxis weightDecay(double start) {
        return new TuningAxis("weight-decay", Unit.PLAIN, List.of(1e-3, 1e-2, 0.1, 1.0), start);
    }

    /** The option's value at the start of the search, in a run of so many steps. */
    double startValue(long totalSteps) {
        return value(grid.indexOf(start), totalSteps);
    }

    /** The option's value for a point of the grid in a run of so many steps. */
    public double value(int index, long totalSteps) {
        double factor = unit == Unit.PLAIN ? 1 : 1 / Math.sqrt(totalSteps);
        return grid.get(index) * factor;
    }
}
