// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.lngd4j.cli.train.TrainedTranslator;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code lngd translate}. */
@Command(
        name = "translate",
        description =
                "Translates sentences with a network that lngd train has trained on sentences.",
        sortOptions = false,
        mixinStandardHelpOptions = true)
final class TranslateCommand implements Callable<Integer> {
    private static final int MOST_BEAMS = 100;
    private static final int TOGETHER = 1000;

    @Option(
            names = "--run",
            paramLabel = "DIR",
            required = true,
            description = "Folder of the run that trained the network.")
    private String run;

    @Option(
            names = "--beam",
            paramLabel = "N",
            defaultValue = "4",
            description =
                    "Hypotheses that are followed; 1: the likeliest token each time (default: 4).")
    private int beam;

    @Option(
            names = "--threads",
            paramLabel = "N",
            defaultValue = "1",
            description = "Threads (default: 1).")
    private int threads;

    @Parameters(
            paramLabel = "SENTENCE",
            arity = "0..*",
            description = "What to translate; without any, the lines of standard input.")
    private List<String> sentences = new ArrayList<>();

    @Override
    public Integer call() {
        if (beam < 1 || beam > MOST_BEAMS) {
            throw CliException.badInput("--beam " + beam + ": must be 1 to " + MOST_BEAMS);
        }
        if (threads < 1 || threads > 1024) {
            throw CliException.badInput("--threads " + threads + ": must be 1 to 1024");
        }
        TrainedTranslator translator = TrainedTranslator.read(Path.of(run), threads, Engines::of);
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        if (!sentences.isEmpty()) {
            translator.translate(sentences, beam).forEach(out::println);
            return 0;
        }
        try {
            BufferedReader in =
                    new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            List<String> some = new ArrayList<>();
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                some.add(line);
                // A person waits for each line, a pipe is faster with many at once.
                if (some.size() == TOGETHER || !in.ready()) {
                    translator.translate(some, beam).forEach(out::println);
                    some.clear();
                }
            }
            translator.translate(some, beam).forEach(out::println);
            return 0;
        } catch (IOException e) {
            throw CliException.failure("standard input: " + e, e);
        }
    }
}
