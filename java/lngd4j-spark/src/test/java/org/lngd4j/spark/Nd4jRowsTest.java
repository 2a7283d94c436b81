// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.spark.sql.Row;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.lngd4j.nativelib.LngdArgumentException;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Columns as arrays of ND4J; the cluster, as its driver loads PyTorch's natives first. */
@Tag("dl4j")
@ExtendWith(TestCluster.class)
class Nd4jRowsTest {
    private final List<Row> rows =
            List.of(
                    RowsTest.row(new byte[] {0, 1, -1, -128}, List.of(1.0, 2.0), 0.5f, 2),
                    RowsTest.row(new byte[] {2, 3, 4, 5}, List.of(3.0, 4.0), 1.5f, 0));

    @Test
    void numbersArraysAndBytesAreArrays() {
        INDArray image = Nd4jRows.floats(rows, "image", 1, 2, 2);
        checkArray(image, new long[] {2, 1, 2, 2}, 0, 1, 255, 128, 2, 3, 4, 5);
        checkArray(Nd4jRows.floats(rows, "numbers", 2), new long[] {2, 2}, 1, 2, 3, 4);
        checkArray(Nd4jRows.floats(rows, "one"), new long[] {2, 1}, 0.5f, 1.5f);
        checkArray(Nd4jRows.oneHot(rows, "label", 3), new long[] {2, 3}, 0, 0, 1, 1, 0, 0);
    }

    private static void checkArray(INDArray array, long[] shape, float... values) {
        assertThat(array.shape()).containsExactly(shape);
        assertThat(array.dataType()).isEqualTo(DataType.FLOAT);
        assertThat(array.ordering()).isEqualTo('c');
        assertThat(array.data().asFloat()).containsExactly(values);
    }

    @Test
    void refusesWhatIsNoArray() {
        refused(
                () -> Nd4jRows.floats(rows, "image", 3),
                "column image has 4 numbers, allowed is 3");
        refused(
                () -> Nd4jRows.floats(rows, "numbers", 2, 0),
                "shape is [2, 0], allowed are sizes from 1 on");
        refused(
                () -> Nd4jRows.oneHot(rows, "one", 2),
                "column one has 0.5, allowed is a whole number");
        refused(() -> Nd4jRows.oneHot(rows, "label", 2), "column label has 2, allowed is 0 to 1");
        refused(
                () -> Nd4jRows.oneHot(List.of(RowsTest.row(null, null, null, -1)), "label", 2),
                "column label has -1, allowed is 0 to 1");
        refused(() -> Nd4jRows.oneHot(rows, "label", 0), "classes is 0, allowed is 1 or more");
    }

    private static void refused(ThrowingCallable what, String message) {
        assertThatThrownBy(what)
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageStartingWith(message);
    }

    /** Who has one of them needs no class of the other. */
    @Test
    void rowsKnowOneFrameworkAlone() throws IOException {
        assertThat(namesIn(Nd4jRows.class)).contains("org/nd4j/").doesNotContain("org/bytedeco/");
        assertThat(namesIn(Rows.class)).contains("org/bytedeco/").doesNotContain("org/nd4j/");
        assertThat(namesIn(RowColumns.class))
                .contains("org/apache/spark/")
                .doesNotContain("org/nd4j/")
                .doesNotContain("org/bytedeco/");
    }

    private static String namesIn(Class<?> type) throws IOException {
        try (InputStream bytes = type.getResourceAsStream(type.getSimpleName() + ".class")) {
            return new String(bytes.readAllBytes(), StandardCharsets.ISO_8859_1);
        }
    }
}
