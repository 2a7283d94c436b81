// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import java.util.Arrays;

/** Operations on tables of numbers, a sample in each row. */
final class Columns {
    private Columns() {}

    /** Gives every column mean 0 and deviation 1 over the first {@code training} rows, in place. */
    static void standardise(double[][] rows, int training) {
        for (int k = 0; k < rows[0].length; k++) {
            double mean = 0;
            for (int i = 0; i < training; i++) {
                mean += rows[i][k] / training;
            }
            double squares = 0;
            for (int i = 0; i < training; i++) {
                squares += (rows[i][k] - mean) * (rows[i][k] - mean);
            }
            double deviation = StrictMath.sqrt(squares / training);
            for (double[] row : rows) {
                row[k] = (row[k] - mean) / deviation;
            }
        }
    }

    /** The value of a column that the given share of all rows lies above. */
    static double upperQuantile(double[][] rows, int column, double share) {
        double[] sorted = new double[rows.length];
        for (int i = 0; i < rows.length; i++) {
            sorted[i] = rows[i][column];
        }
        Arrays.sort(sorted);
        int above = (int) StrictMath.round(share * rows.length);
        return above == 0 ? sorted[sorted.length - 1] : sorted[rows.length - above - 1];
    }

    /** The number of the largest. */
    static int largest(double[] row) {
        int best = 0;
        for (int k = 1; k < row.length; k++) {
            if (row[k] > row[best]) {
                best = k;
            }
        }
        return best;
    }
}
