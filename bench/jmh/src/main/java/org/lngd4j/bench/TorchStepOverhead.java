// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;
import org.lngd4j.Schedule;
import org.lngd4j.pytorch.LngdLinear;
import org.lngd4j.pytorch.LngdTorch;
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
 * What Java, JNI and the looking up of gradients add to the kernels in a step of {@link LngdTorch}
 * that takes no statistics: its time less the time that the library counts inside its kernels. 3
 * layers: the MLP 784-256-128-10; 20: as many as a ResNet-18 has, of 64 units.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(1)
@SuppressWarnings("try") // scopes that are only opened and closed
public class TorchStepOverhead {
    private static final int BATCH = 256;

    @Param({"3", "20"})
    public int layers;

    private final List<LngdLinear> chain = new ArrayList<>();
    private final Module model = new Module("chain");
    private LngdTorch lngd;
    private long steps;
    private long nanos;
    private long kernelsBefore;

    @Setup
    public void open() {
        torch.set_num_threads(1);
        int[] widths = widths();
        for (int i = 0; i < layers; i++) {
            chain.add(model.register_module("fc" + i, new LngdLinear(widths[i], widths[i + 1])));
        }
        chain.get(layers - 1).output(OutputModel.SOFTMAX);
        LngdOptions options =
                LngdOptions.blockKronecker(1000)
                        .schedule(Schedule.constant(1e-6))
                        .statisticsInterval(1_000_000)
                        .inverseInterval(1_000_000)
                        .threads(1)
                        .build();
        lngd = LngdTorch.attach(model, options);
        for (int step = 0; step < 2; step++) {
            try (PointerScope scope = new PointerScope()) {
                Tensor labels = torch.zeros(BATCH).to(torch.ScalarType.Long);
                torch.cross_entropy_loss(forward(torch.randn(BATCH, widths[0])), labels).backward();
                lngd.step(); // the gradients stay: every step of the benchmark takes them again
            }
        }
    }

    private int[] widths() {
        if (layers == 3) {
            return new int[] {784, 256, 128, 10};
        }
        int[] widths = new int[layers + 1];
        java.util.Arrays.fill(widths, 64);
        return widths;
    }

    private Tensor forward(Tensor x) {
        Tensor h = x;
        for (LngdLinear layer : chain) {
            h = torch.relu(layer.forward(h));
        }
        return h;
    }

    @Setup(Level.Iteration)
    public void begin() {
        steps = 0;
        nanos = 0;
        kernelsBefore = lngd.times().total();
    }

    @Benchmark
    public void step() {
        long start = System.nanoTime();
        lngd.step();
        nanos += System.nanoTime() - start;
        steps++;
    }

    @TearDown(Level.Iteration)
    public void report() {
        double kernels = (lngd.times().total() - kernelsBefore) / 1e3 / steps;
        double total = nanos / 1e3 / steps;
        System.out.printf(
                "  [kernels %.1f us, Java and JNI beyond them %.2f us a step] ",
                kernels, total - kernels);
    }

    @TearDown
    public void close() {
        lngd.close();
    }
}
