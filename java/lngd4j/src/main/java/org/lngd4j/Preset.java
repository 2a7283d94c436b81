// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd;

/** A set of defaults for {@link LngdOptions}. */
public enum Preset {
    /**
     * The default: closed-form Fisher, 128-blocks, relative damping, trust ratio always, averaged
     * weights; there is no learning rate to tune.
     */
    RECIPE(lngd.LNGD_PRESET_RECIPE),

    /**
     * For autoencoders and regression: full Phi, gamma 0.3, Nesterov momentum, a depth slope of the
     * trust ratio.
     */
    RECIPE_FIT(lngd.LNGD_PRESET_RECIPE_FIT),

    /** {@link #RECIPE} with the layer rate of the paper, the trust ratio as a cap. */
    RECIPE_EMPIRICAL(lngd.LNGD_PRESET_RECIPE_EMPIRICAL),

    /** The paper as printed. */
    PAPER(lngd.LNGD_PRESET_PAPER),

    /**
     * KFAC as its authors have it: provided gradients, factored damping of 0.01, full factors of
     * the whole batch, learning rate 0.03, momentum 0.9; no layer rate, trust ratio, weight decay
     * or averaged weights.
     */
    KFAC(lngd.LNGD_PRESET_KFAC),

    /** {@link #KFAC} with the trace-restricted factors of TKFAC. */
    TKFAC(lngd.LNGD_PRESET_TKFAC),

    /** {@link #KFAC} with the eigenbasis and the measured diagonal of EKFAC. */
    EKFAC(lngd.LNGD_PRESET_EKFAC),

    /**
     * Block-diagonal KFAC inside LNGD's machinery (ours), for softmax and sigmoid outputs: both
     * Kronecker factors in blocks of 128 from 256 samples, gradients of targets that are drawn from
     * the model ({@link Fisher#PROVIDED}), {@link Damping#SIGNAL}, trust ratio always, weight decay
     * in units of it, bounded output layer, intervals by the length of the run, averaged weights.
     */
    BLOCK_KRONECKER(lngd.LNGD_PRESET_BLOCK_KRONECKER),

    /**
     * The same for reconstruction and regression: less damping, Nesterov momentum, intervals 3 and
     * 12, no averaged weights, no bounds.
     */
    BLOCK_KRONECKER_FIT(lngd.LNGD_PRESET_BLOCK_KRONECKER_FIT),

    /**
     * NG+ as a rival: {@link Approximation#NGPLUS}, relative damping with gamma 1, the rest as
     * {@link #KFAC}.
     */
    NGPLUS(lngd.LNGD_PRESET_NGPLUS);

    private final int code;

    Preset(int code) {
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
