// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.function.Consumer;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.deeplearning4j.nn.api.Model;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * The same as {@link SparkLngd} for networks of Deeplearning4j. It needs {@code lngd4j-dl4j} and
 * DL4J on the class path, and PyTorch's natives too: the collectives are theirs.
 *
 * <pre>{@code
 * Dataset<Row> digits = spark.read().parquet("hdfs:///data/digits");
 * TrainedNetwork<MultiLayerNetwork> trained =
 *         SparkDl4j.train(digits, new Digits(), SparkOptions.builder(8, 1024, 10).build());
 * System.out.println(trained.report());
 * }</pre>
 */
public final class SparkDl4j {
    private SparkDl4j() {}

    /**
     * Trains on rows, read as {@link SparkLngd#train(Dataset, TorchNetwork, SparkOptions)} does.
     *
     * @param data the rows, such as those of a Parquet file
     * @param network what is trained; {@link Nd4jRows} makes arrays of columns
     * @param options how
     * @param <N> the network
     * @return the trained network, on the driver
     * @throws LngdArgumentException as {@link SparkLngd#train(JavaRDD, TorchNetwork, SparkOptions,
     *     Consumer)}
     */
    public static <N extends Model> TrainedNetwork<N> train(
            Dataset<Row> data, Dl4jNetwork<N, Row> network, SparkOptions options) {
        return train(data, network, options, null);
    }

    /**
     * Trains on rows, read as {@link SparkLngd#train(Dataset, TorchNetwork, SparkOptions)} does.
     *
     * @param data the rows, such as those of a Parquet file
     * @param network what is trained; {@link Nd4jRows} makes arrays of columns
     * @param options how
     * @param progress called on the driver, whenever executors have told theirs; null for nothing
     * @param <N> the network
     * @return the trained network, on the driver
     * @throws LngdArgumentException as {@link SparkLngd#train(JavaRDD, TorchNetwork, SparkOptions,
     *     Consumer)}
     */
    public static <N extends Model> TrainedNetwork<N> train(
            Dataset<Row> data,
            Dl4jNetwork<N, Row> network,
            SparkOptions options,
            Consumer<SparkProgress> progress) {
        notNull(data, network, options);
        return train(DatasetRows.of(data, options.ranks()), network, options, progress);
    }

    /**
     * Trains on the elements of an RDD. Returns when the network is trained.
     *
     * @param data the samples
     * @param network what is trained
     * @param options how
     * @param progress called on the driver, whenever executors have told theirs; null for nothing
     * @param <N> the network
     * @param <S> a sample
     * @return the trained network, on the driver
     * @throws LngdArgumentException as {@link SparkLngd#train(JavaRDD, TorchNetwork, SparkOptions,
     *     Consumer)}
     */
    public static <N extends Model, S> TrainedNetwork<N> train(
            JavaRDD<S> data,
            Dl4jNetwork<N, S> network,
            SparkOptions options,
            Consumer<SparkProgress> progress) {
        notNull(data, network, options);
        List<RankResult> results =
                BarrierJob.run(
                        data,
                        (seed, rank) -> new Dl4jRank<>(network, seed, rank),
                        options,
                        progress);
        N model = Dl4jRank.create(network, options.seed());
        try (InputStream weights = ByteChunks.stream(results.get(0).weights())) {
            Dl4jRank.read(model, weights);
        } catch (IOException e) { // not from memory
            throw new UncheckedIOException(e);
        }
        return TrainedNetwork.of(model, results);
    }

    private static void notNull(Object data, Object network, Object options) {
        if (data == null || network == null || options == null) {
            throw new LngdArgumentException(
                    (data == null ? "data" : network == null ? "network" : "options") + " is null");
        }
    }
}
