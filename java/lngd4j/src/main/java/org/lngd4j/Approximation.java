// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd;

/**
 * What stands for the Fisher block of a layer. All but {@link #LNGD} keep the second factor as a
 * matrix and need {@link Fisher#PROVIDED}.
 */
public enum Approximation {
    /** Phi (x) diag(psi), the paper's. */
    LNGD(lngd.LNGD_APPROXIMATION_LNGD),

    /** A (x) B, the mean outer products of inputs and gradients (Martens and Grosse 2015). */
    KFAC(lngd.LNGD_APPROXIMATION_KFAC),

    /** Phi (x) Psi with the trace of the exact block and a dense Psi (Gao and others 2021). */
    TKFAC(lngd.LNGD_APPROXIMATION_TKFAC),

    /**
     * KFAC's eigenvectors with a measured diagonal between them (George and others 2018). On the
     * CPU only: {@link Device#AUTO} goes there, and other devices are refused.
     */
    EKFAC(lngd.LNGD_APPROXIMATION_EKFAC);

    private final int code;

    Approximation(int code) {
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
