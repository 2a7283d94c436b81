// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.model.TransformerSpec;
import org.lngd4j.cli.model.TranslationNetwork;
import org.lngd4j.cli.support.AtomicFile;
import org.lngd4j.cli.text.Bleu;
import org.lngd4j.cli.text.ParallelCorpus;
import org.lngd4j.cli.text.SentenceBatch;
import org.lngd4j.cli.text.SentenceBatches;
import org.lngd4j.cli.text.Subwords;

/** Sentences and their translations. */
final class TranslationTask implements Task {
    // A batch is a few kilobytes of numbers: made in no time, so no thread makes them ahead.
    private static final int EVALUATED_TOGETHER = 100;

    private final ParallelCorpus corpus;
    private final Subwords subwords;
    private final TransformerSpec spec;
    private final TranslationNetwork net;
    private final SentenceBatches batches;
    private final List<SentenceBatch> measured;
    private long step;
    private SentenceBatch batch;

    private TranslationTask(
            TrainSettings settings,
            ParallelCorpus corpus,
            Subwords subwords,
            TransformerSpec spec,
            TranslationNetwork net) {
        this.corpus = corpus;
        this.subwords = subwords;
        this.spec = spec;
        this.net = net;
        batches = new SentenceBatches(tokens(corpus.training()), settings.batch(), settings.seed());
        // By length, as the training's batches are: 100 in the order of the file are half padding.
        SentenceBatches test =
                new SentenceBatches(
                        tokens(corpus.test()),
                        Math.min(EVALUATED_TOGETHER, corpus.test().size()),
                        0);
        measured = new ArrayList<>();
        for (int i = 0; i < test.count(); i++) {
            measured.add(test.get(0, i));
        }
    }

    /** Reads the data, learns their subwords, and makes the network. */
    static TranslationTask open(TrainSettings settings, Engine engine) {
        ParallelCorpus corpus = corpus(settings);
        if (settings.batch() > corpus.training().size()) {
            throw CliException.badInput(
                    "--batch "
                            + settings.batch()
                            + ": there are only "
                            + corpus.training().size()
                            + " training sentences");
        }
        if (settings.augment() != null) {
            throw CliException.badInput("--augment is for images, not for sentences");
        }
        Subwords subwords = subwords(corpus, settings.text());
        TransformerSpec spec = TransformerSpec.parse(settings.model(), subwords.size());
        return new TranslationTask(
                settings, corpus, subwords, spec, engine.translation(settings, spec));
    }

    /** The sentences of a run. */
    static ParallelCorpus corpus(TrainSettings settings) {
        ParallelCorpus corpus = ParallelCorpus.locate(settings.data());
        if (settings.trainSamples() != null) {
            corpus = corpus.withTraining("--train-samples", settings.trainSamples());
        }
        return settings.validation() == null
                ? corpus
                : corpus.measuredOnValidation(settings.validation());
    }

    /** The subwords of both languages together: many words are the same. */
    static Subwords subwords(ParallelCorpus corpus, TextSettings settings) {
        List<String> sentences =
                corpus.training().stream()
                        .flatMap(pair -> Stream.of(pair.source(), pair.target()))
                        .toList();
        return Subwords.learn(sentences, settings.vocabularyOrDefault());
    }

    private List<SentenceBatch.Tokens> tokens(List<ParallelCorpus.Pair> pairs) {
        return pairs.stream()
                .map(
                        pair ->
                                new SentenceBatch.Tokens(
                                        subwords.encode(pair.source()),
                                        subwords.encode(pair.target())))
                .toList();
    }

    @Override
    public TransformerSpec spec() {
        return spec;
    }

    @Override
    public TranslationNetwork network() {
        return net;
    }

    @Override
    public String data() {
        return corpus + " from " + corpus.source();
    }

    @Override
    public int stepsPerEpoch() {
        return batches.count();
    }

    /** Tokens that are predicted. */
    @Override
    public int rowsPerStep() {
        return (int) Math.max(1, batches.targetTokens() / batches.count());
    }

    @Override
    public void start(long first) {
        step = first;
    }

    @Override
    public void load() {
        int perEpoch = batches.count();
        batch = batches.get((int) (step / perEpoch), (int) (step % perEpoch));
        step++;
    }

    @Override
    public void fit() {
        net.fit(batch);
    }

    /** Translations are greedy: a beam is a matter of use, and takes its multiple of the time. */
    @Override
    public Measurement measure() {
        double loss = net.loss(measured);
        List<int[]> sources =
                corpus.test().stream().map(pair -> subwords.encode(pair.source())).toList();
        List<String> translations =
                net.translate(sources, 1).stream().map(subwords::decode).toList();
        List<String> references = corpus.test().stream().map(ParallelCorpus.Pair::target).toList();
        return Measurement.ofTranslations(loss, Bleu.of(translations, references));
    }

    @Override
    public void writeFiles(RunFolder folder) throws IOException {
        Path file = folder.file(RunFolder.SUBWORDS);
        AtomicFile.write(file, subwords.write());
    }

    @Override
    public void close() {
        // Nothing is open.
    }
}
