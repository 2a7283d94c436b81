// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.Device;
import org.lngd4j.Fisher;
import org.lngd4j.InversePlacement;
import org.lngd4j.LngdOptions;
import org.lngd4j.ParameterRule;
import org.lngd4j.Preset;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.gloo.Rendezvous;
import org.lngd4j.nativelib.LngdException;

/** What each process of {@link RanksTest} runs; it writes what it sees into files. */
@SuppressWarnings("try") // scopes that are only opened and closed
final class RankProgram {
    static final int STEPS = 30;
    private static final Duration TIMEOUT = Duration.ofSeconds(30);
    static final Duration SHORT = Duration.ofSeconds(2);

    /** A run whose weights are compared with those of one process. */
    enum Run {
        MLP_RECIPE,
        MLP_SAMPLED,
        MLP_BLOCK_KRONECKER,
        CONV_RECIPE,
        CONV_BLOCK_KRONECKER,
        MLP_NAN;

        RankNets.Net net(long seed) {
            return name().startsWith("MLP") ? new RankNets.Mlp(seed) : new RankNets.Conv(seed);
        }

        LngdOptions options() {
            Preset preset = name().endsWith("KRONECKER") ? Preset.BLOCK_KRONECKER : Preset.RECIPE;
            LngdOptions.Builder options =
                    LngdOptions.preset(preset, STEPS)
                            .device(Device.CPU)
                            .threads(1)
                            .statisticsInterval(3)
                            .inverseInterval(3);
            return (this == MLP_SAMPLED ? options.fisher(Fisher.SAMPLED) : options).build();
        }
    }

    private final Path folder;
    private final int rank;
    private final int size;

    private RankProgram(Path folder, int rank, int size) {
        this.folder = folder;
        this.rank = rank;
        this.size = size;
    }

    /** Arguments: a folder for all ranks, the rank, how many there are. */
    public static void main(String[] args) throws Exception {
        new RankProgram(Path.of(args[0]), Integer.parseInt(args[1]), Integer.parseInt(args[2]))
                .all();
    }

    private void all() throws Exception {
        for (Run run : Run.values()) {
            weights(run, run.name(), InversePlacement.REPLICATED);
            weights(run, "OWNED_" + run.name(), InversePlacement.OWNED);
            weights(run, "BACKWARD_" + run.name(), InversePlacement.REPLICATED);
        }
        weights(Run.MLP_RECIPE, "AGAIN", InversePlacement.AUTO);
        weights(Run.MLP_SAMPLED, "AGAIN_SAMPLED", InversePlacement.OWNED);
        differ("OPTIONS", new RankNets.Mlp(1), rank == 1 ? 5 : 3);
        differ("MODEL", rank == 1 ? new RankNets.Conv(1) : new RankNets.Mlp(1), 3);
        refuse();
        hang("HUNG", false);
        hang("BACKWARD_HUNG", true);
        kill(); // the last: rank 1 is gone
    }

    private Ranks connect(String name, Duration timeout) {
        return Ranks.connect(Rendezvous.file(folder.resolve("store-" + name)), rank, size, timeout);
    }

    private void weights(Run run, String name, InversePlacement inverses) throws IOException {
        RankNets.Net net = run.net(1 + rank); // the weights of rank 0 are to count
        List<Long> skipped = new ArrayList<>();
        try (Ranks ranks = connect(name, TIMEOUT)) {
            if (name.equals("AGAIN")) {
                write("LISTENING", listening());
            }
            write(
                    name + "_WHERE",
                    train(
                            net,
                            run.options(),
                            ranks,
                            inverses,
                            name.startsWith("BACKWARD"),
                            run == Run.MLP_NAN,
                            skipped));
        }
        write(name, skipped.toString());
        try (DataOutputStream out =
                new DataOutputStream(Files.newOutputStream(file(name, "weights")))) {
            for (float w : Nets.weights(net)) {
                out.writeFloat(w);
            }
        }
    }

    /**
     * The same by one process, where {@code ranks} is null.
     *
     * @param during whether gradients are added during the backward pass
     * @return where inverses were computed, and how often each layer's were
     */
    static String train(
            RankNets.Net net,
            LngdOptions options,
            Ranks ranks,
            InversePlacement inverses,
            boolean during,
            boolean spoil,
            List<Long> skipped) {
        try (LngdTorch lngd =
                ranks == null
                        ? LngdTorch.attach(net, options, ParameterRule.adamW())
                        : LngdTorch.attach(net, options, ParameterRule.adamW(), ranks, inverses)) {
            for (int step = 0; step < STEPS; step++) {
                try (PointerScope scope = new PointerScope()) {
                    Tensor x = net.inputs(step);
                    if (spoil && step % 10 == 6) {
                        x.narrow(0, RankNets.BATCH - 1, 1)
                                .fill_(new Scalar(Double.NaN)); // rank 1's
                    }
                    Tensor y = Nets.labels(step, RankNets.samples(step));
                    step(net, lngd, ranks, during, step, x, y);
                }
            }
            lngd.health().values().forEach(h -> skipped.add(h.skippedSteps()));
            if (ranks == null) {
                return "";
            }
            List<Long> renewed = new ArrayList<>();
            lngd.health().values().forEach(h -> renewed.add(h.inverseUpdates()));
            return lngd.inverses().placement() + " " + renewed + "\n" + lngd.report();
        }
    }

    private static void step(
            RankNets.Net net,
            LngdTorch lngd,
            Ranks ranks,
            boolean during,
            int step,
            Tensor x,
            Tensor y) {
        int[] bounds = RankNets.bounds(step, ranks == null ? 1 : ranks.size());
        int at = ranks == null ? 0 : ranks.rank();
        int first = bounds[at];
        int samples = bounds[at + 1] - first;
        if (ranks != null) {
            lngd.share(first, samples);
        }
        if (samples > 0) {
            Tensor scores = net.forward(x.narrow(0, first, samples));
            Tensor loss = torch.cross_entropy_loss(scores, y.narrow(0, first, samples));
            if (during) {
                lngd.backward(loss);
            } else {
                loss.backward();
            }
        } else if (during) {
            lngd.backwardWithoutSamples();
        }
        lngd.step();
        lngd.zeroGrad();
    }

    private void differ(String name, RankNets.Net net, int interval) throws IOException {
        LngdOptions options =
                Run.MLP_RECIPE.options().toBuilder().statisticsInterval(interval).build();
        try (Ranks ranks = connect(name, TIMEOUT)) {
            write(
                    name,
                    messageOf(() -> LngdTorch.attach(net, options, ParameterRule.adamW(), ranks)));
        }
    }

    /** What is wrong on one rank stops all of them, and they may go on. */
    private void refuse() throws IOException {
        RankNets.Net net = new RankNets.Mlp(1);
        try (Ranks ranks = connect("REFUSED", TIMEOUT);
                LngdTorch lngd =
                        LngdTorch.attach(
                                net, Run.MLP_RECIPE.options(), ParameterRule.adamW(), ranks)) {
            step(net, lngd, ranks, 0);
            float[] before = Nets.weights(net);
            write(
                    "NO_SHARE",
                    messageOf(
                            () -> {
                                if (rank == 0) {
                                    step(net, lngd, ranks, 1);
                                } else {
                                    lngd.step();
                                }
                            }));
            lngd.zeroGrad();
            lngd.epoch(rank);
            write("EPOCH", messageOf(() -> step(net, lngd, ranks, 1)));
            lngd.zeroGrad();
            lngd.epoch(0);
            write(
                    "OVERLAP",
                    messageOf(
                            () -> {
                                lngd.share(rank, 2);
                                lngd.step();
                            }));
            write("REFUSED", java.util.Arrays.equals(before, Nets.weights(net)) ? "kept" : "moved");
            step(net, lngd, ranks, 1);
            write("GOES_ON", java.util.Arrays.equals(before, Nets.weights(net)) ? "kept" : "moved");
        }
    }

    private static void step(RankNets.Net net, LngdTorch lngd, Ranks ranks, int step) {
        step(net, lngd, ranks, false, step);
    }

    private static void step(
            RankNets.Net net, LngdTorch lngd, Ranks ranks, boolean during, int step) {
        Tensor y = Nets.labels(step, RankNets.samples(step));
        step(net, lngd, ranks, during, step, net.inputs(step), y);
    }

    private void hang(String name, boolean during) throws Exception {
        RankNets.Net net = new RankNets.Mlp(1);
        try (Ranks ranks = connect(name, SHORT);
                LngdTorch lngd =
                        LngdTorch.attach(
                                net, Run.MLP_RECIPE.options(), ParameterRule.adamW(), ranks)) {
            step(net, lngd, ranks, during, 0);
            if (rank == 1) {
                Thread.sleep(SHORT.toMillis() + 1000);
            }
            long start = System.nanoTime();
            write(name, messageOf(() -> step(net, lngd, ranks, during, 1)));
            write(name + "_MS", Long.toString((System.nanoTime() - start) / 1_000_000));
            write(name + "_UNUSABLE", messageOf(() -> step(net, lngd, ranks, during, 1)));
        }
    }

    private void kill() throws Exception {
        RankNets.Net net = new RankNets.Mlp(1);
        try (Ranks ranks = connect("KILLED", TIMEOUT);
                LngdTorch lngd =
                        LngdTorch.attach(
                                net, Run.MLP_RECIPE.options(), ParameterRule.adamW(), ranks)) {
            step(net, lngd, ranks, 0);
            if (rank == 1) {
                Runtime.getRuntime().halt(9);
            }
            long start = System.nanoTime();
            write("KILLED", messageOf(() -> step(net, lngd, ranks, 1)));
            write("KILLED_MS", Long.toString((System.nanoTime() - start) / 1_000_000));
        }
    }

    private static String messageOf(Runnable what) {
        try {
            what.run();
            return "nothing was thrown";
        } catch (LngdException e) {
            return e.getClass().getSimpleName() + ": " + e.getMessage();
        }
    }

    /** Local addresses, in the kernel's hexadecimal, of the sockets of this process that listen. */
    private static String listening() throws IOException {
        List<String> own = new ArrayList<>();
        try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
            for (Path file : files.toList()) {
                if (Files.isSymbolicLink(file)) {
                    own.add(Files.readSymbolicLink(file).toString());
                }
            }
        }
        List<String> addresses = new ArrayList<>();
        for (String table : List.of("/proc/self/net/tcp", "/proc/self/net/tcp6")) {
            if (!Files.exists(Path.of(table))) {
                continue;
            }
            for (String line : Files.readAllLines(Path.of(table))) {
                String[] columns = line.strip().split(" +");
                if (columns[3].equals("0A") && own.contains("socket:[" + columns[9] + "]")) {
                    addresses.add(columns[1].substring(0, columns[1].indexOf(':')));
                }
            }
        }
        return String.join(",", addresses);
    }

    private Path file(String name, String kind) {
        return folder.resolve(name + "." + rank + "." + kind);
    }

    private void write(String name, String text) throws IOException {
        Files.writeString(file(name, "txt"), text);
    }
}
