// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.fisher;

/** Square matrices in double, by rows: small ones, written for clarity. */
final class Matrices {
    private Matrices() {}

    /**
     * {@code sum += weight * (x x^T) (x) b}, element ((i, p), (j, q)) at row {@code i * m + p}: the
     * Kronecker product of a rank-one d x d matrix and an m x m one.
     */
    static void addKronecker(double[][] sum, double weight, double[] x, double[][] b) {
        int m = b.length;
        for (int i = 0; i < x.length; i++) {
            for (int j = 0; j < x.length; j++) {
                double factor = weight * x[i] * x[j];
                for (int p = 0; p < m; p++) {
                    double[] row = sum[i * m + p];
                    for (int q = 0; q < m; q++) {
                        row[j * m + q] += factor * b[p][q];
                    }
                }
            }
        }
    }

    /** {@code a (x) b} in the same order. */
    static double[][] kronecker(double[][] a, double[][] b) {
        int m = b.length;
        double[][] product = new double[a.length * m][a.length * m];
        for (int i = 0; i < a.length; i++) {
            for (int j = 0; j < a.length; j++) {
                for (int p = 0; p < m; p++) {
                    for (int q = 0; q < m; q++) {
                        product[i * m + p][j * m + q] = a[i][j] * b[p][q];
                    }
                }
            }
        }
        return product;
    }

    /** {@code sum += weight * x x^T}. */
    static void addOuter(double[][] sum, double weight, double[] x) {
        for (int i = 0; i < x.length; i++) {
            for (int j = 0; j < x.length; j++) {
                sum[i][j] += weight * x[i] * x[j];
            }
        }
    }

    static double[][] diagonal(double[] values) {
        double[][] matrix = new double[values.length][values.length];
        for (int i = 0; i < values.length; i++) {
            matrix[i][i] = values[i];
        }
        return matrix;
    }

    static double[][] scaled(double[][] a, double factor) {
        double[][] result = new double[a.length][a.length];
        for (int i = 0; i < a.length; i++) {
            for (int j = 0; j < a.length; j++) {
                result[i][j] = factor * a[i][j];
            }
        }
        return result;
    }

    /** {@code |a - b|}, elementwise. */
    static double[][] distance(double[][] a, double[][] b) {
        double[][] result = new double[a.length][a.length];
        for (int i = 0; i < a.length; i++) {
            for (int j = 0; j < a.length; j++) {
                result[i][j] = Math.abs(a[i][j] - b[i][j]);
            }
        }
        return result;
    }

    /** {@code <a, b>}, Frobenius. */
    static double dot(double[][] a, double[][] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            for (int j = 0; j < a.length; j++) {
                sum += a[i][j] * b[i][j];
            }
        }
        return sum;
    }

    static double norm(double[][] a) {
        return Math.sqrt(dot(a, a));
    }

    static double trace(double[][] a) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i][i];
        }
        return sum;
    }

    static double squaredNorm(double[] x) {
        double sum = 0;
        for (double value : x) {
            sum += value * value;
        }
        return sum;
    }
}
