// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch.transformer;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.cli.model.TransformerSpec;
import org.lngd4j.pytorch.LngdEmbedding;

/**
 * Tokens as vectors, times the square root of their width, plus what tells the position: sin(t /
 * 10000^(2i/d)) at 2i, cos of the same at 2i + 1.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class Embedded extends Module {
    private static final double LONGEST_WAVE = 10_000;
    private static final int FIRST_LENGTH = 128;

    private final int width;
    private final double dropout;
    private final LngdEmbedding embedding;
    private Tensor positions; // as long as the longest sentence so far, or longer

    Embedded(TransformerSpec spec, double dropout) {
        super("embedded");
        this.width = spec.width();
        this.dropout = dropout;
        embedding =
                register_module("embedding", new LngdEmbedding(spec.vocabulary(), spec.width()));
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            // 1 after the factor, as the waves are.
            embedding.weight().normal_(0, 1 / Math.sqrt(spec.width()), null);
            positions = waves(FIRST_LENGTH);
        }
    }

    /**
     * Vectors of tokens.
     *
     * @param tokens N x T
     * @param rows N x T, false where there is padding; null: nowhere
     * @param first position of the first token
     * @return N x T x d
     */
    Tensor forward(Tensor tokens, Tensor rows, long first) {
        long length = tokens.size(1);
        if (first + length > positions.size(0)) {
            Tensor shorter = positions;
            positions = waves(Math.toIntExact(2 * (first + length)));
            shorter.releaseReference();
        }
        Tensor x = embedding.forward(tokens, rows).mul(new Scalar(Math.sqrt(width)));
        return torch.dropout(x.add(positions.narrow(0, first, length)), dropout, is_training());
    }

    private Tensor waves(int length) {
        float[] values = new float[length * width];
        for (int t = 0; t < length; t++) {
            for (int i = 0; i < width; i += 2) {
                double angle = t / Math.pow(LONGEST_WAVE, (double) i / width);
                values[t * width + i] = (float) Math.sin(angle);
                values[t * width + i + 1] = (float) Math.cos(angle);
            }
        }
        Tensor made = Tensor.create(values, length, width);
        made.retainReference(); // it outlives the caller's PointerScope
        return made;
    }
}
