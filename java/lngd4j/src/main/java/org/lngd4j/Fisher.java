// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd;

/** How the squares q of the per-sample gradients of a layer come about (paper 3.1). */
public enum Fisher {
    /** The expectation over the model's targets in closed form: no noise, no generator. */
    EXPECTED(lngd.LNGD_FISHER_EXPECTED),

    /**
     * Targets drawn from the model with Philox4x32-10 keyed by seed, layer, step and element (the
     * paper).
     */
    SAMPLED(lngd.LNGD_FISHER_SAMPLED),

    /**
     * The caller passes the per-sample gradients g as {@link Signal#GRADIENTS}. Attached to a DL4J
     * network, that caller is the integration: g is back-propagated from targets drawn from the
     * network's own prediction.
     */
    PROVIDED(lngd.LNGD_FISHER_PROVIDED);

    private final int code;

    Fisher(int code) {
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
