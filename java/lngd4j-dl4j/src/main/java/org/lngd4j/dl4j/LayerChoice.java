// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.deeplearning4j.nn.api.Layer;
import org.lngd4j.LayerSpec;
import org.nd4j.linalg.activations.IActivation;

/**
 * What was decided for a layer.
 *
 * @param index index in the network
 * @param layer the live layer
 * @param treatment what is done with it
 * @param spec for LNGD, otherwise null
 * @param derivative activation that gives phi', where the library does not know it; otherwise null
 * @param detail how, or why not
 */
record LayerChoice(
        int index,
        Layer layer,
        Treatment treatment,
        LayerSpec spec,
        IActivation derivative,
        String detail) {

    String name() {
        return name(layer, index);
    }

    static String name(Layer layer, int index) {
        String name = layer.conf() == null ? null : layer.conf().getLayer().getLayerName();
        return name == null || name.isEmpty() ? "layer" + index : name;
    }
}
