// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd;

/**
 * How the CUDA backend multiplies where it forms the statistics (the weighted SYRK of Phi) and,
 * apart, the direction D = Psi^-1 G Phi^-1. Factorisations are always float32, the other products
 * of a step 3xTF32. The CPU computes in float32 whatever this says.
 */
public enum Precision {
    /** x = high + low, both TF32, three products on tensor cores: the accuracy of float32. */
    TF32X3(lngd.LNGD_PRECISION_TF32X3),

    /**
     * One TF32 product: relative error near 1e-3 an element, so damping must not be much below 1e-4
     * of the mean eigenvalue.
     */
    TF32(lngd.LNGD_PRECISION_TF32),

    /** One product of 8-bit mantissas. */
    BF16(lngd.LNGD_PRECISION_BF16),

    /** float32 without tensor cores. */
    FP32(lngd.LNGD_PRECISION_FP32);

    private final int code;

    Precision(int code) {
        this.code = code;
    }

    /**
     * The value of this constant in the C ABI.
     *
     * @return an {@code lngd_precision} constant
     */
    public int code() {
        return code;
    }
}
