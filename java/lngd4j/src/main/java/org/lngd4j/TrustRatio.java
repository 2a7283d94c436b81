// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd;

/** What the trust ratio does with a layer's direction D. */
public enum TrustRatio {
    /** Nothing. */
    OFF(lngd.LNGD_TRUST_OFF),

    /**
     * D is shortened only where learning rate times its norm is above tau times the norm of the
     * weights.
     */
    CAP(lngd.LNGD_TRUST_CAP),

    /** D is rescaled to tau times the norm of the weights, whatever its length. */
    ALWAYS(lngd.LNGD_TRUST_ALWAYS);

    private final int code;

    TrustRatio(int code) {
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
