// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.api.Trainable;
import org.deeplearning4j.nn.conf.InputPreProcessor;

/**
 * A layer of a network, or a graph vertex that has parameters of its own.
 *
 * @param index position in the order of the forward pass
 * @param name the layer's or vertex's name
 * @param trainable what DL4J's updater calls it: the layer, or in a graph the vertex around it
 * @param layer the live layer; null for a vertex that is none
 * @param preProcessor what stands before the layer, or null
 * @param before the live layer that alone and directly feeds it, or null
 * @param follower the live layer that alone and directly takes its output, or null
 * @param unreached why the backward pass does not come here; null if it does
 */
record Unit(
        int index,
        String name,
        Trainable trainable,
        Layer layer,
        InputPreProcessor preProcessor,
        Layer before,
        Layer follower,
        String unreached) {

    /** Simple name of the configuration class, as users wrote it. */
    String type() {
        return layer == null
                ? trainable.getClass().getSimpleName()
                : layer.conf().getLayer().getClass().getSimpleName();
    }

    static String name(Layer layer, int index) {
        String name = layer.conf() == null ? null : layer.conf().getLayer().getLayerName();
        return name == null || name.isEmpty() ? "layer" + index : name;
    }
}
