// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.cli.data.IdxWriter;
import org.lngd4j.cli.support.Json;
import org.lngd4j.cli.train.CommandResult;

/** {@code lngd compare --engine}. */
class CompareEngineTest {
    @TempDir private Path folder;

    @BeforeEach
    void writeDataset() throws IOException {
        IdxWriter.dataset(folder.resolve("data"), 400, 100, 6, 4);
    }

    private CommandResult compare(String... more) {
        List<String> line = new ArrayList<>(List.of("compare"));
        line.addAll(List.of("--data", folder.resolve("data").toString()));
        line.addAll(List.of("--out", folder.resolve("out").toString()));
        line.addAll(List.of("--epochs", "1", "--batch", "32"));
        line.addAll(List.of("--eval-every", "1", "--tune", "none", "--seeds", "1"));
        line.addAll(List.of(more));
        return CommandResult.of(line.toArray(String[]::new));
    }

    @Test
    void theRunsAreOfTheEngineAndTheReportSaysSo() throws IOException {
        CommandResult result =
                compare("--model=mlp:16", "--engine=pytorch", "--optimizers", "muon,lngd");

        assertThat(result.status()).as(result.err()).isZero();
        assertThat(result.err()).contains(", PyTorch, muon, lngd, 1 seeds");
        assertThat(result.out()).contains(", PyTorch: muon, lngd").contains("optimizer (PyTorch)");
        assertThat(result.out().lines().filter(l -> l.matches("(muon|lngd) .*"))).hasSize(2);
        assertThat(Files.readString(folder.resolve("out/table.md")))
                .startsWith("| optimizer (PyTorch) | settings |");
        assertThat(Files.readString(folder.resolve("out/report.html")))
                .contains(", PyTorch: muon, lngd</h1>", "<td>engine</td><td>PyTorch 2.")
                .doesNotContain("convolutions by");
        Map<String, Object> json =
                Json.readObject(Files.readString(folder.resolve("out/results.json")));
        assertThat(json.get("facts").toString()).contains("engine=PyTorch");
        try (var runs = Files.list(folder.resolve("out/runs"))) {
            assertThat(runs.filter(Files::isDirectory))
                    .hasSize(2)
                    .allSatisfy(run -> assertThat(run.resolve("model.pt")).exists());
        }
    }

    @Test
    void whatTheEngineLacksIsNamedBeforeTheFirstRun() {
        refused("--optimizer lars is not there with --engine pytorch", "--optimizers", "lngd,lars");
        refused("--engine jax: must be dl4j, pytorch", "--engine", "jax");
    }

    private void refused(String message, String... more) {
        List<String> line =
                new ArrayList<>(
                        List.of(
                                "--model",
                                "mlp:16",
                                "--optimizers",
                                "lngd",
                                "--engine",
                                "pytorch"));
        for (int i = 0; i < more.length; i += 2) {
            int at = line.indexOf(more[i]);
            if (at >= 0) {
                line.set(at + 1, more[i + 1]);
            } else {
                line.addAll(List.of(more[i], more[i + 1]));
            }
        }
        CommandResult result = compare(line.toArray(String[]::new));
        assertThat(result.status()).as(result.err()).isEqualTo(2);
        assertThat(result.err()).contains(message);
        assertThat(folder.resolve("out")).doesNotExist();
    }
}
