// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd;

/** The learning rate of a layer, alpha_l = &lt;D, G&gt; / (C + mu) (paper 3.2). */
public enum LayerRate {
    /** Alpha_l = 1. */
    NONE(lngd.LNGD_RATE_NONE),

    /** C from the per-sample gradients, eq. 13; a step then needs {@link LayerSamples}. */
    EMPIRICAL(lngd.LNGD_RATE_EMPIRICAL),

    /** C from the factors, eq. 12. */
    KRONECKER(lngd.LNGD_RATE_KRONECKER);

    private final int code;

    LayerRate(int code) {
        this.code = code;
    }

    /**
     * The value of this constant in the C ABI.
     *
     * @return an {@code lngd_*} constant
     */
    public int code() {
        return code;
    }
}
