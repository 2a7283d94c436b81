// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.lngd4j.Device;
import org.lngd4j.Fisher;
import org.lngd4j.InversePlacement;
import org.lngd4j.LngdOptions;
import org.lngd4j.Preset;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.gloo.Rendezvous;
import org.lngd4j.nativelib.LngdException;
import org.nd4j.linalg.dataset.DataSet;

/** What each process of {@link RanksTest} runs; it writes what it sees into files. */
final class RankProgram {
    static final int STEPS = 30;
    private static final Duration TIMEOUT = Duration.ofSeconds(30);
    static final Duration SHORT = Duration.ofSeconds(2);

    /** A run whose weights are compared. */
    enum Run {
        MLP_RECIPE(RankNets.MLP),
        MLP_SAMPLED(RankNets.MLP),
        MLP_PROVIDED(RankNets.MLP),
        REGULARISED_RECIPE(RankNets.REGULARISED),
        REGULARISED_PROVIDED(RankNets.REGULARISED),
        GRAPH_RECIPE(RankNets.GRAPH),
        GRAPH_PROVIDED(RankNets.GRAPH),
        MASKED_RECIPE(RankNets.MASKED),
        MLP_NAN(RankNets.MLP),
        NORMALISED_RECIPE(RankNets.NORMALISED),
        DROPOUT_RECIPE(RankNets.DROPOUT);

        final RankNets nets;

        Run(RankNets nets) {
            this.nets = nets;
        }

        LngdOptions options() {
            Preset preset = name().endsWith("PROVIDED") ? Preset.BLOCK_KRONECKER : Preset.RECIPE;
            LngdOptions.Builder options =
                    LngdOptions.preset(preset, STEPS)
                            .device(Device.CPU)
                            .threads(1)
                            .statisticsSamples(0)
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
        }
        weights(Run.GRAPH_RECIPE, "AGAIN", InversePlacement.AUTO);
        weights(Run.MLP_SAMPLED, "AGAIN_SAMPLED", InversePlacement.OWNED);
        weights(Run.GRAPH_PROVIDED, "AGAIN_PROVIDED", InversePlacement.OWNED);
        differ("OPTIONS", RankNets.MLP, rank == 1 ? 5 : 3);
        differ("NETWORK", rank == 1 ? RankNets.DROPOUT : RankNets.MLP, 3);
        refuse();
        hang();
        kill(); // the last: rank 1 is gone
    }

    private Ranks connect(String name, Duration timeout) {
        return Ranks.connect(Rendezvous.file(folder.resolve("store-" + name)), rank, size, timeout);
    }

    private void weights(Run run, String name, InversePlacement inverses) throws IOException {
        Model net = run.nets.net(1 + rank); // the weights of rank 0 are to count
        List<Long> skipped = new ArrayList<>();
        try (Ranks ranks = connect(name, TIMEOUT)) {
            train(run, net, ranks, inverses, skipped);
        }
        write(name, skipped.toString());
        try (DataOutputStream out =
                new DataOutputStream(Files.newOutputStream(file(name, "weights")))) {
            for (float w : RankNets.weights(net)) {
                out.writeFloat(w);
            }
        }
    }

    /** The same by one process, where {@code ranks} is null. */
    static void train(
            Run run, Model net, Ranks ranks, InversePlacement inverses, List<Long> skipped) {
        if (ranks == null) {
            try (LngdTraining lngd = attach(net, run.options())) {
                for (int step = 0; step < STEPS; step++) {
                    RankNets.fit(net, batch(run, step));
                }
                lngd.health().values().forEach(h -> skipped.add(h.skippedSteps()));
            }
            return;
        }
        try (DataParallel lngd = attach(net, run.options(), ranks, inverses)) {
            for (int step = 0; step < STEPS; step++) {
                step(net, lngd, ranks, step, batch(run, step));
            }
            lngd.training().health().values().forEach(h -> skipped.add(h.skippedSteps()));
        }
    }

    static LngdTraining attach(Model net, LngdOptions options) {
        return net instanceof MultiLayerNetwork layers
                ? Lngd.attach(layers, options)
                : Lngd.attach((ComputationGraph) net, options);
    }

    static DataParallel attach(Model net, LngdOptions options, Ranks ranks) {
        return net instanceof MultiLayerNetwork layers
                ? DataParallel.attach(layers, options, ranks)
                : DataParallel.attach((ComputationGraph) net, options, ranks);
    }

    static DataParallel attach(
            Model net, LngdOptions options, Ranks ranks, InversePlacement inverses) {
        AttachOptions attach = AttachOptions.defaults();
        return net instanceof MultiLayerNetwork layers
                ? DataParallel.attach(layers, options, attach, ranks, inverses)
                : DataParallel.attach((ComputationGraph) net, options, attach, ranks, inverses);
    }

    private static DataSet batch(Run run, int step) {
        DataSet batch = run.nets.batch(step);
        if (run == Run.MLP_NAN && step % 10 == 6) {
            batch.getFeatures().getRow(RankNets.BATCH - 1).assign(Double.NaN); // rank 1's
        }
        return batch;
    }

    static void step(Model net, DataParallel lngd, Ranks ranks, int step, DataSet batch) {
        int[] bounds = RankNets.bounds(step, ranks.size());
        int first = bounds[ranks.rank()];
        int samples = bounds[ranks.rank() + 1] - first;
        if (samples > 0) {
            lngd.share(first, samples);
            RankNets.fit(net, RankNets.share(batch, first, samples));
        } else {
            lngd.stepWithoutSamples();
        }
    }

    private static void step(Model net, DataParallel lngd, Ranks ranks, int step) {
        step(net, lngd, ranks, step, RankNets.MLP.batch(step));
    }

    private void differ(String name, RankNets nets, int interval) throws IOException {
        LngdOptions options =
                Run.MLP_RECIPE.options().toBuilder().statisticsInterval(interval).build();
        Model net = nets.net(1 + rank);
        float[] before = RankNets.weights(net);
        try (Ranks ranks = connect(name, TIMEOUT)) {
            write(name, messageOf(() -> attach(net, options, ranks)));
        }
        write(name + "_WEIGHTS", moved(before, net));
        attach(net, options).abandon(); // it is attached to nothing
    }

    private static String moved(float[] before, Model net) {
        return Arrays.equals(before, RankNets.weights(net)) ? "kept" : "moved";
    }

    /** What is wrong on one rank stops all of them, and they may go on. */
    private void refuse() throws IOException {
        MultiLayerNetwork net = (MultiLayerNetwork) RankNets.MLP.net(1);
        try (Ranks ranks = connect("REFUSED", TIMEOUT);
                DataParallel lngd = attach(net, Run.MLP_RECIPE.options(), ranks)) {
            step(net, lngd, ranks, 0);
            float[] before = RankNets.weights(net);
            write(
                    "NO_SHARE",
                    messageOf(
                            () -> {
                                if (rank == 0) {
                                    step(net, lngd, ranks, 1);
                                } else {
                                    net.fit(RankNets.MLP.batch(1));
                                }
                            }));
            write(
                    "SIZE",
                    messageOf(
                            () -> {
                                lngd.share(4 * rank, 4);
                                net.fit(RankNets.share(RankNets.MLP.batch(1), 0, 4 - rank));
                            }));
            net.setEpochCount(rank);
            write("EPOCH", messageOf(() -> step(net, lngd, ranks, 1)));
            net.setEpochCount(0);
            write(
                    "OVERLAP",
                    messageOf(
                            () -> {
                                lngd.share(rank, 2);
                                net.fit(RankNets.share(RankNets.MLP.batch(1), rank, 2));
                            }));
            write("EMPTY", messageOf(lngd::stepWithoutSamples));
            write("REFUSED", moved(before, net) + " at " + net.getIterationCount());
            step(net, lngd, ranks, 1);
            write("GOES_ON", moved(before, net) + " at " + net.getIterationCount());
        }
    }

    private void hang() throws Exception {
        Model net = RankNets.MLP.net(1);
        try (Ranks ranks = connect("HUNG", SHORT);
                DataParallel lngd = attach(net, Run.MLP_RECIPE.options(), ranks)) {
            step(net, lngd, ranks, 0);
            if (rank == 1) {
                Thread.sleep(SHORT.toMillis() + 1000);
            }
            long start = System.nanoTime();
            write("HUNG", messageOf(() -> step(net, lngd, ranks, 1)));
            write("HUNG_MS", Long.toString((System.nanoTime() - start) / 1_000_000));
            write("UNUSABLE", messageOf(() -> step(net, lngd, ranks, 1)));
        }
    }

    private void kill() throws Exception {
        Model net = RankNets.MLP.net(1);
        try (Ranks ranks = connect("KILLED", TIMEOUT);
                DataParallel lngd = attach(net, Run.MLP_RECIPE.options(), ranks)) {
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

    private Path file(String name, String kind) {
        return folder.resolve(name + "." + rank + "." + kind);
    }

    private void write(String name, String text) throws IOException {
        Files.writeString(file(name, "txt"), text);
    }
}
