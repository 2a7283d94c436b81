// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.pytorch.LngdLayer;

/** Fresh weights, normal with the variance that DL4J's networks of the same name have; biases 0. */
final class Initialisation {
    private Initialisation() {}

    /** He: variance 2 / fan in. */
    static <L extends LngdLayer> L he(L layer) {
        return normal(layer, 2.0 / fanIn(layer.weight()));
    }

    /** Xavier: variance 2 / (fan in + fan out). */
    static <L extends LngdLayer> L xavier(L layer) {
        Tensor w = layer.weight();
        return normal(layer, 2.0 / (fanIn(w) + w.numel() / (double) w.size(1)));
    }

    private static double fanIn(Tensor w) {
        return w.numel() / (double) w.size(0);
    }

    @SuppressWarnings("try") // scopes that are only opened and closed
    private static <L extends LngdLayer> L normal(L layer, double variance) {
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            layer.weight().normal_(0, Math.sqrt(variance), null);
            if (layer.bias().defined()) {
                layer.bias().zero_();
            }
        }
        return layer;
    }
}
