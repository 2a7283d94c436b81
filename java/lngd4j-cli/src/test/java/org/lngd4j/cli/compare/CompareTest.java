// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.cli.data.IdxWriter;
import org.lngd4j.cli.support.Json;
import org.lngd4j.cli.train.CommandResult;
import org.lngd4j.cli.train.StopSignal;
import org.lngd4j.cli.train.TrainSettings;

/** {@code lngd compare} with real runs in processes of their own, on a small data set. */
class CompareTest {
    @TempDir Path folder;

    private Path data;

    @BeforeEach
    void writeDataset() throws IOException {
        data = folder.resolve("data");
        IdxWriter.dataset(data, 400, 100, 6, 4);
    }

    @Test
    void tunesRunsReportsAndGoesOnWithWhatIsMissing() throws IOException {
        CommandResult first = compare("--jobs", "2");

        assertThat(first.status()).as(first.err()).isZero();
        // One line at the start, a trial and a whole run for each of two optimizers.
        assertThat(first.err().lines()).hasSize(5);
        assertThat(first.err()).doesNotContain("from before");
        assertThat(first.out()).contains("target: test accuracy ", "reached by all runs");
        assertThat(first.out().lines().filter(line -> line.matches("(sgd|lngd) .*"))).hasSize(2);
        String page = Files.readString(folder.resolve("out/report.html"));
        assertThat(page).contains("seconds to target", "data:image/png;base64,", "taken");
        assertThat(page).contains("<dt>against sgd</dt>", "Mean over the seeds", "was taken.</p>");
        assertThat(page).contains("2 at a time").doesNotContain("src=\"http", "href=");
        Object raw =
                Json.readObject(Files.readString(folder.resolve("out/results.json"))).get("runs");
        assertThat(raw.toString())
                .contains("optimizer=sgd", "optimizer=lngd", "epoch=4", "trainLoss=");
        for (String name : List.of("accuracy", "test-loss", "train-loss")) {
            for (String axis : List.of("epochs", "seconds")) {
                Path png = folder.resolve("out/" + name + "-" + axis + ".png");
                assertThat(ImageIO.read(png.toFile()).getWidth()).isGreaterThan(600);
            }
        }

        Path lost = wholeRunOfSgd();
        Files.delete(lost.resolve("summary.json"));
        Files.delete(lost.resolve("model.zip"));
        CommandResult second = compare();

        assertThat(second.status()).as(second.err()).isZero();
        assertThat(second.err().lines().filter(line -> line.contains("from before"))).hasSize(3);
        // The lost run went on from its checkpoint, at its end: its times too are the old ones.
        assertThat(withoutMixture(second)).isEqualTo(first.out());
        // And those found are not said to have run one after the other, as this comparison does.
        assertThat(second.err()).contains("(from before: runs at a time 2)");
        String mixture = "not measured alike: runs at a time 2, then 1 (1 run), 2 (1 run)";
        assertThat(second.out()).contains(mixture + "\n");
        page = Files.readString(folder.resolve("out/report.html"));
        assertThat(page).contains("<p class=\"mixture\">" + mixture + "</p>");
        assertThat(page).doesNotContain("one after the other");
        assertThat(Files.readString(folder.resolve("out/table.md")))
                .endsWith("|\n\n" + mixture + "\n");
    }

    @Test
    void runsOfBeforeAreReadAndToldAsUnknown() throws IOException {
        CommandResult first = compare();
        assertThat(first.status()).as(first.err()).isZero();
        assertThat(first.out()).doesNotContain("alike");
        assertThat(compare().out()).isEqualTo(first.out());

        // As an earlier version has left them.
        for (Path run : runs()) {
            Files.delete(run.resolve("measured.json"));
        }
        CommandResult second = compare();
        assertThat(second.status()).as(second.err()).isZero();
        assertThat(
                        second.err()
                                .lines()
                                .filter(l -> l.contains("from before: runs at a time unknown")))
                .hasSize(4);
        assertThat(second.out()).isEqualTo(first.out());
        assertThat(Files.readString(folder.resolve("out/report.html")))
                .contains("how many at a time is unknown", "<td>machine</td><td>unknown</td>");

        // One of them, and its short run, anew and at another commit.
        for (Path run : runs()) {
            if (run.getFileName().toString().startsWith("sgd")) {
                try (var files = Files.list(run)) {
                    for (Path file : files.toList()) {
                        Files.delete(file);
                    }
                }
            }
        }
        System.setProperty("org.lngd4j.commit", "0123456789abcdef0123-dirty");
        try {
            CommandResult third = compare();
            assertThat(third.out())
                    .contains("not measured alike: runs at a time 1 (1 run), unknown (1 run)\n")
                    // Of this build, where it is one of a git checkout.
                    .containsPattern(
                            "not measured alike: commit 0123456789ab-dirty \\(1 run\\), (unknown|[0-9a-f]{12}(-dirty)?) \\(1 run\\)\n")
                    .containsPattern(
                            "not tuned alike: commit 0123456789ab-dirty \\(1 run\\), (unknown|[0-9a-f]{12}(-dirty)?) \\(1 run\\)\n");
        } finally {
            System.clearProperty("org.lngd4j.commit");
        }
        Object raw =
                Json.readObject(Files.readString(folder.resolve("out/results.json"))).get("runs");
        assertThat(raw.toString()).contains("commit=0123456789abcdef0123-dirty", "folder=sgd-");
    }

    private Path wholeRunOfSgd() throws IOException {
        for (Path run : runs()) {
            String summary = Files.readString(run.resolve("summary.json"));
            if (run.getFileName().toString().startsWith("sgd-")
                    && summary.contains("\"validation\" : null")) {
                return run;
            }
        }
        throw new AssertionError("no whole run of sgd in " + runs());
    }

    private List<Path> runs() throws IOException {
        try (var runs = Files.list(folder.resolve("out/runs"))) {
            return runs.filter(Files::isDirectory).toList();
        }
    }

    private static String withoutMixture(CommandResult result) {
        return result.out().replaceAll("not (measured|tuned) alike: .*\n", "");
    }

    @Test
    void aStoppedRunGoesOnAndADivergedOneIsAResult() throws IOException {
        RunStore store = new RunStore(folder.resolve("runs"));
        store.create();
        Measured two = new Measured(Map.of(Measured.AT_A_TIME, "2", Measured.COMMIT, "a"));
        Measured one = new Measured(Map.of(Measured.AT_A_TIME, "1", Measured.COMMIT, "a"));
        StopSignal stop = new StopSignal();
        PlannedRun run = new PlannedRun("sgd", settings(120, 0.1, "mlp:8"));
        store.begin(run, one); // of a process that died before its first checkpoint
        store.begin(run, two);
        assertThat(new RunProcess(store, stop).execute(run, step -> stop.request())).isFalse();
        assertThat(store.find(run)).isEmpty();
        assertThat(store.isBegun(run)).isTrue();
        long stoppedAt = last(store, run);
        assertThat(stoppedAt).isBetween(1L, 1559L);

        store.begin(run, one);
        assertThat(new RunProcess(store, new StopSignal()).execute(run, step -> {})).isTrue();
        Measured measured = store.find(run).orElseThrow().measured();
        assertThat(measured.get(Measured.AT_A_TIME)).isEqualTo("2, then 1");
        assertThat(measured.get(Measured.COMMIT)).isEqualTo("a");
        assertThat(store.find(run).orElseThrow().last().step()).isEqualTo(1560);
        assertThat(Files.readString(store.log(run))).doesNotContain("step 1 ");

        PlannedRun wild = new PlannedRun("sgd", settings(60, 1000, "mlp:16" + "-16".repeat(30)));
        assertThat(new RunProcess(store, new StopSignal()).execute(wild, step -> {})).isTrue();
        assertThat(store.find(wild).orElseThrow().diverged()).isTrue();
        assertThat(store.find(wild).orElseThrow().measured().get(Measured.AT_A_TIME))
                .isEqualTo("unknown");
    }

    @Test
    void whatIsWrongIsOneLineBeforeTheFirstRun() {
        Map<String, String> wrong = new LinkedHashMap<>();
        wrong.put("--optimizers sgd,newton", "--optimizers newton: there is no such optimizer");
        wrong.put("--optimizers sgd,sgd", "one is there twice");
        wrong.put("--target acc=90", "--target acc=90: expected acc=X");
        wrong.put(
                "--target acc=0.9 --model ae:36-4",
                "this network has no test accuracy; name loss=X");
        wrong.put("--model transformer --engine dl4j", "is not there with --engine dl4j");
        wrong.put("--jobs 0", "--jobs 0: must be 1 to 1000");
        wrong.put("--tune-jobs 1001", "--tune-jobs 1001: must be 1 to 1000");
        wrong.put("--seeds 0", "--seeds 0: must be 1 to 1000");
        wrong.put("--tune " + folder.resolve("none.json"), "none.json");
        wrong.put("--epochs 0", "--epochs 0: must be 1 to 100000");
        wrong.put("--train-samples 401", "there are only 400 training images");
        wrong.forEach(
                (arguments, message) -> {
                    List<String> line = new ArrayList<>(List.of("compare"));
                    line.addAll(List.of("--data", data.toString(), "--out", out()));
                    line.addAll(List.of(arguments.split(" ")));
                    CommandResult result = CommandResult.of(line.toArray(String[]::new));
                    assertThat(result.status()).as(arguments).isEqualTo(2);
                    assertThat(result.err()).contains(message);
                    assertThat(result.err().lines()).hasSize(1);
                    assertThat(folder.resolve("out")).doesNotExist();
                });
    }

    private CommandResult compare(String... more) {
        List<String> line = new ArrayList<>(List.of("compare", "--data", data.toString()));
        line.addAll(List.of("--model", "mlp:16", "--optimizers", "sgd,lngd", "--epochs", "4"));
        line.addAll(List.of("--batch", "32", "--eval-every", "1", "--tune-runs", "1"));
        line.addAll(List.of("--seeds", "1", "--out", out()));
        line.addAll(List.of(more));
        return CommandResult.of(line.toArray(String[]::new));
    }

    private String out() {
        return folder.resolve("out").toString();
    }

    private static long last(RunStore store, PlannedRun run) {
        return store.rows(run).get(store.rows(run).size() - 1).step();
    }

    // 13 steps an epoch.
    private TrainSettings settings(int epochs, double rate, String model) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("data", data.toString());
        map.put("model", model);
        map.put("optimizer", "sgd");
        map.put("epochs", epochs);
        map.put("batch", 32);
        map.put("seed", 1);
        map.put("device", "auto");
        map.put("threads", 1);
        map.put("eval-every", 0.5);
        map.put("learning-rate", rate);
        return TrainSettings.of(map);
    }
}
