// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.lngd4j.InversePlacement;
import org.lngd4j.LayerRate;
import org.lngd4j.LngdOptions;
import org.lngd4j.gloo.PlacementDecision;
import org.lngd4j.gloo.Ranks;
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
    private final PlacementDecision inverses;
    private boolean closed;

    DataParallel(LngdTraining training, PlacementDecision inverses) {
        this.training = training;
        this.inverses = inverses;
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
     * them, which {@code training().options()} tells. Inverses are computed where {@link
     * InversePlacement#AUTO} decides; the report says where and why.
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
        return attach(net, options, attachOptions, ranks, InversePlacement.AUTO);
    }

    /**
     * The same, with a say in where inverses are computed. The weights are the same bits wherever
     * that is; {@link #inverses()} tells what was decided.
     *
     * @param net the network; initialised if it is not yet
     * @param options what LNGD shall do
     * @param attachOptions fallback updater, and which weights are left at the end
     * @param ranks the processes, which stay open for as long as the attachment steps
     * @param inverses on all ranks, on one of them for each layer, or as is faster by counted costs
     *     and measured speeds
     * @return the attachment; close it
     * @throws LngdArgumentException on all ranks, as {@link #attach(MultiLayerNetwork, LngdOptions,
     *     AttachOptions, Ranks)}, and where they differ in {@code inverses} or it is null on one of
     *     them
     * @throws org.lngd4j.nativelib.LngdStateException if LNGD is attached to the network already
     * @throws org.lngd4j.gloo.RanksException if a rank does not come
     */
    public static DataParallel attach(
            MultiLayerNetwork net,
            LngdOptions options,
            AttachOptions attachOptions,
            Ranks ranks,
            InversePlacement inverses) {
        return ParallelStart.start(
                ranks,
                options,
                inverses,
                true,
                () -> Lngd.attach(net, ParallelStart.shareOf(options, ranks), attachOptions));
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
        return attach(graph, options, attachOptions, ranks, InversePlacement.AUTO);
    }

    /**
     * The same, with a say in where inverses are computed. Everything that {@link
     * #attach(MultiLayerNetwork, LngdOptions, AttachOptions, Ranks, InversePlacement)} says holds
     * for it.
     *
     * @param graph the graph; initialised if it is not yet
     * @param options what LNGD shall do
     * @param attachOptions fallback updater, and which weights are left at the end
     * @param ranks the processes, which stay open for as long as the attachment steps
     * @param inverses on all ranks, on one of them for each layer, or as is faster by counted costs
     *     and measured speeds
     * @return the attachment; close it
     */
    public static DataParallel attach(
            ComputationGraph graph,
            LngdOptions options,
            AttachOptions attachOptions,
            Ranks ranks,
            InversePlacement inverses) {
        return ParallelStart.start(
                ranks,
                options,
                inverses,
                true,
                () -> Lngd.attach(graph, ParallelStart.shareOf(options, ranks), attachOptions));
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
        return resume(file, options, attachOptions, ranks, InversePlacement.AUTO);
    }

    /**
     * The same, with a say in where inverses are computed: not necessarily where they were when the
     * file was written, which does not know.
     *
     * @param file what {@link LngdTraining#save} or {@link LngdCheckpointListener} wrote on one of
     *     the ranks; the same content on all
     * @param options those that the run was attached with
     * @param attachOptions likewise
     * @param ranks the processes, which stay open for as long as the attachment steps
     * @param inverses on all ranks, on one of them for each layer, or as is faster by counted costs
     *     and measured speeds
     * @return the attachment; close it
     * @throws IOException if the file cannot be read on this rank; the others get an exception too
     * @throws LngdArgumentException as {@link #attach(MultiLayerNetwork, LngdOptions,
     *     AttachOptions, Ranks, InversePlacement)}
     */
    public static DataParallel resume(
            Path file,
            LngdOptions options,
            AttachOptions attachOptions,
            Ranks ranks,
            InversePlacement inverses)
            throws IOException {
        try {
            return ParallelStart.start(
                    ranks,
                    options,
                    inverses,
                    false,
                    () -> Lngd.resume(file, ParallelStart.shareOf(options, ranks), attachOptions));
        } catch (UncheckedIOException e) {
            throw e.getCause();
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
     * Where the inverses are computed, of all ranks alike: the decision with the figures behind it.
     *
     * @return the decision; a note in {@code training().report()} says it too
     */
    public PlacementDecision inverses() {
        return inverses;
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
