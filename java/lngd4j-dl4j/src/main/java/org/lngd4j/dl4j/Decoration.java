// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.layers.BaseLayer;
import org.deeplearning4j.nn.conf.layers.BaseOutputLayer;

/**
 * One live layer with an activation or loss that captures. DL4J's live layer reads both from the
 * configuration object that it holds, which is the same object that the network saves, clones and
 * compares. So the layer is given a copy of that object, and the network keeps the original:
 * nothing that is saved, cloned or written as JSON while LNGD is attached knows of it. Setting the
 * decorated activation in the original instead was tried first: every clone carries it off.
 */
final class Decoration {
    private final Layer layer;
    private final NeuralNetConfiguration original;
    private final NeuralNetConfiguration decorated;

    Decoration(Layer layer, BackpropWatch watch) {
        this.layer = layer;
        original = layer.conf();
        decorated = original.clone();
        BaseLayer before = (BaseLayer) original.getLayer();
        BaseLayer after = (BaseLayer) decorated.getLayer();
        if (after instanceof BaseOutputLayer output) {
            output.setLossFn(new CapturingLoss(output.getLossFn(), watch));
        } else {
            after.setActivationFn(new CapturingActivation(after.getActivationFn(), watch));
        }
        // What clone() copied must stay shared: dropout has state, and NetworkUtils.setLearningRate
        // changes updaters.
        after.setIDropout(before.getIDropout());
        after.setRegularization(before.getRegularization());
        after.setRegularizationBias(before.getRegularizationBias());
    }

    void install() {
        layer.setConf(decorated);
    }

    /** Leaves a layer alone that was given another configuration since. */
    void remove() {
        if (layer.conf() == decorated) {
            layer.setConf(original);
        }
    }
}
