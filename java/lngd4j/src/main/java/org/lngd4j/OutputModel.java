// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd;

/** The predictive model of a layer. */
public enum OutputModel {
    /** A hidden layer: Gaussian with mean phi(s) and unit variance. */
    HIDDEN(lngd.LNGD_OUTPUT_HIDDEN),

    /** Softmax with cross-entropy: categorical. */
    SOFTMAX(lngd.LNGD_OUTPUT_SOFTMAX),

    /** Sigmoid with cross-entropy: independent Bernoulli. */
    SIGMOID(lngd.LNGD_OUTPUT_SIGMOID),

    /** Squared error: Gaussian around phi(s). */
    SQUARED_ERROR(lngd.LNGD_OUTPUT_SQUARED_ERROR),

    /** The paper's: Gaussian around softmax(s). */
    SOFTMAX_GAUSSIAN(lngd.LNGD_OUTPUT_SOFTMAX_GAUSSIAN);

    private final int code;

    OutputModel(int code) {
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
