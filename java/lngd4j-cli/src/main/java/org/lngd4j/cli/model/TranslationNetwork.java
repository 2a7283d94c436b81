// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.model;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.lngd4j.cli.text.SentenceBatch;

/** A network that learns to translate sentences. */
public interface TranslationNetwork extends Network {
    /** Forward and backward pass of a batch; {@link #score} is then its loss for a token. */
    void fit(SentenceBatch batch);

    /**
     * The mean of -log p of the tokens of translations, in nats, without smoothing, in inference
     * mode.
     */
    double loss(List<SentenceBatch> batches);

    /**
     * Translates.
     *
     * @param sentences tokens without ends
     * @param beam hypotheses that are followed, 1: the likeliest token at each position
     * @return tokens without ends, in the order of the sentences
     */
    List<int[]> translate(List<int[]> sentences, int beam);

    /**
     * Takes over the weights of a trained model's file.
     *
     * @throws IOException where it is none, or has other sizes
     */
    void load(Path file) throws IOException;
}
