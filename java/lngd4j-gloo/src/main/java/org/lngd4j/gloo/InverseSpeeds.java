// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import java.util.Arrays;
import java.util.List;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.Field;
import org.lngd4j.LayerSpec;
import org.lngd4j.LayerTensors;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.MemoryKind;
import org.lngd4j.NativeTensor;
import org.lngd4j.StepPlan;
import org.lngd4j.UpdateMode;

/**
 * What was measured before the first step, of the slowest rank, so that all ranks have the same
 * figures.
 *
 * @param operations per second that a rank inverts with
 * @param bytes per second of a large broadcast, until the last rank has it
 * @param latency seconds that the smallest broadcast takes
 */
@SuppressWarnings("try") // scopes that are only opened and closed
public record InverseSpeeds(double operations, double bytes, double latency) {
    private static final int LARGEST = 1024; // columns and rows of what is inverted
    private static final int FLOATS = 1 << 20; // of the large broadcast
    private static final int TRIES = 3; // the first one of them warms up

    /**
     * Inverts a layer as the costliest one is, of at most 1024 columns and outputs, three times,
     * with the options, threads and kernels of the optimizer. The best time counts.
     *
     * @return operations per second of this rank
     */
    static double inversions(LngdOptimizer like, LayerSpec costliest) {
        int columns = (int) Math.min(LARGEST, costliest.columns());
        int outputs = (int) Math.min(LARGEST, costliest.outputs());
        LayerSpec layer = LayerSpec.dense("measured", columns, outputs).bias(false);
        try (LngdOptimizer optimizer = LngdOptimizer.create(like.options(), List.of(layer));
                FloatPointer weights = new FloatPointer((long) columns * outputs);
                FloatPointer gradients = new FloatPointer((long) columns * outputs)) {
            weights.put(new float[columns * outputs]);
            gradients.put(new float[columns * outputs]);
            LayerTensors tensors =
                    new LayerTensors(
                            0,
                            NativeTensor.of(MemoryKind.HOST, 0, weights, outputs, columns),
                            null,
                            NativeTensor.of(MemoryKind.HOST, 0, gradients, outputs, columns),
                            null);
            try (StepPlan plan = optimizer.plan(List.of(tensors), UpdateMode.WEIGHTS)) {
                long best = Long.MAX_VALUE;
                for (int i = 0; i < TRIES; i++) {
                    for (Field field : List.of(Field.PHI, Field.PSI)) {
                        optimizer.write(0, field, identity(optimizer.shape(0, field)));
                    }
                    long before = optimizer.times().inverse();
                    plan.step(0); // inverts what was written
                    best = Math.min(best, optimizer.times().inverse() - before);
                }
                return optimizer.inverseCost(0).operations() / (1e-9 * Math.max(1, best));
            }
        }
    }

    /** Ones on the diagonals of matrices, or everywhere in a vector. */
    private static float[] identity(long[] shape) {
        float[] values = new float[(int) Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
        int rows = (int) shape[shape.length - 1];
        boolean vector = shape.length == 1;
        for (int i = 0; i < values.length; i++) {
            values[i] = vector || i / rows % rows == i % rows ? 1 : 0;
        }
        return values;
    }

    /**
     * Measures broadcasts, and takes the slowest rank of each figure.
     *
     * @param operations per second of this rank
     */
    static InverseSpeeds of(Ranks ranks, double operations) {
        try (PointerScope scope = new PointerScope()) {
            double latency = broadcast(ranks, 1);
            double large = broadcast(ranks, FLOATS);
            double[] told = new double[3 * ranks.size()]; // a slot for each rank; others add zero
            told[3 * ranks.rank()] = 1 / operations;
            told[3 * ranks.rank() + 1] = large;
            told[3 * ranks.rank() + 2] = latency;
            Tensor all = Tensor.create(told);
            ranks.sum(all);
            new DoublePointer(all.data_ptr()).get(told);
            double[] slowest = new double[3];
            for (int i = 0; i < told.length; i++) {
                slowest[i % 3] = Math.max(slowest[i % 3], told[i]);
            }
            double bytes = Float.BYTES * (double) FLOATS;
            return new InverseSpeeds(1 / slowest[0], bytes / slowest[1], slowest[2]);
        }
    }

    /** The best of some times in seconds, each from when all ranks are there. */
    private static double broadcast(Ranks ranks, long floats) {
        Tensor tensor = torch.zeros(floats);
        Tensor together = torch.zeros(1);
        long best = Long.MAX_VALUE;
        for (int i = 0; i < TRIES; i++) {
            ranks.sum(together);
            long start = System.nanoTime();
            ranks.broadcast(tensor, 0);
            best = Math.min(best, System.nanoTime() - start);
        }
        return 1e-9 * Math.max(1, best);
    }
}
