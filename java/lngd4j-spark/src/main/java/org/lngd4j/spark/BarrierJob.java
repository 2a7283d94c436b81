// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.IOException;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.util.Comparator;
import java.util.List;
import java.util.UUID;
import java.util.function.Consumer;
import org.apache.spark.HashPartitioner;
import org.apache.spark.SparkContext;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.util.SerializableConfiguration;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;
import scala.Tuple2;
import scala.collection.Iterator;
import scala.jdk.javaapi.CollectionConverters;
import scala.reflect.ClassTag$;
import scala.runtime.AbstractFunction1;

/** The barrier stage that trains, of whatever framework the network is. */
final class BarrierJob {
    private BarrierJob() {}

    /**
     * Trains on all ranks.
     *
     * @return what each gives, by rank
     */
    static <S> List<RankResult> run(
            JavaRDD<S> data,
            RankJob.Maker<S> maker,
            SparkOptions options,
            Consumer<SparkProgress> progress) {
        SparkContext context = data.context();
        ClusterChecks.check(context.getConf(), context.master(), options.ranks());
        ClusterChecks.tellUnprotected(context.getConf(), options.ranks());
        JavaRDD<S> shares =
                options.keepPartitions()
                        ? Redistribution.kept(data, options.ranks())
                        : Redistribution.toRanks(data, options.ranks());
        Metrics metrics = Metrics.register(context);
        RankJob<S> job =
                new RankJob<>(
                        options,
                        UUID.randomUUID().toString(),
                        maker,
                        options.checkpointFolder() == null
                                ? null
                                : CheckpointFolder.qualified(
                                        options.checkpointFolder(), context.hadoopConfiguration()),
                        new SerializableConfiguration(context.hadoopConfiguration()),
                        metrics);
        ProgressListener listener =
                progress == null ? null : new ProgressListener(metrics, progress);
        if (listener != null) {
            context.addSparkListener(listener);
        }
        try {
            List<RankResult> results = results(shares, job);
            if (results.get(0).refused() != null) {
                throw new LngdArgumentException(results.get(0).refused());
            }
            checkEqual(results);
            return results;
        } finally {
            if (listener != null) {
                context.removeSparkListener(listener);
            }
        }
    }

    /**
     * Spark never tries a failed barrier stage again that gives its results to the driver. So this
     * one ends in a shuffle, into one partition.
     */
    private static <S> List<RankResult> results(JavaRDD<S> shares, RankJob<S> job) {
        JavaRDD<RankResult> ranks =
                shares.rdd()
                        .barrier()
                        .mapPartitions(
                                new Task<>(job), false, ClassTag$.MODULE$.apply(RankResult.class))
                        .toJavaRDD();
        return ranks
                .mapToPair(result -> new Tuple2<>(0, result))
                .partitionBy(new HashPartitioner(1))
                .values()
                .collect()
                .stream()
                .sorted(Comparator.comparingInt(RankResult::rank))
                .toList();
    }

    /** What every training proves: all ranks have ended with the same bits. */
    private static void checkEqual(List<RankResult> results) {
        for (RankResult result : results) {
            if (result.checksum() != results.get(0).checksum()) {
                throw new LngdStateException(
                        "the parameters of rank "
                                + result.report().rank()
                                + " on "
                                + result.report().host()
                                + " are not those of rank 0: something moved them there besides"
                                + " LNGD, or the processors compute differently");
            }
        }
    }

    /** Java's API has no barrier stages, and Scala's wants a function of Scala's. */
    private static final class Task<S> extends AbstractFunction1<Iterator<S>, Iterator<RankResult>>
            implements Serializable {
        private static final long serialVersionUID = 1L;
        private final RankJob<S> job;

        Task(RankJob<S> job) {
            this.job = job;
        }

        @Override
        public Iterator<RankResult> apply(Iterator<S> rows) {
            try {
                return CollectionConverters.asScala(
                        List.of(job.run(CollectionConverters.asJava(rows))).iterator());
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }
}
