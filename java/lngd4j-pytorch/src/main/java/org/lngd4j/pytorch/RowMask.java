// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.util.Arrays;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.nativelib.LngdArgumentException;

/** Which positions of a batch of sequences count: the others are padding. */
final class RowMask {
    private RowMask() {}

    /**
     * Refuses what is no mask of a layer's result.
     *
     * @param rows null: no mask
     */
    static void check(Tensor rows, Tensor result) {
        if (rows == null) {
            return;
        }
        torch.ScalarType type = rows.scalar_type().intern();
        if (type != torch.ScalarType.Bool) {
            throw new LngdArgumentException("rows has the type " + type + ", allowed is Bool");
        }
        long[] allowed = Arrays.copyOf(shape(result), (int) result.dim() - 1);
        if (!Arrays.equals(shape(rows), allowed)) {
            throw new LngdArgumentException(
                    "rows is "
                            + Arrays.toString(shape(rows))
                            + ", allowed is "
                            + Arrays.toString(allowed)
                            + ", a truth value for each position");
        }
    }

    private static long[] shape(Tensor t) {
        long[] shape = new long[(int) t.dim()];
        for (int i = 0; i < shape.length; i++) {
            shape[i] = t.size(i);
        }
        return shape;
    }

    /** The numbers of the rows that count, among those of the first {@code samples}. */
    static Tensor indices(Tensor rows, long samples) {
        return rows.narrow(0, 0, samples).reshape(-1).nonzero().squeeze(1);
    }

    /** How many rows count. */
    static long count(Tensor rows) {
        return rows.sum().item_long();
    }
}
