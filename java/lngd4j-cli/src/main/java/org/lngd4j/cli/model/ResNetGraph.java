// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.model;

import org.deeplearning4j.nn.conf.ComputationGraphConfiguration;
import org.deeplearning4j.nn.conf.ComputationGraphConfiguration.GraphBuilder;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.graph.ElementWiseVertex;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.ActivationLayer;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.GlobalPoolingLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.PoolingType;
import org.deeplearning4j.nn.weights.WeightInit;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.lossfunctions.LossFunctions;

/** Lays the vertices of a {@link ResNetSpec}; each method returns the name of what it laid last. */
final class ResNetGraph {
    private final ResNetSpec spec;
    private final GraphBuilder graph;

    ResNetGraph(ResNetSpec spec, long seed, IUpdater updater) {
        this.spec = spec;
        this.graph =
                new NeuralNetConfiguration.Builder()
                        .seed(seed)
                        .dataType(DataType.FLOAT)
                        .updater(updater)
                        .activation(Activation.IDENTITY)
                        .weightInit(WeightInit.RELU)
                        .graphBuilder()
                        .addInputs("image");
    }

    ComputationGraphConfiguration configuration() {
        int in = spec.widths().get(0);
        String last = relu("stem", normalised("stem", "image", 3, in, 1));
        for (int stage = 0; stage < spec.widths().size(); stage++) {
            int out = spec.widths().get(stage);
            for (int block = 0; block < spec.blocks(); block++) {
                int stride = stage > 0 && block == 0 ? 2 : 1;
                last = block("s" + (stage + 1) + "b" + (block + 1), last, in, out, stride);
                in = out;
            }
        }
        graph.addLayer("pool", new GlobalPoolingLayer(PoolingType.AVG), last);
        graph.addLayer(
                "output",
                new OutputLayer.Builder(LossFunctions.LossFunction.MCXENT)
                        .nOut(spec.classes())
                        .activation(Activation.SOFTMAX)
                        .weightInit(WeightInit.XAVIER)
                        .build(),
                "pool");
        return graph.setOutputs("output")
                .setInputTypes(
                        InputType.convolutionalFlat(
                                spec.image().height(),
                                spec.image().width(),
                                spec.image().channels()))
                .build();
    }

    private String block(String name, String input, int in, int out, int stride) {
        String first = relu(name + "-1", normalised(name + "-1", input, 3, out, stride));
        String second = normalised(name + "-2", first, 3, out, 1);
        String shortcut = in == out ? input : normalised(name + "-shortcut", input, 1, out, stride);
        graph.addVertex(
                name + "-sum", new ElementWiseVertex(ElementWiseVertex.Op.Add), second, shortcut);
        return relu(name, name + "-sum");
    }

    private String normalised(String name, String input, int kernel, int out, int stride) {
        graph.addLayer(
                name + "-conv",
                new ConvolutionLayer.Builder(kernel, kernel)
                        .stride(stride, stride)
                        .padding(kernel / 2, kernel / 2)
                        .nOut(out)
                        .hasBias(false)
                        .build(),
                input);
        graph.addLayer(name + "-norm", new BatchNormalization(), name + "-conv");
        return name + "-norm";
    }

    private String relu(String name, String input) {
        graph.addLayer(name + "-relu", new ActivationLayer(Activation.RELU), input);
        return name + "-relu";
    }
}
