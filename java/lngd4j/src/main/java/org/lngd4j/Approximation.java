// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd;

/**
 * What stands for the Fisher block of a layer. All but {@link #LNGD} need {@link Fisher#PROVIDED};
 * KFAC, TKFAC and EKFAC keep the second factor as a matrix, or its diagonal blocks.
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
    EKFAC(lngd.LNGD_APPROXIMATION_EKFAC),

    /**
     * Phi (x) I, Phi the running average of G_n^T G_n over the per-sample gradients (NG+: Yang and
     * others 2021, arXiv 2106.07454). In a convolution each output position is squared alone.
     */
    NGPLUS(lngd.LNGD_APPROXIMATION_NGPLUS);

    private final int code;

    Approximation(int code) {
        this.code = code;
    }

    /** Whether the second factor is a matrix: m/G x m/G for each of G groups. */
    boolean hasSecondMatrix() {
        return this == KFAC || this == TKFAC || this == EKFAC;
    }

    /**
     * Whether it has embeddings, whose first factor is a diagonal.
     *
     * @return whether {@link LngdOptimizer#create} takes them with it
     */
    public boolean hasEmbeddings() {
        return this == LNGD || this == KFAC || this == TKFAC;
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
