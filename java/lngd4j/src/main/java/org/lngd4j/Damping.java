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
     * is the root of the ratio of their mean eigenvalues. {@link Approximation#KFAC}, {@link
     * Approximation#TKFAC} and {@link Approximation#EKFAC} only.
     */
    FACTORED(lngd.LNGD_DAMPING_FACTORED),

    /**
     * One gamma a layer, lambda = gamma_l trace / size over all blocks of a factor: gamma_l =
     * clip(g sqrt(S0 / (alpha_l beta_l)), min, max), where alpha_l and beta_l are the running
     * averages of the mean squares of inputs and gradients, and S0 is their product's geometric
     * mean over the layers at the first inversion. Least where signals are strong, growing as
     * errors shrink (ours). {@link Approximation#KFAC} and {@link Approximation#TKFAC} only.
     */
    SIGNAL(lngd.LNGD_DAMPING_SIGNAL);

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
