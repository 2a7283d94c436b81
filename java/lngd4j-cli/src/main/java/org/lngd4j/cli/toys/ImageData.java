// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import java.util.Random;

/** Small grey images, row-major. */
final class ImageData {
    static final int PATCH = 8;
    static final int PATTERNS = 10;
    static final int BAR_SIDE = 12;
    static final int DIRECTIONS = 4;

    private static final int BAR_LENGTH = 7;

    private ImageData() {}

    /**
     * Ten classes, each a smooth random pattern of 8 x 8: normal numbers averaged over 3 x 3
     * neighbours of a torus, times 3. A sample is its class's pattern, moved round the torus by up
     * to a pixel each way, times a contrast uniform in [0.5, 1.5), plus normal noise of 1.
     */
    static Samples patterns(Random random, int training, int count) {
        double[][] pattern = new double[PATTERNS][];
        for (int c = 0; c < PATTERNS; c++) {
            pattern[c] = smooth(Teacher.normal(random, 1, PATCH * PATCH, 1)[0]);
        }
        return Samples.of(
                count,
                PATCH * PATCH,
                PATTERNS,
                (i, x, y) -> {
                    int label = random.nextInt(PATTERNS);
                    int down = random.nextInt(3) - 1;
                    int right = random.nextInt(3) - 1;
                    double contrast = 0.5 + random.nextDouble();
                    for (int k = 0; k < x.length; k++) {
                        int from = torus(k / PATCH + down) * PATCH + torus(k % PATCH + right);
                        x[k] = contrast * pattern[label][from] + random.nextGaussian();
                    }
                    y[label] = 1;
                });
    }

    /**
     * A bar of 7 pixels on 12 x 12, somewhere, horizontal, vertical or on one of the diagonals,
     * which is its class; its brightness is uniform in [1, 2), and all pixels have normal noise of
     * 0.4.
     */
    static Samples bars(Random random, int training, int count) {
        int[][] step = {{0, 1}, {1, 0}, {1, 1}, {1, -1}};
        return Samples.of(
                count,
                BAR_SIDE * BAR_SIDE,
                DIRECTIONS,
                (i, x, y) -> {
                    for (int k = 0; k < x.length; k++) {
                        x[k] = 0.4 * random.nextGaussian();
                    }
                    int label = random.nextInt(DIRECTIONS);
                    int down = step[label][0];
                    int right = step[label][1];
                    int row = random.nextInt(BAR_SIDE - down * (BAR_LENGTH - 1));
                    int span = BAR_SIDE - (right == 0 ? 0 : BAR_LENGTH - 1);
                    int column = random.nextInt(span) + (right < 0 ? BAR_LENGTH - 1 : 0);
                    double brightness = 1 + random.nextDouble();
                    for (int k = 0; k < BAR_LENGTH; k++) {
                        x[(row + k * down) * BAR_SIDE + column + k * right] += brightness;
                    }
                    y[label] = 1;
                });
    }

    /**
     * Two round spots on 8 x 8, with centres uniform over the image, {@code exp(-r^2 / (2 w^2))}
     * with w uniform in [0.8, 1.6), the brighter of the two at each pixel: intensities in [0, 1]
     * from six numbers. The targets are the images.
     */
    static Samples spots(Random random, int training, int count) {
        return Samples.of(
                count,
                PATCH * PATCH,
                PATCH * PATCH,
                (i, x, y) -> {
                    for (int spot = 0; spot < 2; spot++) {
                        double row = (PATCH - 1) * random.nextDouble();
                        double column = (PATCH - 1) * random.nextDouble();
                        double width = 0.8 + 0.8 * random.nextDouble();
                        for (int k = 0; k < x.length; k++) {
                            double dy = k / PATCH - row;
                            double dx = k % PATCH - column;
                            double squared = (dy * dy + dx * dx) / (2 * width * width);
                            x[k] = Math.max(x[k], StrictMath.exp(-squared));
                        }
                    }
                    System.arraycopy(x, 0, y, 0, x.length);
                });
    }

    private static double[] smooth(double[] image) {
        double[] result = new double[image.length];
        for (int k = 0; k < image.length; k++) {
            for (int near = 0; near < 9; near++) {
                int row = torus(k / PATCH + near / 3 - 1);
                int column = torus(k % PATCH + near % 3 - 1);
                result[k] += image[row * PATCH + column] / 3;
            }
        }
        return result;
    }

    private static int torus(int index) {
        return Math.floorMod(index, PATCH);
    }
}
