// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.nd4j.linalg.api.ndarray.INDArray;

class BatchesTest {
    private static final int COUNT = 23;
    private static final LabelledImages IMAGES = images();

    // Image i has the pixels i and 255 - i, and the label i % 3: a row tells which image it is.
    private static LabelledImages images() {
        byte[] pixels = new byte[2 * COUNT];
        byte[] labels = new byte[COUNT];
        for (int i = 0; i < COUNT; i++) {
            pixels[2 * i] = (byte) i;
            pixels[2 * i + 1] = (byte) (255 - i);
            labels[i] = (byte) (i % 3);
        }
        return new LabelledImages(pixels, labels, "1x2", 2);
    }

    @Test
    void anEpochShowsEveryImageOnceWithItsLabel() {
        Batches batches = new Batches(IMAGES, 3, 5, 1);
        List<Integer> seen = epoch(batches);

        assertThat(batches.count()).isEqualTo(5);
        assertThat(seen).hasSize(COUNT).doesNotHaveDuplicates();
        assertThat(seen).isNotEqualTo(seen.stream().sorted().toList());
    }

    @Test
    void theOrderDependsOnSeedAndEpochAlone() {
        Batches one = new Batches(IMAGES, 3, 5, 1);
        List<Integer> first = epoch(one);
        one.startEpoch(1);
        List<Integer> second = epoch(one);
        Batches other = new Batches(IMAGES, 3, 5, 1);
        other.startEpoch(1);

        assertThat(second).isNotEqualTo(first);
        assertThat(epoch(other)).isEqualTo(second);
        assertThat(epoch(new Batches(IMAGES, 3, 5, 2))).isNotEqualTo(first);
    }

    @Test
    void theLastBatchIsSmaller() {
        Batches batches = new Batches(IMAGES, 3, 5, 1);

        assertThat(batches.load(0)).isEqualTo(5);
        assertThat(batches.load(4)).isEqualTo(3);
        assertThat(batches.features().shape()).containsExactly(3, 2);
        assertThat(batches.labels().shape()).containsExactly(3, 3);
    }

    @Test
    void featuresAreTheExactQuotients() {
        INDArray features = Batches.toFeatures(IMAGES, 4, 2);

        assertThat(features.toFloatMatrix())
                .isDeepEqualTo(new float[][] {{4 / 255f, 251 / 255f}, {5 / 255f, 250 / 255f}});
    }

    @Test
    void refusesABatchLargerThanTheData() {
        assertThatThrownBy(() -> new Batches(IMAGES, 3, 24, 1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("24 is not in 1 to 23");
        assertThatThrownBy(() -> new Batches(IMAGES, 3, 0, 1))
                .isInstanceOf(IllegalArgumentException.class);
    }

    private static List<Integer> epoch(Batches batches) {
        List<Integer> seen = new ArrayList<>();
        for (int b = 0; b < batches.count(); b++) {
            int size = batches.load(b);
            for (int row = 0; row < size; row++) {
                int image = Math.round(batches.features().getFloat(row, 0) * 255);
                assertThat(batches.features().getFloat(row, 1)).isEqualTo((255 - image) / 255f);
                for (int k = 0; k < 3; k++) {
                    assertThat(batches.labels().getFloat(row, k))
                            .isEqualTo(k == image % 3 ? 1f : 0f);
                }
                seen.add(image);
            }
        }
        return seen;
    }
}
