// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd;

/** Options that may change between steps; the ranges are those of {@link LngdOptions.Builder}. */
public enum Setting {
    /** Alpha, the peak of the schedule; in (0, 1e6]. */
    LEARNING_RATE(lngd.LNGD_SET_LEARNING_RATE),

    /** In [0, 1). */
    MOMENTUM(lngd.LNGD_SET_MOMENTUM),

    /** At least 0. */
    WEIGHT_DECAY(lngd.LNGD_SET_WEIGHT_DECAY),

    /**
     * Gamma of {@link Damping#RELATIVE}, lambda of {@link Damping#FACTORED}, g of {@link
     * Damping#SIGNAL}; at least 0.
     */
    DAMPING_FACTOR(lngd.LNGD_SET_DAMPING_FACTOR),

    /** Smallest lambda, but of {@link Damping#ABSOLUTE}; above 0. */
    DAMPING_FLOOR(lngd.LNGD_SET_DAMPING_FLOOR),

    /** Nu1 of {@link Damping#ABSOLUTE}, smallest gamma_l of {@link Damping#SIGNAL}; above 0. */
    DAMPING_MIN(lngd.LNGD_SET_DAMPING_MIN),

    /** Nu2 of {@link Damping#ABSOLUTE}, largest gamma_l of {@link Damping#SIGNAL}; at least nu1. */
    DAMPING_MAX(lngd.LNGD_SET_DAMPING_MAX),

    /** Weight of the old estimate in the running averages; in [0, 1). */
    RHO(lngd.LNGD_SET_RHO),

    /** The guard in alpha_l; above 0. */
    MU(lngd.LNGD_SET_MU),

    /** Tau; above 0 where the trust ratio is on. */
    TRUST_RATIO(lngd.LNGD_SET_TRUST_RATIO),

    /** T_FIM, a whole number, at least 1. */
    STATISTICS_INTERVAL(lngd.LNGD_SET_STATISTICS_INTERVAL),

    /** T_INV, a whole number, at least 1. */
    INVERSE_INTERVAL(lngd.LNGD_SET_INVERSE_INTERVAL),

    /**
     * S0 of {@link Damping#SIGNAL}, at least 0: told once it has been taken, at the first
     * inversion. 0: it is taken anew at the next one.
     */
    SIGNAL_REFERENCE(lngd.LNGD_SET_SIGNAL_REFERENCE);

    private final int code;

    Setting(int code) {
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
