// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.bench;

import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.lngd4j.LngdOptions;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
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
 * What Java and JNI add to the kernels: the time of observe + step less the time that the library
 * itself counts inside its kernels. 3 layers: the MLP 784-256-128-10; 20 and 60: layers of 64,
 * whose kernels take about as long as the way to them. 1: one layer of 1 x 1, which is the crossing
 * alone. Run with {@code -prof gc} for the bytes allocated a step.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(1)
public class StepOverhead {
    /** 20: the default; 1: an observe of all three layers in every step, the worst case. */
    @Param({"20", "1"})
    public int statisticsInterval;

    @Param({"1", "2"})
    public int threads;

    @Param({"1", "3", "20", "60"})
    public int layers;

    private Mlp mlp;
    private long steps;
    private long nanos;
    private long kernelsBefore;

    @Setup
    public void open() {
        LngdOptions options =
                LngdOptions.recipe(1410)
                        .statisticsInterval(statisticsInterval)
                        .threads(threads)
                        .build();
        mlp = new Mlp(options, layers == 1 ? 1 : 256, widths());
    }

    private int[] widths() {
        if (layers == 3) {
            return new int[] {784, 256, 128, 10};
        }
        int[] widths = new int[layers + 1];
        Arrays.fill(widths, layers == 1 ? 1 : 64);
        return widths;
    }

    @Setup(Level.Iteration)
    public void begin() {
        steps = 0;
        nanos = 0;
        kernelsBefore = mlp.optimizer.times().total();
    }

    @Benchmark
    public void observeAndStep() {
        long start = System.nanoTime();
        mlp.step();
        nanos += System.nanoTime() - start;
        steps++;
    }

    @TearDown(Level.Iteration)
    public void report() {
        double kernels = (mlp.optimizer.times().total() - kernelsBefore) / 1e3 / steps;
        double total = nanos / 1e3 / steps;
        System.out.printf(
                "  [kernels %.1f us, Java and JNI beyond them %.2f us a step] ",
                kernels, total - kernels);
    }

    @TearDown
    public void close() {
        mlp.close();
    }
}
