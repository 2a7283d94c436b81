// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch.transformer;

import org.bytedeco.pytorch.LayerNormImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.cli.model.TransformerSpec;
import org.lngd4j.pytorch.AttentionMask;
import org.lngd4j.pytorch.LngdMultiheadAttention;

/** Attention of a translation to what it has so far, then to the source; a feed-forward layer. */
final class DecoderLayer extends Module {
    private final double dropout;
    private final LayerNormImpl norm;
    private final LngdMultiheadAttention attention;
    private final LayerNormImpl crossNorm;
    private final LngdMultiheadAttention cross;
    private final FeedForward feedForward;

    DecoderLayer(TransformerSpec spec, double dropout) {
        super("decoder");
        this.dropout = dropout;
        norm = register_module("norm", Layers.norm(spec.width()));
        attention =
                register_module("attention", Layers.attention(spec.width(), spec.heads(), dropout));
        crossNorm = register_module("crossnorm", Layers.norm(spec.width()));
        cross = register_module("cross", Layers.attention(spec.width(), spec.heads(), dropout));
        feedForward = register_module("feedforward", new FeedForward(spec, dropout));
    }

    Tensor forward(Tensor x, Tensor rows, Tensor memory, Tensor memoryRows) {
        Tensor y = norm.forward(x);
        Tensor z = dropped(x, attention.forward(y, y, AttentionMask.causal(rows)));
        Tensor attended =
                cross.forward(crossNorm.forward(z), memory, AttentionMask.across(rows, memoryRows));
        return feedForward.forward(dropped(z, attended), rows);
    }

    private Tensor dropped(Tensor x, Tensor change) {
        return x.add(torch.dropout(change, dropout, is_training()));
    }

    /**
     * Keys and values of the source, and of the translation so far. They are held by references of
     * their own, since each position of a translation has a PointerScope.
     */
    static final class State implements AutoCloseable {
        private LngdMultiheadAttention.Memory source;
        private LngdMultiheadAttention.Memory own; // null: nothing yet

        private State(LngdMultiheadAttention.Memory source) {
            this.source = held(null, source);
        }

        /** The same for other translations: those of these numbers. */
        void choose(Tensor rows) {
            source = held(source, chosen(source, rows));
            own = held(own, chosen(own, rows));
        }

        private void append(LngdMultiheadAttention.Memory now) {
            own = held(own, own == null ? now : joined(own, now));
        }

        private static LngdMultiheadAttention.Memory chosen(
                LngdMultiheadAttention.Memory memory, Tensor rows) {
            return new LngdMultiheadAttention.Memory(
                    memory.keys().index_select(0, rows), memory.values().index_select(0, rows));
        }

        private static LngdMultiheadAttention.Memory joined(
                LngdMultiheadAttention.Memory before, LngdMultiheadAttention.Memory now) {
            return new LngdMultiheadAttention.Memory(
                    torch.cat(new TensorVector(before.keys(), now.keys()), 2),
                    torch.cat(new TensorVector(before.values(), now.values()), 2));
        }

        private static LngdMultiheadAttention.Memory held(
                LngdMultiheadAttention.Memory before, LngdMultiheadAttention.Memory now) {
            if (now != null) {
                now.keys().retainReference();
                now.values().retainReference();
            }
            if (before != null) {
                before.keys().releaseReference();
                before.values().releaseReference();
            }
            return now;
        }

        @Override
        public void close() {
            source = held(source, null);
            own = held(own, null);
        }
    }

    State begin(Tensor memory) {
        return new State(cross.memory(memory, null));
    }

    /** One more position: the same as {@link #forward} gives for it, without doing all again. */
    Tensor next(Tensor x, State state, Tensor memoryRows) {
        Tensor y = norm.forward(x);
        state.append(attention.memory(y, null));
        Tensor z = x.add(attention.attend(y, state.own, AttentionMask.NONE));
        Tensor attended =
                cross.attend(
                        crossNorm.forward(z), state.source, AttentionMask.across(null, memoryRows));
        return feedForward.forward(z.add(attended), null);
    }
}
