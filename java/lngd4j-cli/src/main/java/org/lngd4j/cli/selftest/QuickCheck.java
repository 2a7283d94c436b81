// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.selftest;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.lngd4j.Device;
import org.lngd4j.LayerRate;
import org.lngd4j.LayerSpec;
import org.lngd4j.LayerTensors;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.LngdOptions;
import org.lngd4j.Precision;
import org.lngd4j.Signal;
import org.lngd4j.StepPlan;
import org.lngd4j.TrustRatio;
import org.lngd4j.UpdateMode;
import org.lngd4j.nd4j.Nd4jOptimizer;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * A few whole steps of one layer on the user's machine, for shapes that include 1, odd numbers and
 * a ragged last block, each against {@link LayerTwin}; and twice, which must give the same bits.
 */
final class QuickCheck {
    private static final int STEPS = 3;
    private static final int BLOCK = 128;
    private static final double RHO = 0.8;
    private static final double MOMENTUM = 0.9;
    private static final double RATE = 0.01;

    /**
     * Of the change of the weights, relative to its largest entry. gamma = 1 keeps the condition of
     * a damped block of 128 below 129, float32 has 6e-8: 129 * 6e-8 = 8e-6 for each of three steps;
     * the rest is room for sums of 300 products.
     */
    static final double TOLERANCE = 1e-4;

    private static final int[][] SHAPES = {
        {1, 1, 1}, {3, 4, 8}, {17, 32, 5}, {10, 128, 64}, {64, 300, 96}
    };

    /**
     * How one shape went.
     *
     * @param name for example {@code step 64x301, 96 samples}
     * @param error largest error of the weights' change, relative to its largest entry
     * @param repeatable whether a second run gave the same bits
     */
    record Result(String name, double error, boolean repeatable) {
        boolean passed() {
            // Written so that NaN fails.
            return error <= TOLERANCE && repeatable;
        }
    }

    private final Device device;

    QuickCheck(Device device) {
        this.device = device;
    }

    List<Result> run() {
        List<Result> results = new ArrayList<>();
        for (int[] shape : SHAPES) {
            results.add(check(shape[0], shape[1], shape[2]));
        }
        return results;
    }

    private Result check(int outputs, int inputs, int samples) {
        String name = "step " + outputs + "x" + (inputs + 1) + ", " + samples + " samples";
        SplittableRandom random = new SplittableRandom(31L * outputs + inputs);
        double[][] start = matrix(random, outputs, inputs + 1);
        List<double[][]> batches = new ArrayList<>();
        List<double[][]> gradients = new ArrayList<>();
        for (int t = 0; t < STEPS; t++) {
            double[][] batch = matrix(random, samples, inputs + 1);
            Arrays.stream(batch).forEach(row -> row[inputs] = 1);
            batches.add(batch);
            gradients.add(matrix(random, outputs, inputs + 1));
        }
        LayerTwin twin = new LayerTwin(start, BLOCK, RHO, MOMENTUM, RATE);
        List<double[][]> signals = new ArrayList<>();
        for (int t = 0; t < STEPS; t++) {
            // As the library gets it: in float, so that both agree on which units are active.
            double[][] s = round(twin.preActivations(batches.get(t)));
            signals.add(s);
            twin.step(batches.get(t), s, gradients.get(t));
        }
        double[][] once = library(start, batches, signals, gradients);
        double[][] again = library(start, batches, signals, gradients);
        return new Result(name, error(start, once, twin.weights()), Arrays.deepEquals(once, again));
    }

    private double[][] library(
            double[][] start,
            List<double[][]> batches,
            List<double[][]> signals,
            List<double[][]> gradients) {
        int outputs = start.length;
        int inputs = start[0].length - 1;
        LngdOptions options =
                LngdOptions.recipe(STEPS)
                        .device(device)
                        .precision(Precision.TF32X3)
                        .threads(1)
                        .trustRatio(TrustRatio.OFF, 0)
                        .layerRate(LayerRate.NONE)
                        .learningRate(RATE)
                        .momentum(MOMENTUM)
                        .blockSize(BLOCK)
                        .rho(RHO)
                        .statisticsSamples(0)
                        .statisticsInterval(1)
                        .inverseInterval(1)
                        .averaging(false)
                        .build();
        INDArray weights = columns(start, 0, inputs);
        INDArray bias = columns(start, inputs, inputs + 1).reshape(outputs);
        INDArray weightGradients = weights.ulike();
        INDArray biasGradients = bias.ulike();
        LayerSpec layer = LayerSpec.dense("selftest", inputs, outputs);
        try (LngdOptimizer core = LngdOptimizer.create(options, List.of(layer))) {
            Nd4jOptimizer optimizer = new Nd4jOptimizer(core);
            LayerTensors tensors =
                    optimizer.tensors(0, weights, bias, weightGradients, biasGradients);
            StepPlan plan = core.plan(List.of(tensors), UpdateMode.WEIGHTS);
            for (int t = 0; t < batches.size(); t++) {
                optimizer.observe(
                        0,
                        columns(batches.get(t), 0, inputs),
                        columns(signals.get(t), 0, outputs),
                        Signal.PRE_ACTIVATIONS);
                weightGradients.assign(columns(gradients.get(t), 0, inputs));
                biasGradients.assign(
                        columns(gradients.get(t), inputs, inputs + 1).reshape(outputs));
                plan.step(1);
            }
        }
        double[][] result = new double[outputs][inputs + 1];
        for (int i = 0; i < outputs; i++) {
            for (int j = 0; j < inputs; j++) {
                result[i][j] = weights.getFloat(i, j);
            }
            result[i][inputs] = bias.getFloat(i);
        }
        return result;
    }

    private static double error(double[][] start, double[][] seen, double[][] expected) {
        double difference = 0;
        double change = 0;
        for (int i = 0; i < start.length; i++) {
            for (int j = 0; j < start[i].length; j++) {
                difference = Math.max(difference, Math.abs(seen[i][j] - expected[i][j]));
                change = Math.max(change, Math.abs(expected[i][j] - start[i][j]));
            }
        }
        return difference / change;
    }

    private static double[][] matrix(SplittableRandom random, int rows, int columns) {
        double[][] matrix = new double[rows][columns];
        for (double[] row : matrix) {
            Arrays.setAll(row, j -> random.nextDouble() - 0.3);
        }
        return round(matrix);
    }

    /** Values that float holds exactly, so that both sides get the same numbers. */
    private static double[][] round(double[][] matrix) {
        for (double[] row : matrix) {
            Arrays.setAll(row, j -> (float) row[j]);
        }
        return matrix;
    }

    private static INDArray columns(double[][] matrix, int from, int to) {
        float[][] part = new float[matrix.length][to - from];
        for (int i = 0; i < matrix.length; i++) {
            for (int j = from; j < to; j++) {
                part[i][j - from] = (float) matrix[i][j];
            }
        }
        return Nd4j.createFromArray(part);
    }
}
