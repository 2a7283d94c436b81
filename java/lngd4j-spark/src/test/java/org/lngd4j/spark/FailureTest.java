// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.apache.spark.SparkException;
import org.apache.spark.api.java.JavaRDD;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lngd4j.spark.FailingJob.Failure;
import org.lngd4j.spark.SparkNets.Job;
import org.lngd4j.spark.SparkNets.Net;

/** Ranks that die, hang and fail. */
@ExtendWith(TestCluster.class)
@Timeout(120)
class FailureTest {
    private static final int STEP = 13; // in the middle of the second of three epochs of nine
    private static float[] undisturbed;

    @TempDir Path folder;

    private JavaRDD<Sample> data() {
        return TestCluster.get().parallelize(Sample.some(210, Job.CONV_SIZE, 3), 3);
    }

    private SparkOptions options(String checkpoints) {
        return SparkOptions.builder(2, 24, 3)
                .timeout(Duration.ofSeconds(3))
                .checkpoint(folder.resolve(checkpoints).toUri().toString(), 5)
                .build();
    }

    private float[] undisturbed() {
        if (undisturbed == null) {
            FailingJob job = new FailingJob(Failure.DIES, 0, -1, null);
            undisturbed =
                    SparkTrainingTest.weights(
                            SparkLngd.train(data(), job, options("none")).model());
        }
        return undisturbed;
    }

    @ParameterizedTest
    @CsvSource({"DIES, 0", "STOPS, 1", "HANGS, 0", "THROWS, 1"})
    void trainingGoesOnByItselfToTheSameBits(Failure failure, int rank) throws IOException {
        float[] expected = undisturbed();
        Path marker = folder.resolve("failed");
        FailingJob job = new FailingJob(failure, rank, STEP, marker);
        TrainedNetwork<Net> trained = SparkLngd.train(data(), job, options("checkpoints"));
        assertThat(marker).exists();
        // From the checkpoint, not from the start: 27 steps less 10.
        assertThat(trained.ranks()).extracting(RankReport::steps).containsExactly(17L, 17L);
        assertThat(SparkTrainingTest.weights(trained.model())).containsExactly(expected);
        assertThat(files()).containsExactly("step-000000000025.lngd", "step-000000000027.lngd");
    }

    private List<String> files() throws IOException {
        try (Stream<Path> files = Files.list(folder.resolve("checkpoints"))) {
            return files.map(f -> f.getFileName().toString())
                    .filter(f -> !f.endsWith(".crc")) // of Hadoop's local file system
                    .sorted()
                    .toList();
        }
    }

    /** Spark tries a stage three times here. */
    @Test
    void aRankThatAlwaysHangsIsAnErrorAndNoHang() {
        FailingJob job = new FailingJob(Failure.HANGS, 1, 3, null); // before any checkpoint
        long start = System.nanoTime();
        assertThatThrownBy(() -> SparkLngd.train(data(), job, options("hung")))
                .isInstanceOf(SparkException.class)
                .hasMessageContaining("rank 0 of 2: the all-reduce of")
                .hasMessageContaining("Another rank has died, given up, or hung for PT3S");
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(90));
        assertThat(undisturbed()).isNotEmpty(); // the slots are free again
    }

    /** Without a checkpoint the next attempt begins anew. */
    @Test
    void withoutCheckpointsAnAttemptBeginsAnew() {
        float[] expected = undisturbed();
        FailingJob job = new FailingJob(Failure.DIES, 1, STEP, folder.resolve("failed"));
        SparkOptions plain = SparkOptions.builder(2, 24, 3).timeout(Duration.ofSeconds(3)).build();
        TrainedNetwork<Net> trained = SparkLngd.train(data(), job, plain);
        assertThat(trained.ranks()).extracting(RankReport::steps).containsExactly(27L, 27L);
        assertThat(SparkTrainingTest.weights(trained.model())).containsExactly(expected);
    }

    /** The ranks end with the same bits, or {@code train} throws. */
    @Test
    void aNaNOfOneRankIsKeptOutByAll() {
        FailingJob job = new FailingJob(Failure.NAN, 1, STEP, null);
        TrainedNetwork<Net> trained = SparkLngd.train(data(), job, options("nan"));
        for (float w : SparkTrainingTest.weights(trained.model())) {
            assertThat(w).isFinite();
        }
        assertThat(SparkTrainingTest.weights(trained.model())).isNotEqualTo(undisturbed());
        assertThat(trained.epochs())
                .extracting(e -> Double.isNaN(e.loss()))
                .containsExactly(false, true, false);
    }

    @Test
    void aLaterJobGoesOnWhereItIsToldTo() {
        Job job = new FailingJob(Failure.DIES, 0, -1, null);
        SparkLngd.train(data(), job, options("shared"));
        String where = folder.resolve("shared").toUri().toString();
        assertThatThrownBy(() -> SparkLngd.train(data(), job, options("shared")))
                .hasMessageContaining("step-000000000027.lngd is of an earlier job");
        SparkOptions other =
                SparkOptions.builder(2, 32, 3).checkpoint(where, 5).resume(true).build();
        assertThatThrownBy(() -> SparkLngd.train(data(), job, other))
                .hasMessageContaining("is of a run with batch 24, epochs 3, seed 1")
                .hasMessageContaining("this one has batch 32");
        SparkOptions same =
                SparkOptions.builder(2, 24, 3).checkpoint(where, 5).resume(true).build();
        TrainedNetwork<Net> done = SparkLngd.train(data(), job, same);
        assertThat(done.ranks()).extracting(RankReport::steps).containsExactly(0L, 0L);
        assertThat(SparkTrainingTest.weights(done.model())).containsExactly(undisturbed());
    }
}
