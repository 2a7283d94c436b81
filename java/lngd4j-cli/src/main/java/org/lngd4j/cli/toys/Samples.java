// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import java.util.Arrays;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Samples as vectors of numbers, each with its target: a class as one-hot, labels as 0 and 1, or
 * real numbers.
 */
final class Samples {
    private final int count;
    private final int inputs;
    private final int outputs;
    private final float[] features;
    private final float[] targets;

    /** Writes one sample. */
    @FunctionalInterface
    interface Row {
        /**
         * @param sample its number
         * @param x features, to be filled; zeros at first
         * @param y targets, to be filled; zeros at first
         */
        void fill(int sample, double[] x, double[] y);
    }

    private Samples(int count, int inputs, int outputs, float[] features, float[] targets) {
        this.count = count;
        this.inputs = inputs;
        this.outputs = outputs;
        this.features = features;
        this.targets = targets;
    }

    /** Calls {@code row} for each sample in its order. */
    static Samples of(int count, int inputs, int outputs, Row row) {
        float[] features = new float[count * inputs];
        float[] targets = new float[count * outputs];
        for (int i = 0; i < count; i++) {
            double[] x = new double[inputs];
            double[] y = new double[outputs];
            row.fill(i, x, y);
            narrow(x, features, i * inputs);
            narrow(y, targets, i * outputs);
        }
        return new Samples(count, inputs, outputs, features, targets);
    }

    private static void narrow(double[] from, float[] to, int start) {
        for (int k = 0; k < from.length; k++) {
            to[start + k] = (float) from[k];
        }
    }

    int count() {
        return count;
    }

    int inputs() {
        return inputs;
    }

    int outputs() {
        return outputs;
    }

    float feature(int sample, int input) {
        return features[sample * inputs + input];
    }

    float target(int sample, int output) {
        return targets[sample * outputs + output];
    }

    /** The samples from {@code from} up to but without {@code to}. */
    Samples slice(int from, int to) {
        return new Samples(
                to - from,
                inputs,
                outputs,
                Arrays.copyOfRange(features, from * inputs, to * inputs),
                Arrays.copyOfRange(targets, from * outputs, to * outputs));
    }

    /** All features, [count, inputs] in 'c' order. */
    INDArray allFeatures() {
        return Nd4j.create(features, new long[] {count, inputs}, 'c');
    }

    /**
     * The features of some samples, [to - from, inputs] in 'c' order.
     *
     * @param order numbers of samples; those from {@code from} up to but without {@code to} are
     *     taken
     */
    INDArray features(int[] order, int from, int to) {
        return gather(features, inputs, order, from, to);
    }

    /** The targets of some samples, [to - from, outputs] in 'c' order; see {@link #features}. */
    INDArray targets(int[] order, int from, int to) {
        return gather(targets, outputs, order, from, to);
    }

    private static INDArray gather(float[] rows, int width, int[] order, int from, int to) {
        float[] taken = new float[(to - from) * width];
        for (int i = from; i < to; i++) {
            System.arraycopy(rows, order[i] * width, taken, (i - from) * width, width);
        }
        return Nd4j.create(taken, new long[] {to - from, width}, 'c');
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Samples that
                && inputs == that.inputs
                && outputs == that.outputs
                && Arrays.equals(features, that.features)
                && Arrays.equals(targets, that.targets);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(features) * 31 + Arrays.hashCode(targets);
    }
}
