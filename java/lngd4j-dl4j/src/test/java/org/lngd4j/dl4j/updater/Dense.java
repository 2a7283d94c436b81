// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import java.util.Random;

/** Matrices of doubles, with loops. */
final class Dense {
    private Dense() {}

    static double[][] zeros(int rows, int columns) {
        return new double[rows][columns];
    }

    static double[][] times(double[][] a, double[][] b) {
        double[][] c = zeros(a.length, b[0].length);
        for (int i = 0; i < a.length; i++) {
            for (int j = 0; j < b[0].length; j++) {
                for (int k = 0; k < b.length; k++) {
                    c[i][j] += a[i][k] * b[k][j];
                }
            }
        }
        return c;
    }

    static double[][] transposed(double[][] a) {
        double[][] t = zeros(a[0].length, a.length);
        for (int i = 0; i < a.length; i++) {
            for (int j = 0; j < a[0].length; j++) {
                t[j][i] = a[i][j];
            }
        }
        return t;
    }

    /** alpha a + beta b. */
    static double[][] sum(double alpha, double[][] a, double beta, double[][] b) {
        double[][] c = zeros(a.length, a[0].length);
        for (int i = 0; i < a.length; i++) {
            for (int j = 0; j < a[0].length; j++) {
                c[i][j] = alpha * a[i][j] + beta * b[i][j];
            }
        }
        return c;
    }

    static double norm(double[][] a) {
        double sum = 0;
        for (double[] row : a) {
            for (double x : row) {
                sum += x * x;
            }
        }
        return Math.sqrt(sum);
    }

    static double[][] identity(int n) {
        double[][] e = zeros(n, n);
        for (int i = 0; i < n; i++) {
            e[i][i] = 1;
        }
        return e;
    }

    /** Q of A = Q R by Gram-Schmidt, twice for good measure. */
    static double[][] orthonormal(double[][] a) {
        double[][] columns = transposed(a);
        for (int j = 0; j < columns.length; j++) {
            for (int pass = 0; pass < 2; pass++) {
                for (int k = 0; k < j; k++) {
                    double dot = dot(columns[k], columns[j]);
                    for (int i = 0; i < a.length; i++) {
                        columns[j][i] -= dot * columns[k][i];
                    }
                }
            }
            double length = Math.sqrt(dot(columns[j], columns[j]));
            for (int i = 0; i < a.length; i++) {
                columns[j][i] /= length;
            }
        }
        return transposed(columns);
    }

    static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }

    static double[][] gaussian(Random random, int rows, int columns) {
        double[][] a = zeros(rows, columns);
        for (double[] row : a) {
            for (int j = 0; j < columns; j++) {
                row[j] = random.nextGaussian();
            }
        }
        return a;
    }

    static double difference(double[][] a, double[][] b) {
        double most = 0;
        for (int i = 0; i < a.length; i++) {
            for (int j = 0; j < a[0].length; j++) {
                most = Math.max(most, Math.abs(a[i][j] - b[i][j]));
            }
        }
        return most;
    }
}
