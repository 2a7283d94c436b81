// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.model.TransformerSpec;
import org.lngd4j.cli.model.TranslationNetwork;
import org.lngd4j.cli.support.Json;
import org.lngd4j.cli.text.Subwords;

/** The trained network of a run that learned sentences, with its subwords. */
public final class TrainedTranslator {
    private final TranslationNetwork net;
    private final Subwords subwords;

    private TrainedTranslator(TranslationNetwork net, Subwords subwords) {
        this.net = net;
        this.subwords = subwords;
    }

    /**
     * Reads a run's files.
     *
     * @param folder of a run that has ended
     * @param engines the engine that settings ask for
     */
    public static TrainedTranslator read(
            Path folder, int threads, Function<TrainSettings, Engine> engines) {
        Path summary = folder.resolve(RunFolder.SUMMARY);
        Path tokens = folder.resolve(RunFolder.SUBWORDS);
        if (!Files.isDirectory(folder)) {
            throw CliException.badInput("--run " + folder + ": no such folder");
        }
        if (!Files.exists(tokens)) {
            throw CliException.badInput(
                    "--run "
                            + folder
                            + ": has no "
                            + RunFolder.SUBWORDS
                            + ", so it is no run that"
                            + " learned sentences");
        }
        if (!Files.exists(summary)) {
            throw CliException.badInput(
                    "--run "
                            + folder
                            + ": the run has not ended; go on with lngd train --resume "
                            + folder);
        }
        try {
            Map<String, Object> told = Json.readObject(Files.readString(summary));
            TrainSettings settings = SettingsMap.read(told.get("options")).withThreads(threads);
            Subwords subwords = Subwords.parse(tokens.toString(), Files.readString(tokens));
            TransformerSpec spec = TransformerSpec.parse(settings.model(), subwords.size());
            Engine engine = engines.apply(settings);
            engine.check(settings);
            TranslationNetwork net = engine.translation(settings, spec);
            net.load(folder.resolve(engine.modelFile()));
            return new TrainedTranslator(net, subwords);
        } catch (IOException | IllegalArgumentException e) {
            throw CliException.badInput(
                    "--run " + folder + ": cannot be read (" + e.getMessage() + ")", e);
        }
    }

    /** Translations; what is blank stays so. */
    public List<String> translate(List<String> sentences, int beam) {
        List<int[]> sources =
                sentences.stream().filter(s -> !s.isBlank()).map(subwords::encode).toList();
        List<int[]> found = sources.isEmpty() ? List.of() : net.translate(sources, beam);
        List<String> translations = new ArrayList<>();
        int next = 0;
        for (String sentence : sentences) {
            translations.add(sentence.isBlank() ? "" : subwords.decode(found.get(next++)));
        }
        return translations;
    }
}
