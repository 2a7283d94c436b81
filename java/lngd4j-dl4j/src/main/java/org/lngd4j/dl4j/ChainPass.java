// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.api.layers.IOutputLayer;
import org.deeplearning4j.nn.conf.InputPreProcessor;
import org.deeplearning4j.nn.conf.layers.BaseLayer;
import org.deeplearning4j.nn.conf.layers.BaseOutputLayer;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.params.DefaultParamInitializer;
import org.deeplearning4j.nn.workspace.LayerWorkspaceMgr;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Forward and backward pass through a chain of layers for the derivatives of the pre-activations
 * alone. DL4J's own backward pass computes s = a W + b a second time, the gradient of every weight,
 * and the derivative of every input: with M the products a sample takes forward, 4 M in all. Here a
 * dense or output layer keeps s, has no gradient of weights, and the pass ends at the lowest layer
 * whose statistics are due, whose inputs' derivative nobody wants: M and the products of the layers
 * above it. Layers of other kinds go DL4J's way: of a convolution the gradients of the weights
 * cannot be had apart from the derivative of the inputs.
 */
final class ChainPass {
    private final MultiLayerNetwork net;
    private final Layer[] layers;
    private final LayerWorkspaceMgr workspaces = LayerWorkspaceMgr.noWorkspaces();

    ChainPass(MultiLayerNetwork net) {
        this.net = net;
        this.layers = net.getLayers();
    }

    /**
     * One pass, outside of any workspace.
     *
     * @param input what the network was given by {@code setInput}
     * @param lowest where the backward pass ends: index of a layer
     */
    void run(INDArray input, int lowest) {
        int samples = (int) input.size(0);
        INDArray[] sums = new INDArray[layers.length]; // s of the layers that are computed here
        INDArray x = input;
        int last = layers.length - 1;
        for (int i = 0; i <= last; i++) {
            InputPreProcessor before = net.getLayerWiseConfigurations().getInputPreProcess(i);
            x = before == null ? x : before.preProcess(x, samples, workspaces);
            layers[i].setInput(x, workspaces);
            if (isDense(layers[i]) && x.rank() == 2) {
                sums[i] = sum(layers[i], x);
                // What comes out of the output layer is not wanted: its loss has the activation.
                x = i == last ? null : activation(layers[i]).getActivation(sums[i].dup(), true);
            } else if (i < last) {
                x = layers[i].activate(x, true, workspaces);
            }
        }
        ((IOutputLayer) layers[last]).setLabels(net.getLabels());
        INDArray epsilon = null;
        for (int i = last; i >= lowest; i--) {
            if (sums[i] == null) {
                epsilon = layers[i].backpropGradient(epsilon, workspaces).getSecond();
            } else {
                INDArray delta = delta(layers[i], sums[i], epsilon);
                epsilon = i == lowest ? null : delta.mmul(weights(layers[i]).transpose());
            }
            InputPreProcessor before = net.getLayerWiseConfigurations().getInputPreProcess(i);
            if (before != null && i > lowest) {
                epsilon = before.backprop(epsilon, samples, workspaces);
            }
        }
    }

    /** By exact class: a subclass may compute something else. */
    private static boolean isDense(Layer layer) {
        return layer.getClass() == org.deeplearning4j.nn.layers.OutputLayer.class
                || layer.getClass()
                                == org.deeplearning4j.nn.layers.feedforward.dense.DenseLayer.class
                        && !((DenseLayer) layer.conf().getLayer()).hasLayerNorm();
    }

    private static INDArray weights(Layer layer) {
        return layer.getParam(DefaultParamInitializer.WEIGHT_KEY);
    }

    private static INDArray sum(Layer layer, INDArray x) {
        INDArray w = weights(layer);
        INDArray sum = x.castTo(w.dataType()).mmul(w);
        INDArray bias = layer.getParam(DefaultParamInitializer.BIAS_KEY);
        return bias == null ? sum : sum.addiRowVector(bias);
    }

    private INDArray delta(Layer layer, INDArray sum, INDArray epsilon) {
        if (layer.conf().getLayer() instanceof BaseOutputLayer output) {
            IActivation phi = output.getActivationFn();
            return output.getLossFn().computeGradient(net.getLabels(), sum, phi, null);
        }
        return activation(layer).backprop(sum, epsilon).getFirst();
    }

    private static IActivation activation(Layer layer) {
        return ((BaseLayer) layer.conf().getLayer()).getActivationFn();
    }
}
