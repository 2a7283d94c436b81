// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class CropAndFlipTest {
    private static final int SIDE = 6;
    private static final ImageShape SHAPE = new ImageShape(2, SIDE, SIDE);
    private static final LabelledImages IMAGES = images();
    private static final Intensities TABLE = Intensities.of(IMAGES);

    // Every pixel of the second of two images differs, so that a window can be recognised.
    private static LabelledImages images() {
        byte[] pixels = new byte[2 * SHAPE.features()];
        for (int k = 0; k < SHAPE.features(); k++) {
            pixels[SHAPE.features() + k] = (byte) (k + 1);
        }
        return new LabelledImages(pixels, new byte[2], SHAPE);
    }

    @Test
    void theMiddleWindowIsTheImage() {
        float[] plain = new float[SHAPE.features()];
        TABLE.expand(IMAGES, 1, plain);
        float[] row = new float[SHAPE.features()];
        CropAndFlip.expand(IMAGES, 1, TABLE, 0, 0, false, row);

        assertThat(row).isEqualTo(plain);
    }

    @Test
    void windowsAndMirrorsFollowTheirDefinition() {
        float[] row = new float[SHAPE.features()];
        for (int down = -4; down <= 4; down++) {
            for (int right = -4; right <= 4; right++) {
                for (boolean mirrored : new boolean[] {false, true}) {
                    CropAndFlip.expand(IMAGES, 1, TABLE, down, right, mirrored, row);
                    int k = 0;
                    for (int channel = 0; channel < 2; channel++) {
                        for (int y = 0; y < SIDE; y++) {
                            for (int x = 0; x < SIDE; x++, k++) {
                                int column = mirrored ? SIDE - 1 - x : x;
                                float expected = padded(channel, y + down, column + right);
                                assertThat(row[k]).isEqualTo(expected);
                            }
                        }
                    }
                }
            }
        }
    }

    // A pixel of the image in its frame of black.
    private static float padded(int channel, int y, int x) {
        boolean inside = y >= 0 && y < SIDE && x >= 0 && x < SIDE;
        int level = inside ? (channel * SIDE + y) * SIDE + x + 1 : 0;
        return TABLE.table(channel)[level];
    }

    @Test
    void everyWindowComesUp() {
        SplittableRandom random = new SplittableRandom(3);
        Set<Float> corners = new HashSet<>();
        float[] row = new float[SHAPE.features()];
        for (int i = 0; i < 3000; i++) {
            CropAndFlip.expand(IMAGES, 1, TABLE, random, row);
            // The middle pixel of channel 0 tells the window, but for the black ones.
            corners.add(row[SIDE / 2 * SIDE + SIDE / 2]);
        }
        // 36 pixels of the channel, and black.
        assertThat(corners).hasSize(37);
    }

    @Test
    void theSameStepGivesTheSameImages() {
        BatchFiller one = new BatchFiller(IMAGES, new ImageInput(TABLE, true), 2, 2, 1);
        Batch first = one.newBatch();
        Batch again = one.newBatch();
        Batch later = one.newBatch();
        one.fill(first, 3, 0);
        one.fill(later, 4, 0);
        one.fill(again, 3, 0);

        assertThat(again.features()).isEqualTo(first.features());
        assertThat(later.features()).isNotEqualTo(first.features());
    }
}
