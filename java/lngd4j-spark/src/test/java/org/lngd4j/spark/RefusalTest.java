// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.DataInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.Stream;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaRDD;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.LngdOptions;
import org.lngd4j.Preset;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;
import org.lngd4j.spark.SparkNets.Job;
import org.lngd4j.spark.SparkNets.Net;

/** What ends a job before its first step, in one attempt; what the driver sees of one that runs. */
@ExtendWith(TestCluster.class)
class RefusalTest {
    @TempDir Path folder;

    private static JavaRDD<Sample> data() {
        return TestCluster.get().parallelize(Sample.some(60, Job.MLP_SIZE, 3), 2);
    }

    private static void refused(Job job, String... messages) {
        for (String message : messages) {
            assertThatThrownBy(
                            () ->
                                    SparkLngd.train(
                                            data(), job, SparkOptions.builder(2, 8, 1).build()))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining(message);
        }
    }

    /** Ranks that differ are named, with where they run. */
    private static final class Differs extends Job {
        private static final long serialVersionUID = 1L;

        Differs() {
            super(false, 0, Preset.RECIPE);
        }

        @Override
        public LngdOptions options(Net model, long totalSteps, int batch) {
            return super.options(model, totalSteps, batch).toBuilder()
                    .statisticsInterval(TaskContext.getPartitionId() == 1 ? 5 : 3)
                    .build();
        }
    }

    @Test
    void ranksThatDifferAreNamed() {
        assertThatThrownBy(
                        () ->
                                SparkLngd.train(
                                        data(),
                                        new Differs(),
                                        SparkOptions.builder(2, 8, 1).build()))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageMatching(
                        "the ranks differ, .* rank 1 has options.statisticsInterval 5, rank 0 3"
                                + " \\(rank 0 on 127.0.0.1:\\d+, rank 1 on 127.0.0.1:\\d+\\)");
    }

    /** A program that fails on one rank only. */
    private static final class Fails extends Job {
        private static final long serialVersionUID = 1L;

        Fails() {
            super(false, 0, Preset.RECIPE);
        }

        @Override
        public Net create() {
            if (TaskContext.get() != null && TaskContext.getPartitionId() == 1) {
                throw new IllegalStateException("no such file there");
            }
            return super.create();
        }
    }

    @Test
    void whatFailsOnOneRankIsToldOnce() {
        refused(new Fails(), "rank 1 on 127.0.0.1:", ": no such file there");
    }

    @Test
    void refusesDataThatCannotBeTrained() {
        Job job = new Job(false, 0, Preset.RECIPE);
        SparkOptions options = SparkOptions.builder(2, 8, 1).build();
        JavaRDD<Sample> none = data().filter(s -> false);
        assertThatThrownBy(() -> SparkLngd.train(none, job, options))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessage("the data has no samples");
        SparkOptions kept = SparkOptions.builder(4, 8, 1).keepPartitions(true).build();
        assertThatThrownBy(() -> SparkLngd.train(data(), job, kept))
                .hasMessageStartingWith("data has 2 partitions, allowed with keepPartitions");
        SparkOptions five = SparkOptions.builder(5, 8, 1).build();
        assertThatThrownBy(() -> SparkLngd.train(data(), job, five))
                .hasMessageContaining("ranks is 5, allowed with master local-cluster[4,1,512]");
        SparkOptions elsewhere = SparkOptions.builder(2, 8, 1).bind("no such interface").build();
        assertThatThrownBy(() -> SparkLngd.train(data(), job, elsewhere))
                .hasMessageContaining("bind is no such interface");
        assertThatThrownBy(() -> SparkLngd.train((JavaRDD<Sample>) null, job, options))
                .hasMessage("data is null");
    }

    @Test
    void aDamagedCheckpointIsRefusedByName() throws IOException {
        Job job = new Job(false, 0, Preset.RECIPE);
        SparkOptions options =
                SparkOptions.builder(2, 8, 1).checkpoint(folder.toUri().toString(), 5).build();
        SparkLngd.train(data(), job, options);
        Path last = folder.resolve("step-000000000008.lngd");
        byte[] bytes = Files.readAllBytes(last);
        try (DataInputStream in = new DataInputStream(Files.newInputStream(last))) {
            in.readInt();
            in.readUTF();
            in.readUTF();
            bytes[bytes.length - in.available() + 100]++; // in the weights
        }
        Files.delete(folder.resolve("." + last.getFileName() + ".crc"));
        Files.write(last, bytes);
        SparkOptions resume =
                SparkOptions.builder(2, 8, 1)
                        .checkpoint(folder.toUri().toString(), 5)
                        .resume(true)
                        .build();
        assertThatThrownBy(() -> SparkLngd.train(data(), job, resume))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining(last.getFileName() + ": the weights are damaged");
    }

    /** A program that moves a weight itself, on one rank. */
    private static final class Moves extends Job {
        private static final long serialVersionUID = 1L;
        private transient int steps;

        Moves() {
            super(false, 0, Preset.RECIPE);
        }

        @Override
        public Tensor loss(Net model, List<Sample> samples) {
            if (++steps == 5 && TaskContext.getPartitionId() == 1) {
                Tensor bias = model.parameters().get(1).detach();
                bias.add_(new Scalar(0.125));
            }
            return super.loss(model, samples);
        }
    }

    @Test
    void ranksThatEndWithOtherWeightsAreAnError() {
        SparkOptions options = SparkOptions.builder(2, 8, 1).build();
        assertThatThrownBy(() -> SparkLngd.train(data(), new Moves(), options))
                .isInstanceOf(LngdStateException.class)
                .hasMessageContaining("the parameters of rank 1 on 127.0.0.1:")
                .hasMessageContaining("are not those of rank 0");
    }

    /** Takes its time, and writes down what listens in its process. */
    private static final class Slow extends Job {
        private static final long serialVersionUID = 1L;
        private final String folder;
        private transient int steps;
        private transient List<String> draws;

        Slow(Path folder) {
            super(false, 0, Preset.RECIPE);
            this.folder = folder.toString();
        }

        @Override
        public Tensor loss(Net model, List<Sample> samples) {
            try {
                int rank = TaskContext.getPartitionId();
                draws = draws == null ? new ArrayList<>() : draws;
                draws.add(Double.toString(torch.rand(1).item_double()));
                if (++steps == 5) {
                    Files.write(Path.of(folder, "listening." + rank), listening());
                    Files.write(Path.of(folder, "draws." + rank), draws);
                }
                Thread.sleep(100);
            } catch (IOException | InterruptedException e) {
                throw new IllegalStateException(e);
            }
            return super.loss(model, samples);
        }
    }

    /** Local addresses, in the kernel's hexadecimal, of the sockets of this process that listen. */
    private static List<String> listening() throws IOException {
        List<String> own = new ArrayList<>();
        try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
            for (Path file : files.toList()) {
                if (Files.isSymbolicLink(file)) {
                    own.add(Files.readSymbolicLink(file).toString());
                }
            }
        }
        List<String> addresses = new ArrayList<>();
        for (String table : List.of("/proc/self/net/tcp", "/proc/self/net/tcp6")) {
            if (Files.exists(Path.of(table))) {
                for (String line : Files.readAllLines(Path.of(table))) {
                    String[] columns = line.strip().split(" +");
                    if (columns[3].equals("0A") && own.contains("socket:[" + columns[9] + "]")) {
                        addresses.add(columns[1].substring(0, columns[1].indexOf(':')));
                    }
                }
            }
        }
        return addresses;
    }

    @Test
    void progressReachesTheDriverAndNothingListensElsewhere() throws IOException {
        List<SparkProgress> seen = Collections.synchronizedList(new ArrayList<>());
        SparkOptions options = SparkOptions.builder(2, 8, 8).build();
        TrainedNetwork<Net> trained = SparkLngd.train(data(), new Slow(folder), options, seen::add);
        assertThat(seen).hasSizeGreaterThan(2); // 64 steps of 0.1 s, a heartbeat a second
        assertThat(seen).extracting(SparkProgress::steps).isSorted().allMatch(s -> s <= 64);
        assertThat(seen).extracting(SparkProgress::samples).isSorted().allMatch(s -> s <= 480);
        double first = trained.epochs().get(0).loss();
        assertThat(seen).allMatch(p -> p.loss() > 0 && p.loss() < 2 * first && p.attempt() == 0);
        assertThat(trained.ranks())
                .allMatch(r -> r.seconds() > 6 && r.waiting() > 0 && r.waiting() < r.seconds())
                .allMatch(r -> r.collectives() > 128 && r.collectiveBytes() > 64 * 1000)
                .allMatch(r -> r.statistics() > 0 && r.inverses() > 0 && r.update() > 0);
        // Dropout takes others in each step, and on each rank.
        List<String> draws = new ArrayList<>(Files.readAllLines(folder.resolve("draws.0")));
        draws.addAll(Files.readAllLines(folder.resolve("draws.1")));
        assertThat(draws).hasSize(10).doesNotHaveDuplicates();
        // 127.0.0.1, in both tables: what Spark was told to listen on.
        for (int rank = 0; rank < 2; rank++) {
            assertThat(Files.readAllLines(folder.resolve("listening." + rank)))
                    .isNotEmpty()
                    .allMatch(
                            a ->
                                    a.equals("0100007F")
                                            || a.equals("0000000000000000FFFF00000100007F"));
        }
    }
}
