// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import org.lngd4j.LayerTensors;
import org.lngd4j.nativelib.LngdStateException;

/** A layer of the optimizer with its parameters. */
record BoundLayer(int index, Parameter weight, Parameter bias, LayerTensors tensors) {
    BoundLayer(int index, Parameter weight, Parameter bias) {
        this(
                index,
                weight,
                bias,
                new LayerTensors(
                        index,
                        weight.value(),
                        bias == null ? null : bias.value(),
                        weight.gradient(),
                        bias == null ? null : bias.gradient()));
    }

    /** Whether the backward pass came by this layer. */
    boolean hasGradients() {
        boolean has = weight.hasGradient();
        if (bias != null && bias.hasGradient() != has) {
            Parameter with = has ? weight : bias;
            Parameter without = has ? bias : weight;
            throw new LngdStateException(
                    "parameter "
                            + without
                            + " has no gradient, but "
                            + with
                            + " has: LNGD moves both of them or none");
        }
        return has;
    }

    /** Refuses parameters that have moved since {@code attach}. */
    void checkUnmoved() {
        weight.checkUnmoved();
        if (bias != null) {
            bias.checkUnmoved();
        }
    }

    /** Where the gradients lie now; whether one has moved. */
    boolean refresh() {
        boolean moved = weight.refresh();
        return bias != null && bias.refresh() || moved;
    }

    /** For what does not look at gradients, but wants to know of some. */
    LayerTensors withZeroGradients() {
        return new LayerTensors(
                index,
                weight.value(),
                bias == null ? null : bias.value(),
                weight.zeros(),
                bias == null ? null : bias.zeros());
    }

    /** Tells autograd that the parameters were changed in place. */
    void changed() {
        weight.changed();
        if (bias != null) {
            bias.changed();
        }
    }
}
