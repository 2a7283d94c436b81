// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

/**
 * What {@link Muon} multiplies the orthogonalised update of a matrix of m outputs and n inputs
 * with, beside the learning rate.
 */
public enum MuonScale {
    /**
     * {@code sqrt(max(1, m / n))}: K. Jordan's. The learning rate is then a length in the spectral
     * norm. NVIDIA's emerging-optimizers calls it shape_scaling.
     */
    SHAPE {
        @Override
        double of(MatrixShape shape) {
            return Math.sqrt(Math.max(1, ratio(shape)));
        }
    },
    /**
     * {@code 0.2 sqrt(max(m, n))}: J. Liu et al. (Moonlight). The update's root mean square is then
     * about AdamW's, so AdamW's learning rates and decays fit. emerging-optimizers calls it
     * spectral, with an extra scale factor of 0.2.
     */
    MATCH_ADAMW {
        @Override
        double of(MatrixShape shape) {
            return 0.2 * Math.sqrt(Math.max(shape.outputs(), shape.inputs()));
        }
    },
    /**
     * {@code sqrt(m / n)}: Scion's and J. Bernstein's, which keeps the root mean square of what a
     * layer gives. emerging-optimizers calls it unit_rms_norm.
     */
    UNIT_RMS {
        @Override
        double of(MatrixShape shape) {
            return Math.sqrt(ratio(shape));
        }
    },
    /** 1. */
    NONE {
        @Override
        double of(MatrixShape shape) {
            return 1;
        }
    };

    abstract double of(MatrixShape shape);

    private static double ratio(MatrixShape shape) {
        return (double) shape.outputs() / shape.inputs();
    }
}
