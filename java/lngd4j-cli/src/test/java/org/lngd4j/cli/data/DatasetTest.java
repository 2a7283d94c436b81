// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DatasetTest {
    @TempDir Path folder;

    @BeforeEach
    void writeDataset() throws IOException {
        IdxWriter.dataset(folder, 20, 8, 4, 5);
    }

    @Test
    void readsFourFiles() {
        Dataset data = Dataset.read(folder);

        assertThat(data.classes()).isEqualTo(5);
        assertThat(data.training().count()).isEqualTo(20);
        assertThat(data.test().count()).isEqualTo(8);
        assertThat(data.training().features()).isEqualTo(16);
        assertThat(data.training().shape()).isEqualTo(new ImageShape(1, 4, 4));
        assertThat(data.training().label(13)).isEqualTo(3);
    }

    @Test
    void namesTheFilesThatAreMissing() throws IOException {
        Files.delete(folder.resolve("t10k-labels-idx1-ubyte.gz"));

        assertThatThrownBy(() -> Dataset.read(folder))
                .hasMessageContaining("missing t10k-labels-idx1-ubyte")
                .hasMessageNotContaining("train");
        assertThatThrownBy(() -> Dataset.read(folder.resolve("none")))
                .hasMessageContaining("no such folder");
    }

    @Test
    void refusesImagesAndLabelsOfDifferentCounts() throws IOException {
        Files.write(folder.resolve("train-labels-idx1-ubyte"), IdxWriter.idx(new byte[19], 19));

        assertThatThrownBy(() -> Dataset.read(folder))
                .hasMessageContaining("has 20 images")
                .hasMessageContaining("has 19 labels");
    }

    @Test
    void refusesTestImagesOfAnotherSize() throws IOException {
        Files.write(
                folder.resolve("t10k-images-idx3-ubyte"), IdxWriter.idx(new byte[8 * 16], 8, 2, 8));

        assertThatThrownBy(() -> Dataset.read(folder))
                .hasMessageContaining("training images are 4x4 but test images are 2x8");
    }

    @Test
    void refusesUnknownTestLabelsAndASingleClass() throws IOException {
        byte[] labels = {0, 1, 2, 3, 4, 0, 1, 9};
        Files.write(folder.resolve("t10k-labels-idx1-ubyte"), IdxWriter.idx(labels, 8));
        assertThatThrownBy(() -> Dataset.read(folder)).hasMessageContaining("a test label is 9");

        Files.write(folder.resolve("t10k-labels-idx1-ubyte"), IdxWriter.idx(new byte[8], 8));
        Files.write(folder.resolve("train-labels-idx1-ubyte"), IdxWriter.idx(new byte[20], 20));
        assertThatThrownBy(() -> Dataset.read(folder)).hasMessageContaining("at least two classes");
    }
}
