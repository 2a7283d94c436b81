// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import java.util.stream.IntStream;

/**
 * SOAP's algorithm 3 in double precision, with M in the weights' own basis as the paper has it. It
 * is told the eigenvectors of the first L and R: where these have no full rank, any basis of the
 * rest is right, and the steps depend on which.
 */
final class SoapTwin implements Twin {
    private final SoapOptions options;
    private double[][] l;
    private double[][] r;
    private double[][] ql;
    private double[][] qr;
    private double[][] m;
    private double[][] v;

    SoapTwin(SoapOptions options) {
        this.options = options;
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
    public double[][] direction(double[][] g, int t) {
        int rows = g.length;
        int columns = g[0].length;
        if (t == 1) {
            l = new double[rows][rows];
            r = new double[columns][columns];
            m = new double[rows][columns];
            v = new double[rows][columns];
            average(g);
            return new double[rows][columns];
        }
        double[][] left = ql == null ? Dense.identity(rows) : ql;
        double[][] right = qr == null ? Dense.identity(columns) : qr;
        double[][] turned = Dense.times(Dense.times(Dense.transposed(left), g), right);
        m = Dense.sum(options.beta1(), m, 1 - options.beta1(), g);
        double[][] mean = Dense.times(Dense.times(Dense.transposed(left), m), right);
        double[][] n = new double[rows][columns];
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                double square = turned[i][j] * turned[i][j];
                v[i][j] = options.beta2() * v[i][j] + (1 - options.beta2()) * square;
                double first = mean[i][j] / (1 - Math.pow(options.beta1(), t - 1));
                double second = v[i][j] / (1 - Math.pow(options.beta2(), t - 1));
                n[i][j] = first / (Math.sqrt(second) + options.epsilon());
            }
        }
        double[][] u = Dense.times(Dense.times(left, n), Dense.transposed(right));
        average(g);
        if ((t - 1) % options.preconditionFrequency() == 0) {
            turn(left, right);
        }
        return u;
    }

    private void average(double[][] g) {
        double beta = options.shampooBeta();
        double[][] t = Dense.transposed(g);
        l = Dense.sum(beta, l, 1 - beta, Dense.times(g, t));
        r = Dense.sum(beta, r, 1 - beta, Dense.times(t, g));
    }

    private void turn(double[][] left, double[][] right) {
        int[] rows = ql == null ? IntStream.range(0, left.length).toArray() : order(l, left);
        int[] columns = qr == null ? IntStream.range(0, right.length).toArray() : order(r, right);
        double[][] sorted = new double[rows.length][columns.length];
        for (int i = 0; i < rows.length; i++) {
            for (int j = 0; j < columns.length; j++) {
                sorted[i][j] = v[rows[i]][columns[j]];
            }
        }
        v = sorted;
        ql = ql == null ? null : next(l, left, rows);
        qr = qr == null ? null : next(r, right, columns);
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
        double[][] sorted = new double[q.length][q.length];
        for (int i = 0; i < q.length; i++) {
            for (int j = 0; j < q.length; j++) {
                sorted[i][j] = product[i][order[j]];
            }
        }
        return Dense.orthonormal(sorted);
    }
}
