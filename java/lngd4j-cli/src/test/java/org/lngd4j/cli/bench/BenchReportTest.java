// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.train.CommandResult;

/** {@code lngd bench --from}, from the command to the files. */
class BenchReportTest {
    @TempDir Path folder;

    private Path from;

    @BeforeEach
    void results() throws IOException {
        from = Files.writeString(folder.resolve("results.json"), Sample.json());
    }

    @Test
    void withoutAFileTheTableIsPrinted() throws IOException {
        CommandResult result = CommandResult.of("bench", "--from", from.toString());
        assertThat(result.status()).isZero();
        assertThat(result.err()).isEmpty();
        assertThat(result.out()).isEqualTo(BenchTable.markdown(BenchResults.parse(Sample.json())));
        assertThat(files()).containsExactly("results.json");
    }

    @Test
    void tableAndPlotAreFilesAndReplaceOldOnes() throws IOException {
        Path table = Files.writeString(folder.resolve("t.md"), "old");
        Path plot = folder.resolve("p.png");
        CommandResult result = from("--table", table.toString(), "--plot", plot.toString());
        assertThat(result.status()).isZero();
        assertThat(result.out()).isEmpty();
        assertThat(result.err().lines())
                .containsExactly("lngd: table in " + table, "lngd: plot in " + plot);
        assertThat(table).hasContent(BenchTable.markdown(BenchResults.parse(Sample.json())));
        assertThat(ImageIO.read(plot.toFile()).getWidth()).isEqualTo(960);
        // No drafts.
        assertThat(files()).containsExactly("p.png", "results.json", "t.md");
    }

    @Test
    void aLinkStaysALink() throws IOException {
        Path target = Files.writeString(folder.resolve("t.md"), "old");
        Path link = Files.createSymbolicLink(folder.resolve("link.md"), target.getFileName());
        assertThat(from("--table", link.toString()).status()).isZero();
        assertThat(link).isSymbolicLink();
        assertThat(target).content().contains("## All rows");
    }

    @Test
    void anInterruptedRunIsToldAsPartial() throws IOException {
        Files.writeString(from, Sample.json("\"complete\":true", "\"complete\":false"));
        CommandResult result = from();
        assertThat(result.status()).isZero();
        assertThat(result.err())
                .isEqualTo("lngd: " + from + " is partial: the run was not finished\n");
        assertThat(result.out()).contains("**Partial**");
    }

    @Test
    void aFileThatCannotBeReadIsNamed() throws IOException {
        Path none = folder.resolve("none.json");
        refused("--from " + none + ": there is no such file", "--from", none.toString());
        refused("--from " + folder, "--from", folder.toString());
        Files.write(from, new byte[] {'{', (byte) 0xff, '}'});
        refused("is not text in UTF-8", "--from", from.toString());
        for (String text :
                List.of("", "null", "[]", "{", "{}", "kernel us", "{\"complete\":true}")) {
            Files.writeString(from, text);
            refused(
                    "not what lngd bench --json writes",
                    "--from",
                    from.toString(),
                    "--table",
                    folder.resolve("t.md").toString());
        }
        // Cut off in the middle, as by a full disk.
        Files.writeString(from, Sample.json().substring(0, 3000));
        refused("not what lngd bench --json writes", "--from", from.toString());
    }

    @Test
    void optionsThatDoNotGoTogether() throws IOException {
        refused("--table t.md: allowed only with --from", "--table", "t.md");
        refused("--plot p.png: allowed only with --from", "--plot", "p.png");
        for (String[] more :
                List.of(
                        new String[] {"--quick"},
                        new String[] {"--json", "x.json"},
                        new String[] {"--kernel", "x"},
                        new String[] {"--set", "x"},
                        new String[] {"--threads", "1"},
                        new String[] {"--device", "cuda"})) {
            refused("only --table and --plot are allowed", with(more));
        }
    }

    @Test
    void filesThatCannotBeWrittenOrAreTheSame() throws IOException {
        String table = folder.resolve("t.md").toString();
        refused("--table " + folder, with("--table", folder.toString()));
        refused("--plot /dev/null", with("--table", table, "--plot", "/dev/null"));
        String lost = folder.resolve("no/p.png").toString();
        refused("--plot " + lost + ": its folder", with("--table", table, "--plot", lost));
        refused("is the file that --from reads", with("--table", from.toString()));
        String around = folder.resolve("../" + folder.getFileName() + "/results.json").toString();
        refused("is the file that --from reads", with("--plot", around));
        refused("is the file that --table writes", with("--table", table, "--plot", table));
        assertThat(from).hasContent(Sample.json());
        // Nothing to draw: the table is not written either.
        Files.writeString(from, BenchTableTest.oneRow());
        String plot = folder.resolve("p.png").toString();
        refused("no row has a peer", with("--table", table, "--plot", plot));
    }

    private CommandResult from(String... more) {
        List<String> arguments = new ArrayList<>(List.of("bench", "--from", from.toString()));
        arguments.addAll(Arrays.asList(more));
        return CommandResult.of(arguments.toArray(String[]::new));
    }

    private String[] with(String... more) {
        return Stream.concat(Stream.of("--from", from.toString()), Stream.of(more))
                .toArray(String[]::new);
    }

    /** One line, status 2, and no file more. */
    private void refused(String message, String... options) throws IOException {
        CommandResult result =
                CommandResult.of(
                        Stream.concat(Stream.of("bench"), Stream.of(options))
                                .toArray(String[]::new));
        assertThat(result.status()).isEqualTo(CliException.BAD_INPUT);
        assertThat(result.err()).contains(message);
        assertThat(result.err().lines()).hasSize(1);
        assertThat(result.out()).isEmpty();
        assertThat(files()).containsExactly("results.json");
    }

    private List<String> files() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }
}
