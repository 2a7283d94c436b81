// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.util.SplittableRandom;

/**
 * The usual augmentation of small photographs: the image is padded by four black pixels on every
 * side, a window of the old size is cut out at random, and half of the windows are mirrored.
 */
final class CropAndFlip {
    static final int PAD = 4;

    private CropAndFlip() {}

    /**
     * Writes one augmented image into {@code row}.
     *
     * @param random decides window and mirroring: three numbers are drawn, whatever they are used
     *     for
     */
    static void expand(
            LabelledImages images,
            int image,
            Intensities intensities,
            SplittableRandom random,
            float[] row) {
        int down = random.nextInt(2 * PAD + 1) - PAD;
        int right = random.nextInt(2 * PAD + 1) - PAD;
        boolean mirrored = random.nextInt(2) == 1;
        expand(images, image, intensities, down, right, mirrored, row);
    }

    /**
     * The window that begins {@code down} rows and {@code right} columns after the image's corner.
     */
    static void expand(
            LabelledImages images,
            int image,
            Intensities intensities,
            int down,
            int right,
            boolean mirrored,
            float[] row) {
        ImageShape shape = images.shape();
        int width = shape.width();
        int k = 0;
        for (int channel = 0; channel < shape.channels(); channel++) {
            float[] table = intensities.table(channel);
            int start = image * row.length + channel * shape.plane();
            for (int y = down; y < down + shape.height(); y++) {
                boolean inside = y >= 0 && y < shape.height();
                for (int column = 0; column < width; column++, k++) {
                    int x = right + (mirrored ? width - 1 - column : column);
                    int level =
                            inside && x >= 0 && x < width
                                    ? images.pixels()[start + y * width + x] & 0xff
                                    : 0;
                    row[k] = table[level];
                }
            }
        }
    }
}
