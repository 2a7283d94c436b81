// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Matrices of doubles with loops, and their way to and from tensors. */
@SuppressWarnings("try") // scopes that are only opened and closed
final class Dense {
    private Dense() {}

    static double[][] times(double[][] a, double[][] b) {
        double[][] c = new double[a.length][b[0].length];
        for (int i = 0; i < a.length; i++) {
            for (int j = 0; j < b[0].length; j++) {
                for (int k = 0; k < b.length; k++) {
                    c[i][j] += a[i][k] * b[k][j];
                }
            }
        }
        return c;
    }

    static double[][] transposed(double[][] a) {
        double[][] t = new double[a[0].length][a.length];
        for (int i = 0; i < a.length; i++) {
            for (int j = 0; j < a[0].length; j++) {
                t[j][i] = a[i][j];
            }
        }
        return t;
    }

    /** alpha a + beta b. */
    static double[][] sum(double alpha, double[][] a, double beta, double[][] b) {
        double[][] c = new double[a.length][a[0].length];
        for (int i = 0; i < a.length; i++) {
            for (int j = 0; j < a[0].length; j++) {
                c[i][j] = alpha * a[i][j] + beta * b[i][j];
            }
        }
        return c;
    }

    static double[][] identity(int n) {
        double[][] e = new double[n][n];
        for (int i = 0; i < n; i++) {
            e[i][i] = 1;
        }
        return e;
    }

    /** Q of A = Q R by Gram-Schmidt, twice for good measure. */
    static double[][] orthonormal(double[][] a) {
        double[][] columns = transposed(a);
        for (int j = 0; j < columns.length; j++) {
            for (int pass = 0; pass < 2; pass++) {
                for (int k = 0; k < j; k++) {
                    double dot = dot(columns[k], columns[j]);
                    for (int i = 0; i < a.length; i++) {
                        columns[j][i] -= dot * columns[k][i];
                    }
                }
            }
            double length = Math.sqrt(dot(columns[j], columns[j]));
            for (int i = 0; i < a.length; i++) {
                columns[j][i] /= length;
            }
        }
        return transposed(columns);
    }

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += a[i] * b[i];
        }
        return sum;
    }

    static double difference(double[][] a, double[][] b) {
        double most = 0;
        for (int i = 0; i < a.length; i++) {
            for (int j = 0; j < a[0].length; j++) {
                most = Math.max(most, Math.abs(a[i][j] - b[i][j]));
            }
        }
        return most;
    }

    /**
     * Gradients of one matrix. The sizes of rows and columns change order with time, so that SOAP's
     * bases have to be sorted.
     */
    static Tensor gradient(Random random, int outputs, int inputs) {
        float[] values = new float[outputs * inputs];
        for (int i = 0; i < outputs; i++) {
            double row = 0.3 * Math.abs(random.nextGaussian());
            for (int j = 0; j < inputs; j++) {
                values[i * inputs + j] =
                        (float) (random.nextGaussian() * (Math.pow(1.5, -i - j) + row));
            }
        }
        return Tensor.create(values).view(outputs, inputs);
    }

    /** A tensor as outputs x everything else. */
    static double[][] of(Tensor tensor) {
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            int rows = tensor.dim() < 2 ? 1 : (int) tensor.size(0);
            int columns = (int) tensor.numel() / rows;
            double[] flat = new double[rows * columns];
            new org.bytedeco.javacpp.DoublePointer(
                            tensor.to(torch.ScalarType.Double).contiguous().data_ptr())
                    .get(flat);
            double[][] matrix = new double[rows][columns];
            for (int i = 0; i < rows; i++) {
                System.arraycopy(flat, i * columns, matrix[i], 0, columns);
            }
            return matrix;
        }
    }
}
