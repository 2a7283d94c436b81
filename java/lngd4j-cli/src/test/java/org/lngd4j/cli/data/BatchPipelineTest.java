// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class BatchPipelineTest {
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
        return new LabelledImages(pixels, labels, new ImageShape(1, 1, 2));
    }

    @Test
    void anEpochShowsEveryImageOnceWithItsLabel() {
        List<Integer> seen = epochs(1, 1, 0);

        assertThat(filler(1).count()).isEqualTo(5);
        assertThat(seen).hasSize(COUNT).doesNotHaveDuplicates();
        assertThat(seen).isNotEqualTo(seen.stream().sorted().toList());
    }

    @Test
    void theOrderDependsOnSeedAndStepAlone() {
        List<Integer> two = epochs(1, 2, 0);

        assertThat(two.subList(COUNT, 2 * COUNT)).isNotEqualTo(two.subList(0, COUNT));
        // From the second batch of the second epoch, as a resumed run begins: 5 images were before.
        assertThat(epochs(1, 2, 6)).isEqualTo(two.subList(COUNT + 5, 2 * COUNT));
        assertThat(epochs(2, 2, 0)).isNotEqualTo(two);
    }

    @Test
    void aSlowConsumerSeesTheSameBatches() throws InterruptedException {
        List<Integer> seen = new ArrayList<>();
        try (BatchPipeline pipeline = new BatchPipeline(filler(1), 0)) {
            for (int b = 0; b < 5; b++) {
                Batch batch = pipeline.next();
                // Time enough for the filling thread to run into its own tail, if it could.
                Thread.sleep(20);
                read(batch, seen);
            }
        }
        assertThat(seen).isEqualTo(epochs(1, 1, 0));
    }

    @Test
    void theLastBatchIsSmaller() {
        try (BatchPipeline pipeline = new BatchPipeline(filler(1), 3)) {
            assertThat(pipeline.next().size()).isEqualTo(5);
            Batch last = pipeline.next();
            assertThat(last.size()).isEqualTo(3);
            assertThat(last.features().shape()).containsExactly(3, 2);
            assertThat(last.targets().shape()).containsExactly(3, 3);
        }
    }

    @Test
    void imagesAreTheTargetsWhereThereAreNoClasses() {
        BatchFiller filler =
                new BatchFiller(
                        IMAGES,
                        new ImageInput(Intensities.of(IMAGES), false),
                        Dataset.NO_CLASSES,
                        4,
                        1);
        try (BatchPipeline pipeline = new BatchPipeline(filler, 0)) {
            Batch batch = pipeline.next();
            assertThat(batch.targets()).isEqualTo(batch.features());
        }
    }

    @Test
    void aFailureInTheThreadReachesTheCaller() {
        // The label 2 has no place among two classes.
        BatchFiller bad =
                new BatchFiller(IMAGES, new ImageInput(Intensities.of(IMAGES), false), 2, 23, 1);
        try (BatchPipeline pipeline = new BatchPipeline(bad, 0)) {
            assertThatThrownBy(
                            () -> {
                                for (int b = 0; b < 5; b++) {
                                    pipeline.next();
                                }
                            })
                    .hasMessageContaining("could not be filled")
                    .hasCauseInstanceOf(IndexOutOfBoundsException.class);
        }
    }

    @Test
    void refusesABatchLargerThanTheData() {
        Intensities table = Intensities.of(IMAGES);
        assertThatThrownBy(() -> new BatchFiller(IMAGES, new ImageInput(table, false), 3, 24, 1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("24 is not in 1 to 23");
        assertThatThrownBy(() -> new BatchFiller(IMAGES, new ImageInput(table, false), 3, 0, 1))
                .isInstanceOf(IllegalArgumentException.class);
    }

    private static BatchFiller filler(long seed) {
        return new BatchFiller(IMAGES, new ImageInput(Intensities.of(IMAGES), false), 3, 5, seed);
    }

    // The images from a step to the end of an epoch.
    private static List<Integer> epochs(long seed, int epochs, int firstStep) {
        List<Integer> seen = new ArrayList<>();
        BatchFiller filler = filler(seed);
        int steps = epochs * filler.count() - firstStep;
        try (BatchPipeline pipeline = new BatchPipeline(filler, firstStep)) {
            for (int b = 0; b < steps; b++) {
                read(pipeline.next(), seen);
            }
        }
        return seen;
    }

    private static void read(Batch batch, List<Integer> seen) {
        for (int row = 0; row < batch.size(); row++) {
            int image = Math.round(batch.features().getFloat(row, 0) * 255);
            assertThat(batch.features().getFloat(row, 1)).isEqualTo((255 - image) / 255f);
            for (int k = 0; k < 3; k++) {
                assertThat(batch.targets().getFloat(row, k)).isEqualTo(k == image % 3 ? 1f : 0f);
            }
            seen.add(image);
        }
    }
}
