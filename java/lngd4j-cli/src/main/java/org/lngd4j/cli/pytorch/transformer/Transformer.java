// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch.transformer;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.LayerNormImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.OutputModel;
import org.lngd4j.cli.model.TransformerSpec;
import org.lngd4j.cli.text.SentenceBatch;
import org.lngd4j.cli.text.Subwords;
import org.lngd4j.pytorch.LngdLinear;

/** See {@link TransformerSpec}. Padding stays out of LNGD's statistics. */
public final class Transformer extends Module {
    private final Embedded source;
    private final Embedded target;
    private final List<EncoderLayer> encoder = new ArrayList<>();
    private final List<DecoderLayer> decoder = new ArrayList<>();
    private final LayerNormImpl encoded;
    private final LayerNormImpl decoded;
    private final LngdLinear output;

    /**
     * A network with fresh weights from PyTorch's generator.
     *
     * @param spec sizes
     * @param dropout 0 to below 1, in training mode
     */
    public Transformer(TransformerSpec spec, double dropout) {
        super("transformer");
        source = register_module("source", new Embedded(spec, dropout));
        target = register_module("target", new Embedded(spec, dropout));
        for (int i = 1; i <= spec.layers(); i++) {
            encoder.add(register_module("encoder" + i, new EncoderLayer(spec, dropout)));
        }
        encoded = register_module("encoded", Layers.norm(spec.width()));
        for (int i = 1; i <= spec.layers(); i++) {
            decoder.add(register_module("decoder" + i, new DecoderLayer(spec, dropout)));
        }
        decoded = register_module("decoded", Layers.norm(spec.width()));
        output = register_module("output", Layers.linear(spec.width(), spec.vocabulary()));
        output.output(OutputModel.SOFTMAX);
    }

    /**
     * Logits of what follows each position of the translations.
     *
     * @return N x T x vocabulary
     */
    public Tensor forward(SentenceBatch batch) {
        Tensor from = Tensor.create(batch.source(), batch.size(), batch.sourceLength());
        Tensor to = Tensor.create(batch.input(), batch.size(), batch.targetLength());
        Tensor fromRows = rows(from);
        Tensor toRows = rows(to);
        Tensor memory = encode(from, fromRows);
        Tensor x = target.forward(to, toRows, 0);
        for (DecoderLayer layer : decoder) {
            x = layer.forward(x, toRows, memory, fromRows);
        }
        return output.forward(decoded.forward(x), toRows);
    }

    /** True where there is no padding. */
    static Tensor rows(Tensor tokens) {
        return tokens.ne(new Scalar((long) Subwords.PADDING));
    }

    /** What the decoder attends to, N x S x d. */
    Tensor encode(Tensor tokens, Tensor rows) {
        Tensor x = source.forward(tokens, rows, 0);
        for (EncoderLayer layer : encoder) {
            x = layer.forward(x, rows);
        }
        return encoded.forward(x);
    }

    /** A decoder that has begun nothing yet, for each layer. */
    List<DecoderLayer.State> begin(Tensor memory) {
        return decoder.stream().map(layer -> layer.begin(memory)).toList();
    }

    /**
     * Logits of the next token.
     *
     * @param tokens the last token of each translation, N
     * @param position where it is, from 0
     * @param states of the layers, which go on by one position
     * @param sourceRows N x S
     * @return N x vocabulary
     */
    Tensor next(Tensor tokens, long position, List<DecoderLayer.State> states, Tensor sourceRows) {
        Tensor x = target.forward(tokens.unsqueeze(1), null, position);
        for (int i = 0; i < decoder.size(); i++) {
            x = decoder.get(i).next(x, states.get(i), sourceRows);
        }
        return output.forward(decoded.forward(x)).squeeze(1);
    }
}
