// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.bench;

import java.util.concurrent.TimeUnit;
import org.lngd4j.LngdOptions;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.GradientUpdater;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.learning.config.Nesterovs;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What a step of the optimizer costs on a layer set, without forward and backward, as the mean over
 * a whole cycle of statistics and inverses (20 and 100 steps): LNGD's default preset beside DL4J's
 * updaters over as many parameters in one flat array, and beside the time that ND4J's GEMM would
 * need for the products of the blocks alone ({@code floor}).
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 1)
@Measurement(iterations = 3)
@Fork(1)
public class UpdaterPeer {
    private static final int CYCLE = 100;
    private static final int STATISTICS = 20;
    private static final int SAMPLES = 64;
    private static final int BLOCK = 128;
    private static final int SIDE = 1024; // of the floor's product

    @Param({"lngd", "adam", "nesterovs", "floor"})
    public String optimizer;

    @Param("resnet18-cifar")
    public String set;

    @Param("1")
    public int threads;

    private LayerSet layers;
    private GradientUpdater<?> updater;
    private INDArray parameters;
    private INDArray fresh;
    private INDArray gradient;
    private INDArray left;
    private INDArray right;
    private INDArray product;
    private long products;
    private int steps;

    @Setup
    public void open() {
        LngdOptions options = LngdOptions.recipe(1_000_000).threads(threads).build();
        layers = new LayerSet(set, options, SAMPLES);
        long count = layers.parameters();
        switch (optimizer) {
            case "lngd" -> layers.step();
            case "floor" -> openFloor();
            default -> {
                IUpdater config =
                        optimizer.equals("adam") ? new Adam(1e-3) : new Nesterovs(0.01, 0.9);
                updater = config.instantiate(Nd4j.zeros(1, config.stateSize(count)), true);
                parameters = Nd4j.randn(1, count);
                fresh = Nd4j.randn(1, count);
                gradient = fresh.dup();
                checkFirstUpdate();
            }
        }
        if (!optimizer.equals("lngd")) {
            layers.close();
        }
    }

    // The first step from a state of zeros is known: Adam's has the length of its rate whatever the
    // gradient, that of Nesterovs is (1 + momentum) rate g. The tolerances are Adam's epsilon of
    // 1e-8 beside a gradient of 1e-3, and a few roundings.
    private void checkFirstUpdate() {
        updater.applyUpdater(gradient, steps++, 0);
        for (long i = 0; i < 100; i++) {
            double g = fresh.getDouble(i);
            double expected = optimizer.equals("adam") ? 1e-3 * Math.signum(g) : 1.9 * 0.01 * g;
            if (Math.abs(g) > 1e-3
                    && Math.abs(gradient.getDouble(i) - expected) > 1e-4 * Math.abs(expected)) {
                throw new IllegalStateException(
                        optimizer + ": " + gradient.getDouble(i) + ", expected " + expected);
            }
        }
    }

    // Operations of a cycle: directions 2 m d b in each step, statistics N T d b (a symmetric half)
    // every 20, inverses d b^2 once.
    private void openFloor() {
        double operations = 0;
        for (LayerSet.Layer layer : layers.layers) {
            double d = layer.columns();
            for (double rest = d; rest > 0; rest -= BLOCK) {
                double b = Math.min(rest, BLOCK);
                operations += 2 * CYCLE * layer.spec().outputs() * b * b;
                operations += (double) CYCLE / STATISTICS * SAMPLES * layer.positions() * b * b;
                operations += b * b * b;
            }
        }
        products = Math.max(1, Math.round(operations / (2.0 * SIDE * SIDE * SIDE)));
        // Column by column, as ND4J hands matrices to BLAS: other orders it would copy first.
        left = Nd4j.randn('f', SIDE, SIDE);
        right = Nd4j.randn('f', SIDE, SIDE);
        product = Nd4j.create(new long[] {SIDE, SIDE}, 'f');
    }

    @Benchmark
    @OperationsPerInvocation(CYCLE)
    public void cycle() {
        if (optimizer.equals("floor")) {
            for (long i = 0; i < products; i++) {
                left.mmuli(right, product);
            }
            return;
        }
        for (int step = 0; step < CYCLE; step++) {
            if (updater == null) {
                layers.step();
            } else {
                // The updater turns the gradient into the update, where it lies; now and then a
                // new one, or repeated it would end in denormals.
                if (steps % 10 == 0) {
                    gradient.assign(fresh);
                }
                updater.applyUpdater(gradient, steps++, 0);
                parameters.subi(gradient);
            }
        }
    }

    @TearDown
    public void check() {
        if (optimizer.equals("lngd")) {
            layers.check();
            layers.close();
        } else if (optimizer.equals("floor")) {
            double seen = product.getDouble(3, 5);
            double expected = left.getRow(3).mul(right.getColumn(5)).sumNumber().doubleValue();
            // A sum of 1024 products of normal numbers, in float: an error of a few ulp of 32.
            if (!(Math.abs(seen - expected) < 1e-3)) {
                throw new IllegalStateException("product " + seen + ", expected " + expected);
            }
        } else if (!Double.isFinite(parameters.norm2Number().doubleValue())) {
            throw new IllegalStateException(optimizer + ": parameters are not finite");
        }
    }
}
