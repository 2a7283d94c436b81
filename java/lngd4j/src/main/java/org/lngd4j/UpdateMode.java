// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd;

/** How a {@link StepPlan} hands out the update. */
public enum UpdateMode {
    /** Weights and bias are updated in place; the gradients are only read. */
    WEIGHTS(lngd.LNGD_UPDATE_WEIGHTS),

    /**
     * The gradients are overwritten with W_old - W_new, for a framework that subtracts them itself;
     * the weights are only read.
     */
    GRADIENTS(lngd.LNGD_UPDATE_GRADIENTS);

    private final int code;

    UpdateMode(int code) {
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
