// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.util.Arrays;

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

    private static final long GAMMA = 0x9e3779b97f4a7c15L;
    private static final double UNIT = 1.0 / (1L << 53);

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
        long first = mix(mix(SEED) + set);
        for (int i = 0; i < count; i++) {
            draw(first + i * GAMMA * 8, nearest, pixels, i * SIDE * SIDE);
        }
        return new LabelledImages(pixels, new byte[count], new ImageShape(1, SIDE, SIDE));
    }

    private static void draw(long state, double[] nearest, byte[] pixels, int start) {
        double[] c = new double[6];
        for (int k = 0; k < c.length; k++) {
            state += GAMMA;
            c[k] = MARGIN + (SIDE - 2 * MARGIN) * ((mix(state) >>> 11) * UNIT);
        }
        Arrays.fill(nearest, REACH * REACH);
        double x0 = c[0];
        double y0 = c[1];
        for (int k = 1; k <= PIECES; k++) {
            double t = (double) k / PIECES;
            double s = 1 - t;
            double x1 = s * s * c[0] + 2 * s * t * c[2] + t * t * c[4];
            double y1 = s * s * c[1] + 2 * s * t * c[3] + t * t * c[5];
            piece(nearest, x0, y0, x1, y1);
            x0 = x1;
            y0 = y1;
        }
        for (int k = 0; k < nearest.length; k++) {
            double ink = Math.min(1, Math.max(0, REACH - Math.sqrt(nearest[k])));
            pixels[start + k] = (byte) (int) (255 * ink + 0.5);
        }
    }

    // Lowers the squared distances of the pixels around a piece. No pixel further than REACH from
    // its bounding box can be touched.
    private static void piece(double[] nearest, double x0, double y0, double x1, double y1) {
        int left = Math.max(0, (int) (Math.min(x0, x1) - REACH - 0.5));
        int right = Math.min(SIDE - 1, (int) (Math.max(x0, x1) + REACH));
        int top = Math.max(0, (int) (Math.min(y0, y1) - REACH - 0.5));
        int bottom = Math.min(SIDE - 1, (int) (Math.max(y0, y1) + REACH));
        double dx = x1 - x0;
        double dy = y1 - y0;
        double length = dx * dx + dy * dy;
        for (int row = top; row <= bottom; row++) {
            for (int column = left; column <= right; column++) {
                double px = column + 0.5 - x0;
                double py = row + 0.5 - y0;
                double along = length > 0 ? (px * dx + py * dy) / length : 0;
                along = Math.min(1, Math.max(0, along));
                double ex = px - along * dx;
                double ey = py - along * dy;
                double squared = ex * ex + ey * ey;
                int k = row * SIDE + column;
                nearest[k] = Math.min(nearest[k], squared);
            }
        }
    }

    // The output function of SplitMix64 (Steele, Lea, Flood 2014).
    private static long mix(long z) {
        z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
        return z ^ (z >>> 31);
    }
}
