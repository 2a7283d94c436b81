// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.bench;

import java.util.List;
import java.util.concurrent.TimeUnit;
import org.lngd4j.Field;
import org.lngd4j.LayerSpec;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.LngdOptions;
import org.lngd4j.Signal;
import org.lngd4j.UpdateMode;
import org.lngd4j.nd4j.Nd4jOptimizer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.convolution.Convolution;
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
 * {@code layer_statistics} and {@code conv_statistics} through the Java API beside plain ND4J
 * operations as a user would write them: Phi = (1/N) sum r a a^T and psi of a layer with ReLU, for
 * a convolution after im2col. ND4J computes the full Phi; {@code lngd-blocks} is the default
 * preset's diagonal blocks of 128 over the same samples.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class StatisticsPeer {
    /**
     * dN: dense, N inputs, 2048 samples; CxMxKxS: convolution of C to M channels, K x K, batch 64,
     * images S x S.
     */
    @Param({
        "d576",
        "d1152",
        "1x20x5x28",
        "20x50x5x12",
        "64x64x3x32",
        "128x128x3x16",
        "256x256x3x8",
        "512x512x3x4"
    })
    public String layer;

    private static final double MIB = 1 << 20;

    @Param({"lngd-full", "lngd-blocks", "nd4j"})
    public String by;

    @Param("1")
    public int threads;

    private int samples;
    private int kernel;
    private int padding;
    private INDArray inputs;
    private INDArray signal;
    private LngdOptimizer optimizer;
    private Nd4jOptimizer arrays;
    private INDArray psi;

    @Setup
    public void open() {
        Nd4j.getRandom().setSeed(1);
        LayerSpec spec;
        INDArray weights;
        if (layer.startsWith("d")) {
            int d = Integer.parseInt(layer.substring(1));
            samples = 2048;
            spec = LayerSpec.dense("dense", d, 256);
            inputs = Nd4j.randn(samples, d);
            signal = Nd4j.randn(samples, 256);
            weights = Nd4j.randn(256, d);
        } else {
            String[] part = layer.split("x");
            int c = Integer.parseInt(part[0]);
            int m = Integer.parseInt(part[1]);
            kernel = Integer.parseInt(part[2]);
            int side = Integer.parseInt(part[3]);
            // As in the sets: LeNet's 5 x 5 without padding, the residual nets' 3 x 3 with.
            padding = kernel == 3 ? 1 : 0;
            int out = side + 2 * padding - kernel + 1;
            samples = 64;
            spec = LayerSpec.convolution("conv", c, m, kernel, kernel).padding(padding, padding);
            inputs = Nd4j.randn(new long[] {samples, c, side, side});
            signal = Nd4j.randn(new long[] {samples, m, out, out});
            weights = Nd4j.randn(new long[] {m, c, kernel, kernel});
        }
        spec = spec.bias(false);
        LngdOptions options =
                LngdOptions.recipe(1_000_000)
                        .blockSize(by.equals("lngd-blocks") ? 128 : 0)
                        .statisticsSamples(0)
                        .statisticsInterval(1)
                        .inverseInterval(1)
                        .threads(threads)
                        .build();
        arrays = Nd4jOptimizer.create(options, List.of(spec));
        optimizer = arrays.core();
        long workspace = optimizer.memory().workspace();
        arrays.observe(0, inputs, signal, Signal.PRE_ACTIVATIONS);
        System.out.printf(
                "  [factors %.2f MiB, workspace of the statistics %.2f MiB, of the layer %.2f MiB] ",
                optimizer.memory().factors() / MIB,
                (optimizer.memory().workspace() - workspace) / MIB,
                workspace / MIB);
        optimizer
                .plan(
                        List.of(arrays.tensors(0, weights, null, weights.dup(), null)),
                        UpdateMode.WEIGHTS)
                .step(1e-6);
        check(plain());
    }

    @Benchmark
    public Object statistics() {
        if (by.equals("nd4j")) {
            return plain();
        }
        // No step follows: each call adds the batch to the same sums.
        arrays.observe(0, inputs, signal, Signal.PRE_ACTIVATIONS);
        return optimizer;
    }

    // Phi of ReLU's expected Fisher; psi is computed too.
    private INDArray plain() {
        INDArray a = inputs;
        INDArray z = signal;
        if (kernel > 0) {
            INDArray patches =
                    Convolution.im2col(inputs, kernel, kernel, 1, 1, padding, padding, false);
            long positions = signal.size(2) * signal.size(3);
            a =
                    patches.permute(0, 4, 5, 1, 2, 3)
                            .reshape('c', samples * positions, inputs.size(1) * kernel * kernel);
            z = signal.permute(0, 2, 3, 1).reshape('c', samples * positions, signal.size(1));
        }
        INDArray q = z.gt(0).castTo(DataType.FLOAT);
        INDArray r = q.sum(true, 1);
        INDArray c = a.mul(a).sum(true, 1);
        INDArray phi = a.mulColumnVector(r).transpose().mmul(a).divi(samples);
        psi = q.mulColumnVector(c).sum(0).divi(c.mul(r).sumNumber().doubleValue());
        return phi;
    }

    // Both are float sums of up to 65,536 terms; ours in pieces of up to 1024, ND4J's as its GEMM
    // orders them.
    private void check(INDArray phi) {
        INDArray seen = arrays.read(0, Field.PHI);
        long d = phi.size(0);
        long block = by.equals("lngd-blocks") ? 128 : d;
        for (long begin = 0; begin < d; begin += block) {
            var part = NDArrayIndex.interval(begin, Math.min(d, begin + block));
            agree("Phi from " + begin, seen.get(part, part), phi.get(part, part));
        }
        agree("psi", arrays.read(0, Field.PSI), psi);
    }

    private static void agree(String what, INDArray seen, INDArray expected) {
        double error = seen.sub(expected.reshape(seen.shape())).norm2Number().doubleValue();
        double norm = expected.norm2Number().doubleValue();
        if (!(error < 1e-4 * norm)) {
            throw new IllegalStateException(what + " differs by " + error + " of " + norm);
        }
    }

    @TearDown
    public void close() {
        optimizer.close();
    }
}
