// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.optimizer;

import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * LARS, with its two factors (global rate times trust coefficient) as one:
 *
 * <pre>
 *   local = rate ||w|| / (||g|| + decay ||w||)
 *   v &lt;- momentum v + local (g + decay w)
 *   w &lt;- w - v
 * </pre>
 */
final class LarsUpdater extends LayerwiseUpdater {
    LarsUpdater(LayerwiseConfig config, INDArray state) {
        super(config, state);
    }

    @Override
    void update(Part part, INDArray gradient, double rate, int step) {
        double decay = getConfig().weightDecay();
        double length = part.weightNorm();
        double gradientNorm = gradient.norm2Number().doubleValue();
        double denominator = gradientNorm + decay * length;
        // A dead layer has no direction: only its momentum goes on.
        double local = denominator > 0 ? rate * length / denominator : 0;
        if (decay > 0) {
            gradient.addi(part.weights().mul(decay));
        }
        INDArray velocity = part.of(state());
        velocity.muli(getConfig().momentum()).addi(gradient.muli(local));
        gradient.assign(velocity);
    }
}
