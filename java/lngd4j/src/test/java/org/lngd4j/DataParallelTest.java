// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.Test;

/** The program of docs/data-parallel.md: ranks as threads train as one optimizer does. */
class DataParallelTest {
    private static final int STEPS = 20;
    private static final int BATCH = 32;
    private static final int INPUTS = 6;
    private static final int OUTPUTS = 3;

    /** What a communication library does: in place, the same bits for all. */
    interface AllReduce {
        void sum(FloatPointer values);

        void sum(DoublePointer values);
    }

    // docs/data-parallel.md: begin
    /** One step of one rank, whose samples are the ones from {@code first} on in the batch. */
    static void step(Network net, TensorView inputs, long first, double factor, AllReduce ranks) {
        LngdOptimizer optimizer = net.optimizer;
        optimizer.sampleOffset(first);
        net.forwardAndBackward(inputs); // calls optimizer.observe; gradients are sums over samples
        if (optimizer.needsStatistics(0)) { // of any layer: the same answer on all ranks
            optimizer.closeSums();
            SumBuffers sums = optimizer.sums();
            ranks.sum(sums.floats());
            ranks.sum(sums.doubles());
            optimizer.sumsReduced();
        }
        ranks.sum(net.gradients); // one buffer, to whose views the plan is bound
        net.scaleGradients(1.0 / BATCH); // the mean over the whole batch
        net.plan.step(factor);
    }

    // docs/data-parallel.md: end

    /** s = W a + b for targets of another such layer, squared error. */
    private static final class Network implements AutoCloseable {
        final LngdOptimizer optimizer =
                LngdOptimizer.create(
                        LngdOptions.recipe(STEPS)
                                .fisher(Fisher.SAMPLED)
                                .statisticsSamples(0)
                                .device(Device.CPU)
                                .threads(1)
                                .build(),
                        List.of(
                                LayerSpec.dense("line", INPUTS, OUTPUTS)
                                        .activation(Activation.IDENTITY)));
        final FloatPointer gradients = new FloatPointer((INPUTS + 1) * OUTPUTS);
        final HostArray weights = new Data(1).floats(OUTPUTS, INPUTS);
        final HostArray bias = new Data(2).vector(OUTPUTS);
        final StepPlan plan =
                optimizer.plan(
                        List.of(
                                new LayerTensors(
                                        0,
                                        weights,
                                        bias,
                                        view(0, OUTPUTS, INPUTS),
                                        view((long) OUTPUTS * INPUTS, OUTPUTS))),
                        UpdateMode.WEIGHTS);
        private final double[][] truth = new Data(3).matrix(OUTPUTS, INPUTS);
        double error;

        private NativeTensor view(long offset, long... shape) {
            return NativeTensor.of(
                    MemoryKind.HOST, 0, new FloatPointer(gradients).position(offset), shape);
        }

        void forwardAndBackward(TensorView inputs) {
            float[] a = ((HostArray) inputs).values();
            float[] w = weights.values();
            float[] b = bias.values();
            int samples = a.length / INPUTS;
            float[] s = new float[samples * OUTPUTS];
            float[] g = new float[(INPUTS + 1) * OUTPUTS];
            error = 0;
            for (int n = 0; n < samples; n++) {
                for (int i = 0; i < OUTPUTS; i++) {
                    double sum = b[i];
                    double target = 0;
                    for (int j = 0; j < INPUTS; j++) {
                        sum += w[i * INPUTS + j] * a[n * INPUTS + j];
                        target += truth[i][j] * a[n * INPUTS + j];
                    }
                    double delta = sum - target;
                    s[n * OUTPUTS + i] = (float) sum;
                    error += delta * delta;
                    for (int j = 0; j < INPUTS; j++) {
                        g[i * INPUTS + j] += (float) (delta * a[n * INPUTS + j]);
                    }
                    g[OUTPUTS * INPUTS + i] += (float) delta;
                }
            }
            gradients.put(g);
            if (samples > 0 && optimizer.needsStatistics(0)) {
                HostArray signal = new HostArray(s, samples, OUTPUTS);
                optimizer.observe(0, inputs, signal, Signal.PRE_ACTIVATIONS);
            }
        }

        void scaleGradients(double by) {
            for (long i = 0; i < gradients.capacity(); i++) {
                gradients.put(i, (float) (by * gradients.get(i)));
            }
        }

        @Override
        public void close() {
            plan.close();
            optimizer.close();
            gradients.close();
        }
    }

    /** Ranks as threads: all bring their numbers, the last to come adds them in their order. */
    private static final class Threads {
        private final List<double[]> shares = new ArrayList<>();
        private final CyclicBarrier met;
        private double[] total;

        Threads(int ranks) {
            for (int r = 0; r < ranks; r++) {
                shares.add(null);
            }
            met = new CyclicBarrier(ranks, this::add);
        }

        private void add() {
            total = new double[shares.get(0).length];
            for (double[] share : shares) {
                for (int i = 0; i < total.length; i++) {
                    total[i] += share[i];
                }
            }
        }

        private double[] exchange(int rank, double[] share) {
            shares.set(rank, share);
            try {
                met.await();
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
            return total;
        }

        AllReduce rank(int rank) {
            return new AllReduce() {
                @Override
                public void sum(FloatPointer values) {
                    double[] share = new double[(int) values.capacity()];
                    Arrays.setAll(share, values::get);
                    double[] sum = exchange(rank, share);
                    for (int i = 0; i < sum.length; i++) {
                        values.put(i, (float) sum[i]);
                    }
                }

                @Override
                public void sum(DoublePointer values) {
                    double[] share = new double[(int) values.capacity()];
                    Arrays.setAll(share, values::get);
                    values.put(exchange(rank, share));
                }
            };
        }
    }

    private static double[][] batch(int step) {
        return new Data(100 + step).matrix(BATCH, INPUTS);
    }

    private static float[][] train(int... bounds) throws Exception {
        int ranks = bounds.length - 1;
        Threads threads = new Threads(ranks);
        ExecutorService pool = Executors.newFixedThreadPool(ranks);
        try {
            List<Future<float[]>> ends = new ArrayList<>();
            for (int r = 0; r < ranks; r++) {
                int rank = r;
                ends.add(
                        pool.submit(
                                () -> rank(threads.rank(rank), bounds[rank], bounds[rank + 1])));
            }
            float[][] weights = new float[ranks][];
            for (int r = 0; r < ranks; r++) {
                weights[r] = ends.get(r).get();
            }
            return weights;
        } finally {
            pool.shutdownNow();
        }
    }

    private static float[] rank(AllReduce all, int begin, int end) {
        try (Network net = new Network()) {
            net.optimizer.waitForSums(true);
            for (int t = 0; t < STEPS; t++) {
                double[][] own = Arrays.copyOfRange(batch(t), begin, end);
                step(net, Data.array(own), begin, net.optimizer.schedule(t, 0), all);
            }
            return net.weights.values();
        }
    }

    @Test
    void ranksTrainAsOneDoes() throws Exception {
        float[] one = train(0, BATCH)[0];
        float[] start;
        try (Network net = new Network()) {
            start = net.weights.values();
        }
        float moved = (float) Data.largest(Data.difference(one, start));
        assertThat(moved).isGreaterThan(0.1f);
        for (int[] bounds : new int[][] {{0, 16, 32}, {0, 5, 31, 32}}) {
            float[][] weights = train(bounds);
            for (float[] of : weights) {
                assertThat(of).isEqualTo(weights[0]);
                // 20 steps, each with roundings of float32 (6e-8) in another order, through factors
                // whose condition number is below 1e3.
                assertThat(Data.largest(Data.difference(of, one))).isLessThan(1e-4 * moved);
            }
        }
    }

    /** The page shows the code of this file. */
    @Test
    void thePageShowsThisProgram() throws IOException {
        String source = Files.readString(Path.of("src/test/java/org/lngd4j/DataParallelTest.java"));
        String shown =
                source.substring(
                        source.indexOf("// docs/data-parallel.md: begin") + 32,
                        source.indexOf("// docs/data-parallel.md: end"));
        String page = Files.readString(Path.of("../../docs/data-parallel.md"));
        assertThat(page).contains("```java\n" + shown.stripIndent().strip() + "\n```");
    }
}
