// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import java.util.Arrays;
import java.util.Random;

/** Texts as bags of words: wide, and almost all zeros. */
final class WordData {
    static final int WORDS = 1000;
    static final int CLASSES = 5;

    private static final int SHORTEST = 10;
    private static final int LONGEST = 30;
    // How far the classes' frequencies of a word lie apart: the deviation of their logarithm.
    private static final double TOPIC = 0.7;

    private WordData() {}

    /**
     * Word k has frequency {@code 1 / (k + 1)} (Zipf's law) times {@code exp(0.7 g)}, with g normal
     * for each word and class. A text has 10 to 30 words of its class; a feature is 1 where its
     * word occurs.
     */
    static Samples bags(Random random, int training, int count) {
        double[][] cumulative = new double[CLASSES][WORDS];
        for (double[] sums : cumulative) {
            double sum = 0;
            for (int k = 0; k < WORDS; k++) {
                sum += StrictMath.exp(TOPIC * random.nextGaussian()) / (k + 1);
                sums[k] = sum;
            }
        }
        return Samples.of(
                count,
                WORDS,
                CLASSES,
                (sample, x, y) -> {
                    int label = random.nextInt(CLASSES);
                    int length = SHORTEST + random.nextInt(LONGEST - SHORTEST + 1);
                    for (int i = 0; i < length; i++) {
                        x[word(cumulative[label], random)] = 1;
                    }
                    y[label] = 1;
                });
    }

    private static int word(double[] cumulative, Random random) {
        double u = random.nextDouble() * cumulative[WORDS - 1];
        int found = Arrays.binarySearch(cumulative, u);
        return Math.min(WORDS - 1, found < 0 ? -found - 1 : found);
    }
}
