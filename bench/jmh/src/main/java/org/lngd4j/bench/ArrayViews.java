// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.bench;

import java.util.List;
import java.util.concurrent.TimeUnit;
import org.lngd4j.Field;
import org.lngd4j.LayerSpec;
import org.lngd4j.LngdOptions;
import org.lngd4j.Signal;
import org.lngd4j.StepPlan;
import org.lngd4j.UpdateMode;
import org.lngd4j.nd4j.Nd4jOptimizer;
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
 * 256 with 256 samples, a 3 x 3 convolution of 32 to 32 channels over 32 images of 16 x 16. Before
 * they are timed, three steps must give the factors and change the weights as contiguous arrays do.
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

    private Nd4jOptimizer optimizer;
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
        steps();
        INDArray phi = optimizer.read(0, Field.PHI);
        INDArray psi = optimizer.read(0, Field.PSI);
        optimizer.core().close();
        INDArray weights = image ? w.dup() : viewOf(w);
        attach(image, viewOf(a), viewOf(z), weights, image ? g : viewOf(g));
        steps();
        INDArray change = expected.sub(w);
        if (!(norm(change) > 1e-3 * norm(w))) {
            throw new IllegalStateException("the steps hardly move: " + norm(change) / norm(w));
        }
        // Weights are rounded to 6e-8 of themselves in each step, and have moved by some percent:
        // 1e-5 of the change is rounding. The factors are the same sums, in another order at most.
        agree("change of the weights", weights.sub(w), change, 1e-4);
        agree("Phi", optimizer.read(0, Field.PHI), phi, 1e-5);
        agree("psi", optimizer.read(0, Field.PSI), psi, 1e-5);
    }

    // With the whole trust ratio, unlike the steps that are timed.
    private void steps() {
        for (int i = 0; i < 3; i++) {
            optimizer.observe(0, inputs, signal, Signal.PRE_ACTIVATIONS);
            plan.step(1);
        }
    }

    private void agree(String what, INDArray seen, INDArray expected, double bound) {
        double error = norm(seen.sub(expected)) / norm(expected);
        if (!(error <= bound)) {
            throw new IllegalStateException(view + ": " + what + " differs by " + error);
        }
    }

    private static double norm(INDArray array) {
        return array.norm2Number().doubleValue();
    }

    private void attach(boolean image, INDArray a, INDArray z, INDArray w, INDArray g) {
        LayerSpec spec =
                (image
                                ? LayerSpec.convolution("conv", 32, 32, 3, 3).padding(1, 1)
                                : LayerSpec.dense("dense", 512, 256))
                        .bias(false);
        LngdOptions options =
                LngdOptions.recipe(100)
                        .statisticsSamples(0)
                        .statisticsInterval(1)
                        .threads(threads)
                        .build();
        optimizer = Nd4jOptimizer.create(options, List.of(spec));
        plan =
                optimizer
                        .core()
                        .plan(List.of(optimizer.tensors(0, w, null, g, null)), UpdateMode.WEIGHTS);
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

    // The gradient stays the same: see Mlp.step on the factor.
    @Benchmark
    public void step() {
        optimizer.observe(0, inputs, signal, Signal.PRE_ACTIVATIONS);
        plan.step(1e-6);
    }

    @TearDown
    public void close() {
        optimizer.core().close();
    }
}
