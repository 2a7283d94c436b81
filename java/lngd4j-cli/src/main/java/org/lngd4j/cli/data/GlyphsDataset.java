// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

/**
 * GLYPHS: 28 x 28 grey images of the letters of an alphabet that nobody knows, to judge optimizers
 * on data that no setting was chosen on. Generated, so it needs no download and has no licence;
 * MNIST-like, so the networks of the command fit.
 *
 * <p>The alphabet: {@value #CLASSES} letters of {@value #STROKES} strokes each, quadratic Bezier
 * curves whose control points are drawn uniformly from the unit square by SplitMix64, whose state
 * starts at {@code mix(ALPHABET) + class * GAMMA * 64}. Image i of a set draws, in this order, from
 * the state {@code mix(mix(SEED) + set) + i * GAMMA * 64}: its class; a turn, two scales, a shear
 * and two shifts of the whole letter; a shift of each control point; the width of its strokes;
 * whether there is one stroke more that means nothing, and that stroke; whether one of the letter's
 * strokes is left out, and which. The turn is ((1 - t^2)/(1 + t^2), 2t/(1 + t^2)), a rational point
 * of the circle: only +, -, *, /, comparisons and the square root are used, so every machine makes
 * the same bytes.
 */
public final class GlyphsDataset {
    /** What {@code --data} calls it. */
    public static final String NAME = "glyphs";

    static final int CLASSES = 20;
    static final int TRAINING = 30_000;
    static final int TEST = 10_000;

    private static final int STROKES = 3;
    private static final long ALPHABET = 11;
    private static final long SEED = 12;
    private static final int SIDE = 28;
    private static final int PIECES = 16;
    private static final int NUMBERS = 64; // room for all that an image draws
    private static final double SIZE = 18; // of a letter, in pixels
    private static final double TURN = 0.15; // t of the turn: up to 17 degrees
    private static final double SCALE = 0.2;
    private static final double SHEAR = 0.2;
    private static final double SHIFT = 2.5; // pixels
    private static final double JITTER = 0.13; // of a control point, of the letter's size
    private static final double EXTRA = 0.5; // share of images with a stroke that means nothing
    private static final double BROKEN = 0.2; // share of images that lack a stroke

    private GlyphsDataset() {}

    /** 30,000 training and 10,000 test images of 20 classes. Takes a second. */
    public static Dataset generate() {
        return generate(TRAINING, TEST);
    }

    static Dataset generate(int training, int test) {
        double[][] alphabet = new double[CLASSES][];
        for (int letter = 0; letter < CLASSES; letter++) {
            alphabet[letter] =
                    numbers(
                            new SplitMix64(
                                    SplitMix64.mix(ALPHABET)
                                            + letter * SplitMix64.GAMMA * NUMBERS));
        }
        return new Dataset(
                "the generator", images(alphabet, 0, training), images(alphabet, 1, test), CLASSES);
    }

    private static double[] numbers(SplitMix64 random) {
        double[] c = new double[6 * STROKES];
        for (int k = 0; k < c.length; k++) {
            c[k] = random.uniform();
        }
        return c;
    }

    private static LabelledImages images(double[][] alphabet, int set, int count) {
        byte[] pixels = new byte[count * SIDE * SIDE];
        byte[] labels = new byte[count];
        double[] nearest = new double[SIDE * SIDE];
        long first = SplitMix64.mix(SplitMix64.mix(SEED) + set);
        for (int i = 0; i < count; i++) {
            SplitMix64 random = new SplitMix64(first + i * SplitMix64.GAMMA * NUMBERS);
            int letter = (int) (CLASSES * random.uniform());
            labels[i] = (byte) letter;
            Hand hand = new Hand(random);
            double[] c = alphabet[letter].clone();
            for (int k = 0; k < c.length; k++) {
                c[k] += JITTER * random.symmetric();
            }
            StrokeImage image = new StrokeImage(SIDE, nearest, 1.0 + 0.6 * random.uniform());
            boolean extra = random.uniform() < EXTRA;
            double[] stroke = new double[6];
            for (int k = 0; k < stroke.length; k++) {
                stroke[k] = random.uniform();
            }
            int absent = random.uniform() < BROKEN ? (int) (STROKES * random.uniform()) : STROKES;
            for (int s = 0; s < STROKES; s++) {
                if (s != absent) {
                    hand.draw(image, c, 6 * s);
                }
            }
            if (extra) {
                hand.draw(image, stroke, 0);
            }
            image.write(pixels, i * SIDE * SIDE);
        }
        return new LabelledImages(pixels, labels, new ImageShape(1, SIDE, SIDE));
    }

    /** The affine map from the unit square to pixels. */
    private static final class Hand {
        private final double xx;
        private final double xy;
        private final double yx;
        private final double yy;
        private final double x0;
        private final double y0;

        Hand(SplitMix64 random) {
            double t = TURN * random.symmetric();
            double cosine = (1 - t * t) / (1 + t * t);
            double sine = 2 * t / (1 + t * t);
            double width = SIZE * (1 + SCALE * random.symmetric());
            double height = SIZE * (1 + SCALE * random.symmetric());
            double shear = SHEAR * random.symmetric();
            xx = cosine * width;
            xy = (cosine * shear - sine) * height;
            yx = sine * width;
            yy = (sine * shear + cosine) * height;
            x0 = SIDE / 2.0 + SHIFT * random.symmetric();
            y0 = SIDE / 2.0 + SHIFT * random.symmetric();
        }

        void draw(StrokeImage image, double[] c, int from) {
            image.quadratic(
                    x(c, from),
                    y(c, from),
                    x(c, from + 2),
                    y(c, from + 2),
                    x(c, from + 4),
                    y(c, from + 4),
                    PIECES);
        }

        private double x(double[] c, int k) {
            return x0 + xx * (c[k] - 0.5) + xy * (c[k + 1] - 0.5);
        }

        private double y(double[] c, int k) {
            return y0 + yx * (c[k] - 0.5) + yy * (c[k + 1] - 0.5);
        }
    }
}
