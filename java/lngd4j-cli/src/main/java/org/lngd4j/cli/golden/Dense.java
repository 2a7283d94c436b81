// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.golden;

/** Small dense linear algebra in double precision on row-major arrays; written for clarity. */
final class Dense {
    private Dense() {}

    /** A (rows x inner) times B (inner x columns). */
    static double[] multiply(double[] a, double[] b, int rows, int inner, int columns) {
        double[] c = new double[rows * columns];
        for (int i = 0; i < rows; i++) {
            for (int k = 0; k < inner; k++) {
                for (int j = 0; j < columns; j++) {
                    c[i * columns + j] += a[i * inner + k] * b[k * columns + j];
                }
            }
        }
        return c;
    }

    static double[] transpose(double[] a, int rows, int columns) {
        double[] t = new double[a.length];
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                t[j * rows + i] = a[i * columns + j];
            }
        }
        return t;
    }

    /** Inverse by Gauss-Jordan with row pivoting. */
    static double[] inverse(double[] a, int n) {
        double[] w = a.clone();
        double[] x = new double[n * n];
        for (int i = 0; i < n; i++) {
            x[i * n + i] = 1;
        }
        for (int k = 0; k < n; k++) {
            int pivot = k;
            for (int i = k + 1; i < n; i++) {
                pivot = Math.abs(w[i * n + k]) > Math.abs(w[pivot * n + k]) ? i : pivot;
            }
            swapRows(w, n, k, pivot);
            swapRows(x, n, k, pivot);
            double scale = 1 / w[k * n + k];
            for (int j = 0; j < n; j++) {
                w[k * n + j] *= scale;
                x[k * n + j] *= scale;
            }
            for (int i = 0; i < n; i++) {
                double f = w[i * n + k];
                if (i != k && f != 0) {
                    for (int j = 0; j < n; j++) {
                        w[i * n + j] -= f * w[k * n + j];
                        x[i * n + j] -= f * x[k * n + j];
                    }
                }
            }
        }
        return x;
    }

    private static void swapRows(double[] a, int n, int i, int k) {
        for (int j = 0; i != k && j < n; j++) {
            double t = a[i * n + j];
            a[i * n + j] = a[k * n + j];
            a[k * n + j] = t;
        }
    }

    /** Largest row sum of absolute values. */
    static double normInf(double[] a, int rows, int columns) {
        double norm = 0;
        for (int i = 0; i < rows; i++) {
            double sum = 0;
            for (int j = 0; j < columns; j++) {
                sum += Math.abs(a[i * columns + j]);
            }
            norm = Math.max(norm, sum);
        }
        return norm;
    }

    static double trace(double[] a, int n) {
        double sum = 0;
        for (int i = 0; i < n; i++) {
            sum += a[i * n + i];
        }
        return sum;
    }

    static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }

    static double maxAbs(double[] a) {
        double max = 0;
        for (double x : a) {
            max = Math.max(max, Math.abs(x));
        }
        return max;
    }

    static double sumAbs(double[] a) {
        double sum = 0;
        for (double x : a) {
            sum += Math.abs(x);
        }
        return sum;
    }

    static double[] abs(double[] a) {
        double[] b = new double[a.length];
        for (int i = 0; i < a.length; i++) {
            b[i] = Math.abs(a[i]);
        }
        return b;
    }

    /** x a + y b. */
    static double[] combine(double x, double[] a, double y, double[] b) {
        double[] c = new double[a.length];
        for (int i = 0; i < a.length; i++) {
            c[i] = x * a[i] + y * b[i];
        }
        return c;
    }

    /** Row i of an m x d matrix times f[i]. */
    static double[] scaleRows(double[] a, double[] f, int rows, int columns) {
        double[] b = new double[a.length];
        for (int i = 0; i < a.length; i++) {
            b[i] = a[i] * f[i / columns];
        }
        return b;
    }
}
