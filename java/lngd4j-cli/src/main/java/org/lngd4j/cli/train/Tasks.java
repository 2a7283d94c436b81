// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.util.function.Consumer;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.data.DataCatalog;
import org.lngd4j.cli.data.Dataset;
import org.lngd4j.cli.model.ImageModelSpec;
import org.lngd4j.cli.model.ModelCatalog;
import org.lngd4j.cli.model.ModelSpec;
import org.lngd4j.cli.model.TransformerSpec;
import org.lngd4j.cli.text.ParallelCorpus;

/** The tasks that {@code --data} and {@code --model} can name. */
public final class Tasks {
    private Tasks() {}

    /**
     * A task before any network is made.
     *
     * @param spec the network's sizes
     * @param data for people
     * @param samples of the training set
     * @param quality what is measured beside the loss
     */
    public record Outline(ModelSpec spec, String data, int samples, Quality quality) {}

    /**
     * Opens the task of a run.
     *
     * @param notice is told, in one line each, of what takes time
     */
    static Task open(TrainSettings settings, Engine engine, Consumer<String> notice) {
        return isTranslation(settings)
                ? TranslationTask.open(settings, engine)
                : ImageTask.open(settings, engine, notice);
    }

    /** What a task is, without its network. */
    public static Outline outline(TrainSettings settings, Consumer<String> notice) {
        if (isTranslation(settings)) {
            ParallelCorpus corpus = TranslationTask.corpus(settings);
            int vocabulary = TranslationTask.subwords(corpus, settings.text()).size();
            return new Outline(
                    TransformerSpec.parse(settings.model(), vocabulary),
                    corpus + " from " + corpus.source(),
                    corpus.training().size(),
                    Quality.BLEU);
        }
        Dataset data = DataCatalog.read(settings.data(), notice);
        if (settings.trainSamples() != null) {
            data = data.withTraining("--train-samples", settings.trainSamples());
        }
        ImageModelSpec spec = ModelCatalog.parse(settings.model(), data);
        return new Outline(
                spec,
                data.training() + " from " + data.source(),
                data.training().count(),
                spec.reconstructs() ? Quality.NONE : Quality.ACCURACY);
    }

    private static boolean isTranslation(TrainSettings settings) {
        boolean sentences = ParallelCorpus.isNamed(settings.data());
        if (sentences && !TransformerSpec.isName(settings.model())) {
            throw CliException.badInput(
                    "--model "
                            + settings.model()
                            + " learns images, --data "
                            + settings.data()
                            + " are sentences; they are learned by transformer");
        }
        return sentences;
    }
}
