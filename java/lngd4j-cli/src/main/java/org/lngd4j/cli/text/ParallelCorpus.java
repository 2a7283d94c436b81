// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.text;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPInputStream;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.data.CacheFolder;

/**
 * Sentences and their translations, in the files of Multi30k: a sentence a line, {@code
 * train.en[.gz]} and {@code train.de[.gz]}, the same for {@code val}, and {@code test} or {@code
 * test_2016_flickr}.
 *
 * @param source where they come from, for messages
 * @param training what the network learns from
 * @param validation what settings are chosen by
 * @param test what it is measured on
 */
public record ParallelCorpus(
        String source, List<Pair> training, List<Pair> validation, List<Pair> test) {
    /** The name of the data set for {@code --data}: a folder of this name. */
    public static final String NAME = "multi30k";

    private static final String WANTED =
            "train.en and train.de (plain or .gz, a sentence a line; val.* and test_2016_flickr.* or"
                    + " test.* beside them), as the Multi30k data set has them:"
                    + " github.com/multi30k/dataset, task 1";
    private static final String FROM = "en";
    private static final String TO = "de";
    private static final List<String> TESTS = List.of("test_2016_flickr", "test");

    /**
     * A sentence and its translation.
     *
     * @param source in English
     * @param target in German
     */
    public record Pair(String source, String target) {}

    /** Whether a folder has the files. */
    public static boolean isIn(Path folder) {
        return Files.isRegularFile(find(folder, "train", FROM))
                && Files.isRegularFile(find(folder, "train", TO));
    }

    /**
     * Whether {@code --data} means sentences.
     *
     * @param data a name, a folder, or null
     */
    public static boolean isNamed(String data) {
        return data != null && (data.equals(NAME) || isIn(Path.of(data)));
    }

    /**
     * Finds and reads sentences.
     *
     * @param data a folder, or {@link #NAME}: the folder of that name, here or in the user's cache
     */
    public static ParallelCorpus locate(String data) {
        if (!data.equals(NAME) || isIn(Path.of(NAME))) {
            return read(Path.of(data));
        }
        Path cache = CacheFolder.of(System.getenv(), NAME);
        if (!isIn(cache)) {
            throw CliException.badInput(
                    "--data "
                            + NAME
                            + ": not found here, nor in "
                            + cache
                            + "; name a folder with "
                            + WANTED);
        }
        return read(cache);
    }

    /** Reads the files of a folder. */
    public static ParallelCorpus read(Path folder) {
        if (!isIn(folder)) {
            throw CliException.badInput("--data " + folder + ": no folder with " + WANTED);
        }
        String test =
                TESTS.stream()
                        .filter(name -> Files.isRegularFile(find(folder, name, FROM)))
                        .findFirst()
                        .orElse(TESTS.get(0));
        return new ParallelCorpus(
                folder.toString(),
                pairs(folder, "train"),
                pairs(folder, "val"),
                pairs(folder, test));
    }

    private static Path find(Path folder, String name, String language) {
        Path plain = folder.resolve(name + "." + language);
        return Files.isRegularFile(plain) ? plain : folder.resolve(plain.getFileName() + ".gz");
    }

    private static List<Pair> pairs(Path folder, String name) {
        Path from = find(folder, name, FROM);
        Path to = find(folder, name, TO);
        List<String> sources = lines(from);
        List<String> targets = lines(to);
        if (sources.size() != targets.size()) {
            throw CliException.badInput(
                    from
                            + " has "
                            + sources.size()
                            + " lines, but "
                            + to
                            + " has "
                            + targets.size()
                            + ": line by line they must be translations");
        }
        List<Pair> pairs = new ArrayList<>();
        for (int i = 0; i < sources.size(); i++) {
            if (sources.get(i).isBlank() || targets.get(i).isBlank()) {
                Path blank = sources.get(i).isBlank() ? from : to;
                throw CliException.badInput(blank + ": line " + (i + 1) + " is blank");
            }
            pairs.add(new Pair(sources.get(i), targets.get(i)));
        }
        if (pairs.isEmpty()) {
            throw CliException.badInput(from + ": has no lines");
        }
        return pairs;
    }

    private static List<String> lines(Path file) {
        if (!Files.isRegularFile(file)) {
            throw CliException.badInput(file + ": no such file, plain or .gz");
        }
        try (InputStream raw = Files.newInputStream(file);
                InputStream plain =
                        file.toString().endsWith(".gz") ? new GZIPInputStream(raw) : raw;
                // A decoder that refuses what is not UTF-8, which a charset's name would replace.
                BufferedReader reader =
                        new BufferedReader(
                                new InputStreamReader(
                                        plain, StandardCharsets.UTF_8.newDecoder()))) {
            return reader.lines().map(String::strip).toList();
        } catch (IOException e) {
            throw unreadable(file, e);
        } catch (UncheckedIOException e) { // from the stream of lines
            throw unreadable(file, e.getCause());
        }
    }

    private static CliException unreadable(Path file, IOException e) {
        return CliException.badInput(
                e instanceof CharacterCodingException
                        ? file + ": not UTF-8"
                        : file + ": cannot be read (" + e.getMessage() + ")",
                e);
    }

    /** The same with the first {@code count} training pairs only. */
    public ParallelCorpus withTraining(String option, int count) {
        if (count > training.size()) {
            throw CliException.badInput(
                    option
                            + " "
                            + count
                            + ": there are only "
                            + training.size()
                            + " training sentences");
        }
        return new ParallelCorpus(source, training.subList(0, count), validation, test);
    }

    /**
     * Measures on the first {@code count} pairs of the validation set, or all where there are
     * fewer, and not on the test set: what settings are chosen by must not be what they are then
     * judged by. No training pair is held out, since these data have a validation set.
     */
    public ParallelCorpus measuredOnValidation(int count) {
        return new ParallelCorpus(
                source,
                training,
                validation,
                validation.subList(0, Math.min(count, validation.size())));
    }

    @Override
    public String toString() {
        return training.size() + " sentence pairs";
    }
}
