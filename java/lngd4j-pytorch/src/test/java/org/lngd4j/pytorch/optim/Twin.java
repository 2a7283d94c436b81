// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

/** A paper's update of one matrix, in double precision. */
interface Twin {
    /**
     * The direction: to be subtracted from the weights, times the learning rate.
     *
     * @param gradient outputs x inputs
     * @param t counted from 1
     */
    double[][] direction(double[][] gradient, int t);

    /** Loshchilov and Hutter, algorithm 2, without the decay. */
    static Twin adam(double beta1, double beta2, double epsilon) {
        return new Twin() {
            private double[][] m;
            private double[][] v;

            @Override
            public double[][] direction(double[][] g, int t) {
                if (m == null) {
                    m = new double[g.length][g[0].length];
                    v = new double[g.length][g[0].length];
                }
                double[][] u = new double[g.length][g[0].length];
                for (int i = 0; i < g.length; i++) {
                    for (int j = 0; j < g[0].length; j++) {
                        m[i][j] = beta1 * m[i][j] + (1 - beta1) * g[i][j];
                        v[i][j] = beta2 * v[i][j] + (1 - beta2) * g[i][j] * g[i][j];
                        double mean = m[i][j] / (1 - Math.pow(beta1, t));
                        double square = v[i][j] / (1 - Math.pow(beta2, t));
                        u[i][j] = mean / (Math.sqrt(square) + epsilon);
                    }
                }
                return u;
            }
        };
    }

    /**
     * Jordan's write-up, on X X^T whatever the shape: the polynomial is the same on either side.
     */
    static Twin muon(double momentum, boolean nesterov, int steps, double scale) {
        return new Twin() {
            private double[][] m;

            @Override
            public double[][] direction(double[][] g, int t) {
                m = m == null ? g : Dense.sum(momentum, m, 1, g);
                double[][] x = nesterov ? Dense.sum(1, g, momentum, m) : m;
                double squares = 0;
                for (double[] row : x) {
                    for (double value : row) {
                        squares += value * value;
                    }
                }
                x = Dense.sum(1 / (Math.sqrt(squares) + 1e-7), x, 0, x);
                for (int step = 0; step < steps; step++) {
                    double[][] a = Dense.times(x, Dense.transposed(x));
                    double[][] b = Dense.sum(-4.7750, a, 2.0315, Dense.times(a, a));
                    x = Dense.sum(3.4445, x, 1, Dense.times(b, x));
                }
                return Dense.sum(scale, x, 0, x);
            }
        };
    }
}
