// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.spark;

import java.io.IOException;
import java.time.Duration;
import java.util.OptionalLong;
import java.util.function.Consumer;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.SparkException;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.pytorch.RankedImages;
import org.lngd4j.cli.pytorch.TorchModel;
import org.lngd4j.cli.train.ClusterSettings;
import org.lngd4j.cli.train.ClusterTraining;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.spark.SparkLngd;
import org.lngd4j.spark.SparkOptions;
import org.lngd4j.spark.TrainedNetwork;

/** Trains the command's networks with {@link SparkLngd}. */
public final class SparkTraining implements ClusterTraining {
    private static final double MILLIS_PER_MINUTE = 60_000;
    private static final double MEGA = 1e6;
    private static final int SLICE = 1 << 19; // bytes of pixels

    @Override
    public int ranks(ClusterSettings cluster, int threads) {
        SparkMaster.check(cluster.master());
        OptionalLong slots = SparkLngd.slots(cluster.master(), threads);
        if (slots.isEmpty()) {
            if (cluster.ranks() == null) {
                throw CliException.badInput(
                        "--spark "
                                + cluster.master()
                                + " does not tell how many ranks it has room for: --ranks has to");
            }
            return cluster.ranks();
        }
        long ranks = cluster.ranks() == null ? slots.getAsLong() : cluster.ranks();
        if (ranks < 1 || ranks > slots.getAsLong()) {
            throw CliException.badInput(
                    (cluster.ranks() == null ? "" : "--ranks " + ranks + ": ")
                            + "--spark "
                            + cluster.master()
                            + " has room for "
                            + slots.getAsLong()
                            + " ranks of "
                            + threads
                            + (threads == 1 ? " thread" : " threads"));
        }
        return Math.toIntExact(ranks);
    }

    @Override
    @SuppressWarnings("try") // the end is quiet as long as it is open
    public Result train(Job job, Consumer<Position> progress) {
        RankedImages network =
                new RankedImages(job.settings(), job.images().shape(), job.classes(), job.input());
        try (JavaSparkContext context =
                        new JavaSparkContext(
                                SparkMaster.configuration(
                                        job.cluster().master(),
                                        job.ranks(),
                                        job.settings().threads()));
                QuietEnd end = new QuietEnd(context)) {
            JavaRDD<ImageSample> samples =
                    context.parallelize(ImageSample.of(job.images()), slices(job));
            TrainedNetwork<TorchModel> trained =
                    SparkLngd.train(
                            samples,
                            new ImageNetwork(network),
                            options(job, context),
                            p ->
                                    progress.accept(
                                            new Position(
                                                    p.attempt(),
                                                    p.steps(),
                                                    p.samples(),
                                                    p.loss())));
            return result(trained, "Spark " + context.version());
        } catch (LngdArgumentException e) {
            throw CliException.badInput("--spark: " + e.getMessage(), e);
        } catch (Exception e) { // Scala declares none, and SparkException is a checked one
            throw QuietEnd.isNow() ? stopped(job.cluster()) : failure(e);
        }
    }

    /** The data travel inside of tasks, which Spark wants to be small. */
    private static int slices(Job job) {
        return Math.max(job.ranks(), 1 + job.images().pixels().length / SLICE);
    }

    private static CliException stopped(ClusterSettings cluster) {
        return CliException.failure(
                cluster.checkpoint() == null
                        ? "stopped; without --checkpoint nothing goes on from here"
                        : "stopped; --checkpoint-go-on goes on from the last checkpoint");
    }

    /** Spark's own message goes on with stack traces of the executors; its first line tells. */
    private static CliException failure(Exception e) {
        if (e instanceof CliException ours) {
            return ours;
        }
        String line = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
        return CliException.failure(
                e instanceof SparkException
                        ? "--spark: " + line + " (what ranks have told is above)"
                        : "--spark: " + e.getClass().getSimpleName() + ": " + line,
                e);
    }

    private static SparkOptions options(Job job, JavaSparkContext context) {
        ClusterSettings cluster = job.cluster();
        SparkOptions.Builder options =
                SparkOptions.builder(job.ranks(), job.settings().batch(), job.settings().epochs())
                        .seed(job.settings().seed())
                        .resume(cluster.goesOn());
        if (cluster.checkpoint() != null) {
            long millis = Math.max(1, (long) (cluster.checkpointMinutes() * MILLIS_PER_MINUTE));
            options.checkpoint(made(cluster.checkpoint(), context), Duration.ofMillis(millis));
        }
        return options.build();
    }

    /**
     * The folder's whole name: executors have other working folders, and may have another file
     * system by default. It is made, so that a run does not find out at its first checkpoint that
     * it cannot be.
     */
    private static String made(String folder, JavaSparkContext context) {
        try {
            Path path = new Path(folder);
            FileSystem files = path.getFileSystem(context.hadoopConfiguration());
            if (!files.mkdirs(path)) {
                throw new IOException("the folder cannot be made");
            }
            return files.makeQualified(path).toString();
        } catch (IOException | IllegalArgumentException e) {
            throw CliException.badInput("--checkpoint " + folder + ": " + e.getMessage(), e);
        }
    }

    private static Result result(TrainedNetwork<TorchModel> trained, String engine) {
        return new Result(
                RankedImages.weights(trained.model()),
                trained.epochs().stream()
                        .map(e -> new Epoch(e.epoch(), e.loss(), e.seconds()))
                        .toList(),
                trained.ranks().stream()
                        .map(
                                r ->
                                        new Rank(
                                                r.rank(),
                                                r.host(),
                                                r.samples(),
                                                r.steps(),
                                                r.seconds(),
                                                r.waiting(),
                                                r.collectiveBytes() / MEGA,
                                                r.statistics(),
                                                r.inverses(),
                                                r.update()))
                        .toList(),
                engine);
    }
}
