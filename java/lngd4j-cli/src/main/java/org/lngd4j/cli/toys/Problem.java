// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import java.util.Random;
import org.lngd4j.cli.data.BatchFiller;

/**
 * A small problem: where its samples come from, the network, and how long it is trained.
 *
 * @param name what {@code --problems} calls it
 * @param summary what it is, in a few words
 * @param kind decides LNGD's default preset
 * @param generator of its samples
 * @param training samples to train on
 * @param test samples to measure on
 * @param network what is trained
 * @param batch samples of a step
 * @param epochs passes over the training samples
 * @param evaluations in an epoch, at least 1
 * @param overtrains whether its training is pure over-training after some epochs, as there is
 *     nothing left to learn but noise: then the best epoch is judged and not the last
 */
record Problem(
        String name,
        String summary,
        Kind kind,
        Generator generator,
        int training,
        int test,
        ToyNetwork network,
        int batch,
        int epochs,
        int evaluations,
        boolean overtrains) {
    /** What is learned. */
    enum Kind {
        /** Classes or labels. */
        CLASSIFICATION,
        /** Real numbers, or the input itself. */
        REGRESSION
    }

    /**
     * Samples to train on, and to measure on.
     *
     * @param training drawn first
     * @param test of the same distribution
     */
    record Data(Samples training, Samples test) {}

    /** Draws the samples of a seed: other seeds have other samples, and another teacher. */
    Data data(long seed) {
        // The names keep problems of the same generator and size apart; String.hashCode is
        // specified.
        Random random = new Random(seed * 0x9e3779b97f4a7c15L + name.hashCode());
        Samples all = generator.draw(random, training, training + test);
        return new Data(all.slice(0, training), all.slice(training, training + test));
    }

    /** Batches of an epoch. */
    int stepsPerEpoch() {
        return BatchFiller.count(training, batch);
    }

    /** Steps of a whole run. */
    long totalSteps() {
        return (long) epochs * stepsPerEpoch();
    }

    /** Whether an accuracy can be told. */
    boolean hasAccuracy() {
        return kind == Kind.CLASSIFICATION;
    }

    /** The same, evaluated so many times in an epoch. */
    Problem evaluated(int times) {
        return new Problem(
                name,
                summary,
                kind,
                generator,
                training,
                test,
                network,
                batch,
                epochs,
                times,
                overtrains);
    }

    /** The same, marked as pure over-training after some epochs. */
    Problem overtraining() {
        return new Problem(
                name,
                summary,
                kind,
                generator,
                training,
                test,
                network,
                batch,
                epochs,
                evaluations,
                true);
    }
}
