// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.golden;

import java.util.Random;

/**
 * Random errors of the size of float32's rounding, put into a computation in double precision; or
 * none.
 */
final class Noise {
    /** Rounding unit of float32. */
    static final double U = 0x1p-24;

    private final Random random;

    private Noise(Random random) {
        this.random = random;
    }

    static Noise none() {
        return new Noise(null);
    }

    /** A fixed seed gives the same tolerances in every run. */
    static Noise seeded(long seed) {
        return new Noise(new Random(seed));
    }

    /** Each value with a relative error of about {@code units} rounding units. */
    double[] relative(double[] x, double units) {
        return absolute(x, x, units);
    }

    /** Each value with an error of about {@code units} rounding units of {@code size}. */
    double[] absolute(double[] x, double[] size, double units) {
        if (random == null || x == null) {
            return x;
        }
        double[] y = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            y[i] = x[i] + units * U * random.nextGaussian() * size[i];
        }
        return y;
    }

    double relative(double x, double units) {
        return random == null ? x : x * (1 + units * U * random.nextGaussian());
    }

    /**
     * A symmetric matrix with symmetric errors, each relative to the square root of the two
     * diagonal entries.
     */
    double[] symmetric(double[] a, int n, double units) {
        if (random == null) {
            return a;
        }
        double[] b = a.clone();
        for (int i = 0; i < n; i++) {
            for (int j = 0; j <= i; j++) {
                double size = Math.sqrt(Math.abs(a[i * n + i] * a[j * n + j]));
                b[i * n + j] += units * U * random.nextGaussian() * size;
                b[j * n + i] = b[i * n + j];
            }
        }
        return b;
    }
}
