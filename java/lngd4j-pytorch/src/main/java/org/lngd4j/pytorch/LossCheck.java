// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.bytedeco.pytorch.Tensor;
import org.lngd4j.nativelib.LngdArgumentException;

/** What a backward pass can begin at. */
final class LossCheck {
    private LossCheck() {}

    static void check(Tensor loss) {
        if (loss == null || !loss.defined()) {
            throw new LngdArgumentException(
                    "loss is " + (loss == null ? "null" : "undefined") + ", allowed is one number");
        }
        if (loss.numel() != 1) {
            throw new LngdArgumentException(
                    "loss has " + loss.numel() + " numbers, allowed is one: the mean over samples");
        }
        if (!loss.requires_grad()) {
            throw new LngdArgumentException(
                    "loss asks for no gradient (NoGradGuard, or nothing in it is trained), allowed"
                            + " is one that does");
        }
    }
}
