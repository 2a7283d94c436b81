// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.catalyst.expressions.GenericRowWithSchema;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.LngdArgumentException;
import scala.jdk.javaapi.CollectionConverters;

/** Columns as tensors. */
class RowsTest {
    private static final StructType TYPE =
            new StructType()
                    .add("image", DataTypes.BinaryType)
                    .add("numbers", DataTypes.createArrayType(DataTypes.DoubleType))
                    .add("one", DataTypes.FloatType)
                    .add("label", DataTypes.IntegerType);

    static Row row(byte[] image, List<Double> numbers, Float one, Integer label) {
        Object seq = numbers == null ? null : CollectionConverters.asScala(numbers).toSeq();
        return new GenericRowWithSchema(new Object[] {image, seq, one, label}, TYPE);
    }

    private final List<Row> rows =
            List.of(
                    row(new byte[] {0, 1, -1, -128}, List.of(1.0, 2.0), 0.5f, 7),
                    row(new byte[] {2, 3, 4, 5}, List.of(3.0, 4.0), 1.5f, 0));

    private static float[] floats(Tensor t) {
        float[] values = new float[(int) t.numel()];
        new FloatPointer(t.data_ptr()).get(values);
        return values;
    }

    @Test
    void numbersArraysAndBytesAreTensors() {
        Tensor image = Rows.floats(rows, "image", 1, 2, 2);
        assertThat(image.sizes().vec().get()).containsExactly(2, 1, 2, 2);
        assertThat(floats(image)).containsExactly(0, 1, 255, 128, 2, 3, 4, 5);
        Tensor numbers = Rows.floats(rows, "numbers", 2);
        assertThat(numbers.sizes().vec().get()).containsExactly(2, 2);
        assertThat(floats(numbers)).containsExactly(1, 2, 3, 4);
        Tensor one = Rows.floats(rows, "one");
        assertThat(one.sizes().vec().get()).containsExactly(2);
        assertThat(floats(one)).containsExactly(0.5f, 1.5f);
        Tensor labels = Rows.labels(rows, "label");
        long[] values = new long[2];
        new LongPointer(labels.data_ptr()).get(values);
        assertThat(values).containsExactly(7, 0);
    }

    @Test
    void refusesWhatIsNoTensor() {
        refused(() -> Rows.floats(rows, "image", 3), "column image has 4 numbers, allowed is 3");
        refused(() -> Rows.floats(rows, "image", -4), "shape is [-4], allowed are sizes from 1 on");
        refused(() -> Rows.floats(rows, "numbers"), "column numbers has 2 numbers, allowed is 1");
        refused(
                () -> Rows.floats(rows, "pixels", 4),
                "column is pixels, allowed is one of [image, numbers, one, label]");
        refused(() -> Rows.labels(rows, "one"), "column one has 0.5, allowed is a whole number");
        refused(() -> Rows.labels(rows, "image"), "column image has a [B, allowed is a number");
        List<Row> holes = List.of(row(null, null, null, null));
        refused(() -> Rows.labels(holes, "label"), "column label has null in row");
        refused(() -> Rows.floats(holes, "image", 4), "column image has null in row");
    }

    private static void refused(
            org.assertj.core.api.ThrowableAssert.ThrowingCallable what, String message) {
        assertThatThrownBy(what)
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageStartingWith(message);
    }
}
