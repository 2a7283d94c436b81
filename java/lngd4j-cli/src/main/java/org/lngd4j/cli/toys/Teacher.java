// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import java.util.Random;

/**
 * A random network of one hidden tanh layer that makes targets: {@code V tanh(U x + b)}, with
 * entries of U normal of deviation {@code gain / sqrt(inputs)}, b of 0.5 and V of {@code 1 /
 * sqrt(hidden)}.
 */
final class Teacher {
    private final double[][] first;
    private final double[] bias;
    private final double[][] second;

    Teacher(Random random, double gain, int inputs, int hidden, int outputs) {
        first = normal(random, hidden, inputs, gain / StrictMath.sqrt(inputs));
        bias = normal(random, 1, hidden, 0.5)[0];
        second = normal(random, outputs, hidden, 1 / StrictMath.sqrt(hidden));
    }

    /** A matrix of independent normal numbers with mean 0. */
    static double[][] normal(Random random, int rows, int columns, double deviation) {
        double[][] matrix = new double[rows][columns];
        for (double[] row : matrix) {
            for (int k = 0; k < columns; k++) {
                row[k] = deviation * random.nextGaussian();
            }
        }
        return matrix;
    }

    /** The outputs for one sample. */
    double[] of(double[] x) {
        double[] hidden = times(first, x);
        for (int i = 0; i < hidden.length; i++) {
            hidden[i] = StrictMath.tanh(hidden[i] + bias[i]);
        }
        return times(second, hidden);
    }

    /** The outputs for each sample. */
    double[][] ofAll(double[][] x) {
        double[][] outputs = new double[x.length][];
        for (int i = 0; i < x.length; i++) {
            outputs[i] = of(x[i]);
        }
        return outputs;
    }

    private static double[] times(double[][] matrix, double[] x) {
        double[] product = new double[matrix.length];
        for (int i = 0; i < product.length; i++) {
            for (int k = 0; k < x.length; k++) {
                product[i] += matrix[i][k] * x[k];
            }
        }
        return product;
    }
}
