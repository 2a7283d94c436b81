// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.golden;

import org.lngd4j.Activation;

/**
 * The pointwise part of a golden file in double precision: activation or softmax, losses,
 * per-sample gradients.
 */
final class GoldenModel {
    private final GoldenFile file;
    private final double[] s;
    private final Noise noise;
    private final int m;
    private final double[] output;
    private final double[] derivative;

    GoldenModel(GoldenFile file, double[] s, Noise noise) {
        this.file = file;
        this.s = s;
        this.m = file.rows();
        this.noise = noise;
        this.output = noise.relative(file.isSoftmax() ? softmax() : map(false), 2);
        this.derivative = file.isSoftmax() ? null : noise.relative(map(true), 4);
    }

    double[] output() {
        return output;
    }

    /** The derivative of phi at s; null for a softmax output. */
    double[] derivative() {
        return derivative;
    }

    /** d(loss of the sample)/ds: upstream phi'(s), or p - onehot(label). */
    double[] delta() {
        return file.isSoftmax()
                ? minusOneHot(file.input("labels"))
                : times(file.input("upstream"), derivative);
    }

    /**
     * The g of the mode "sampled": {@code noise phi'(s)}, {@code p - onehot(label)}, or {@code p
     * (noise - <p, noise>)}.
     */
    double[] noisyGradients() {
        if (!file.isSoftmax()) {
            return times(file.input("noise"), derivative);
        }
        if (!file.isGaussian()) {
            return minusOneHot(file.input("sampled_labels"));
        }
        double[] noise = file.input("noise");
        double[] g = new double[s.length];
        for (int row = 0; row < s.length; row += m) {
            double mean = 0;
            for (int i = row; i < row + m; i++) {
                mean += output[i] * noise[i];
            }
            for (int i = row; i < row + m; i++) {
                g[i] = output[i] * (noise[i] - mean);
            }
        }
        return g;
    }

    /** q: the squares of g, or their expectation phi'^2, p (1 - p), or p^2 (1 - 2 p + sum p^2). */
    double[] squares(double[] noisy) {
        double[] q = new double[s.length];
        for (int row = 0; row < s.length; row += m) {
            double sum = 0;
            for (int i = row; i < row + m; i++) {
                sum += output[i] * output[i];
            }
            for (int i = row; i < row + m; i++) {
                double p = output[i];
                if (noisy != null) {
                    q[i] = noisy[i] * noisy[i];
                } else if (!file.isSoftmax()) {
                    q[i] = derivative[i] * derivative[i];
                } else {
                    q[i] = file.isGaussian() ? p * p * (1 - 2 * p + sum) : p * (1 - p);
                }
            }
        }
        return noise.relative(q, 2);
    }

    private double[] softmax() {
        double[] p = new double[s.length];
        for (int row = 0; row < s.length; row += m) {
            double max = Double.NEGATIVE_INFINITY;
            double sum = 0;
            for (int i = row; i < row + m; i++) {
                max = Math.max(max, s[i]);
            }
            for (int i = row; i < row + m; i++) {
                p[i] = Math.exp(s[i] - max);
                sum += p[i];
            }
            for (int i = row; i < row + m; i++) {
                p[i] /= sum;
            }
        }
        return p;
    }

    private double[] minusOneHot(double[] labels) {
        double[] g = output.clone();
        for (int i = 0; i < labels.length; i++) {
            g[i * m + (int) labels[i]] -= 1;
        }
        return g;
    }

    private static double[] times(double[] x, double[] y) {
        double[] z = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            z[i] = x[i] * y[i];
        }
        return z;
    }

    private double[] map(boolean slope) {
        Activation phi = file.phi();
        double[] y = new double[s.length];
        for (int i = 0; i < s.length; i++) {
            y[i] = slope ? slope(phi, s[i]) : value(phi, s[i]);
        }
        return y;
    }

    private static double value(Activation phi, double x) {
        double k = phi.defaultParameter();
        return switch (phi) {
            case IDENTITY -> x;
            case RELU -> Math.max(x, 0);
            case LEAKY_RELU -> x > 0 ? x : k * x;
            case ELU -> x > 0 ? x : k * Math.expm1(x);
            case TANH -> Math.tanh(x);
            case SIGMOID -> sigmoid(x);
            case SOFTPLUS -> Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
            case GELU -> x * normal(x);
            case SWISH -> x * sigmoid(x);
        };
    }

    private static double slope(Activation phi, double x) {
        double k = phi.defaultParameter();
        return switch (phi) {
            case IDENTITY -> 1;
            case RELU -> x > 0 ? 1 : 0;
            case LEAKY_RELU -> x > 0 ? 1 : k;
            case ELU -> x > 0 ? 1 : k * Math.exp(x);
            case TANH -> 1 - Math.tanh(x) * Math.tanh(x);
            case SIGMOID -> sigmoid(x) * sigmoid(-x);
            case SOFTPLUS -> sigmoid(x);
            case GELU -> normal(x) + x * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
            case SWISH -> sigmoid(x) * (1 + x * sigmoid(-x));
        };
    }

    private static double sigmoid(double x) {
        return 1 / (1 + Math.exp(-x));
    }

    /**
     * Distribution function of the normal distribution, by its series; plenty for |x| below 8,
     * beyond it is 0 or 1.
     */
    private static double normal(double x) {
        if (Math.abs(x) > 8) {
            return x > 0 ? 1 : 0;
        }
        double sum = x;
        double term = x;
        for (int i = 3; i < 400 && Math.abs(term) > 1e-18 * Math.abs(sum); i += 2) {
            term *= x * x / i;
            sum += term;
        }
        return 0.5 + sum * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
    }
}
