// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.OptionalLong;
import java.util.function.Consumer;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.bytedeco.pytorch.Module;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;

/**
 * Trains one network on the executors of a Spark job, with LNGD: all ranks take the same step on
 * their shares of each batch, and the weights are those that one process would get with the same
 * batches, up to the order of additions.
 *
 * <pre>{@code
 * Dataset<Row> digits = spark.read().parquet("hdfs:///data/digits");
 * TrainedNetwork<Mlp> trained =
 *         SparkLngd.train(digits, new Digits(), SparkOptions.builder(8, 1024, 10).build());
 * System.out.println(trained.report());
 * }</pre>
 *
 * <p>The engine is a barrier stage: Spark gives the slots and the data, and starts all ranks again
 * where one fails, from the last checkpoint. Tensors travel by Gloo ({@link
 * org.lngd4j.gloo.Ranks}), between the executors, in plain TCP. The rows of a rank are held in the
 * memory of its executor.
 */
public final class SparkLngd {
    private SparkLngd() {}

    /**
     * Trains on rows. Files are read in partitions that depend on the number of ranks, not on that
     * of the executors that have registered, so that the same files give the same batches; unless
     * {@code spark.sql.leafNodeDefaultParallelism}, {@code spark.sql.files.minPartitionNum} or
     * {@code spark.default.parallelism} say how many. The first of these is set for this session
     * while the query is planned.
     *
     * @param data the rows, such as those of a Parquet file; those that come out of a shuffle (a
     *     join, a sort) have an order that Spark does not promise
     * @param network what is trained; {@link Rows} makes tensors of columns
     * @param options how
     * @param <M> the module
     * @return the trained network
     * @throws LngdArgumentException as {@link #train(JavaRDD, TorchNetwork, SparkOptions,
     *     Consumer)}
     */
    public static <M extends Module> TrainedNetwork<M> train(
            Dataset<Row> data, TorchNetwork<M, Row> network, SparkOptions options) {
        notNull("data", data);
        notNull("options", options);
        return train(DatasetRows.of(data, options.ranks()), network, options, null);
    }

    /**
     * Trains on the elements of an RDD.
     *
     * @param data the samples
     * @param network what is trained
     * @param options how
     * @param <M> the module
     * @param <S> a sample
     * @return the trained network
     * @throws LngdArgumentException as {@link #train(JavaRDD, TorchNetwork, SparkOptions,
     *     Consumer)}
     */
    public static <M extends Module, S> TrainedNetwork<M> train(
            JavaRDD<S> data, TorchNetwork<M, S> network, SparkOptions options) {
        return train(data, network, options, null);
    }

    /**
     * Trains on the elements of an RDD. Returns when the network is trained. The executors need
     * PyTorch's natives on their class path ({@code org.bytedeco:pytorch} and {@code
     * org.bytedeco:openblas} with the classifier of their platform).
     *
     * @param data the samples; where it is not determined by its sources (sampling without a seed,
     *     say), an attempt after a failure trains on other data
     * @param network what is trained
     * @param options how
     * @param progress called on the driver, in a thread of Spark's, whenever executors have told
     *     theirs; null for nothing
     * @param <M> the module
     * @param <S> a sample
     * @return the trained network
     * @throws LngdArgumentException if {@code spark.speculation} is on; if there cannot be so many
     *     tasks at once; if the ranks differ in options, processor, library or module, which names
     *     who differs; if a checkpoint in the folder belongs to another job or run. Nothing was
     *     trained then
     * @throws LngdStateException if the ranks have ended with different parameters
     */
    public static <M extends Module, S> TrainedNetwork<M> train(
            JavaRDD<S> data,
            TorchNetwork<M, S> network,
            SparkOptions options,
            Consumer<SparkProgress> progress) {
        notNull("data", data);
        notNull("network", network);
        notNull("options", options);
        List<RankResult> results =
                BarrierJob.run(
                        data,
                        (seed, rank) -> new TorchRank<>(network, seed, rank),
                        options,
                        progress);
        M model = TorchRank.create(network, options.seed());
        try (DataInputStream weights =
                new DataInputStream(ByteChunks.stream(results.get(0).weights()))) {
            Weights.read(model, weights);
        } catch (IOException e) { // not from memory
            throw new UncheckedIOException(e);
        }
        return TrainedNetwork.of(model, results);
    }

    /**
     * Tasks that a master runs at once, as far as its name tells: those of {@code local[4]} and
     * {@code local-cluster[2,1,1024]}.
     *
     * @param master as Spark has it
     * @param cpus of a task ({@code spark.task.cpus}), at least 1
     * @return how many; empty for a cluster, which may grow
     */
    public static OptionalLong slots(String master, int cpus) {
        long slots = ClusterChecks.slots(master, cpus);
        return slots == Long.MAX_VALUE ? OptionalLong.empty() : OptionalLong.of(slots);
    }

    private static void notNull(String argument, Object value) {
        if (value == null) {
            throw new LngdArgumentException(argument + " is null");
        }
    }
}
