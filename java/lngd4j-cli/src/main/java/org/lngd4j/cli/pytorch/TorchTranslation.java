// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.InputArchive;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.cli.model.TranslationNetwork;
import org.lngd4j.cli.pytorch.transformer.BeamSearch;
import org.lngd4j.cli.pytorch.transformer.Transformer;
import org.lngd4j.cli.text.SentenceBatch;
import org.lngd4j.cli.text.Subwords;

/** A network that learns to translate. */
@SuppressWarnings("try") // scopes that are only opened and closed
final class TorchTranslation extends TorchNetwork implements TranslationNetwork {
    private static final long GOLDEN = 0x9e3779b97f4a7c15L;

    private final Transformer model;
    private final double labelSmoothing;
    private final long seed;
    private long step;

    TorchTranslation(Transformer model, double labelSmoothing, long seed) {
        super(model);
        this.model = model;
        this.labelSmoothing = labelSmoothing;
        this.seed = seed;
    }

    @Override
    public void setIterationCount(int done) {
        step = done;
    }

    /** Forward and backward pass; the method takes the step. */
    @Override
    public void fit(SentenceBatch batch) {
        try (PointerScope scope = new PointerScope()) {
            // Dropout depends on seed and step alone: a resumed run goes on with the same.
            torch.manual_seed(seed * GOLDEN + step++);
            model.train(true);
            Tensor loss = loss(batch, torch.Reduction.Mean, labelSmoothing);
            loss.backward();
            score(loss.item_float());
        }
    }

    /** Cross-entropy of the tokens that are no padding. */
    private Tensor loss(SentenceBatch batch, torch.Reduction reduction, double smoothing) {
        Tensor logits = model.forward(batch);
        Tensor targets = Tensor.create(batch.output());
        return torch.cross_entropy_loss(
                logits.view(-1, logits.size(2)),
                targets,
                new TensorOptional(),
                reduction.value,
                Subwords.PADDING,
                smoothing);
    }

    @Override
    public double loss(List<SentenceBatch> batches) {
        double sum = 0;
        long tokens = 0;
        model.train(false);
        for (SentenceBatch batch : batches) {
            try (PointerScope scope = new PointerScope();
                    NoGradGuard guard = new NoGradGuard()) {
                sum += loss(batch, torch.Reduction.Sum, 0).item_double();
                for (long token : batch.output()) {
                    tokens += token == Subwords.PADDING ? 0 : 1;
                }
            }
        }
        return sum / tokens;
    }

    @Override
    public void load(Path file) throws IOException {
        try (InputArchive archive = new InputArchive()) {
            archive.load_from(file.toString());
            model.load(archive);
        } catch (RuntimeException e) { // the presets' for every exception of C++
            throw new IOException(file + ": " + e.getMessage(), e);
        }
    }

    @Override
    public List<int[]> translate(List<int[]> sentences, int beam) {
        model.train(false);
        return new BeamSearch(model, beam).translate(sentences);
    }
}
