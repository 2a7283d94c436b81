// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.bench;

import java.util.List;
import java.util.concurrent.TimeUnit;
import org.lngd4j.LayerSpec;
import org.lngd4j.LayerTensors;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.LngdOptions;
import org.lngd4j.Signal;
import org.lngd4j.StepPlan;
import org.lngd4j.UpdateMode;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * One step with statistics over ND4J views of every kind, nothing copied: a dense layer of 512 to
 * 256 with 256 samples, a 3 x 3 convolution of 32 to 32 channels over 32 images of 16 x 16. The first
 * steps must give the weights that contiguous arrays give.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class ArrayViews {
    /** slice: some rows and columns of a larger array; strided: every second of both. */
    @Param({"c", "f", "slice", "strided", "transposed", "nchw", "nhwc"})
    public String view;

    @Param("1")
    public int threads;

    private LngdOptimizer optimizer;
    private StepPlan plan;
    private INDArray inputs;
    private INDArray signal;

    @Setup
    public void open() {
        Nd4j.getRandom().setSeed(1);
        boolean image = view.startsWith("n");
        long[] in = image ? new long[] {32, 32, 16, 16} : new long[] {256, 512};
        long[] out = image ? new long[] {32, 32, 16, 16} : new long[] {256, 256};
        long[] shape = image ? new long[] {32, 32, 3, 3} : new long[] {256, 512};
        INDArray a = Nd4j.randn(in);
        INDArray z = Nd4j.randn(out);
        INDArray w = Nd4j.randn(shape).muli(0.05);
        INDArray g = Nd4j.randn(shape).muli(0.01);
        // The plain arrays first: what they give is what the views must give.
        INDArray expected = w.dup();
        attach(image, a, z, expected, g);
        for (int i = 0; i < 3; i++) {
            step();
        }
        optimizer.close();
        INDArray weights = image ? w : viewOf(w);
        attach(image, viewOf(a), viewOf(z), weights, image ? g : viewOf(g));
        for (int i = 0; i < 3; i++) {
            step();
        }
        double error = weights.sub(expected).norm2Number().doubleValue();
        double norm = expected.norm2Number().doubleValue();
        // The same sums in another order at most: a few roundings of float.
        if (!(error <= 1e-6 * norm)) {
            throw new IllegalStateException(view + ": weights differ by " + error / norm);
        }
    }

    private void attach(boolean image, INDArray a, INDArray z, INDArray w, INDArray g) {
        LayerSpec spec =
                (image
                                ? LayerSpec.convolution("conv", 32, 32, 3, 3).padding(1, 1)
                                : LayerSpec.dense("dense", 512, 256))
                        .bias(false);
        LngdOptions options =
                LngdOptions.recipe(1_000_000)
                        .statisticsSamples(0)
                        .statisticsInterval(1)
                        .threads(threads)
                        .build();
        optimizer = LngdOptimizer.create(options, List.of(spec));
        plan = optimizer.plan(List.of(new LayerTensors(0, w, null, g, null)), UpdateMode.WEIGHTS);
        inputs = a;
        signal = z;
    }

    private INDArray viewOf(INDArray array) {
        long rows = array.size(0);
        long columns = array.size(1);
        INDArray result =
                switch (view) {
                    case "c", "nchw" -> array.dup('c');
                    case "f" -> array.dup('f');
                    case "slice" ->
                            Nd4j.create(rows + 3, columns + 5)
                                    .get(
                                            NDArrayIndex.interval(2, rows + 2),
                                            NDArrayIndex.interval(4, columns + 4));
                    case "strided" ->
                            Nd4j.create(2 * rows, 2 * columns)
                                    .get(
                                            NDArrayIndex.interval(0, 2, 2 * rows),
                                            NDArrayIndex.interval(0, 2, 2 * columns));
                    case "transposed" -> Nd4j.create(columns, rows).transpose();
                    default ->
                            Nd4j.create(rows, array.size(2), array.size(3), columns)
                                    .permute(0, 3, 1, 2);
                };
        return result.assign(array);
    }

    @Benchmark
    public void step() {
        optimizer.observe(0, inputs, signal, Signal.PRE_ACTIVATIONS);
        plan.step(1e-6);
    }

    @TearDown
    public void close() {
        optimizer.close();
    }
}
