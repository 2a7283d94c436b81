// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.Activation;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;
import org.lngd4j.ParameterRule;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.gloo.Rendezvous;

/**
 * {@code bench/scaling/overlap.sh}: seconds a step of two ranks of one thread on two {@link
 * Machines}, with gradients added in the step and during the backward pass, in turns.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class OverlapMeasurement {
    private static final int TURNS = 5;

    private OverlapMeasurement() {}

    /** A perceptron with ReLU. */
    private static final class Perceptron extends Module {
        private final List<LngdLinear> layers = new ArrayList<>();

        Perceptron(int[] widths) {
            for (int i = 0; i + 1 < widths.length; i++) {
                LngdLinear layer =
                        register_module("l" + i, new LngdLinear(widths[i], widths[i + 1]));
                layers.add(layer.activation(Activation.RELU));
            }
            layers.get(layers.size() - 1).output(OutputModel.SOFTMAX);
        }

        Tensor forward(Tensor x) {
            Tensor h = layers.get(0).forward(x);
            for (LngdLinear layer : layers.subList(1, layers.size())) {
                h = layer.forward(torch.relu(h));
            }
            return h;
        }
    }

    /** Widths, batch of a rank, steps of a turn, Mbit/s (0: as fast as the machine), a file. */
    static void measure(String widths, String batch, String steps, String rates, Path out)
            throws IOException, InterruptedException {
        StringBuilder rows = new StringBuilder();
        for (String rate : rates.split(",")) {
            Path folder = Files.createTempDirectory("lngd-overlap-");
            try (Machines machines = Machines.start()) {
                if (!rate.equals("0")) {
                    machines.megabitsPerSecond(Integer.parseInt(rate));
                }
                List<Process> ranks = new ArrayList<>();
                for (int rank = 0; rank < 2; rank++) {
                    ranks.add(
                            machines.java(
                                    rank,
                                    folder.resolve("log." + rank),
                                    OverlapMeasurement.class,
                                    Integer.toString(rank),
                                    widths,
                                    batch,
                                    steps));
                }
                for (Process rank : ranks) {
                    if (!rank.waitFor(15, TimeUnit.MINUTES) || rank.exitValue() != 0) {
                        throw new IllegalStateException(
                                Files.readString(folder.resolve("log.0"))
                                        + Files.readString(folder.resolve("log.1")));
                    }
                }
            }
            List<String> said = Files.readAllLines(folder.resolve("log.0"));
            rows.append(rows.isEmpty() ? "" : ",\n")
                    .append(String.format(Locale.ROOT, "    {\"megabits\": %s, ", rate))
                    .append(said.get(said.size() - 1))
                    .append('}');
        }
        Files.writeString(
                out,
                String.format(
                        Locale.ROOT,
                        "{\"widths\": \"%s\", \"batch_of_a_rank\": %s, \"steps\": %s, \"turns\": %d,"
                                + " \"rows\": [%n%s%n]}%n",
                        widths,
                        batch,
                        steps,
                        TURNS,
                        rows));
    }

    /** What a machine runs: its rank, widths, batch, steps. */
    public static void main(String[] args) {
        int rank = Integer.parseInt(args[0]);
        int[] widths = Arrays.stream(args[1].split("-")).mapToInt(Integer::parseInt).toArray();
        int batch = Integer.parseInt(args[2]);
        int steps = Integer.parseInt(args[3]);
        torch.set_num_threads(1);
        torch.manual_seed(1);
        Perceptron model = new Perceptron(widths);
        LngdOptions options =
                LngdTorch.recommended(model, 100L * steps, 2 * batch).toBuilder()
                        .threads(1)
                        .build();
        Rendezvous rendezvous = Rendezvous.tcp(Machines.address(0), MachineProgram.PORT);
        Tensor x = torch.randn(batch, widths[0]);
        Tensor y = torch.randint(widths[widths.length - 1], new long[] {batch});
        try (Ranks ranks =
                        Ranks.connect(
                                rendezvous,
                                rank,
                                2,
                                Duration.ofMinutes(2),
                                Machines.address(rank));
                LngdTorch lngd = LngdTorch.attach(model, options, ParameterRule.adamW(), ranks)) {
            double[][] seconds = new double[2][TURNS];
            for (int turn = -1; turn < TURNS; turn++) { // the first to warm up
                for (int during = 0; during < 2; during++) {
                    ranks.gather("");
                    long began = System.nanoTime();
                    for (int step = 0; step < steps; step++) {
                        step(model, lngd, rank, x, y, during == 1);
                    }
                    if (turn >= 0) {
                        seconds[during][turn] = (System.nanoTime() - began) / 1e9 / steps;
                    }
                }
            }
            System.out.printf(
                    Locale.ROOT,
                    "\"in_the_step\": %s, \"during_backward\": %s%n",
                    Arrays.toString(sorted(seconds[0])),
                    Arrays.toString(sorted(seconds[1])));
        }
    }

    private static double[] sorted(double[] values) {
        return Arrays.stream(values).map(v -> Math.round(v * 1e6) / 1e6).sorted().toArray();
    }

    private static void step(
            Perceptron model, LngdTorch lngd, int rank, Tensor x, Tensor y, boolean during) {
        try (PointerScope scope = new PointerScope()) {
            lngd.share(rank * x.size(0), x.size(0));
            Tensor loss = torch.cross_entropy_loss(model.forward(x), y);
            if (during) {
                lngd.backward(loss);
            } else {
                loss.backward();
            }
            lngd.step();
            lngd.zeroGrad();
        }
    }
}
