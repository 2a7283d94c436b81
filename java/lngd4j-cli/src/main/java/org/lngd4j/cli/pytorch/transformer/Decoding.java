// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch.transformer;

import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.cli.text.SentenceBatch;

/** Translations in the making: what the decoder's layers know of them. */
final class Decoding implements AutoCloseable {
    private final Transformer model;
    private final List<DecoderLayer.State> states;
    private Tensor rows; // N x S, false where the source is padded
    private long position;

    /** Reads the sources; nothing is translated yet. */
    Decoding(Transformer model, SentenceBatch batch) {
        this.model = model;
        Tensor tokens = Tensor.create(batch.source(), batch.size(), batch.sourceLength());
        rows = Transformer.rows(tokens).retainReference();
        states = model.begin(model.encode(tokens, rows));
    }

    /**
     * Logits of the next token.
     *
     * @param last the last token of each translation, N
     * @return N x vocabulary
     */
    Tensor next(long[] last) {
        return model.next(Tensor.create(last), position++, states, rows);
    }

    /** Goes on with the translations of these numbers. */
    void choose(long[] numbers) {
        Tensor chosen = Tensor.create(numbers);
        states.forEach(state -> state.choose(chosen));
        Tensor before = rows;
        rows = rows.index_select(0, chosen).retainReference();
        before.releaseReference();
    }

    @Override
    public void close() {
        states.forEach(DecoderLayer.State::close);
        rows.releaseReference();
    }
}
