// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import java.util.stream.IntStream;

/**
 * SOAP's algorithm 3 in double precision, with M in the weights' own basis as the paper has it. It
 * is told the eigenvectors of the first L and R: where these have no full rank, any basis of the
 * rest is right, and the steps depend on which.
 */
final class SoapTwin implements Rule {
    private final double beta1;
    private final double beta2;
    private final double shampooBeta;
    private final double epsilon;
    private final int frequency;
    private double[][] l;
    private double[][] r;
    private double[][] ql;
    private double[][] qr;
    private double[][] m;
    private double[][] v;

    SoapTwin(double beta1, double beta2, double shampooBeta, double epsilon, int frequency) {
        this.beta1 = beta1;
        this.beta2 = beta2;
        this.shampooBeta = shampooBeta;
        this.epsilon = epsilon;
        this.frequency = frequency;
    }

    /** After the first step; null keeps the identity on that side for good. */
    void bases(double[][] left, double[][] right) {
        ql = left;
        qr = right;
    }

    double[][] left() {
        return l;
    }

    double[][] right() {
        return r;
    }

    @Override
    public double[][] update(double[][] g, double rate, int t) {
        int rows = g.length;
        int columns = g[0].length;
        if (t == 1) {
            l = Dense.zeros(rows, rows);
            r = Dense.zeros(columns, columns);
            m = Dense.zeros(rows, columns);
            v = Dense.zeros(rows, columns);
            average(g);
            return Dense.zeros(rows, columns);
        }
        double[][] left = ql == null ? Dense.identity(rows) : ql;
        double[][] right = qr == null ? Dense.identity(columns) : qr;
        double[][] turned = Dense.times(Dense.times(Dense.transposed(left), g), right);
        m = Dense.sum(beta1, m, 1 - beta1, g);
        double[][] mean = Dense.times(Dense.times(Dense.transposed(left), m), right);
        double[][] n = Dense.zeros(rows, columns);
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                v[i][j] = beta2 * v[i][j] + (1 - beta2) * turned[i][j] * turned[i][j];
                double first = mean[i][j] / (1 - Math.pow(beta1, t - 1));
                double second = v[i][j] / (1 - Math.pow(beta2, t - 1));
                n[i][j] = first / (Math.sqrt(second) + epsilon);
            }
        }
        double[][] u = Dense.times(Dense.times(left, n), Dense.transposed(right));
        average(g);
        if ((t - 1) % frequency == 0) {
            turn(left, right);
        }
        return Dense.sum(rate, u, 0, u);
    }

    private void average(double[][] g) {
        double[][] t = Dense.transposed(g);
        l = Dense.sum(shampooBeta, l, 1 - shampooBeta, Dense.times(g, t));
        r = Dense.sum(shampooBeta, r, 1 - shampooBeta, Dense.times(t, g));
    }

    private void turn(double[][] left, double[][] right) {
        int[] rows = ql == null ? identity(left.length) : order(l, left);
        int[] columns = qr == null ? identity(right.length) : order(r, right);
        double[][] sorted = Dense.zeros(rows.length, columns.length);
        for (int i = 0; i < rows.length; i++) {
            for (int j = 0; j < columns.length; j++) {
                sorted[i][j] = v[rows[i]][columns[j]];
            }
        }
        v = sorted;
        ql = ql == null ? null : next(l, left, rows);
        qr = qr == null ? null : next(r, right, columns);
    }

    private static int[] identity(int n) {
        return IntStream.range(0, n).toArray();
    }

    private static int[] order(double[][] factor, double[][] q) {
        double[][] d = Dense.times(Dense.transposed(q), Dense.times(factor, q));
        return IntStream.range(0, q.length)
                .boxed()
                .sorted((a, b) -> Double.compare(d[b][b], d[a][a]))
                .mapToInt(k -> k)
                .toArray();
    }

    private static double[][] next(double[][] factor, double[][] q, int[] order) {
        double[][] product = Dense.times(factor, q);
        double[][] sorted = Dense.zeros(q.length, q.length);
        for (int i = 0; i < q.length; i++) {
            for (int j = 0; j < q.length; j++) {
                sorted[i][j] = product[i][order[j]];
            }
        }
        return Dense.orthonormal(sorted);
    }
}
