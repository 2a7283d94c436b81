// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lngd4j.cli.support.Json;
import org.lngd4j.cli.train.CommandResult;

/** {@code lngd toys} in this process. */
class ToysCommandTest {
    // The tests run in the folder of the module.
    private static final Path DOCUMENT = Path.of("../../docs/small-problems.md");

    @TempDir Path folder;

    @Test
    void writesTheTableAndEveryEvaluation() throws IOException {
        CommandResult result =
                toys(
                        "--problems",
                        "sixteen-steps,48-steps",
                        "--optimizers",
                        "lngd,lngd/recipe-empirical,sgd@0.1",
                        "--against",
                        "adam@0.01",
                        "--seeds",
                        "2");

        assertThat(result.err()).doesNotContain("Warning", "WARN");
        assertThat(result.status()).isZero();
        List<String> lines = result.out().lines().toList();
        assertThat(lines.get(0))
                .matches(
                        "problem +adam@0.01 +lngd +best +final +verdict +lngd/recipe-empirical"
                                + " +best +final +verdict +sgd@0.1 +best +final +verdict");
        assertThat(lines.get(1)).startsWith("sixteen-steps ");
        assertThat(lines.get(2)).startsWith("48-steps ");
        assertThat(result.out())
                .contains("lngd: within 10 % of the better of adam@0.01 on ")
                .contains(" of 2 problems")
                .contains("files in " + folder);
        assertThat(Files.readString(folder.resolve("table.md")))
                .contains("| problem | adam@0.01 | lngd | best | final | verdict |")
                .contains("| 48-steps | lngd/recipe-empirical | ");
        Map<String, Object> json =
                Json.readObject(Files.readString(folder.resolve("results.json")));
        assertThat(json).containsEntry("bound", 1.1);
        Map<?, ?> problem = (Map<?, ?>) ((List<?>) json.get("problems")).get(1);
        assertThat(problem.get("name")).isEqualTo("48-steps");
        List<?> optimizers = (List<?>) problem.get("optimizers");
        assertThat(optimizers).hasSize(4);
        Map<?, ?> reference = (Map<?, ?>) optimizers.get(0);
        Map<?, ?> lngd = (Map<?, ?>) optimizers.get(1);
        assertThat(reference.containsKey("verdict")).isFalse();
        assertThat(number(lngd, "bestLoss") / number(reference, "bestLoss"))
                .isEqualTo(number(lngd, "bestRatio"));
        List<?> runs = (List<?>) lngd.get("runs");
        assertThat(runs).hasSize(2);
        List<?> losses = (List<?>) ((Map<?, ?>) runs.get(1)).get("testLosses");
        assertThat(losses).hasSize(6).allMatch(loss -> (Double) loss > 0);
    }

    private static double number(Map<?, ?> map, String name) {
        return (Double) map.get(name);
    }

    @Test
    void theDocumentHasTheListOfTheCommand() throws IOException {
        CommandResult result = toys("--list");

        assertThat(result.status()).isZero();
        assertThat(result.out().lines()).hasSize(Problems.ALL.size() + 1);
        assertThat(Files.readString(DOCUMENT)).contains(result.out());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--problems nothing | --problems nothing: there is no such problem; there are sparse-words,",
                "--problems sine,sine | --problems sine,sine: one is there twice",
                "--optimizers nobody | --optimizers nobody: there is no such optimizer",
                "--optimizers adam@0.01 | one is there twice",
                "--against adam@-1 | --learning-rate -1.0: must be above 0",
                "--preset magic | --preset magic: must be",
                "--seeds 0 | --seeds 0: must be 1 to 1000"
            })
    void refusesBadOptionsBeforeItTrains(String arguments, String message) {
        CommandResult result = toys(arguments.split(" "));

        assertThat(result.status()).isEqualTo(2);
        assertThat(result.err()).startsWith("lngd: ").contains(message);
        assertThat(result.err().lines()).hasSize(1);
        assertThat(folder).isEmptyDirectory();
    }

    private CommandResult toys(String... arguments) {
        String[] all = new String[arguments.length + 3];
        all[0] = "toys";
        System.arraycopy(arguments, 0, all, 1, arguments.length);
        all[all.length - 2] = "--out";
        all[all.length - 1] = folder.toString();
        return CommandResult.of(all);
    }
}
