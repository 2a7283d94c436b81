// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

/**
 * What {@link Muon} multiplies the orthogonalised update of a matrix of m outputs and n inputs
 * with, beside the learning rate.
 */
public enum MuonScale {
    /**
     * {@code sqrt(max(1, m / n))}: K. Jordan's. The learning rate is then a length in the spectral
     * norm.
     */
    SHAPE {
        @Override
        double of(long outputs, long inputs) {
            return Math.sqrt(Math.max(1, (double) outputs / inputs));
        }
    },
    /**
     * {@code 0.2 sqrt(max(m, n))}: J. Liu et al. (Moonlight). The update's root mean square is then
     * about AdamW's, so AdamW's learning rates and decays fit.
     */
    MATCH_ADAMW {
        @Override
        double of(long outputs, long inputs) {
            return 0.2 * Math.sqrt(Math.max(outputs, inputs));
        }
    },
    /**
     * {@code sqrt(m / n)}: Scion's and J. Bernstein's, which keeps the root mean square of what a
     * layer gives.
     */
    UNIT_RMS {
        @Override
        double of(long outputs, long inputs) {
            return Math.sqrt((double) outputs / inputs);
        }
    },
    /** 1. */
    NONE {
        @Override
        double of(long outputs, long inputs) {
            return 1;
        }
    };

    abstract double of(long outputs, long inputs);
}
