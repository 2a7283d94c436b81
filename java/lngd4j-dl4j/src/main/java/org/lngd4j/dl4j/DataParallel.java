// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Map;
import org.deeplearning4j.nn.conf.BackpropType;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.lngd4j.LayerRate;
import org.lngd4j.LngdOptions;
import org.lngd4j.MemoryKind;
import org.lngd4j.gloo.RankFacts;
import org.lngd4j.gloo.RankOptions;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.gloo.Refusal;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdHandleException;

/**
 * LNGD attached to a network that several processes (ranks) train together, each with a copy of it
 * and a share of every batch. All ranks do the same, with the same network and options; each step
 * is that of one process on the whole batch, up to the order of additions, with the same bits on
 * all of them.
 *
 * <pre>{@code
 * try (Ranks ranks = Ranks.connect(rendezvous, rank, size, timeout);
 *         DataParallel parallel = DataParallel.attach(net, options, ranks)) {
 *     for (...) {
 *         if (samples > 0) {
 *             parallel.share(first, samples); // of the samples of the whole batch
 *             net.fit(batch); // this rank's samples; a step of all ranks together
 *         } else {
 *             parallel.stepWithoutSamples();
 *         }
 *     }
 * }
 * }</pre>
 *
 * <p>It needs {@code org.lngd4j:lngd4j-gloo} and PyTorch's natives ({@code org.bytedeco:pytorch})
 * on the class path, which {@code lngd4j-dl4j} does not bring. docs/data-parallel.md tells what is
 * the same as in one process, and what is not.
 *
 * <p>Not thread-safe: it belongs to the thread that attached it, and that thread has to train.
 */
public final class DataParallel implements AutoCloseable {
    private final LngdTraining training;
    private boolean closed;

    private DataParallel(LngdTraining training) {
        this.training = training;
    }

    /** How an attachment is made on this rank. */
    private interface Attach {
        LngdTraining attach() throws IOException;
    }

    /**
     * Attaches LNGD with {@link AttachOptions#defaults()}.
     *
     * @param net the network; see {@link #attach(MultiLayerNetwork, LngdOptions, AttachOptions,
     *     Ranks)}
     * @param options what LNGD shall do
     * @param ranks the processes
     * @return the attachment; close it
     */
    public static DataParallel attach(MultiLayerNetwork net, LngdOptions options, Ranks ranks) {
        return attach(net, options, AttachOptions.defaults(), ranks);
    }

    /**
     * Attaches LNGD to a network on all ranks: a collective. All ranks get the parameters of rank
     * 0, and the state of its updaters. What {@link Lngd#attach(MultiLayerNetwork, LngdOptions,
     * AttachOptions)} says holds, on each rank; truncated back-propagation through time and {@link
     * LayerRate#EMPIRICAL} are refused.
     *
     * <p>{@code options.statisticsSamples} counts the samples of all ranks: each feeds its part of
     * them, which {@code training().options()} tells.
     *
     * @param net the network; initialised if it is not yet
     * @param options what LNGD shall do
     * @param attachOptions fallback updater, and which weights are left at the end
     * @param ranks the processes, which stay open for as long as the attachment steps
     * @return the attachment; close it
     * @throws LngdArgumentException on all ranks, where one of them cannot attach, or they differ
     *     in the network's configuration, layers, options, threads, library or processor; no
     *     parameter is changed then
     * @throws org.lngd4j.nativelib.LngdStateException if LNGD is attached to the network already
     * @throws org.lngd4j.gloo.RanksException if a rank does not come
     */
    public static DataParallel attach(
            MultiLayerNetwork net, LngdOptions options, AttachOptions attachOptions, Ranks ranks) {
        return start(
                ranks,
                options,
                true,
                () -> Lngd.attach(net, shareOf(options, ranks), attachOptions));
    }

    /**
     * Attaches LNGD to a graph with {@link AttachOptions#defaults()}.
     *
     * @param graph the graph; see {@link #attach(ComputationGraph, LngdOptions, AttachOptions,
     *     Ranks)}
     * @param options what LNGD shall do
     * @param ranks the processes
     * @return the attachment; close it
     */
    public static DataParallel attach(ComputationGraph graph, LngdOptions options, Ranks ranks) {
        return attach(graph, options, AttachOptions.defaults(), ranks);
    }

    /**
     * Attaches LNGD to a graph on all ranks. Everything that {@link #attach(MultiLayerNetwork,
     * LngdOptions, AttachOptions, Ranks)} says holds for it.
     *
     * @param graph the graph; initialised if it is not yet
     * @param options what LNGD shall do
     * @param attachOptions fallback updater, and which weights are left at the end
     * @param ranks the processes, which stay open for as long as the attachment steps
     * @return the attachment; close it
     */
    public static DataParallel attach(
            ComputationGraph graph, LngdOptions options, AttachOptions attachOptions, Ranks ranks) {
        return start(
                ranks,
                options,
                true,
                () -> Lngd.attach(graph, shareOf(options, ranks), attachOptions));
    }

    /**
     * Makes a network of a file on all ranks and goes on where the file was written, with the same
     * bits where there are as many ranks as there were: a collective. {@code training().network()}
     * is the network.
     *
     * @param file what {@link LngdTraining#save} or {@link LngdCheckpointListener} wrote on one of
     *     the ranks; the same content on all
     * @param options those that the run was attached with
     * @param attachOptions likewise
     * @param ranks the processes, which stay open for as long as the attachment steps
     * @return the attachment; close it
     * @throws IOException if the file cannot be read on this rank; the others get an exception too
     * @throws LngdArgumentException as {@link #attach(MultiLayerNetwork, LngdOptions,
     *     AttachOptions, Ranks)}
     */
    public static DataParallel resume(
            Path file, LngdOptions options, AttachOptions attachOptions, Ranks ranks)
            throws IOException {
        try {
            return start(
                    ranks,
                    options,
                    false,
                    () -> Lngd.resume(file, shareOf(options, ranks), attachOptions));
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    private static LngdOptions shareOf(LngdOptions options, Ranks ranks) {
        return options == null ? null : RankOptions.shareOf(options, ranks.size());
    }

    /**
     * The same on all ranks, or an exception on all.
     *
     * @param broadcast whether the weights of rank 0 are to count. Not those of a file: LNGD's
     *     state is of the same file, so that other weights must be seen, in the first step
     */
    private static DataParallel start(
            Ranks ranks, LngdOptions options, boolean broadcast, Attach how) {
        if (ranks == null) {
            throw new LngdArgumentException("ranks is null");
        }
        LngdTraining[] made = new LngdTraining[1];
        GlooStep[] step = new GlooStep[1];
        try {
            Refusal.together(
                    ranks,
                    () -> {
                        check(options);
                        try {
                            made[0] = how.attach();
                        } catch (IOException e) {
                            throw new UncheckedIOException(e);
                        }
                        check(made[0]);
                        step[0] = new GlooStep(ranks, made[0].attachment());
                        made[0].attachment().connect(step[0]);
                    });
            Map<String, String> facts = RankFacts.of(made[0].options(), made[0].report());
            NetworkFacts.add(facts, made[0]);
            ranks.agree(facts);
            if (broadcast) {
                step[0].broadcast();
            }
            return new DataParallel(made[0]);
        } catch (RuntimeException | Error e) {
            if (made[0] != null) {
                made[0].abandon();
            }
            throw e;
        }
    }

    private static void check(LngdOptions options) {
        if (options != null && options.layerRate() == LayerRate.EMPIRICAL) {
            throw new LngdArgumentException(
                    "options.layerRate is EMPIRICAL, a mean over the samples of one rank; allowed"
                            + " with ranks is KRONECKER or NONE");
        }
    }

    private static void check(LngdTraining made) {
        if (made.attachment().net().backpropType() == BackpropType.TruncatedBPTT) {
            throw new LngdArgumentException(
                    "the network is trained by truncated backpropagation through time, whose steps"
                            + " depend on the length of a share; allowed with ranks is"
                            + " BackpropType.Standard");
        }
        if (made.optimizer().sums().kind() != MemoryKind.HOST) {
            throw new LngdArgumentException(
                    "options.device is "
                            + made.optimizer().device()
                            + ", allowed with ranks is CPU: Gloo adds in host memory");
        }
    }

    /**
     * Tells this rank's share of the coming batch, before the {@code fit} of it. Targets that are
     * drawn from the network ({@code Fisher.SAMPLED} and {@code PROVIDED}) are drawn by the numbers
     * of the samples, so that ranks draw what one process would have drawn.
     *
     * @param first number of the share's first sample in the whole batch, from 0; the shares of two
     *     ranks must not overlap
     * @param samples how many the batch has that is fitted next, at least 1; a rank without samples
     *     calls {@link #stepWithoutSamples()}. The whole batch has at most 2^31 - 1
     * @throws LngdArgumentException if one is out of its range
     */
    public void share(long first, long samples) {
        checkOpen();
        if (first < 0) {
            throw new LngdArgumentException("first is " + first + ", allowed is 0 or more");
        }
        if (samples < 1 || samples > Integer.MAX_VALUE - first) {
            throw new LngdArgumentException(
                    "samples is "
                            + samples
                            + ", allowed is 1 to "
                            + (Integer.MAX_VALUE - first)
                            + "; without samples call stepWithoutSamples()");
        }
        training.attachment().ranks().share(first, samples);
    }

    /**
     * The step of a rank that has no samples of the coming batch, in the place of {@code share} and
     * {@code fit}, which DL4J cannot do with an empty batch: a collective, like {@code fit} on the
     * other ranks. Counts as an iteration; listeners are told of its end.
     *
     * @throws org.lngd4j.nativelib.LngdStateException on all ranks, where one refuses the step or
     *     is at another one; nothing is changed then
     * @throws org.lngd4j.gloo.RanksException if a rank has died or hangs
     */
    public void stepWithoutSamples() {
        checkOpen();
        training.attachment().ranks().share(0, 0);
        EmptyStep.run(training.attachment());
    }

    /**
     * The attachment on this rank: report, health, averaged weights, {@code save} on one rank and
     * {@code restore} on all.
     *
     * @return the training; do not close it
     */
    public LngdTraining training() {
        return training;
    }

    /** Gives the network back: {@link LngdTraining#close()}. A second call does nothing. */
    @Override
    public void close() {
        closed = true;
        training.close();
    }

    private void checkOpen() {
        if (closed || training.isClosed()) {
            throw new LngdHandleException("this DataParallel was closed");
        }
    }

    @Override
    public String toString() {
        return "DataParallel[" + training + "]";
    }
}
