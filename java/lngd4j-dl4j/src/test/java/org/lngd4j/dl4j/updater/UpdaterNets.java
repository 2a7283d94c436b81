// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.graph.ElementWiseVertex;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.GlobalPoolingLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** Small seeded networks, data, and their weights and gradients as matrices of doubles. */
final class UpdaterNets {
    private static final int CLASSES = 3;
    private static final int SIDE = 6;

    private UpdaterNets() {}

    static NeuralNetConfiguration.Builder configuration(DataType type) {
        return new NeuralNetConfiguration.Builder()
                .seed(3)
                .dataType(type)
                .activation(Activation.TANH);
    }

    /** 36-7-5-6-3: wide and tall matrices. */
    static MultiLayerNetwork dense() {
        return dense(DataType.FLOAT);
    }

    static MultiLayerNetwork dense(DataType type) {
        MultiLayerNetwork net =
                new MultiLayerNetwork(
                        configuration(type)
                                .list()
                                .layer(new DenseLayer.Builder().nOut(7).build())
                                .layer(new DenseLayer.Builder().nOut(5).build())
                                .layer(new DenseLayer.Builder().nOut(6).build())
                                .layer(output())
                                .setInputType(InputType.feedForward(SIDE * SIDE))
                                .build());
        net.init();
        return net;
    }

    /** Two convolutions, batch normalisation between, a dense layer. */
    static MultiLayerNetwork convolutional() {
        MultiLayerNetwork net =
                new MultiLayerNetwork(
                        configuration(DataType.FLOAT)
                                .list()
                                .layer(new ConvolutionLayer.Builder(3, 3).nOut(4).build())
                                .layer(new BatchNormalization())
                                .layer(new ConvolutionLayer.Builder(2, 2).nOut(5).build())
                                .layer(new DenseLayer.Builder().nOut(6).build())
                                .layer(output())
                                .setInputType(InputType.convolutionalFlat(SIDE, SIDE, 1))
                                .build());
        net.init();
        return net;
    }

    /** A residual block of convolutions without bias, whose arrays are neighbours, and pooling. */
    static ComputationGraph residual() {
        ComputationGraph graph =
                new ComputationGraph(
                        configuration(DataType.FLOAT)
                                .graphBuilder()
                                .addInputs("image")
                                .addLayer("stem", convolution(4), "image")
                                .addLayer("a", convolution(4), "stem")
                                .addLayer("b", convolution(4), "a")
                                .addVertex(
                                        "sum",
                                        new ElementWiseVertex(ElementWiseVertex.Op.Add),
                                        "b",
                                        "stem")
                                .addLayer("pool", new GlobalPoolingLayer(), "sum")
                                .addLayer("output", output(), "pool")
                                .setOutputs("output")
                                .setInputTypes(InputType.convolutionalFlat(SIDE, SIDE, 1))
                                .build());
        graph.init();
        return graph;
    }

    private static ConvolutionLayer convolution(int outputs) {
        return new ConvolutionLayer.Builder(3, 3)
                .padding(1, 1)
                .nOut(outputs)
                .hasBias(false)
                .build();
    }

    static OutputLayer output() {
        return new OutputLayer.Builder(LossFunction.MCXENT)
                .nOut(CLASSES)
                .activation(Activation.SOFTMAX)
                .build();
    }

    /** 16 images; another seed gives others. */
    static DataSet data(long seed) {
        Random random = new Random(seed);
        INDArray x = Nd4j.createUninitialized(DataType.FLOAT, 16, SIDE * SIDE);
        INDArray y = Nd4j.zeros(DataType.FLOAT, 16, CLASSES);
        for (int i = 0; i < 16; i++) {
            for (int k = 0; k < SIDE * SIDE; k++) {
                x.putScalar(i, k, random.nextGaussian() + (k % CLASSES == i % CLASSES ? 0.5 : 0));
            }
            y.putScalar(i, i % CLASSES, 1);
        }
        return new DataSet(x, y);
    }

    static void fit(Model net, DataSet data) {
        if (net instanceof MultiLayerNetwork chain) {
            chain.fit(data);
        } else {
            ((ComputationGraph) net).fit(data);
        }
    }

    /** Running statistics of batch normalisation, which no optimizer moves. */
    static boolean isStatistic(String name) {
        return name.endsWith("_mean") || name.endsWith("_log10stdev");
    }

    /** All arrays of parameters as outputs x inputs; a vector is one row. */
    static Map<String, double[][]> weights(Model net) {
        return matrices(net.paramTable(), 1);
    }

    /** The gradients of a step, divided by the batch as DL4J does before its updater. */
    static Map<String, double[][]> gradients(Model net, DataSet data) {
        if (net instanceof MultiLayerNetwork chain) {
            MultiLayerNetwork copy = chain.clone();
            copy.setInput(data.getFeatures());
            copy.setLabels(data.getLabels());
            copy.computeGradientAndScore();
            return matrices(copy.gradient().gradientForVariable(), data.numExamples());
        }
        ComputationGraph copy = ((ComputationGraph) net).clone();
        copy.setInput(0, data.getFeatures());
        copy.setLabel(0, data.getLabels());
        copy.computeGradientAndScore();
        return matrices(copy.gradient().gradientForVariable(), data.numExamples());
    }

    private static Map<String, double[][]> matrices(Map<String, INDArray> arrays, double divisor) {
        Map<String, double[][]> result = new LinkedHashMap<>();
        arrays.forEach(
                (name, array) -> {
                    long rows =
                            array.rank() == 4
                                    ? array.size(0)
                                    : name.endsWith("_W") ? array.size(1) : 1;
                    INDArray w =
                            array.rank() == 2 && name.endsWith("_W") ? array.transpose() : array;
                    double[] flat = w.dup('c').data().asDouble();
                    int columns = (int) (flat.length / rows);
                    double[][] matrix = Dense.zeros((int) rows, columns);
                    for (int i = 0; i < flat.length; i++) {
                        matrix[i / columns][i % columns] = flat[i] / divisor;
                    }
                    result.put(name, matrix);
                });
        return result;
    }
}
