// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.util.List;
import org.apache.spark.sql.Row;
import org.lngd4j.nativelib.LngdArgumentException;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Columns of rows as arrays of ND4J, for a {@link Dl4jNetwork}. */
public final class Nd4jRows {
    private Nd4jRows() {}

    /**
     * A column of numbers or arrays of numbers as an array of type FLOAT: features, or the targets
     * of a regression.
     *
     * @param rows the samples, at least one
     * @param column its name. A number ({@code byte} to {@code double}), an array of numbers, or
     *     binary, whose bytes are taken as 0 to 255
     * @param shape of one sample, row-major, such as channels, height, width; none for one number a
     *     row
     * @return of order c and shape rows x shape; rows x 1 where there is none, as DL4J wants two
     *     axes at least
     * @throws LngdArgumentException if a row has null or another length there, or the column is of
     *     another type
     */
    public static INDArray floats(List<Row> rows, String column, long... shape) {
        float[] values = RowColumns.floats(rows, column, RowColumns.length(shape));
        long[] whole = RowColumns.shape(rows, shape.length == 0 ? new long[] {1} : shape);
        return Nd4j.createFromArray(values).reshape('c', whole);
    }

    /**
     * A column of whole numbers as labels of a classification: 1 in the column of the class, 0
     * elsewhere.
     *
     * @param rows the samples, at least one
     * @param column its name; {@code byte} to {@code long}
     * @param classes how many there are, at least 1
     * @return of type FLOAT and shape rows x classes
     * @throws LngdArgumentException if a row has null there, another type, or a number that is not
     *     0 to {@code classes} - 1
     */
    public static INDArray oneHot(List<Row> rows, String column, int classes) {
        if (classes < 1) {
            throw new LngdArgumentException("classes is " + classes + ", allowed is 1 or more");
        }
        long[] labels = RowColumns.whole(rows, column);
        float[] values = new float[Math.multiplyExact(labels.length, classes)];
        for (int i = 0; i < labels.length; i++) {
            if (labels[i] < 0 || labels[i] >= classes) {
                throw new LngdArgumentException(
                        "column "
                                + column
                                + " has "
                                + labels[i]
                                + ", allowed is 0 to "
                                + (classes - 1));
            }
            values[i * classes + (int) labels[i]] = 1;
        }
        return Nd4j.createFromArray(values).reshape('c', labels.length, classes);
    }
}
