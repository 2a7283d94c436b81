// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.util.List;
import java.util.ServiceLoader;
import java.util.function.Consumer;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.data.ImageInput;
import org.lngd4j.cli.data.LabelledImages;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * What trains on a cluster. It is a module of its own, lngd4j-cli-spark, which is on the class path
 * only where it was asked for: Spark is 140 jars.
 */
public interface ClusterTraining {
    /**
     * What is trained.
     *
     * @param cluster where
     * @param ranks how many train together
     * @param settings of the run
     * @param images what is learned
     * @param classes their number, or {@link org.lngd4j.cli.data.Dataset#NO_CLASSES}
     * @param input what the network sees of an image
     */
    record Job(
            ClusterSettings cluster,
            int ranks,
            TrainSettings settings,
            LabelledImages images,
            int classes,
            ImageInput input) {}

    /**
     * How far it is.
     *
     * @param attempt from 0; more after a failure
     * @param step done since the start of the run
     * @param samples that this attempt has trained on
     * @param loss mean over the samples since it was told before
     */
    record Position(int attempt, long step, long samples, double loss) {}

    /**
     * An epoch of the attempt that succeeded.
     *
     * @param number from 0
     * @param loss mean over its samples, each before its step
     * @param seconds of rank 0
     */
    record Epoch(int number, double loss, double seconds) {}

    /**
     * What a rank did in the attempt that succeeded.
     *
     * @param rank from 0
     * @param host where it ran
     * @param samples how many were its own
     * @param steps how many it took
     * @param seconds from the first step to the last
     * @param waiting seconds of it in collectives
     * @param megabytes that it gave to them
     * @param statistics seconds of it in LNGD's statistics
     * @param inverses seconds of it in LNGD's inverses
     * @param update seconds of it in LNGD's directions and updates
     */
    record Rank(
            int rank,
            String host,
            long samples,
            long steps,
            double seconds,
            double waiting,
            double megabytes,
            double statistics,
            double inverses,
            double update) {}

    /**
     * What came out.
     *
     * @param weights of the trained network, averaged where the options say so
     * @param epochs in their order; those before a checkpoint that the last attempt went on from
     *     are not among them
     * @param ranks by number
     * @param engine what brought them together, with its version
     */
    record Result(INDArray weights, List<Epoch> epochs, List<Rank> ranks, String engine) {}

    /**
     * How many ranks a run has: what was asked for, or what the master runs at once.
     *
     * @param threads of each rank
     */
    int ranks(ClusterSettings cluster, int threads);

    /**
     * Trains; returns when that is done.
     *
     * @param progress is told now and then, in another thread
     */
    Result train(Job job, Consumer<Position> progress);

    /** The one on the class path. */
    static ClusterTraining find() {
        return ServiceLoader.load(ClusterTraining.class)
                .findFirst()
                .orElseThrow(
                        () ->
                                CliException.failure(
                                        "--spark: lngd4j-cli-spark and Spark are not on the class"
                                                + " path; the command lngd fetches them"));
    }
}
