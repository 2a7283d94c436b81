// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd;

/** Where weight decay enters. */
public enum WeightDecay {
    /** W is shrunk by 1 - rate decay before the momentum is added. */
    DECOUPLED(lngd.LNGD_DECAY_DECOUPLED),

    /** Decay W is added to the gradient before it is preconditioned. */
    COUPLED(lngd.LNGD_DECAY_COUPLED),

    /**
     * W is shrunk by 1 - rate tau decay, tau the layer's trust ratio: decay keeps its proportion to
     * the steps whatever tau is (ours). Not with {@link TrustRatio#OFF}.
     */
    TRUST(lngd.LNGD_DECAY_TRUST);

    private final int code;

    WeightDecay(int code) {
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
