// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd;

/** What the second matrix of {@link LngdOptimizer#observe} holds. */
public enum Signal {
    /** The pre-activations s = W a + b. */
    PRE_ACTIVATIONS(lngd.LNGD_SIGNAL_PRE_ACTIVATIONS),

    /**
     * Phi(s), or the probabilities of an output model. Not for {@link Activation#GELU} and {@link
     * Activation#SWISH}.
     */
    OUTPUTS(lngd.LNGD_SIGNAL_OUTPUTS),

    /** Per-sample gradients g with respect to s: with {@link Fisher#PROVIDED}, and only there. */
    GRADIENTS(lngd.LNGD_SIGNAL_GRADIENTS);

    private final int code;

    Signal(int code) {
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
