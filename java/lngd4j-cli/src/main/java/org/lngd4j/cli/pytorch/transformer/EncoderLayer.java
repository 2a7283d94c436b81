// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch.transformer;

import org.bytedeco.pytorch.LayerNormImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.cli.model.TransformerSpec;
import org.lngd4j.pytorch.AttentionMask;
import org.lngd4j.pytorch.LngdMultiheadAttention;

/** Attention of a sentence to itself, then a feed-forward layer. */
final class EncoderLayer extends Module {
    private final double dropout;
    private final LayerNormImpl norm;
    private final LngdMultiheadAttention attention;
    private final FeedForward feedForward;

    EncoderLayer(TransformerSpec spec, double dropout) {
        super("encoder");
        this.dropout = dropout;
        norm = register_module("norm", Layers.norm(spec.width()));
        attention =
                register_module("attention", Layers.attention(spec.width(), spec.heads(), dropout));
        feedForward = register_module("feedforward", new FeedForward(spec, dropout));
    }

    Tensor forward(Tensor x, Tensor rows) {
        Tensor y = norm.forward(x);
        Tensor attended = attention.forward(y, y, AttentionMask.within(rows));
        return feedForward.forward(x.add(torch.dropout(attended, dropout, is_training())), rows);
    }
}
