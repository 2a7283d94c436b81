// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.optimizer;

import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.ops.transforms.Transforms;

/**
 * LAMB, with the identity as its phi:
 *
 * <pre>
 *   m &lt;- b1 m + (1 - b1) g            v &lt;- b2 v + (1 - b2) g^2
 *   u = (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps) + decay w
 *   w &lt;- w - rate ||w|| / ||u|| u
 * </pre>
 */
final class LambUpdater extends LayerwiseUpdater {
    static final double BETA2 = 0.999;
    static final double EPSILON = 1e-6;

    LambUpdater(LayerwiseConfig config, INDArray state) {
        super(config, state);
    }

    @Override
    void update(Part part, INDArray gradient, double rate, int step) {
        double beta1 = getConfig().momentum();
        double decay = getConfig().weightDecay();
        long half = state().length() / 2;
        INDArray first = part.of(range(state(), 0, half));
        INDArray second = part.of(range(state(), half, 2 * half));
        first.muli(beta1).addi(gradient.mul(1 - beta1));
        second.muli(BETA2).addi(gradient.mul(gradient).muli(1 - BETA2));

        INDArray root = Transforms.sqrt(second.div(1 - Math.pow(BETA2, step)), false).addi(EPSILON);
        gradient.assign(first).divi(1 - Math.pow(beta1, step)).divi(root);
        if (decay > 0) {
            gradient.addi(part.weights().mul(decay));
        }
        double norm = gradient.norm2Number().doubleValue();
        gradient.muli(norm > 0 ? rate * part.weightNorm() / norm : 0);
    }
}
