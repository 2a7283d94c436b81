// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.InputArchive;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lngd4j.cli.data.IdxWriter;
import org.lngd4j.cli.support.Json;
import org.lngd4j.cli.train.CommandResult;
import org.lngd4j.cli.train.MetricsRow;

/**
 * {@code lngd train --spark}, on executors that are processes of their own and on threads of this
 * one. That N ranks get the weights of one is tested in lngd4j-spark.
 */
class TrainOnSparkTest {
    private static final int TRAINING = 301; // uneven for two ranks
    private static final int TEST = 100;

    @TempDir private Path folder;

    private CommandResult train(String run, String... more) throws IOException {
        IdxWriter.dataset(folder.resolve("data"), TRAINING, TEST, 6, 4);
        List<String> line = new ArrayList<>(List.of("train"));
        line.addAll(List.of("--data", folder.resolve("data").toString()));
        line.addAll(List.of("--out", folder.resolve(run).toString()));
        line.addAll(List.of(more));
        return CommandResult.of(line.toArray(String[]::new));
    }

    private List<MetricsRow> metrics(String run) throws IOException {
        return Files.readAllLines(folder.resolve(run).resolve("metrics.csv")).stream()
                .skip(1)
                .map(MetricsRow::parse)
                .toList();
    }

    private Map<String, Object> summary(String run) throws IOException {
        return Json.readObject(Files.readString(folder.resolve(run).resolve("summary.json")));
    }

    /** A figure of each rank. */
    private List<Object> ofRanks(String run, String figure) throws IOException {
        List<Object> figures = new ArrayList<>();
        for (Object rank : (List<?>) summary(run).get("ranks")) {
            figures.add(((Map<?, ?>) rank).get(figure));
        }
        return figures;
    }

    private Tensor firstWeights(String run) {
        InputArchive archive = new InputArchive();
        archive.load_from(folder.resolve(run).resolve("model.pt").toString());
        InputArchive layer = new InputArchive();
        archive.read("fc1", layer);
        Tensor weights = new Tensor();
        layer.read("weight", weights);
        return weights;
    }

    @Test
    void executorsTrainReportAndLeaveAModel() throws IOException {
        // Executors have another working folder than this process.
        Path relative = Path.of("").toAbsolutePath().relativize(folder.resolve("checkpoint"));
        CommandResult result =
                train(
                        "run",
                        "--spark",
                        "local-cluster[2,1,512]",
                        "--model=mlp:16",
                        "--epochs=8",
                        "--batch=32",
                        "--checkpoint",
                        relative.toString());
        assertThat(result.status()).as(result.err()).isZero();
        assertThat(result.err())
                .contains("2 ranks of local-cluster[2,1,512]")
                .doesNotContain("WARN");

        List<MetricsRow> rows = metrics("run");
        // Ten steps an epoch, none of them shorter.
        assertThat(rows)
                .extracting(MetricsRow::step)
                .containsExactly(10L, 20L, 30L, 40L, 50L, 60L, 70L, 80L);
        assertThat(rows).extracting(MetricsRow::seconds).isSorted().allMatch(s -> s > 0);
        assertThat(rows.get(7).trainLoss()).isLessThan(0.5 * rows.get(0).trainLoss());
        assertThat(rows.subList(0, 7)).allMatch(row -> Double.isNaN(row.testLoss()));
        // Guessing gives 25 %; the weights that were measured are those that executors trained.
        assertThat(rows.get(7).testAccuracy()).isGreaterThan(0.9);

        Map<String, Object> summary = summary("run");
        assertThat(summary).containsEntry("network", "36-16-4").containsEntry("device", "cpu");
        assertThat(summary.get("cluster").toString()).matches("Spark 3\\.5\\.\\d+");
        assertThat(ofRanks("run", "samples")).containsExactly(150, 151);
        assertThat(ofRanks("run", "steps")).containsExactly(80, 80);
        assertThat(ofRanks("run", "host")).doesNotHaveDuplicates();
        assertThat(ofRanks("run", "statistics")).allMatch(s -> ((Number) s).doubleValue() > 0);
        assertThat(folder.resolve("checkpoint/step-000000000080.lngd")).isNotEmptyFile();
        assertThat(folder.resolve("run/curves.png")).isNotEmptyFile();
        assertThat(firstWeights("run").numel()).isEqualTo(36 * 16);
        assertThat(result.out())
                .contains("36-16-4, LNGD recipe", "accuracy " + rows.get(7).qualityText())
                .contains("   1  127.0.0.1:", "files in ");
    }

    /** Threads of this process, whose checkpoint an earlier run has left. */
    @Test
    void aRunGoesOnFromItsCheckpointToTheSameWeights() throws IOException {
        String checkpoint = folder.resolve("checkpoint").toUri().toString();
        String[] options = {
            "--spark=local[1]", "--model=ae:36-8", "--epochs=4", "--batch=32", "--checkpoint"
        };
        CommandResult first = train("first", with(options, checkpoint));
        assertThat(first.status()).as(first.err()).isZero();
        assertThat(first.out()).contains("test loss ").doesNotContain("accuracy");
        Path last = folder.resolve("checkpoint/step-000000000040.lngd");
        assertThat(last).exists();

        CommandResult refused = train("refused", with(options, checkpoint));
        assertThat(refused.status()).isEqualTo(2);
        assertThat(refused.err()).contains("is of an earlier job");
        assertThat(folder.resolve("refused/summary.json")).doesNotExist();

        CommandResult second = train("second", with(options, checkpoint, "--checkpoint-go-on"));
        assertThat(second.status()).as(second.err()).isZero();
        assertThat(ofRanks("second", "steps")).containsExactly(0);
        assertThat(firstWeights("second").equal(firstWeights("first"))).isTrue();
        assertThat(metrics("second").get(0).testLoss())
                .isEqualTo(metrics("first").get(3).testLoss());
    }

    @ParameterizedTest
    @CsvSource({
        "foo://host/folder, No FileSystem for scheme",
        "/dev/null/folder, /dev/null",
    })
    void aFolderThatCannotBeIsRefusedBeforeTheFirstStep(String folder, String message)
            throws IOException {
        CommandResult result =
                train(
                        "run",
                        "--spark=local",
                        "--model=mlp:8",
                        "--batch=32",
                        "--checkpoint",
                        folder);
        assertThat(result.status()).isEqualTo(2);
        assertThat(result.err())
                .contains("--checkpoint " + folder + ": ", message)
                .doesNotContain("WARN", "a rank");
    }

    private static String[] with(String[] options, String... more) {
        String[] all = Arrays.copyOf(options, options.length + more.length);
        System.arraycopy(more, 0, all, options.length, more.length);
        return all;
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--spark=mesos://a|--spark mesos://a: must be local[N]",
                "--spark=local[2]  --ranks=3|--ranks 3: --spark local[2] has room for 2 ranks of 1 thread",
                "--spark=local[2] --threads=4|--spark local[2] has room for 0 ranks of 4 threads",
                "--spark=spark://host:7077|does not tell how many ranks it has room for: --ranks has to",
                "--spark=yarn --ranks=2|--spark yarn: the Spark that the command fetches has no client",
                "--spark=local --ranks=0|--ranks 0: must be 1 to 65536",
                "--spark=local --optimizer=kfac|--optimizer kfac is not there with --spark, only lngd",
                "--spark=local --engine=dl4j|--engine dl4j is not there with --spark, only pytorch",
                "--spark=local --device=cuda|--device cuda is not there with --spark",
                "--spark=local --model=transformer|--model transformer is not there with --spark",
                "--spark=local --eval-every=1|--eval-every is not there with --spark",
                "--spark=local --checkpoint-go-on|--checkpoint-go-on: --checkpoint has to name",
                "--spark=local --checkpoint-minutes=1|--checkpoint-minutes is for --checkpoint",
                "--spark=local --checkpoint=a --checkpoint-minutes=0|--checkpoint-minutes 0.0: must be",
                "--ranks=2|--ranks is for --spark, which is not given",
                "--checkpoint=a|--checkpoint is for --spark, which is not given",
            })
    void whatMakesNoSenseIsRefusedByName(String options, String message) throws IOException {
        CommandResult result = train("run", options.split(" +"));
        assertThat(result.status()).as(result.err()).isEqualTo(2);
        assertThat(result.err()).contains(message);
        assertThat(folder.resolve("run")).doesNotExist();
    }
}
