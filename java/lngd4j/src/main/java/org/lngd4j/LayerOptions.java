// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

/**
 * What one layer does otherwise than the {@link LngdOptions} of all say. A {@link ParameterRule}
 * has numbers of its own, which these do not touch. Immutable; the methods that take an argument
 * give a changed copy.
 *
 * @param rateMultiplier multiplies the learning rate, at least 0; 0: the layer is frozen, and keeps
 *     its statistics
 * @param decayMultiplier multiplies the weight decay, at least 0
 * @param trustRatio whether the trust ratio of the options holds for this layer, and with it the
 *     soft trust ratio and the bound of the output layer; not to be switched off with {@code
 *     orthogonalise}
 */
public record LayerOptions(double rateMultiplier, double decayMultiplier, boolean trustRatio) {
    /** As all layers. */
    public static final LayerOptions DEFAULT = new LayerOptions(1, 1, true);

    /**
     * Checks the ranges.
     *
     * @param rateMultiplier multiplies the learning rate
     * @param decayMultiplier multiplies the weight decay
     * @param trustRatio whether there is a trust ratio
     */
    public LayerOptions {
        atLeastZero("rateMultiplier", rateMultiplier);
        atLeastZero("decayMultiplier", decayMultiplier);
    }

    private static void atLeastZero(String argument, double value) {
        if (!(value >= 0 && value < Double.POSITIVE_INFINITY)) {
            throw Check.bad(argument, value, "a number of at least 0");
        }
    }

    /**
     * A copy with another multiplier of the learning rate.
     *
     * @param value at least 0
     * @return the copy
     */
    public LayerOptions rateMultiplier(double value) {
        return new LayerOptions(value, decayMultiplier, trustRatio);
    }

    /**
     * A copy with another multiplier of the weight decay.
     *
     * @param value at least 0
     * @return the copy
     */
    public LayerOptions decayMultiplier(double value) {
        return new LayerOptions(rateMultiplier, value, trustRatio);
    }

    /**
     * A copy with or without the trust ratio.
     *
     * @param on whether it holds
     * @return the copy
     */
    public LayerOptions trustRatio(boolean on) {
        return new LayerOptions(rateMultiplier, decayMultiplier, on);
    }
}
