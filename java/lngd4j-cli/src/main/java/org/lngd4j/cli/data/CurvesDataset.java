// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

/**
 * CURVES, the deep-autoencoder benchmark of second-order papers (Hinton and Salakhutdinov 2006,
 * Martens 2010): 28 x 28 images of one smooth stroke each, decided by three random points. The
 * authors' generator was never published; this one is ours, so figures of papers do not carry over.
 *
 * <p>Image i of a set: three points are drawn uniformly from [3, 25) x [3, 25) in pixels, x before
 * y, each coordinate as {@code 3 + 22 u / 2^53} with u the upper 53 bits of the next number of
 * SplitMix64, whose state starts at {@code mix(mix(seed) + set) + i * GAMMA * 8}. They are the
 * control points of a quadratic Bezier curve (six numbers, what the code layer of six units of the
 * benchmark is for; a cubic one has eight). The curve is cut at t = k/48 into straight pieces. A
 * pixel whose centre (column + 1/2, row + 1/2) lies at distance r from the nearest piece has the
 * intensity {@code floor(255 min(1, max(0, 1.1 - r)) + 1/2)}.
 *
 * <p>Every machine makes the same bytes: only +, -, *, /, comparisons and the square root are used,
 * which IEEE 754 and Java 17 round alike everywhere. Hence SplitMix64 is written out here, and
 * {@code Math.pow} and its like are kept out.
 */
public final class CurvesDataset {
    /** What {@code --data} calls it. */
    public static final String NAME = "curves";

    static final int TRAINING = 20_000;
    static final int TEST = 10_000;

    private static final long SEED = 1;
    private static final int SIDE = 28;
    private static final int MARGIN = 3;
    private static final int PIECES = 48;
    private static final double REACH = 1.1;

    private CurvesDataset() {}

    /** 20,000 training and 10,000 test images, without classes. Takes a second. */
    public static Dataset generate() {
        return generate(TRAINING, TEST);
    }

    static Dataset generate(int training, int test) {
        return new Dataset(
                "the generator", images(0, training), images(1, test), Dataset.NO_CLASSES);
    }

    private static LabelledImages images(int set, int count) {
        byte[] pixels = new byte[count * SIDE * SIDE];
        double[] nearest = new double[SIDE * SIDE];
        long first = SplitMix64.mix(SplitMix64.mix(SEED) + set);
        for (int i = 0; i < count; i++) {
            draw(first + i * SplitMix64.GAMMA * 8, nearest, pixels, i * SIDE * SIDE);
        }
        return new LabelledImages(pixels, new byte[count], new ImageShape(1, SIDE, SIDE));
    }

    private static void draw(long state, double[] nearest, byte[] pixels, int start) {
        SplitMix64 random = new SplitMix64(state);
        double[] c = new double[6];
        for (int k = 0; k < c.length; k++) {
            c[k] = MARGIN + (SIDE - 2 * MARGIN) * random.uniform();
        }
        StrokeImage image = new StrokeImage(SIDE, nearest, REACH);
        image.quadratic(c[0], c[1], c[2], c[3], c[4], c[5], PIECES);
        image.write(pixels, start);
    }
}
