// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.spark.api.java.JavaRDD;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lngd4j.InversePlacement;
import org.lngd4j.LngdOptions;
import org.lngd4j.Preset;
import org.lngd4j.pytorch.LngdTorch;
import org.lngd4j.spark.SparkNets.Job;
import org.lngd4j.spark.SparkNets.Net;

/** Executors that are processes of their own train as one process does. */
@ExtendWith(TestCluster.class)
@SuppressWarnings("try") // scopes that are only opened and closed
class SparkTrainingTest {
    private static final int BATCH = 24;
    private static final int EPOCHS = 5; // of ten steps

    /** Partitions of uneven lengths, one a rank. */
    private static List<List<Sample>> partitions(int ranks, int size) {
        List<List<Sample>> partitions = new ArrayList<>();
        for (int r = 0; r < ranks; r++) {
            int count = 240 / ranks + (r == 0 ? -13 : r == ranks - 1 ? 7 : 0);
            partitions.add(Sample.some(count, size, 100 + r));
        }
        return partitions;
    }

    /** Spark has no other source whose partitions can be told. */
    static JavaRDD<Sample> rdd(List<List<Sample>> partitions) {
        return TestCluster.get().parallelize(partitions, partitions.size()).flatMap(List::iterator);
    }

    static float[] weights(Module model) {
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            float[] all = new float[0];
            TensorVector parameters = model.parameters();
            for (long i = 0; i < parameters.size(); i++) {
                Tensor t = parameters.get(i).detach().contiguous();
                int at = all.length;
                all = Arrays.copyOf(all, at + Math.toIntExact(t.numel()));
                new FloatPointer(t.data_ptr()).get(all, at, all.length - at);
            }
            return all;
        }
    }

    /** The same batches, in this process alone. */
    private static float[] alone(Job job, List<List<Sample>> partitions, long seed) {
        long[] counts = partitions.stream().mapToLong(List::size).toArray();
        Sampling sampling = new Sampling(counts, BATCH, seed);
        long steps = sampling.stepsPerEpoch() * EPOCHS;
        Net model = TorchRank.create(job, seed);
        LngdOptions options =
                job.options(model, steps, sampling.batch()).toBuilder().threads(1).build();
        try (LngdTorch lngd = LngdTorch.attach(model, options, job.others())) {
            for (long step = 0; step < steps; step++) {
                List<Sample> batch = new ArrayList<>();
                for (int rank = 0; rank < counts.length; rank++) {
                    for (int i : sampling.indexes(rank, step)) {
                        batch.add(partitions.get(rank).get(i));
                    }
                }
                if (step % sampling.stepsPerEpoch() == 0) {
                    lngd.epoch((int) (step / sampling.stepsPerEpoch()));
                }
                try (PointerScope scope = new PointerScope()) {
                    job.loss(model, batch).backward();
                    lngd.step();
                    lngd.zeroGrad();
                }
            }
        }
        return weights(model);
    }

    /**
     * What differs is the order of sums in float32, of gradients and statistics, whose inverses
     * amplify it. 6e-8 a rounding; 1e-5 is what is promised.
     */
    @ParameterizedTest
    @CsvSource({
        "2, false, RECIPE",
        "2, true, RECIPE",
        "2, true, BLOCK_KRONECKER",
        "4, false, RECIPE",
        "4, true, BLOCK_KRONECKER"
    })
    void weightsAreThoseOfOneProcess(int ranks, boolean conv, Preset preset) {
        Job job = new Job(conv, 0, preset);
        List<List<Sample>> partitions = partitions(ranks, job.size());
        SparkOptions options =
                SparkOptions.builder(ranks, BATCH, EPOCHS).seed(7).keepPartitions(true).build();
        TrainedNetwork<Net> trained = SparkLngd.train(rdd(partitions), job, options);
        float[] many = weights(trained.model());
        float[] one = alone(job, partitions, 7);
        float[] start = weights(TorchRank.create(job, 7));
        assertThat(norm(one, start)).isGreaterThan(0.05 * norm(one, new float[one.length]));
        double difference = norm(many, one) / norm(one, new float[one.length]);
        assertThat(difference).isLessThan(1e-5);

        assertThat(trained.epochs()).hasSize(EPOCHS);
        int samples = partitions.stream().mapToInt(List::size).sum();
        assertThat(trained.epochs()).allMatch(e -> e.steps() == 10 && e.samples() == samples);
        assertThat(trained.epochs().get(EPOCHS - 1).loss())
                .isLessThan(0.9 * trained.epochs().get(0).loss());
        assertThat(trained.ranks()).extracting(RankReport::rank).hasSize(ranks).isSorted();
        assertThat(trained.ranks()).extracting(RankReport::host).doesNotHaveDuplicates();
        assertThat(trained.report()).contains(conv ? "conv" : "first");
    }

    /** The same code computes each inverse, wherever it does. */
    @ParameterizedTest
    @CsvSource({"2, RECIPE", "4, BLOCK_KRONECKER"})
    void ownedInversesGiveTheBitsOfReplicatedOnes(int ranks, Preset preset) {
        Job job = new Job(true, 0, preset);
        JavaRDD<Sample> rdd = rdd(partitions(ranks, job.size()));
        SparkOptions.Builder options = SparkOptions.builder(ranks, BATCH, 3).keepPartitions(true);
        TrainedNetwork<Net> owned =
                SparkLngd.train(rdd, job, options.inverses(InversePlacement.OWNED).build());
        TrainedNetwork<Net> replicated =
                SparkLngd.train(rdd, job, options.inverses(InversePlacement.REPLICATED).build());
        assertThat(owned.report()).contains("OWNED");
        assertThat(replicated.report()).contains("REPLICATED");
        assertThat(weights(owned.model())).containsExactly(weights(replicated.model()));
    }

    /** Spread evenly by Spark, and dropout from PyTorch's generator. */
    @Test
    void aRunHasTheBitsOfTheOneBefore() {
        Job job = new Job(true, 0.3, Preset.RECIPE);
        SparkOptions options = SparkOptions.builder(2, BATCH, 2).build();
        JavaRDD<Sample> rdd = TestCluster.get().parallelize(Sample.some(101, Job.CONV_SIZE, 3), 5);
        TrainedNetwork<Net> first = SparkLngd.train(rdd, job, options);
        TrainedNetwork<Net> again = SparkLngd.train(rdd, job, options);
        TrainedNetwork<Net> other =
                SparkLngd.train(rdd, job, SparkOptions.builder(2, BATCH, 2).seed(2).build());
        assertThat(first.ranks()).extracting(RankReport::samples).containsExactly(51L, 50L);
        assertThat(weights(again.model())).containsExactly(weights(first.model()));
        assertThat(weights(other.model())).isNotEqualTo(weights(first.model()));
    }

    static double norm(float[] a, float[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
        }
        return Math.sqrt(sum);
    }
}
