// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.selftest;

import java.util.Arrays;

/**
 * One dense ReLU layer under LNGD in double precision, written for clarity: expected Fisher, Phi in
 * diagonal blocks, relative damping with gamma = 1, momentum. Every factor is renewed at every
 * step. The bias is the last column of W, and the inputs carry a constant 1 there.
 */
final class LayerTwin {
    private final int rows;
    private final int columns;
    private final int block;
    private final double rho;
    private final double tau;
    private final double rate;
    private final double[][] weights;
    private final double[][] velocity;
    private double[][] phi;
    private double[] psi;

    LayerTwin(double[][] weights, int block, double rho, double tau, double rate) {
        this.rows = weights.length;
        this.columns = weights[0].length;
        this.block = block;
        this.rho = rho;
        this.tau = tau;
        this.rate = rate;
        this.weights = Arrays.stream(weights).map(double[]::clone).toArray(double[][]::new);
        this.velocity = new double[rows][columns];
    }

    double[][] weights() {
        return weights;
    }

    /** s = W a, the pre-activations of a batch. */
    double[][] preActivations(double[][] a) {
        double[][] s = new double[a.length][rows];
        for (int n = 0; n < a.length; n++) {
            for (int i = 0; i < rows; i++) {
                for (int j = 0; j < columns; j++) {
                    s[n][i] += weights[i][j] * a[n][j];
                }
            }
        }
        return s;
    }

    /** Statistics of a batch (inputs a, pre-activations s), then a step along the gradient g. */
    void step(double[][] a, double[][] s, double[][] g) {
        update(a, s);
        double[][] direction = new double[rows][];
        double psiDamping = Arrays.stream(psi).sum() / rows;
        for (int i = 0; i < rows; i++) {
            direction[i] = g[i].clone();
            for (int from = 0; from < columns; from += block) {
                solveBlock(direction[i], from, Math.min(columns, from + block));
            }
            for (int j = 0; j < columns; j++) {
                velocity[i][j] =
                        tau * velocity[i][j] - rate * direction[i][j] / (psi[i] + psiDamping);
                weights[i][j] += velocity[i][j];
            }
        }
    }

    // r_n = sum_i q_ni, c_n = |a_n|^2, Phi = 1/N sum_n r_n a_n a_n^T, psi_i = sum_n c_n q_ni /
    // sum_n c_n r_n.
    private void update(double[][] a, double[][] s) {
        double[][] newPhi = new double[columns][columns];
        double[] newPsi = new double[rows];
        double trace = 0;
        for (int n = 0; n < a.length; n++) {
            double r = 0;
            double c = 0;
            for (double x : a[n]) {
                c += x * x;
            }
            for (int i = 0; i < rows; i++) {
                double q = s[n][i] > 0 ? 1 : 0;
                r += q;
                newPsi[i] += c * q;
            }
            trace += c * r;
            for (int j = 0; j < columns; j++) {
                for (int k = 0; k < columns; k++) {
                    newPhi[j][k] += r * a[n][j] * a[n][k] / a.length;
                }
            }
        }
        if (trace == 0) {
            return;
        }
        double old = phi == null ? 0 : rho;
        phi = phi == null ? newPhi : phi;
        psi = psi == null ? new double[rows] : psi;
        for (int i = 0; i < rows; i++) {
            psi[i] = old * psi[i] + (1 - old) * newPsi[i] / trace;
        }
        for (int j = 0; j < columns; j++) {
            for (int k = 0; k < columns; k++) {
                phi[j][k] = old * phi[j][k] + (1 - old) * newPhi[j][k];
            }
        }
    }

    /**
     * x[from, to) becomes (Phi_block + lambda I)^-1 x[from, to), by Gauss's elimination: the matrix
     * is definite.
     */
    private void solveBlock(double[] x, int from, int to) {
        int size = to - from;
        double lambda = 0;
        for (int j = from; j < to; j++) {
            lambda += phi[j][j] / size;
        }
        double[][] m = new double[size][];
        for (int j = 0; j < size; j++) {
            m[j] = Arrays.copyOfRange(phi[from + j], from, to);
            m[j][j] += lambda;
        }
        for (int p = 0; p < size; p++) {
            for (int j = p + 1; j < size; j++) {
                double factor = m[j][p] / m[p][p];
                for (int k = p; k < size; k++) {
                    m[j][k] -= factor * m[p][k];
                }
                x[from + j] -= factor * x[from + p];
            }
        }
        for (int p = size - 1; p >= 0; p--) {
            for (int k = p + 1; k < size; k++) {
                x[from + p] -= m[p][k] * x[from + k];
            }
            x[from + p] /= m[p][p];
        }
    }
}
