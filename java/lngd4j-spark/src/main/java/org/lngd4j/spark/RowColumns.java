// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.util.Arrays;
import java.util.List;
import org.apache.spark.sql.Row;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * Columns of rows as arrays of Java: what {@link Rows} and {@link Nd4jRows} have in common, and so
 * without a class of PyTorch or ND4J.
 */
final class RowColumns {
    private RowColumns() {}

    /** Numbers in one sample of a shape. */
    static int length(long... shape) {
        int length = 1;
        for (long size : shape) {
            if (size < 1) {
                throw new LngdArgumentException(
                        "shape is " + Arrays.toString(shape) + ", allowed are sizes from 1 on");
            }
            length = Math.multiplyExact(length, Math.toIntExact(size));
        }
        return length;
    }

    /** A shape of samples: their number before that of one. */
    static long[] shape(List<Row> rows, long... shape) {
        long[] whole = new long[shape.length + 1];
        whole[0] = rows.size();
        System.arraycopy(shape, 0, whole, 1, shape.length);
        return whole;
    }

    /** A number, an array of numbers or binary: so many of each row, one row after the other. */
    static float[] floats(List<Row> rows, String column, int length) {
        float[] values = new float[Math.multiplyExact(rows.size(), length)];
        for (int i = 0; i < rows.size(); i++) {
            fill(rows.get(i), column, values, i * length, length);
        }
        return values;
    }

    private static void fill(Row row, String column, float[] values, int at, int length) {
        Object value = value(row, column);
        if (value instanceof Number number) {
            checkLength(column, 1, length);
            values[at] = number.floatValue();
        } else if (value instanceof byte[] bytes) {
            checkLength(column, bytes.length, length);
            for (int i = 0; i < length; i++) {
                values[at + i] = Byte.toUnsignedInt(bytes[i]);
            }
        } else if (value instanceof scala.collection.Seq<?> numbers) {
            checkLength(column, numbers.size(), length);
            scala.collection.Iterator<?> all = numbers.iterator();
            for (int i = 0; i < length; i++) {
                values[at + i] = number(all.next(), column).floatValue();
            }
        } else {
            throw new LngdArgumentException(
                    "column "
                            + column
                            + " has a "
                            + value.getClass().getName()
                            + ", allowed is a number, an array of numbers or binary");
        }
    }

    /** A whole number of each row. */
    static long[] whole(List<Row> rows, String column) {
        long[] labels = new long[rows.size()];
        Arrays.setAll(
                labels,
                i -> {
                    Number number = number(value(rows.get(i), column), column);
                    if (number.doubleValue() != number.longValue()) {
                        throw new LngdArgumentException(
                                "column "
                                        + column
                                        + " has "
                                        + number
                                        + ", allowed is a whole number");
                    }
                    return number.longValue();
                });
        return labels;
    }

    private static Object value(Row row, String column) {
        int index;
        try {
            index = row.fieldIndex(column);
        } catch (IllegalArgumentException | UnsupportedOperationException e) {
            throw new LngdArgumentException(
                    "column is "
                            + column
                            + ", allowed is one of "
                            + (row.schema() == null
                                    ? "a row with a schema"
                                    : Arrays.toString(row.schema().fieldNames())));
        }
        Object value = row.get(index);
        if (value == null) {
            throw new LngdArgumentException("column " + column + " has null in row " + row);
        }
        return value;
    }

    private static Number number(Object value, String column) {
        if (value instanceof Number number) {
            return number;
        }
        throw new LngdArgumentException(
                "column "
                        + column
                        + " has "
                        + (value == null ? "null" : "a " + value.getClass().getName())
                        + ", allowed is a number");
    }

    private static void checkLength(String column, int length, int allowed) {
        if (length != allowed) {
            throw new LngdArgumentException(
                    "column " + column + " has " + length + " numbers, allowed is " + allowed);
        }
    }
}
