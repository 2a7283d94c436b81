// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd;

/** Over what the mean diagonal element of a factor is taken for {@link Damping#RELATIVE}. */
public enum DampingScope {
    /** Each diagonal block has a lambda of its own. */
    BLOCK(lngd.LNGD_DAMPING_SCOPE_BLOCK),

    /**
     * One lambda for all blocks and groups of a layer, so that a block of inputs that are rarely
     * there is not amplified (ours).
     */
    LAYER(lngd.LNGD_DAMPING_SCOPE_LAYER);

    private final int code;

    DampingScope(int code) {
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
