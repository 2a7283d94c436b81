// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.BarrierTaskContext;
import org.apache.spark.util.SerializableConfiguration;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.gloo.Rendezvous;
import org.lngd4j.nativelib.LngdArgumentException;

/** What each task of the barrier stage does: it is one rank. Spark sends this to the executors. */
@SuppressWarnings("try") // the watch is only opened and closed
final class RankJob<S> implements Serializable {
    private static final long serialVersionUID = 1L;

    /** Makes the copy of the network of a rank. */
    interface Maker<S> extends Serializable {
        RankNetwork<S> make(long seed, int rank);
    }

    private final SparkOptions options;
    private final String id;
    private final Maker<S> maker;
    private final String folder; // of checkpoints; null: none
    private final SerializableConfiguration hadoop;
    private final Metrics metrics;

    /**
     * A job.
     *
     * @param id what tells it from others
     * @param folder of checkpoints, by its full name; null for none
     * @param hadoop the configuration of file systems
     */
    RankJob(
            SparkOptions options,
            String id,
            Maker<S> maker,
            String folder,
            SerializableConfiguration hadoop,
            Metrics metrics) {
        this.options = options;
        this.id = id;
        this.maker = maker;
        this.folder = folder;
        this.hadoop = hadoop;
        this.metrics = metrics;
    }

    /** Runs in the task. */
    RankResult run(Iterator<S> rows) throws IOException {
        BarrierTaskContext context = BarrierTaskContext.get();
        try (RankNetwork<S> network = maker.make(options.seed(), context.partitionId())) {
            RuntimeException missing = NativeCache.load();
            try (KillWatch watch = KillWatch.start(context)) {
                List<S> samples = new ArrayList<>();
                rows.forEachRemaining(samples::add);
                return train(context, network, samples, missing);
            }
        } catch (RefusedException e) {
            return RankResult.refused(context.partitionId(), e.getMessage());
        }
    }

    private RankResult train(
            BarrierTaskContext context,
            RankNetwork<S> network,
            List<S> samples,
            RuntimeException missing)
            throws IOException {
        Meeting meeting = new Meeting(context);
        int rank = context.partitionId();
        String bind = options.bind() != null ? options.bind() : host(meeting.address(rank));
        List<String> told =
                meeting.tell(
                        () -> {
                            if (missing != null) {
                                throw missing;
                            }
                            Ranks.checkBind(bind);
                            return Integer.toString(samples.size());
                        });
        long[] counts = told.stream().mapToLong(Long::parseLong).toArray();
        Sampling sampling = new Sampling(counts, options.batch(), options.seed());
        if (sampling.total() == 0) {
            throw new RefusedException("the data has no samples", null);
        }
        try (Ranks ranks =
                Ranks.connect(
                        Rendezvous.gathered(meeting::gather),
                        rank,
                        options.ranks(),
                        options.timeout(),
                        bind)) {
            long steps = Math.multiplyExact(sampling.stepsPerEpoch(), (long) options.epochs());
            meeting.together(ranks, () -> network.prepare(steps, sampling.batch(), context.cpus()));
            attach(network, ranks, meeting);
            Checkpoints checkpoints =
                    new Checkpoints(
                            folder == null ? null : new CheckpointFolder(folder, hadoop.value()),
                            options,
                            id,
                            context.stageId() + "." + context.stageAttemptNumber(),
                            counts);
            checkpoints.restore(network, ranks);
            return new RankTraining<>(network, ranks, sampling, samples, options.epochs())
                    .run(checkpoints, metrics, meeting.address(rank));
        }
    }

    /** What one rank refuses, or where they differ, is known to all of them. */
    private void attach(RankNetwork<S> network, Ranks ranks, Meeting meeting) {
        try {
            network.attach(ranks, options.inverses());
        } catch (LngdArgumentException e) {
            List<String> names = new ArrayList<>();
            for (int r = 0; r < options.ranks(); r++) {
                if (e.getMessage().contains("rank " + r + " ")) {
                    names.add(meeting.name(r));
                }
            }
            throw new RefusedException(
                    e.getMessage() + (names.isEmpty() ? "" : " (" + String.join(", ", names) + ")"),
                    e);
        }
    }

    /** Spark tells host and port of the executor; the port of an address in version 6 too. */
    private static String host(String address) {
        String host = address.substring(0, address.lastIndexOf(':'));
        return host.startsWith("[") ? host.substring(1, host.length() - 1) : host;
    }
}
