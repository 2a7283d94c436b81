// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd;

/** The activation phi of a hidden layer. */
public enum Activation {
    /** {@code s}. */
    IDENTITY(lngd.LNGD_ACTIVATION_IDENTITY, 0),

    /** {@code max(s, 0)}, with derivative 0 at 0. */
    RELU(lngd.LNGD_ACTIVATION_RELU, 0),

    /**
     * {@code s}, or the slope times s below 0; the parameter is the slope in [0, 1], by default
     * 0.01.
     */
    LEAKY_RELU(lngd.LNGD_ACTIVATION_LEAKY_RELU, 0.01),

    /**
     * {@code s}, or {@code alpha (exp(s) - 1)} below 0; the parameter is alpha, above 0, by default
     * 1.
     */
    ELU(lngd.LNGD_ACTIVATION_ELU, 1),

    /** {@code tanh(s)}. */
    TANH(lngd.LNGD_ACTIVATION_TANH, 0),

    /** {@code 1 / (1 + exp(-s))}. */
    SIGMOID(lngd.LNGD_ACTIVATION_SIGMOID, 0),

    /** {@code log(1 + exp(s))}. */
    SOFTPLUS(lngd.LNGD_ACTIVATION_SOFTPLUS, 0),

    /** {@code s} times the normal distribution function of s (the exact one). */
    GELU(lngd.LNGD_ACTIVATION_GELU, 0),

    /** {@code s sigmoid(s)}. */
    SWISH(lngd.LNGD_ACTIVATION_SWISH, 0);

    private final int code;
    private final double defaultParameter;

    Activation(int code, double defaultParameter) {
        this.code = code;
        this.defaultParameter = defaultParameter;
    }

    /**
     * The parameter that is used where none is given.
     *
     * @return the slope of LEAKY_RELU, alpha of ELU, otherwise 0
     */
    public double defaultParameter() {
        return defaultParameter;
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
