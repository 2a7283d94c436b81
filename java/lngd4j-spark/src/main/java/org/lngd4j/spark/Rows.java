// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.util.List;
import org.apache.spark.sql.Row;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.nativelib.LngdArgumentException;

/** Columns of rows as tensors of PyTorch; {@link Nd4jRows} makes arrays of ND4J. */
public final class Rows {
    private Rows() {}

    /**
     * A column of numbers or arrays of numbers as a float32 tensor.
     *
     * @param rows the samples
     * @param column its name. A number ({@code byte} to {@code double}), an array of numbers, or
     *     binary, whose bytes are taken as 0 to 255
     * @param shape of one sample, row-major; none for one number a row
     * @return contiguous, of shape rows x shape
     * @throws LngdArgumentException if a row has null or another length there, or the column is of
     *     another type
     */
    public static Tensor floats(List<Row> rows, String column, long... shape) {
        float[] values = RowColumns.floats(rows, column, RowColumns.length(shape));
        return Tensor.create(values, RowColumns.shape(rows, shape));
    }

    /**
     * A column of whole numbers as a tensor of int64, such as classes.
     *
     * @param rows the samples
     * @param column its name; {@code byte} to {@code long}
     * @return of shape rows
     * @throws LngdArgumentException if a row has null there or another type
     */
    public static Tensor labels(List<Row> rows, String column) {
        long[] labels = RowColumns.whole(rows, column);
        return Tensor.create(labels, labels.length);
    }
}
