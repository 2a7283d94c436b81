// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import java.util.Random;

/** Vectors with real targets. */
final class RealData {
    static final double OUTLIERS = 0.05;
    static final double OUTLIER_DEVIATION = 2;

    private RealData() {}

    /** {@code y = sin(3 x)} plus normal noise of 0.1, x uniform in [-2, 2). */
    static Samples sine(Random random, int training, int count) {
        return Samples.of(
                count,
                1,
                1,
                (i, x, y) -> {
                    x[0] = 4 * random.nextDouble() - 2;
                    y[0] = StrictMath.sin(3 * x[0]) + 0.1 * random.nextGaussian();
                });
    }

    /**
     * Friedman's first function (Friedman, Multivariate Adaptive Regression Splines, 1991): ten
     * features uniform in [0, 1), {@code y = 10 sin(pi x1 x2) + 20 (x3 - 1/2)^2 + 10 x4 + 5 x5}
     * plus normal noise of 1; five features count for nothing. As it is: mean 14.4, deviation 5.
     */
    static Samples friedmanRaw(Random random, int training, int count) {
        return Samples.of(
                count,
                10,
                1,
                (i, x, y) -> {
                    for (int k = 0; k < x.length; k++) {
                        x[k] = random.nextDouble();
                    }
                    y[0] =
                            10 * StrictMath.sin(StrictMath.PI * x[0] * x[1])
                                    + 20 * (x[2] - 0.5) * (x[2] - 0.5)
                                    + 10 * x[3]
                                    + 5 * x[4]
                                    + random.nextGaussian();
                });
    }

    /** {@link #friedmanRaw} with standardised targets. */
    static Samples friedman(Random random, int training, int count) {
        Samples raw = friedmanRaw(random, training, count);
        double[][] target = new double[count][1];
        for (int i = 0; i < count; i++) {
            target[i][0] = raw.target(i, 0);
        }
        Columns.standardise(target, training);
        return Samples.of(
                count,
                raw.inputs(),
                1,
                (i, x, y) -> {
                    for (int k = 0; k < x.length; k++) {
                        x[k] = raw.feature(i, k);
                    }
                    y[0] = target[i][0];
                });
    }

    /**
     * Prices in thousands: {@code exp(5.3 + 0.4 t)}, t the teacher's standardised output plus
     * normal noise of 0.25. Mean 217, deviation 93: nobody has scaled them.
     */
    static Samples prices(Random random, int training, int count, int inputs) {
        double[][] x = Teacher.normal(random, count, inputs, 1);
        double[][] t = teacherOutputs(random, x, 1, training);
        return Samples.of(
                count,
                inputs,
                1,
                (i, features, y) -> {
                    System.arraycopy(x[i], 0, features, 0, inputs);
                    y[0] = StrictMath.exp(5.3 + 0.4 * (t[i][0] + 0.25 * random.nextGaussian()));
                });
    }

    /** Several targets at once: the teacher's standardised outputs plus normal noise of 0.1. */
    static Samples multiOutput(Random random, int training, int count, int inputs, int outputs) {
        double[][] x = Teacher.normal(random, count, inputs, 1);
        double[][] t = teacherOutputs(random, x, outputs, training);
        return Samples.of(
                count,
                inputs,
                outputs,
                (i, features, y) -> {
                    System.arraycopy(x[i], 0, features, 0, inputs);
                    for (int k = 0; k < outputs; k++) {
                        y[k] = t[i][k] + 0.1 * random.nextGaussian();
                    }
                });
    }

    /** One target with normal noise of 0.1, and of 2 in one of twenty samples. */
    static Samples outliers(Random random, int training, int count, int inputs) {
        double[][] x = Teacher.normal(random, count, inputs, 1);
        double[][] t = teacherOutputs(random, x, 1, training);
        return Samples.of(
                count,
                inputs,
                1,
                (i, features, y) -> {
                    System.arraycopy(x[i], 0, features, 0, inputs);
                    boolean outlier = random.nextDouble() < OUTLIERS;
                    double deviation = outlier ? OUTLIER_DEVIATION : 0.1;
                    y[0] = t[i][0] + deviation * random.nextGaussian();
                });
    }

    private static double[][] teacherOutputs(
            Random random, double[][] x, int outputs, int training) {
        double[][] t = new Teacher(random, 1.5, x[0].length, 16, outputs).ofAll(x);
        Columns.standardise(t, training);
        return t;
    }
}
