// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.lngd4j.Field;
import org.lngd4j.LayerSamples;
import org.lngd4j.nd4j.Nd4jOptimizer;
import org.lngd4j.nd4j.Nd4jTensor;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** Small seeded networks and data. */
final class Nets {
    static final int INPUTS = 12;
    static final int CLASSES = 4;

    private Nets() {}

    /** A field of the optimizer of an attached network. */
    static INDArray read(LngdTraining lngd, int layer, Field field) {
        return new Nd4jOptimizer(lngd.optimizer()).read(layer, field);
    }

    static INDArray inputs(LayerSamples samples) {
        return ((Nd4jTensor) samples.inputs()).get();
    }

    static INDArray deltas(LayerSamples samples) {
        return ((Nd4jTensor) samples.deltas()).get();
    }

    static MultiLayerNetwork of(IUpdater updater, Layer... layers) {
        NeuralNetConfiguration.ListBuilder list =
                new NeuralNetConfiguration.Builder().seed(7).updater(updater).list();
        for (Layer layer : layers) {
            list.layer(layer);
        }
        MultiLayerNetwork net = new MultiLayerNetwork(list.build());
        net.init();
        return net;
    }

    /** 12-16-8-4, tanh, softmax. */
    static MultiLayerNetwork mlp() {
        return of(
                new Adam(1e-3),
                dense(INPUTS, 16, Activation.TANH),
                dense(16, 8, Activation.RELU),
                softmax(8));
    }

    static DenseLayer dense(int in, int out, Activation activation) {
        return dense(in, out, activation.getActivationFunction());
    }

    static DenseLayer dense(int in, int out, IActivation activation) {
        return new DenseLayer.Builder().nIn(in).nOut(out).activation(activation).build();
    }

    static OutputLayer softmax(int in) {
        return new OutputLayer.Builder(LossFunction.MCXENT)
                .nIn(in)
                .nOut(CLASSES)
                .activation(Activation.SOFTMAX)
                .build();
    }

    /**
     * Inputs whose columns have very different sizes, labels by a fixed network that sees them all
     * alike.
     */
    static DataSet data(int rows, long seed, double spread) {
        Random random = new Random(seed);
        Random teacher = new Random(99);
        double[][] first = matrix(teacher, INPUTS, 10);
        double[][] second = matrix(teacher, 10, CLASSES);
        INDArray x = Nd4j.create(rows, INPUTS);
        INDArray y = Nd4j.zeros(rows, CLASSES);
        for (int n = 0; n < rows; n++) {
            double[] h = new double[10];
            for (int j = 0; j < INPUTS; j++) {
                double value = random.nextGaussian();
                x.putScalar(n, j, value * Math.pow(spread, -(double) j / (INPUTS - 1)));
                for (int k = 0; k < h.length; k++) {
                    h[k] += value * first[j][k];
                }
            }
            int best = 0;
            double[] scores = new double[CLASSES];
            for (int c = 0; c < CLASSES; c++) {
                for (int k = 0; k < h.length; k++) {
                    scores[c] += Math.tanh(h[k]) * second[k][c];
                }
                best = scores[c] > scores[best] ? c : best;
            }
            y.putScalar(n, best, 1);
        }
        return new DataSet(x, y);
    }

    static List<DataSet> batches(int count, int rows) {
        List<DataSet> list = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            list.add(data(rows, 1000 + i, 1));
        }
        return list;
    }

    private static double[][] matrix(Random random, int rows, int columns) {
        double[][] m = new double[rows][columns];
        for (double[] row : m) {
            for (int j = 0; j < columns; j++) {
                row[j] = random.nextGaussian() / Math.sqrt(rows);
            }
        }
        return m;
    }
}
