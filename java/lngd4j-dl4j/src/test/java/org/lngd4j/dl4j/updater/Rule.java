// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

/** A paper's update of one matrix, in double precision. */
interface Rule {
    /**
     * The update, to be subtracted from the weights, without the decay.
     *
     * @param gradient outputs x inputs
     * @param t counted from 1
     */
    double[][] update(double[][] gradient, double rate, int t);

    /** Loshchilov and Hutter, algorithm 2. */
    static Rule adam(double beta1, double beta2, double epsilon) {
        return new Rule() {
            private double[][] m;
            private double[][] v;

            @Override
            public double[][] update(double[][] g, double rate, int t) {
                if (m == null) {
                    m = Dense.zeros(g.length, g[0].length);
                    v = Dense.zeros(g.length, g[0].length);
                }
                double[][] u = Dense.zeros(g.length, g[0].length);
                for (int i = 0; i < g.length; i++) {
                    for (int j = 0; j < g[0].length; j++) {
                        m[i][j] = beta1 * m[i][j] + (1 - beta1) * g[i][j];
                        v[i][j] = beta2 * v[i][j] + (1 - beta2) * g[i][j] * g[i][j];
                        double mean = m[i][j] / (1 - Math.pow(beta1, t));
                        double square = v[i][j] / (1 - Math.pow(beta2, t));
                        u[i][j] = rate * mean / (Math.sqrt(square) + epsilon);
                    }
                }
                return u;
            }
        };
    }

    /** Jordan's write-up, with the transposition of tall matrices that his code has. */
    static Rule muon(double momentum, boolean nesterov, int steps, double scale) {
        return new Rule() {
            private double[][] m;

            @Override
            public double[][] update(double[][] g, double rate, int t) {
                m = m == null ? g : Dense.sum(momentum, m, 1, g);
                double[][] u = nesterov ? Dense.sum(1, g, momentum, m) : m;
                boolean tall = u.length > u[0].length;
                double[][] x = tall ? Dense.transposed(u) : u;
                x = Dense.sum(1 / (Dense.norm(x) + 1e-7), x, 0, x);
                for (int step = 0; step < steps; step++) {
                    double[][] a = Dense.times(x, Dense.transposed(x));
                    double[][] b = Dense.sum(-4.7750, a, 2.0315, Dense.times(a, a));
                    x = Dense.sum(3.4445, x, 1, Dense.times(b, x));
                }
                x = tall ? Dense.transposed(x) : x;
                return Dense.sum(rate * scale, x, 0, x);
            }
        };
    }
}
