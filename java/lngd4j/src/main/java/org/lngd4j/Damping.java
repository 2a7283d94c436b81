// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd;

/** How the factors are damped before they are inverted (paper 3.3). */
public enum Damping {
    /** Lambda = max(gamma trace / size, floor). */
    RELATIVE(lngd.LNGD_DAMPING_RELATIVE),

    /** Lambda = clip(trace / size, nu1, nu2), as in the paper. */
    ABSOLUTE(lngd.LNGD_DAMPING_ABSOLUTE),

    /**
     * KFAC's factored Tikhonov damping: pi sqrt(lambda) for A and sqrt(lambda) / pi for B, where pi
     * is the root of the ratio of their mean eigenvalues. Not with {@link Approximation#LNGD}.
     */
    FACTORED(lngd.LNGD_DAMPING_FACTORED);

    private final int code;

    Damping(int code) {
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
