// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd;

/**
 * What a range of {@link SumBuffers} holds, over samples n and output positions t: a the augmented
 * inputs of a row, c their squared norm, g its gradients (q their squares, r the sum of q). The
 * counts, and what is said to be double, lie in the buffer of doubles, the others in that of
 * floats.
 */
public enum Sum {
    /** Two doubles: samples, and 1 where NaN, Inf or an overflow was met, else 0. */
    COUNTS(lngd.LNGD_SUM_COUNTS),
    /** Of r a a^T (KFAC and EKFAC: a a^T), in lower triangles of blocks; not of an embedding. */
    PHI(lngd.LNGD_SUM_PHI),
    /** Doubles: of an embedding, the diagonal of Phi. */
    PHI_DIAGONAL(lngd.LNGD_SUM_PHI_DIAGONAL),
    /** Doubles: of c q, one for each output; not where the second factor is a matrix. */
    PSI(lngd.LNGD_SUM_PSI),
    /**
     * Where the second factor is a matrix: of g g^T (TKFAC: c g g^T), in lower triangles of blocks.
     */
    SECOND(lngd.LNGD_SUM_SECOND),
    /** Doubles: of c r, one for each group. */
    DENOMINATOR(lngd.LNGD_SUM_DENOMINATOR),
    /**
     * Doubles: where the second factor is a matrix, of c of each group, of r of each group, and the
     * number of rows.
     */
    TOTALS(lngd.LNGD_SUM_TOTALS),
    /** EKFAC: of the squares in the basis in use. */
    SCALES(lngd.LNGD_SUM_SCALES);

    private final int code;

    Sum(int code) {
        this.code = code;
    }

    int code() {
        return code;
    }
}
