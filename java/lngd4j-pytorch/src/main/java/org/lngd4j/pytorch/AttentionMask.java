// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * Who attends to what in {@link LngdMultiheadAttention}. Padding of the memory is attended to by
 * nobody; padding on either side stays out of LNGD's statistics.
 *
 * @param queryRows N x T, bool: false where a query is padding; null: nowhere
 * @param memoryRows N x S, bool: false where the memory is padding; null: nowhere. Each sample
 *     needs one position that is none
 * @param causal whether position t attends to the positions up to t only. Each attends to itself
 */
public record AttentionMask(Tensor queryRows, Tensor memoryRows, boolean causal) {
    /** Everybody attends to everything. */
    public static final AttentionMask NONE = new AttentionMask(null, null, false);

    /**
     * Self-attention of padded sequences.
     *
     * @param rows N x T, bool: false where there is padding; null: nowhere
     * @return the mask
     */
    public static AttentionMask within(Tensor rows) {
        return new AttentionMask(rows, rows, false);
    }

    /**
     * The same, where each position attends to itself and those before it.
     *
     * @param rows N x T, bool: false where there is padding; null: nowhere
     * @return the mask
     */
    public static AttentionMask causal(Tensor rows) {
        return new AttentionMask(rows, rows, true);
    }

    /**
     * Attention to another sequence.
     *
     * @param queryRows N x T, bool: false where a query is padding; null: nowhere
     * @param memoryRows N x S, bool: false where the memory is padding; null: nowhere
     * @return the mask
     */
    public static AttentionMask across(Tensor queryRows, Tensor memoryRows) {
        return new AttentionMask(queryRows, memoryRows, false);
    }

    /**
     * True where a query may attend: N x 1 x T x S, with axes of 1 where all are alike; null where
     * every query may attend to all, or to all before it.
     */
    Tensor allowed(long queries, long memory) {
        if (memoryRows == null) {
            return null;
        }
        if (memoryRows.dim() != 2 || memoryRows.size(1) != memory) {
            throw new LngdArgumentException(
                    "memoryRows has "
                            + memoryRows.dim()
                            + " axes, the last of "
                            + memoryRows.size(memoryRows.dim() - 1)
                            + ", allowed is N x "
                            + memory);
        }
        Tensor present = memoryRows.unsqueeze(1).unsqueeze(1);
        if (!causal) {
            return present;
        }
        TensorOptions like = memoryRows.options();
        Tensor before = torch.ones(new long[] {queries, memory}, like).tril();
        // Itself always: the softmax over nothing would be NaN, and spread from the padding.
        return present.logical_and(before).logical_or(torch.eye(queries, memory, like));
    }
}
