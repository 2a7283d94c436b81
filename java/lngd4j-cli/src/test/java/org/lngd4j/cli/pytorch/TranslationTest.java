// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lngd4j.cli.train.CommandResult;
import org.lngd4j.cli.train.HealthCounts;
import org.lngd4j.cli.train.MetricsRow;

/** {@code lngd train} on sentences, and {@code lngd translate}. */
class TranslationTest {
    private static final List<String> WORDS =
            List.of("one", "two", "three", "four", "five", "six", "seven", "eight");
    private static final List<String> TRANSLATED =
            List.of("eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht");

    @TempDir private Path folder;
    private Path data;

    /** A language that has a word for each word, in the same order. */
    @BeforeEach
    void writeSentences() throws IOException {
        data = Files.createDirectory(folder.resolve("data"));
        write("train", 1, 400);
        write("val", 2, 30);
        write("test", 3, 40);
    }

    private void write(String name, long seed, int count) throws IOException {
        Random random = new Random(seed);
        StringBuilder from = new StringBuilder();
        StringBuilder to = new StringBuilder();
        for (int i = 0; i < count; i++) {
            int[] words = random.ints(4 + random.nextInt(3), 0, WORDS.size()).toArray();
            from.append(sentence(WORDS, words)).append('\n');
            to.append(sentence(TRANSLATED, words)).append('\n');
        }
        Files.writeString(data.resolve(name + ".en"), from);
        Files.writeString(data.resolve(name + ".de"), to);
    }

    private static String sentence(List<String> language, int... words) {
        return Arrays.stream(words)
                .mapToObj(language::get)
                .collect(Collectors.joining(" ", "", " ."));
    }

    private CommandResult train(String run, String... more) {
        List<String> arguments =
                new ArrayList<>(
                        List.of(
                                "train",
                                "--data",
                                data.toString(),
                                "--model=transformer:1-32-2-64",
                                "--vocabulary=300",
                                "--dropout=0",
                                "--batch=20",
                                "--out",
                                folder.resolve(run).toString()));
        arguments.addAll(List.of(more));
        return CommandResult.of(arguments.toArray(String[]::new));
    }

    private List<MetricsRow> rows(String run) throws IOException {
        return Files.readAllLines(folder.resolve(run).resolve("metrics.csv")).stream()
                .skip(1)
                .map(MetricsRow::parse)
                .toList();
    }

    @ParameterizedTest
    @CsvSource({"lngd,", "kfac-trust-decay,", "adamw, 0.01", "muon-decay, 0.03", "soap, 0.01"})
    void learnsTheLanguageAndTranslates(String optimizer, String rate) throws IOException {
        List<String> more = new ArrayList<>(List.of("--optimizer", optimizer, "--epochs=12"));
        more.add("--eval-every=6");
        if (rate != null) {
            more.addAll(List.of("--learning-rate", rate));
        }
        CommandResult result = train("run", more.toArray(String[]::new));

        assertThat(result.err()).doesNotContain("Warning").contains("400 sentence pairs");
        assertThat(result.status()).isZero();
        assertThat(result.out()).contains("best BLEU");
        List<MetricsRow> rows = rows("run");
        assertThat(rows.get(1).testBleu()).isGreaterThan(90);
        assertThat(Files.readAllLines(folder.resolve("run/metrics.csv")).get(0))
                .contains(",test_bleu")
                .matches(line -> line.endsWith("_statistics") == (rate == null));
        assertThat(rows.get(1).health()).isEqualTo(rate == null ? new HealthCounts(0, 0, 0) : null);
        assertThat(folder.resolve("run/summary.json")).content().contains("testBleu");

        CommandResult translated =
                CommandResult.of(
                        "translate",
                        "--run",
                        folder.resolve("run").toString(),
                        "two four six eight .",
                        "one one five three .");
        assertThat(translated.err()).isEmpty();
        assertThat(translated.out()).isEqualTo("zwei vier sechs acht .\neins eins fünf drei .\n");
    }

    @Test
    void translatesTheLinesOfStandardInput() {
        train("run", "--epochs=12", "--eval-every=12");
        InputStream before = System.in;
        try {
            System.setIn(
                    new ByteArrayInputStream(
                            "two three four five .\n\nsix seven eight one .\n"
                                    .getBytes(StandardCharsets.UTF_8)));
            CommandResult translated =
                    CommandResult.of(
                            "translate", "--beam=1", "--run", folder.resolve("run").toString());
            assertThat(translated.out())
                    .isEqualTo("zwei drei vier fünf .\n\nsechs sieben acht eins .\n");
        } finally {
            System.setIn(before);
        }
    }

    @Test
    void whatDoesNotFitIsNamed() {
        CommandResult images = train("run", "--augment");
        assertThat(images.status()).isEqualTo(2);
        assertThat(images.err()).contains("--augment is for images, not for sentences");
        refused("--model mlp learns images", "--data=" + data, "--model=mlp");
        refused("--dropout is for --model transformer", "--model=mlp", "--dropout=0.5");
        refused("--dropout 1.0: must be 0 or more, below 1", "--data=" + data, "--dropout=1");
        refused("--model transformer:1-2: expected transformer", "--model=transformer:1-2");
        refused("and the width a multiple of the heads", "--model=transformer:1-6-4-2");
        refused("is not there with --engine dl4j", "--data=" + data, "--engine=dl4j");
        refused("--optimizer lars is not there", "--data=" + data, "--optimizer=lars");
        refused("--batch 401: there are only 400", "--data=" + data, "--batch=401");
        refused("--data multi30k: not found", "--data=multi30k");
        assertThat(folder.resolve("run")).doesNotExist();
    }

    private void refused(String message, String... more) {
        List<String> arguments =
                new ArrayList<>(List.of("train", "--out", folder.resolve("run").toString()));
        arguments.addAll(List.of(more));
        CommandResult result = CommandResult.of(arguments.toArray(String[]::new));
        assertThat(result.status()).isEqualTo(2);
        assertThat(result.err())
                .contains(message)
                .satisfies(text -> assertThat(text.lines()).hasSize(1));
    }

    @Test
    void aFolderWithoutATranslatorIsRefused() throws IOException {
        for (String name : List.of("empty", "stopped")) {
            Files.createDirectory(folder.resolve(name));
        }
        Files.writeString(folder.resolve("stopped/subwords.txt"), "");
        translateRefused("nowhere", "no such folder");
        translateRefused("empty", "has no subwords.txt, so it is no run that learned sentences");
        translateRefused("stopped", "the run has not ended; go on with lngd train --resume");
        CommandResult beam = CommandResult.of("translate", "--run=x", "--beam=0", "a");
        assertThat(beam.err()).contains("--beam 0: must be 1 to 100");
    }

    private void translateRefused(String name, String message) {
        CommandResult result =
                CommandResult.of("translate", "--run", folder.resolve(name).toString(), "a");
        assertThat(result.status()).isEqualTo(2);
        assertThat(result.err())
                .contains(message)
                .satisfies(text -> assertThat(text.lines()).hasSize(1));
    }

    /** Tuned on the validation set; the table tells BLEU. */
    @Test
    void optimizersAreComparedByBleu() {
        CommandResult result =
                CommandResult.of(
                        "compare",
                        "--data=" + data,
                        "--model=transformer:1-16-2-16",
                        "--vocabulary=300",
                        "--batch=50",
                        "--optimizers=lngd,adamw",
                        "--epochs=2",
                        "--tune-runs=1",
                        "--tune-epochs=1",
                        "--seeds=1",
                        "--target=bleu=99",
                        "--out=" + folder.resolve("compared"));
        assertThat(result.status()).isZero();
        assertThat(result.out()).contains("final BLEU").contains("target: test BLEU 99");
        assertThat(folder.resolve("compared/report.html"))
                .content()
                .contains("judged on the loss of the validation set")
                .contains("bleu-seconds.png");
    }
}
