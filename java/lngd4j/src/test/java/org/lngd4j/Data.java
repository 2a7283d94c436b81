// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.Random;

/**
 * Numbers for tests; every double is exactly a float, so that the oracle and the library see the
 * same input.
 */
final class Data {
    private final Random random;

    Data(long seed) {
        random = new Random(seed);
    }

    double[][] matrix(int rows, int columns) {
        double[][] a = new double[rows][columns];
        for (double[] row : a) {
            for (int j = 0; j < columns; j++) {
                row[j] = (float) random.nextGaussian();
            }
        }
        return a;
    }

    float[] matrixOf(int values) {
        return flat(matrix(1, values));
    }

    static double[][] withOnes(double[][] a, boolean bias) {
        if (!bias) {
            return a;
        }
        double[][] b = new double[a.length][];
        for (int i = 0; i < a.length; i++) {
            b[i] = java.util.Arrays.copyOf(a[i], a[i].length + 1);
            b[i][a[i].length] = 1;
        }
        return b;
    }

    static HostArray array(double[][] a) {
        return new HostArray(flat(a), a.length, a[0].length);
    }

    /** Some columns as a compact tensor. */
    static HostArray columns(double[][] a, int from, int to) {
        double[][] b = new double[a.length][];
        for (int i = 0; i < a.length; i++) {
            b[i] = java.util.Arrays.copyOfRange(a[i], from, to);
        }
        return array(b);
    }

    /** The last column as a vector. */
    static HostArray lastColumn(double[][] a) {
        return new HostArray(columns(a, a[0].length - 1, a[0].length).values(), a.length);
    }

    static float[] flat(double[][] a) {
        int columns = a[0].length;
        float[] values = new float[a.length * columns];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) a[i / columns][i % columns];
        }
        return values;
    }

    static double largest(float[] a) {
        double largest = 0;
        for (float x : a) {
            // Written so that NaN is the largest.
            largest = Math.abs(x) <= largest ? largest : Math.abs(x);
        }
        return largest;
    }

    static float[] difference(float[] a, float[] b) {
        float[] c = a.clone();
        for (int i = 0; i < c.length; i++) {
            c[i] -= b[i];
        }
        return c;
    }

    HostArray floats(long rows, long columns) {
        return array(matrix((int) rows, (int) columns));
    }

    HostArray vector(long n) {
        return lastColumn(matrix((int) n, 1));
    }
}
