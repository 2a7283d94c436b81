// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.Arrays;
import java.util.Map;

/**
 * One layer of LNGD in double precision, written for clarity from the formulas: the oracle of the
 * tests. Activations RELU, TANH and IDENTITY and the softmax output; the Fisher modes EXPECTED and
 * PROVIDED; the approximations LNGD, NGPLUS and KFAC. S0 of SIGNAL damping must be given.
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
    double[][] psi; // diagonal but for KFAC
    double[][] phiInverse;
    double[][] psiInverse;
    double alphaL;
    double inner;
    double curvature;
    double trustScale;
    private long step;
    private final LngdOptions o;
    private final boolean outputLayer;
    private double[] lambdaOfColumn;
    private double[] lambdaOfRow;
    private double inputSquare;
    private double signalSquare;
    private double directionLog;
    private double initialNorm;

    LngdTwin(LngdOptions o, LayerSpec spec, int layer, int layers, double[][] weights) {
        this.o = o;
        this.options = o.asMap();
        this.spec = spec;
        this.m = (int) spec.outputs();
        this.d = (int) spec.columns();
        this.w = copy(weights);
        this.momentum = new double[m][d];
        this.average = copy(weights);
        this.outputLayer = spec.output() != OutputModel.HIDDEN && layers > 1;
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
        double[][] direction = product(product(psiInverse, g), phiInverse);
        inner = dot(direction, g);
        curvature =
                switch (o.layerRate()) {
                    case NONE -> 0;
                    case EMPIRICAL -> empirical(a, delta, direction);
                    case KRONECKER -> kronecker(direction);
                };
        alphaL = o.layerRate() == LayerRate.NONE ? 1 : inner / (curvature + o.mu());
        double length = Math.abs(alphaL) * norm(direction);
        double tau = o.trustRatio() * depthFactor;
        double weights = norm(w);
        initialNorm = step == 0 ? weights : initialNorm;
        boolean bounded = outputLayer && initialNorm > 1e-3;
        double measure = bounded && o.outputBound() ? Math.min(weights, initialNorm) : weights;
        double allowed = softening(norm(direction)) * tau * Math.max(measure, 1e-3);
        trustScale =
                switch (o.trustMode()) {
                    case OFF -> 1;
                    case CAP -> Math.min(1, allowed / (o.learningRate() * length));
                    case ALWAYS -> allowed / length;
                };
        double rate = o.learningRate() * factor;
        double decay =
                switch (o.decayMode()) {
                    case DECOUPLED -> rate * o.weightDecay();
                    case TRUST -> rate * tau * o.weightDecay();
                    case COUPLED -> 0;
                };
        decay *= bounded && weights > initialNorm ? o.outputDecay() : 1;
        double[][] zeta = new double[m][d];
        add(zeta, -rate * alphaL * trustScale, direction);
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < d; j++) {
                momentum[i][j] = o.momentum() * momentum[i][j] + zeta[i][j];
                double move =
                        o.nesterov() ? o.momentum() * momentum[i][j] + zeta[i][j] : momentum[i][j];
                w[i][j] = (1 - decay) * w[i][j] + move;
                average[i][j] +=
                        o.averagingWindow()
                                / (o.averagingWindow() + step)
                                * (w[i][j] - average[i][j]);
            }
        }
        step++;
    }

    private double softening(double length) {
        directionLog = 0.95 * directionLog + 0.05 * Math.log(length);
        double usual = Math.exp(directionLog / (1 - Math.pow(0.95, step + 1)));
        return o.softTrust() ? Math.min(1, 2 * length / usual) : 1;
    }

    private void statistics(double[][] a, double[][] signal) {
        int limit = o.statisticsSamples();
        int n = limit == 0 ? a.length : Math.min(limit, a.length);
        boolean kfac = o.approximation() == Approximation.KFAC;
        double[][] now = new double[d][d];
        double[][] nowPsi = new double[m][m];
        double total = 0;
        double inputs = 0;
        double signals = 0;
        for (int k = 0; k < n; k++) {
            double[] q = squares(signal[k]);
            double r = sum(q);
            double c = 0;
            for (double x : a[k]) {
                c += x * x;
            }
            total += kfac ? 1 : c * r;
            inputs += c / (n * d);
            signals += r / (n * m);
            for (int i = 0; i < m; i++) {
                for (int j = 0; j < m && kfac; j++) {
                    boolean same = sameBlock(o.secondBlockSize(), i, j);
                    nowPsi[i][j] += same ? signal[k][i] * signal[k][j] : 0;
                }
                nowPsi[i][i] += kfac ? 0 : c * q[i];
            }
            for (int i = 0; i < d; i++) {
                for (int j = 0; j < d; j++) {
                    double x = (kfac ? 1 : r) * a[k][i] * a[k][j] / n;
                    now[i][j] += sameBlock(o.blockSize(), i, j) ? x : 0;
                }
            }
        }
        boolean first = phi == null;
        double old = first ? 0 : o.rho();
        phi = first ? new double[d][d] : phi;
        psi = first ? new double[m][m] : psi;
        average(phi, now, old, 1);
        average(psi, nowPsi, old, total);
        inputSquare = old * inputSquare + (1 - old) * inputs;
        signalSquare = old * signalSquare + (1 - old) * signals;
    }

    private static void average(double[][] a, double[][] now, double old, double divisor) {
        for (int i = 0; i < a.length; i++) {
            for (int j = 0; j < a.length; j++) {
                a[i][j] = old * a[i][j] + (1 - old) * now[i][j] / divisor;
            }
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
        lambdaOfColumn = lambdas(phi, o.blockSize(), 1);
        phiInverse = dampedInverse(phi, lambdaOfColumn);
        if (o.approximation() == Approximation.NGPLUS) {
            double[] ones = new double[m];
            Arrays.fill(ones, 1);
            psiInverse = dampedInverse(new double[m][m], ones);
            return;
        }
        int block = o.approximation() == Approximation.KFAC ? o.secondBlockSize() : 0;
        lambdaOfRow = lambdas(psi, block, o.secondDamping());
        psiInverse = dampedInverse(psi, lambdaOfRow);
    }

    /** Lambda of every row of a factor, the same within a block. */
    private double[] lambdas(double[][] factor, int blockSize, double second) {
        int n = factor.length;
        boolean layer = o.damping() == Damping.SIGNAL || o.dampingScope() == DampingScope.LAYER;
        int block = layer || blockSize == 0 ? n : blockSize;
        double[] lambdas = new double[n];
        for (int first = 0; first < n; first += block) {
            int last = Math.min(n, first + block);
            double trace = 0;
            for (int i = first; i < last; i++) {
                trace += factor[i][i];
            }
            Arrays.fill(lambdas, first, last, lambda(trace / (last - first), second));
        }
        return lambdas;
    }

    private double lambda(double mean, double second) {
        double bound =
                o.dampingFactor() * Math.sqrt(o.signalReference() / inputSquare / signalSquare);
        return switch (o.damping()) {
            case RELATIVE -> Math.max(second * o.dampingFactor() * mean, o.dampingFloor());
            case ABSOLUTE -> clip(mean);
            case SIGNAL -> Math.max(second * clip(bound) * mean, o.dampingFloor());
            default -> throw new AssertionError(o.damping());
        };
    }

    private double clip(double x) {
        return Math.min(Math.max(x, o.dampingMin()), o.dampingMax());
    }

    private static double[][] dampedInverse(double[][] factor, double[] lambdas) {
        double[][] damped = copy(factor);
        for (int i = 0; i < damped.length; i++) {
            damped[i][i] += lambdas[i];
        }
        return inverse(damped);
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
            double psiNow = 1 / psiInverse[i][i] - lambdaOfRow[i];
            for (int j = 0; j < d; j++) {
                for (int k = 0; k < d; k++) {
                    double phiNow = damped[j][k] - (j == k ? lambdaOfColumn[j] : 0);
                    sum += psiNow * direction[i][j] * phiNow * direction[i][k];
                }
            }
        }
        return sum;
    }

    private static boolean sameBlock(int size, int i, int j) {
        return size == 0 || i / size == j / size;
    }

    private static double[][] product(double[][] a, double[][] b) {
        double[][] c = new double[a.length][b[0].length];
        for (int i = 0; i < a.length; i++) {
            for (int k = 0; k < b.length; k++) {
                for (int j = 0; j < b[0].length; j++) {
                    c[i][j] += a[i][k] * b[k][j];
                }
            }
        }
        return c;
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
