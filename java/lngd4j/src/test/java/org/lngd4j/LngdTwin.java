// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.Map;

/**
 * One layer of LNGD in double precision, written for clarity from the formulas: the oracle of the
 * tests. Activations RELU, TANH and IDENTITY and the softmax output; the Fisher modes EXPECTED and
 * PROVIDED.
 */
final class LngdTwin {
    final Map<String, Object> options;
    final LayerSpec spec;
    final int m;
    final int d;
    final double depthFactor;
    double[][] w;
    double[][] momentum;
    double[][] average;
    double[][] phi;
    double[] psi;
    double[][] phiInverse;
    double[] psiInverse;
    double alphaL;
    double inner;
    double curvature;
    double trustScale;
    private long step;
    private final LngdOptions o;
    private double[] lambdaOfColumn;
    private double lambdaPsi;

    LngdTwin(LngdOptions o, LayerSpec spec, int layer, int layers, double[][] weights) {
        this.o = o;
        this.options = o.asMap();
        this.spec = spec;
        this.m = (int) spec.outputs();
        this.d = (int) spec.columns();
        this.w = copy(weights);
        this.momentum = new double[m][d];
        this.average = copy(weights);
        this.depthFactor =
                layers == 1 ? 1 : Math.pow(o.trustDepthSlope(), 2.0 * layer / (layers - 1) - 1);
    }

    /**
     * One step.
     *
     * @param a inputs with the constant column, N x d
     * @param signal s, or g with PROVIDED
     * @param delta per-sample deltas, for EMPIRICAL
     */
    void step(
            double[][] a, double[][] signal, double[][] gradient, double[][] delta, double factor) {
        if (step % o.statisticsInterval() == 0) {
            statistics(a, signal);
        }
        if (step % o.inverseInterval() == 0) {
            invert();
        }
        double[][] g = copy(gradient);
        if (o.decayMode() == WeightDecay.COUPLED) {
            add(g, o.weightDecay(), w);
        }
        double[][] direction = new double[m][d];
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < d; j++) {
                for (int k = 0; k < d; k++) {
                    direction[i][j] += psiInverse[i] * g[i][k] * phiInverse[k][j];
                }
            }
        }
        inner = dot(direction, g);
        curvature =
                switch (o.layerRate()) {
                    case NONE -> 0;
                    case EMPIRICAL -> empirical(a, delta, direction);
                    case KRONECKER -> kronecker(direction);
                };
        alphaL = o.layerRate() == LayerRate.NONE ? 1 : inner / (curvature + o.mu());
        double length = Math.abs(alphaL) * norm(direction);
        double allowed = o.trustRatio() * depthFactor * Math.max(norm(w), 1e-3);
        trustScale =
                switch (o.trustMode()) {
                    case OFF -> 1;
                    case CAP -> Math.min(1, allowed / (o.learningRate() * length));
                    case ALWAYS -> allowed / length;
                };
        double rate = o.learningRate() * factor;
        double[][] zeta = new double[m][d];
        add(zeta, -rate * alphaL * trustScale, direction);
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < d; j++) {
                momentum[i][j] = o.momentum() * momentum[i][j] + zeta[i][j];
                double decay =
                        o.decayMode() == WeightDecay.DECOUPLED ? 1 - rate * o.weightDecay() : 1;
                double move =
                        o.nesterov() ? o.momentum() * momentum[i][j] + zeta[i][j] : momentum[i][j];
                w[i][j] = decay * w[i][j] + move;
                average[i][j] +=
                        o.averagingWindow()
                                / (o.averagingWindow() + step)
                                * (w[i][j] - average[i][j]);
            }
        }
        step++;
    }

    private void statistics(double[][] a, double[][] signal) {
        int limit = o.statisticsSamples();
        int n = limit == 0 ? a.length : Math.min(limit, a.length);
        double[][] now = new double[d][d];
        double[] nowPsi = new double[m];
        double total = 0;
        for (int k = 0; k < n; k++) {
            double[] q = squares(signal[k]);
            double r = sum(q);
            double c = 0;
            for (double x : a[k]) {
                c += x * x;
            }
            total += c * r;
            for (int i = 0; i < m; i++) {
                nowPsi[i] += c * q[i];
            }
            for (int i = 0; i < d; i++) {
                for (int j = 0; j < d; j++) {
                    now[i][j] += sameBlock(i, j) ? r * a[k][i] * a[k][j] / n : 0;
                }
            }
        }
        for (int i = 0; i < m; i++) {
            nowPsi[i] /= total;
        }
        boolean first = phi == null;
        double old = first ? 0 : o.rho();
        phi = first ? new double[d][d] : phi;
        psi = first ? new double[m] : psi;
        for (int i = 0; i < d; i++) {
            for (int j = 0; j < d; j++) {
                phi[i][j] = old * phi[i][j] + (1 - old) * now[i][j];
            }
        }
        for (int i = 0; i < m; i++) {
            psi[i] = old * psi[i] + (1 - old) * nowPsi[i];
        }
    }

    private double[] squares(double[] x) {
        double[] q = new double[m];
        Fisher mode = spec.fisher() == null ? o.fisher() : spec.fisher();
        double[] p = spec.output() == OutputModel.SOFTMAX ? softmax(x) : null;
        for (int i = 0; i < m; i++) {
            if (mode == Fisher.PROVIDED) {
                q[i] = x[i] * x[i];
            } else if (p != null) {
                q[i] = p[i] * (1 - p[i]);
            } else {
                double slope = slope(x[i]);
                q[i] = slope * slope;
            }
        }
        return q;
    }

    private double slope(double s) {
        return switch (spec.activation()) {
            case IDENTITY -> 1;
            case RELU -> s > 0 ? 1 : 0;
            case TANH -> 1 - Math.tanh(s) * Math.tanh(s);
            default -> throw new AssertionError(spec.activation());
        };
    }

    static double[] softmax(double[] s) {
        double[] p = s.clone();
        double sum = 0;
        for (int i = 0; i < p.length; i++) {
            p[i] = Math.exp(p[i]);
            sum += p[i];
        }
        for (int i = 0; i < p.length; i++) {
            p[i] /= sum;
        }
        return p;
    }

    private void invert() {
        int block = o.blockSize() == 0 ? d : o.blockSize();
        double[][] damped = copy(phi);
        lambdaOfColumn = new double[d];
        for (int first = 0; first < d; first += block) {
            int last = Math.min(d, first + block);
            double trace = 0;
            for (int i = first; i < last; i++) {
                trace += phi[i][i];
            }
            double lambda = lambda(trace / (last - first));
            for (int i = first; i < last; i++) {
                damped[i][i] += lambda;
                lambdaOfColumn[i] = lambda;
            }
        }
        phiInverse = inverse(damped);
        lambdaPsi = lambda(sum(psi) / m);
        psiInverse = new double[m];
        for (int i = 0; i < m; i++) {
            psiInverse[i] = 1 / (psi[i] + lambdaPsi);
        }
    }

    private double lambda(double mean) {
        return o.damping() == Damping.RELATIVE
                ? Math.max(o.dampingFactor() * mean, o.dampingFloor())
                : Math.min(Math.max(mean, o.dampingMin()), o.dampingMax());
    }

    private double empirical(double[][] a, double[][] delta, double[][] direction) {
        double sum = 0;
        for (int k = 0; k < a.length; k++) {
            double x = 0;
            for (int i = 0; i < m; i++) {
                for (int j = 0; j < d; j++) {
                    x += delta[k][i] * direction[i][j] * a[k][j];
                }
            }
            sum += x * x;
        }
        return sum / a.length;
    }

    /** tr(Psi D Phi D^T) with the undamped factors that belong to the inverses in use. */
    private double kronecker(double[][] direction) {
        double[][] damped = inverse(phiInverse);
        double sum = 0;
        for (int i = 0; i < m; i++) {
            double psiNow = 1 / psiInverse[i] - lambdaPsi;
            for (int j = 0; j < d; j++) {
                for (int k = 0; k < d; k++) {
                    double phiNow = damped[j][k] - (j == k ? lambdaOfColumn[j] : 0);
                    sum += psiNow * direction[i][j] * phiNow * direction[i][k];
                }
            }
        }
        return sum;
    }

    private boolean sameBlock(int i, int j) {
        return o.blockSize() == 0 || i / o.blockSize() == j / o.blockSize();
    }

    static double[][] inverse(double[][] matrix) {
        int n = matrix.length;
        double[][] a = new double[n][2 * n];
        for (int i = 0; i < n; i++) {
            System.arraycopy(matrix[i], 0, a[i], 0, n);
            a[i][n + i] = 1;
        }
        for (int k = 0; k < n; k++) {
            double pivot = a[k][k];
            for (int j = 0; j < 2 * n; j++) {
                a[k][j] /= pivot;
            }
            for (int i = 0; i < n; i++) {
                double f = a[i][k];
                for (int j = 0; i != k && j < 2 * n; j++) {
                    a[i][j] -= f * a[k][j];
                }
            }
        }
        double[][] x = new double[n][n];
        for (int i = 0; i < n; i++) {
            System.arraycopy(a[i], n, x[i], 0, n);
        }
        return x;
    }

    static double[][] copy(double[][] a) {
        double[][] b = new double[a.length][];
        for (int i = 0; i < a.length; i++) {
            b[i] = a[i].clone();
        }
        return b;
    }

    private static void add(double[][] a, double x, double[][] b) {
        for (int i = 0; i < a.length; i++) {
            for (int j = 0; j < a[i].length; j++) {
                a[i][j] += x * b[i][j];
            }
        }
    }

    private static double dot(double[][] a, double[][] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            for (int j = 0; j < a[i].length; j++) {
                sum += a[i][j] * b[i][j];
            }
        }
        return sum;
    }

    private static double norm(double[][] a) {
        return Math.sqrt(dot(a, a));
    }

    private static double sum(double[] a) {
        double sum = 0;
        for (double x : a) {
            sum += x;
        }
        return sum;
    }
}
