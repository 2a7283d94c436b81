// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import java.util.Random;

/** Vectors with classes or labels, which a random {@link Teacher} decides. */
final class ClassData {
    static final double FLIPPED = 0.25;
    static final double POSITIVES = 0.02;
    static final double CONDITION = 100;

    /** The share of each class of {@link #ordinal}, from the lowest. */
    static final double[] ORDINAL = {0.60, 0.25, 0.10, 0.04, 0.01};

    private static final int TEACHER = 16;
    private static final double GAIN = 1;

    private ClassData() {}

    /** The largest of the teacher's standardised outputs, each with normal noise of 0.3. */
    static Generator classes(int inputs, int classes) {
        return (random, training, count) -> {
            double[][] x = Teacher.normal(random, count, inputs, 1);
            double[][] score = scores(random, x, classes, 0.3);
            return Samples.of(
                    count,
                    inputs,
                    classes,
                    (i, features, y) -> {
                        System.arraycopy(x[i], 0, features, 0, inputs);
                        y[Columns.largest(score[i])] = 1;
                    });
        };
    }

    /**
     * {@link #classes} whose features have other units: feature k is multiplied by ten to the power
     * of a number that is uniform in [-2, 2).
     */
    static Generator badlyScaled(int inputs, int classes) {
        return (random, training, count) -> {
            double[] unit = new double[inputs];
            for (int k = 0; k < inputs; k++) {
                unit[k] = StrictMath.pow(10, 4 * random.nextDouble() - 2);
            }
            Samples plain = classes(inputs, classes).draw(random, training, count);
            return Samples.of(
                    count,
                    inputs,
                    classes,
                    (i, features, y) -> {
                        for (int k = 0; k < inputs; k++) {
                            features[k] = unit[k] * plain.feature(i, k);
                        }
                        copyTargets(plain, i, y);
                    });
        };
    }

    /**
     * {@link #classes} whose features are {@code Q S z}: z is what the teacher sees, S scales from
     * 1 down to 1 / 100 in equal ratios, Q is a random rotation. So the covariance of the features
     * has condition number 10^4, and its small directions count as much as the large.
     */
    static Generator correlated(int inputs, int classes) {
        return (random, training, count) -> {
            double[][] rotation = rotation(random, inputs);
            Samples plain = classes(inputs, classes).draw(random, training, count);
            return Samples.of(
                    count,
                    inputs,
                    classes,
                    (i, features, y) -> {
                        for (int k = 0; k < inputs; k++) {
                            double scale = StrictMath.pow(CONDITION, -(double) k / (inputs - 1));
                            for (int j = 0; j < inputs; j++) {
                                features[j] += rotation[k][j] * scale * plain.feature(i, k);
                            }
                        }
                        copyTargets(plain, i, y);
                    });
        };
    }

    /** Two classes, the sign of the teacher's output; a quarter of all labels is turned over. */
    static Samples noisyLabels(Random random, int training, int count, int inputs) {
        double[][] x = Teacher.normal(random, count, inputs, 1);
        double[][] score = scores(random, x, 1, 0);
        return Samples.of(
                count,
                inputs,
                2,
                (i, features, y) -> {
                    System.arraycopy(x[i], 0, features, 0, inputs);
                    boolean flipped = random.nextDouble() < FLIPPED;
                    y[score[i][0] > 0 ^ flipped ? 1 : 0] = 1;
                });
    }

    /** One label, 1 for the two hundredths of the samples with the largest noisy output. */
    static Samples rarePositives(Random random, int training, int count, int inputs) {
        double[][] x = Teacher.normal(random, count, inputs, 1);
        double[][] score = scores(random, x, 1, 0.3);
        double threshold = Columns.upperQuantile(score, 0, POSITIVES);
        return Samples.of(
                count,
                inputs,
                1,
                (i, features, y) -> {
                    System.arraycopy(x[i], 0, features, 0, inputs);
                    y[0] = score[i][0] > threshold ? 1 : 0;
                });
    }

    /** The share of samples that have label k of {@link #multiLabel}. */
    static double labelShare(int k, int labels) {
        return 0.5 / (1 + 4.0 * k / (labels - 1));
    }

    /** Labels that do not exclude each other, from one half of the samples down to a tenth. */
    static Samples multiLabel(Random random, int training, int count, int inputs, int labels) {
        double[][] x = Teacher.normal(random, count, inputs, 1);
        double[][] score = scores(random, x, labels, 0.3);
        double[] threshold = new double[labels];
        for (int k = 0; k < labels; k++) {
            threshold[k] = Columns.upperQuantile(score, k, labelShare(k, labels));
        }
        return Samples.of(
                count,
                inputs,
                labels,
                (i, features, y) -> {
                    System.arraycopy(x[i], 0, features, 0, inputs);
                    for (int k = 0; k < labels; k++) {
                        y[k] = score[i][k] > threshold[k] ? 1 : 0;
                    }
                });
    }

    /** Five classes in an order, of 60, 25, 10, 4 and 1 hundredths: cuts of one noisy output. */
    static Samples ordinal(Random random, int training, int count, int inputs) {
        double[][] x = Teacher.normal(random, count, inputs, 1);
        double[][] score = scores(random, x, 1, 0.3);
        double[] cut = new double[ORDINAL.length - 1];
        double above = 1;
        for (int k = 0; k < cut.length; k++) {
            above -= ORDINAL[k];
            cut[k] = Columns.upperQuantile(score, 0, above);
        }
        return Samples.of(
                count,
                inputs,
                ORDINAL.length,
                (i, features, y) -> {
                    System.arraycopy(x[i], 0, features, 0, inputs);
                    int label = 0;
                    while (label < cut.length && score[i][0] > cut[label]) {
                        label++;
                    }
                    y[label] = 1;
                });
    }

    // The teacher's outputs, each with mean 0 and deviation 1, plus normal noise.
    private static double[][] scores(Random random, double[][] x, int outputs, double noise) {
        Teacher teacher = new Teacher(random, GAIN, x[0].length, TEACHER, outputs);
        double[][] score = teacher.ofAll(x);
        Columns.standardise(score, score.length);
        for (double[] row : score) {
            for (int k = 0; k < outputs; k++) {
                row[k] += noise * random.nextGaussian();
            }
        }
        return score;
    }

    private static void copyTargets(Samples from, int sample, double[] y) {
        for (int k = 0; k < y.length; k++) {
            y[k] = from.target(sample, k);
        }
    }

    // Rows of normal numbers, orthonormal after Gram and Schmidt.
    private static double[][] rotation(Random random, int size) {
        double[][] rows = Teacher.normal(random, size, size, 1);
        for (int i = 0; i < size; i++) {
            for (int j = 0; j < i; j++) {
                double product = dot(rows[i], rows[j]);
                for (int k = 0; k < size; k++) {
                    rows[i][k] -= product * rows[j][k];
                }
            }
            double length = StrictMath.sqrt(dot(rows[i], rows[i]));
            for (int k = 0; k < size; k++) {
                rows[i][k] /= length;
            }
        }
        return rows;
    }

    private static double dot(double[] a, double[] b) {
        double sum = 0;
        for (int k = 0; k < a.length; k++) {
            sum += a[k] * b[k];
        }
        return sum;
    }
}
