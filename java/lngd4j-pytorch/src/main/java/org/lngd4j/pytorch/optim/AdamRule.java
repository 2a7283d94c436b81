// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/** Adam's direction; the powers of the betas are computed in double precision. */
record AdamRule(double beta1, double beta2, double epsilon) {
    /**
     * {@code (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)}.
     *
     * @param means m, changed: {@code beta1 m + (1 - beta1) g}
     * @param squares v, changed: {@code beta2 v + (1 - beta2) g^2}
     * @param t counted from 1
     */
    Tensor direction(Tensor gradient, Tensor means, Tensor squares, long t) {
        means.lerp_(gradient, new Scalar(1 - beta1));
        squares.mul_(new Scalar(beta2)).addcmul_(gradient, gradient, new Scalar(1 - beta2));
        Tensor root =
                squares.sqrt()
                        .div_(new Scalar(Math.sqrt(1 - Math.pow(beta2, t))))
                        .add_(new Scalar(epsilon));
        return means.div(root).div_(new Scalar(1 - Math.pow(beta1, t)));
    }
}
