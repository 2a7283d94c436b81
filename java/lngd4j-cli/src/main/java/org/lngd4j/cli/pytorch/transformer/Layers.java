// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch.transformer;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.LayerNormImpl;
import org.bytedeco.pytorch.LongVector;
import org.bytedeco.pytorch.NoGradGuard;
import org.lngd4j.Activation;
import org.lngd4j.pytorch.LngdLinear;
import org.lngd4j.pytorch.LngdMultiheadAttention;

/** The layers that a Transformer is made of, with the initial weights of its authors. */
@SuppressWarnings("try") // scopes that are only opened and closed
final class Layers {
    private Layers() {}

    /** Xavier's normal distribution: variance 2 / (fan in + fan out); bias 0. */
    static LngdLinear linear(long inputs, long outputs) {
        return initialised(new LngdLinear(inputs, outputs).activation(Activation.IDENTITY));
    }

    static LngdMultiheadAttention attention(long width, long heads, double dropout) {
        LngdMultiheadAttention attention = new LngdMultiheadAttention(width, heads, dropout);
        attention.layers().forEach(Layers::initialised);
        return attention;
    }

    static LayerNormImpl norm(long width) {
        return new LayerNormImpl(new LongVector(new long[] {width}));
    }

    private static LngdLinear initialised(LngdLinear layer) {
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            double fans = layer.weight().size(0) + layer.weight().size(1);
            layer.weight().normal_(0, Math.sqrt(2 / fans), null);
            layer.bias().zero_();
        }
        return layer;
    }
}
