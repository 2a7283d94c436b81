// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.util.List;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.Activation;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * Multi-head attention (A. Vaswani et al., "Attention is all you need", 2017, section 3.2.2) out of
 * four {@link LngdLinear}, so that LNGD trains its weights:
 *
 * <pre>
 * head_i = softmax((x W_q)_i (m W_k)_i^T / sqrt(d / h)) (m W_v)_i,   y = [head_1 ... head_h] W_o
 * </pre>
 *
 * <p>PyTorch's own {@code MultiheadAttentionImpl} holds the first three as one matrix and computes
 * in C++, where LNGD sees nothing of it. The weights in between are dropped out in training mode
 * with the probability given. The attention itself is {@code scaled_dot_product_attention}.
 *
 * <p>Not thread-safe, as all modules.
 */
public final class LngdMultiheadAttention extends Module {
    private final long width;
    private final long heads;
    private final double dropout;
    private final LngdLinear query;
    private final LngdLinear key;
    private final LngdLinear value;
    private final LngdLinear output;

    /**
     * Keys and values of a memory, ready to be attended to.
     *
     * @param keys N x h x S x d/h
     * @param values N x h x S x d/h
     */
    public record Memory(Tensor keys, Tensor values) {}

    /**
     * Attention without dropout.
     *
     * @param width d of queries, memory and result, a multiple of {@code heads}
     * @param heads h, at least 1
     */
    public LngdMultiheadAttention(long width, long heads) {
        this(width, heads, 0);
    }

    /**
     * Attention with biases, initialised as PyTorch's linear layers.
     *
     * @param width d of queries, memory and result, a multiple of {@code heads}
     * @param heads h, at least 1
     * @param dropout of the attention weights, 0 to below 1
     */
    public LngdMultiheadAttention(long width, long heads, double dropout) {
        super("attention");
        if (heads < 1 || width < 1 || width % heads != 0) {
            throw new LngdArgumentException(
                    "width is "
                            + width
                            + " and heads is "
                            + heads
                            + ", allowed are a width that is a multiple of the heads, both at least 1");
        }
        if (!(dropout >= 0 && dropout < 1)) {
            throw new LngdArgumentException(
                    "dropout is " + dropout + ", allowed is 0 or more, below 1");
        }
        this.width = width;
        this.heads = heads;
        this.dropout = dropout;
        query = register_module("query", linear(width));
        key = register_module("key", linear(width));
        value = register_module("value", linear(width));
        output = register_module("output", linear(width));
    }

    /** Nothing is applied to what these layers give. */
    private static LngdLinear linear(long width) {
        return new LngdLinear(width, width).activation(Activation.IDENTITY);
    }

    /**
     * The four layers: for other initial weights, or options of their own.
     *
     * @return query, key, value, output
     */
    public List<LngdLinear> layers() {
        return List.of(query, key, value, output);
    }

    /**
     * Self-attention.
     *
     * @param x N x T x d
     * @return N x T x d
     */
    public Tensor forward(Tensor x) {
        return forward(x, x, AttentionMask.NONE);
    }

    /**
     * Attention to a memory.
     *
     * @param x the queries, N x T x d
     * @param memory N x S x d; {@code x} itself for self-attention
     * @param mask who attends to what
     * @return N x T x d
     * @throws LngdArgumentException if a mask is of another type or shape
     */
    public Tensor forward(Tensor x, Tensor memory, AttentionMask mask) {
        return attend(x, memory(memory, mask.memoryRows()), mask);
    }

    /**
     * Keys and values of a memory, for decoding one token after another: the memory is the same at
     * each of them.
     *
     * @param memory N x S x d
     * @param rows N x S, bool: false where there is padding; null: nowhere
     * @return keys and values
     */
    public Memory memory(Tensor memory, Tensor rows) {
        return new Memory(split(key.forward(memory, rows)), split(value.forward(memory, rows)));
    }

    /**
     * Attention to what {@link #memory} gave.
     *
     * @param x the queries, N x T x d
     * @param memory of S positions
     * @param mask who attends to what
     * @return N x T x d
     */
    public Tensor attend(Tensor x, Memory memory, AttentionMask mask) {
        Tensor q = split(query.forward(x, mask.queryRows()));
        Tensor allowed = mask.allowed(q.size(2), memory.keys().size(2));
        Tensor y =
                torch.scaled_dot_product_attention(
                        q,
                        memory.keys(),
                        memory.values(),
                        allowed == null ? new TensorOptional() : new TensorOptional(allowed),
                        is_training() ? dropout : 0,
                        mask.causal() && allowed == null,
                        new DoubleOptional(),
                        false);
        return output.forward(y.transpose(1, 2).reshape(x.size(0), -1, width), mask.queryRows());
    }

    /** N x T x d to N x h x T x d/h. */
    private Tensor split(Tensor x) {
        return x.view(x.size(0), -1, heads, width / heads).transpose(1, 2);
    }
}
