// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.Random;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Numbers for tests; every double is exactly a float, so that the oracle and the library see the
 * same input.
 */
final class Data {
    private final Random random;

    Data(long seed) {
        random = new Random(seed);
    }

    double[][] matrix(int rows, int columns) {
        double[][] a = new double[rows][columns];
        for (double[] row : a) {
            for (int j = 0; j < columns; j++) {
                row[j] = (float) random.nextGaussian();
            }
        }
        return a;
    }

    float[] matrixOf(int values) {
        return bits(floats(1, values));
    }

    static double[][] withOnes(double[][] a, boolean bias) {
        if (!bias) {
            return a;
        }
        double[][] b = new double[a.length][];
        for (int i = 0; i < a.length; i++) {
            b[i] = java.util.Arrays.copyOf(a[i], a[i].length + 1);
            b[i][a[i].length] = 1;
        }
        return b;
    }

    static INDArray array(double[][] a) {
        return Nd4j.createFromArray(a).castTo(DataType.FLOAT);
    }

    /** The leading columns as a compact array. */
    static INDArray columns(double[][] a, int from, int to) {
        double[][] b = new double[a.length][];
        for (int i = 0; i < a.length; i++) {
            b[i] = java.util.Arrays.copyOfRange(a[i], from, to);
        }
        return array(b);
    }

    /** The last column as a vector. */
    static INDArray lastColumn(double[][] a) {
        float[] v = new float[a.length];
        for (int i = 0; i < a.length; i++) {
            v[i] = (float) a[i][a[i].length - 1];
        }
        return Nd4j.createFromArray(v);
    }

    INDArray floats(long rows, long columns) {
        return array(matrix((int) rows, (int) columns));
    }

    INDArray vector(long n) {
        return lastColumn(matrix((int) n, 1));
    }

    /**
     * All values in 'c' order, to be compared bit by bit: INDArray.equals allows a difference of
     * 1e-5.
     */
    static float[] bits(INDArray a) {
        return a.dup('c').data().asFloat();
    }
}
