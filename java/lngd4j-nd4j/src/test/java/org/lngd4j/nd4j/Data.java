// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nd4j;

import java.util.Random;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Numbers for tests. */
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

    static INDArray array(double[][] a) {
        return Nd4j.createFromArray(a).castTo(DataType.FLOAT);
    }

    INDArray floats(long rows, long columns) {
        return array(matrix((int) rows, (int) columns));
    }

    INDArray vector(long n) {
        return floats(n, 1).reshape(n);
    }

    /**
     * All values in 'c' order, to be compared bit by bit: INDArray.equals allows a difference of
     * 1e-5.
     */
    static float[] bits(INDArray a) {
        return a.dup('c').data().asFloat();
    }
}
