// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import org.lngd4j.nativelib.global.lngd_health;

/**
 * How a layer is doing. Counters count from the creation of the optimizer; they are part of its
 * saved state.
 *
 * @param steps steps of this layer, skipped ones included
 * @param statisticsUpdates running averages taken
 * @param inverseUpdates times the inverses were renewed
 * @param skippedStatistics updates kept out of the averages: NaN, infinite, or nothing but zeros
 * @param retries factorisations repeated with ten times the damping
 * @param failedInverses blocks that kept their old inverse after 6 retries
 * @param skippedSteps steps that did not move this layer
 * @param lastStepSkipped whether the last step was one of them
 * @param lastFailedBlock block of Phi whose factorisation failed last; -1: none ever
 * @param lastFailedPivot its first pivot that was not positive, from 0; -1: none ever
 * @param lambdaPhiMin smallest damping of a block of Phi in use; 0 before the first inverse
 * @param lambdaPhiMax largest damping of a block of Phi in use; 0 before the first inverse
 * @param lambdaPsi damping of psi in use; 0 before the first inverse
 * @param alpha layer rate alpha_l of the last step; 1 with {@link LayerRate#NONE}
 * @param innerProduct &lt;D, G&gt; of the last step
 * @param curvature C of the last step; 0 with {@link LayerRate#NONE}
 * @param directionNorm norm of D, before layer rate and trust ratio
 * @param weightNorm norm of the weights with bias, before the update
 * @param trustScale factor that the trust ratio put on alpha_l D; 1: none
 * @param precision how the layer's statistics are multiplied with the present settings, never
 *     {@link Precision#AUTO}; {@link Precision#FP32} on the CPU
 */
public record LayerHealth(
        long steps,
        long statisticsUpdates,
        long inverseUpdates,
        long skippedStatistics,
        long retries,
        long failedInverses,
        long skippedSteps,
        boolean lastStepSkipped,
        int lastFailedBlock,
        int lastFailedPivot,
        double lambdaPhiMin,
        double lambdaPhiMax,
        double lambdaPsi,
        double alpha,
        double innerProduct,
        double curvature,
        double directionNorm,
        double weightNorm,
        double trustScale,
        Precision precision) {

    static LayerHealth of(lngd_health h, int precision) {
        return new LayerHealth(
                h.steps(),
                h.statistics_updates(),
                h.inverse_updates(),
                h.skipped_statistics(),
                h.retries(),
                h.failed_inverses(),
                h.skipped_steps(),
                h.last_step_skipped() != 0,
                h.last_failed_block(),
                h.last_failed_pivot(),
                h.lambda_phi_min(),
                h.lambda_phi_max(),
                h.lambda_psi(),
                h.alpha(),
                h.inner_product(),
                h.curvature(),
                h.direction_norm(),
                h.weight_norm(),
                h.trust_scale(),
                Codes.of(Precision.values(), Precision::code, precision));
    }
}
