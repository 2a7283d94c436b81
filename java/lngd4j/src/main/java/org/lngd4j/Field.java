// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd;

/**
 * Arrays of a layer that can be read, with m outputs and d inputs (the constant 1 of a bias, the
 * last, included). A grouped convolution has a d x d factor for each of its G groups: G x d x d. Of
 * an embedding Phi and its inverse are the diagonal: d. A parameter has as many floats as elements,
 * and neither factors nor a direction. Everything is float32 and row-major.
 */
public enum Field {
    /** Running average of Phi, d x d; 0 outside the diagonal blocks. */
    PHI(lngd.LNGD_FIELD_PHI),

    /**
     * Running average of psi, m; G x m/G x m/G where the second factor is a matrix ({@link
     * Approximation}), 0 outside its diagonal blocks.
     */
    PSI(lngd.LNGD_FIELD_PSI),

    /** Inverse of the damped Phi in use, d x d; 0 outside the diagonal blocks. */
    PHI_INVERSE(lngd.LNGD_FIELD_PHI_INVERSE),

    /** Inverse of the damped psi in use; the shape of {@link #PSI}. */
    PSI_INVERSE(lngd.LNGD_FIELD_PSI_INVERSE),

    /** Momentum buffer, m x d. */
    MOMENTUM(lngd.LNGD_FIELD_MOMENTUM),

    /** Averaged weights, m x d; while they are swapped in, the other ones. */
    AVERAGE(lngd.LNGD_FIELD_AVERAGE),

    /** Direction D of the last step, m x d. */
    DIRECTION(lngd.LNGD_FIELD_DIRECTION),

    /** Average of the squared gradients of a parameter with AdamW; layers have none. */
    SECOND_MOMENT(lngd.LNGD_FIELD_SECOND_MOMENT);

    private final int code;

    Field(int code) {
        this.code = code;
    }

    /**
     * The value of this constant in the C ABI.
     *
     * @return an {@code lngd_field} constant
     */
    public int code() {
        return code;
    }

    /** Shape of this field for a layer. */
    long[] shape(LayerSpec layer, Approximation approximation) {
        if (layer.parameter() != null) {
            return new long[] {layer.inputs()};
        }
        long m = layer.outputs();
        long d = layer.columns();
        return switch (this) {
            case PHI, PHI_INVERSE ->
                    layer.embedding()
                            ? new long[] {d}
                            : layer.groups() == 1
                                    ? new long[] {d, d}
                                    : new long[] {layer.groups(), d, d};
            case PSI, PSI_INVERSE -> psiShape(layer.groups(), m, approximation);
            case MOMENTUM, AVERAGE, DIRECTION, SECOND_MOMENT -> new long[] {m, d};
        };
    }

    private static long[] psiShape(long groups, long m, Approximation approximation) {
        if (!approximation.hasSecondMatrix()) {
            return new long[] {m};
        }
        return groups == 1 ? new long[] {m, m} : new long[] {groups, m / groups, m / groups};
    }
}
