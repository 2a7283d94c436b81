// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch.transformer;

import org.bytedeco.pytorch.LayerNormImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.Activation;
import org.lngd4j.cli.model.TransformerSpec;
import org.lngd4j.pytorch.LngdLinear;

/** x + dropout(W_2 relu(W_1 norm(x))), at each position alone. */
final class FeedForward extends Module {
    private final double dropout;
    private final LayerNormImpl norm;
    private final LngdLinear first;
    private final LngdLinear second;

    FeedForward(TransformerSpec spec, double dropout) {
        super("feedforward");
        this.dropout = dropout;
        norm = register_module("norm", Layers.norm(spec.width()));
        first = register_module("first", Layers.linear(spec.width(), spec.feedForward()));
        second = register_module("second", Layers.linear(spec.feedForward(), spec.width()));
        first.activation(Activation.RELU);
    }

    Tensor forward(Tensor x, Tensor rows) {
        Tensor hidden = torch.relu(first.forward(norm.forward(x), rows));
        Tensor dropped = torch.dropout(hidden, dropout, is_training());
        return x.add(torch.dropout(second.forward(dropped, rows), dropout, is_training()));
    }
}
