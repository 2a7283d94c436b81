// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.function.ToDoubleFunction;
import org.apache.spark.BarrierTaskContext;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.Activation;
import org.lngd4j.InversePlacement;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;
import org.lngd4j.Preset;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.gloo.Rendezvous;
import org.lngd4j.pytorch.LngdLinear;
import scala.collection.Iterator;
import scala.jdk.javaapi.CollectionConverters;
import scala.reflect.ClassTag$;
import scala.runtime.AbstractFunction1;

/**
 * Measures data-parallel training on executors of one thread on this machine, for {@code
 * bench/scaling}: seconds a step and their parts, and all-reduces alone. Started by {@code
 * bench/scaling/measure.sh}; the data are random, as times do not depend on them.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class ScalingMeasurement {
    private static final Duration TIMEOUT = Duration.ofMinutes(5);
    private static final int REPEATS = 30;

    private final int[] widths;
    private final int batch;
    private final int steps;

    ScalingMeasurement(int[] widths, int batch, int steps) {
        this.widths = widths;
        this.batch = batch;
        this.steps = steps;
    }

    /** Arguments: widths with "-" between, batch, steps of a run, ranks with "," between, file. */
    public static void main(String[] args) throws IOException {
        int[] widths = Arrays.stream(args[0].split("-")).mapToInt(Integer::parseInt).toArray();
        ScalingMeasurement all =
                new ScalingMeasurement(
                        widths, Integer.parseInt(args[1]), Integer.parseInt(args[2]));
        List<String> runs = new ArrayList<>();
        List<String> reduces = new ArrayList<>();
        for (String ranks : args[3].split(",")) {
            all.measure(Integer.parseInt(ranks), runs, reduces);
        }
        Files.writeString(Path.of(args[4]), all.json(runs, reduces));
    }

    private void measure(int ranks, List<String> runs, List<String> reduces) {
        try (JavaSparkContext context = new JavaSparkContext(TestCluster.configuration(ranks))) {
            run(context, ranks, runs);
            if (ranks > 1) {
                reduce(context, ranks, reduces);
            }
        }
    }

    /** Training after a short one, in which the JVMs compile what they need. */
    private void run(JavaSparkContext context, int ranks, List<String> runs) {
        JavaRDD<float[]> data = context.parallelize(random(10 * batch), ranks);
        SparkOptions.Builder options = SparkOptions.builder(ranks, batch, 2).timeout(TIMEOUT);
        SparkLngd.train(data, new Dense(widths), options.build());
        for (InversePlacement inverses : InversePlacement.values()) {
            boolean wanted =
                    inverses == InversePlacement.REPLICATED
                            || inverses == InversePlacement.OWNED && ranks > 1;
            if (wanted) {
                options =
                        SparkOptions.builder(ranks, batch, Math.max(1, steps / 10))
                                .timeout(TIMEOUT)
                                .inverses(inverses);
                runs.add(
                        line(
                                ranks,
                                inverses,
                                SparkLngd.train(data, new Dense(widths), options.build()).ranks()));
            }
        }
    }

    private static String line(int ranks, InversePlacement inverses, List<RankReport> reports) {
        long done = reports.get(0).steps();
        return String.format(
                Locale.ROOT,
                "{\"ranks\": %d, \"threads\": 1, \"inverses_by\": \"%s\", \"step\": %.6f,"
                        + " \"all_reduce\": %.6f, \"statistics\": %.6f, \"inverses\": %.6f}",
                ranks,
                inverses,
                most(reports, RankReport::seconds) / done,
                mean(reports, RankReport::waiting) / done,
                most(reports, RankReport::statistics) / done,
                most(reports, RankReport::inverses) / done);
    }

    private static double most(List<RankReport> reports, ToDoubleFunction<RankReport> value) {
        return reports.stream().mapToDouble(value).max().orElseThrow();
    }

    private static double mean(List<RankReport> reports, ToDoubleFunction<RankReport> value) {
        return reports.stream().mapToDouble(value).average().orElseThrow();
    }

    private List<float[]> random(int samples) {
        Random random = new Random(1);
        List<float[]> data = new ArrayList<>();
        for (int i = 0; i < samples; i++) {
            float[] x = new float[widths[0] + 1];
            for (int j = 0; j < widths[0]; j++) {
                x[j] = (float) random.nextGaussian();
            }
            x[widths[0]] = random.nextInt(widths[widths.length - 1]);
            data.add(x);
        }
        return data;
    }

    private static void reduce(JavaSparkContext context, int ranks, List<String> reduces) {
        List<double[]> all =
                context.parallelize(List.of(), ranks)
                        .rdd()
                        .barrier()
                        .mapPartitions(
                                new AllReduces(), false, ClassTag$.MODULE$.apply(double[].class))
                        .toJavaRDD()
                        .collect();
        for (int i = 0; i < AllReduces.BYTES.length; i++) {
            reduces.add(
                    String.format(
                            Locale.ROOT,
                            "{\"ranks\": %d, \"bytes\": %d, \"seconds\": %.6f}",
                            ranks,
                            AllReduces.BYTES[i],
                            all.get(0)[i]));
        }
    }

    private String json(List<String> runs, List<String> reduces) {
        List<String> layers = new ArrayList<>();
        long parameters = 0;
        for (int i = 1; i < widths.length; i++) {
            layers.add(
                    "{\"kind\": \"dense\", \"inputs\": "
                            + widths[i - 1]
                            + ", \"outputs\": "
                            + widths[i]
                            + ", \"bias\": 1}");
            parameters += (widths[i - 1] + 1L) * widths[i];
        }
        return "{\n  \"cores\": "
                + Runtime.getRuntime().availableProcessors()
                + ",\n  \"network\": ["
                + String.join(", ", layers)
                + "],\n  \"parameters\": "
                + parameters
                + ",\n  \"preset\": \"block_kronecker\",\n  \"steps\": "
                + steps
                + ",\n  \"batch\": "
                + batch
                + ",\n  \"overlap\": true"
                + ",\n  \"all_reduces\": [\n    "
                + String.join(",\n    ", reduces)
                + "\n  ],\n  \"runs\": [\n    "
                + String.join(",\n    ", runs)
                + "\n  ]\n}\n";
    }

    /** A perceptron. */
    static final class Dense implements TorchNetwork<Perceptron, float[]> {
        private static final long serialVersionUID = 1L;
        private final int[] widths;

        Dense(int[] widths) {
            this.widths = widths;
        }

        @Override
        public Perceptron create() {
            return new Perceptron(widths);
        }

        @Override
        public Tensor loss(Perceptron model, List<float[]> samples) {
            int inputs = widths[0];
            float[] x = new float[samples.size() * inputs];
            long[] labels = new long[samples.size()];
            for (int i = 0; i < labels.length; i++) {
                System.arraycopy(samples.get(i), 0, x, i * inputs, inputs);
                labels[i] = (long) samples.get(i)[inputs];
            }
            Tensor scores = model.forward(Tensor.create(x, labels.length, inputs));
            return torch.cross_entropy_loss(scores, Tensor.create(labels));
        }

        @Override
        public LngdOptions options(Perceptron model, long totalSteps, int batch) {
            return LngdOptions.preset(Preset.BLOCK_KRONECKER, totalSteps).build();
        }
    }

    /** Its module. */
    static final class Perceptron extends Module {
        private final List<LngdLinear> layers = new ArrayList<>();

        Perceptron(int[] widths) {
            super("perceptron");
            for (int i = 1; i < widths.length; i++) {
                boolean last = i == widths.length - 1;
                LngdLinear layer =
                        register_module("dense" + i, new LngdLinear(widths[i - 1], widths[i]));
                layers.add(
                        last
                                ? layer.output(OutputModel.SOFTMAX)
                                : layer.activation(Activation.RELU));
            }
        }

        Tensor forward(Tensor x) {
            Tensor h = x;
            for (int i = 0; i < layers.size(); i++) {
                h = layers.get(i).forward(h);
                h = i < layers.size() - 1 ? torch.relu(h) : h;
            }
            return h;
        }
    }

    /** Medians of all-reduces that nothing else goes on beside. */
    private static final class AllReduces
            extends AbstractFunction1<Iterator<Object>, Iterator<double[]>>
            implements java.io.Serializable {
        static final int[] BYTES = {4_000, 400_000, 4_000_000, 40_000_000};
        private static final long serialVersionUID = 1L;

        @Override
        public Iterator<double[]> apply(Iterator<Object> rows) {
            Meeting meeting = new Meeting(BarrierTaskContext.get());
            int rank = BarrierTaskContext.get().partitionId();
            int size = BarrierTaskContext.get().numPartitions();
            Rendezvous rendezvous = Rendezvous.gathered(meeting::gather);
            double[] medians = new double[BYTES.length];
            try (Ranks ranks = Ranks.connect(rendezvous, rank, size, TIMEOUT)) {
                for (int i = 0; i < BYTES.length; i++) {
                    medians[i] = median(ranks, BYTES[i] / Float.BYTES);
                }
            }
            return CollectionConverters.asScala(List.of(medians).iterator());
        }

        private static double median(Ranks ranks, int count) {
            double[] seconds = new double[REPEATS];
            try (PointerScope scope = new PointerScope()) {
                Tensor tensor = torch.zeros(count);
                for (int i = -5; i < REPEATS; i++) {
                    long start = System.nanoTime();
                    ranks.sum(tensor);
                    if (i >= 0) {
                        seconds[i] = (System.nanoTime() - start) / 1e9;
                    }
                }
            }
            Arrays.sort(seconds);
            return seconds[REPEATS / 2];
        }
    }
}
