// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.fisher;

import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * A trained perceptron (ReLU, softmax at the end) in double: forward, and the gradient of {@code
 * -log p(y)} with respect to a layer's pre-activations for every class y.
 */
final class SmallNet {
    private final double[][][] weights; // layer, output, input and bias

    SmallNet(double[][][] weights) {
        this.weights = weights;
    }

    static SmallNet of(MultiLayerNetwork net) {
        double[][][] weights = new double[net.getnLayers()][][];
        for (int l = 0; l < weights.length; l++) {
            INDArray w = net.getParam(l + "_W"); // inputs x outputs
            INDArray b = net.getParam(l + "_b");
            int inputs = (int) w.size(0);
            weights[l] = new double[(int) w.size(1)][inputs + 1];
            for (int i = 0; i < weights[l].length; i++) {
                for (int j = 0; j < inputs; j++) {
                    weights[l][i][j] = w.getDouble(j, i);
                }
                weights[l][i][inputs] = b.getDouble(i);
            }
        }
        return new SmallNet(weights);
    }

    int layers() {
        return weights.length;
    }

    /** The pass of one sample. */
    Pass forward(double[] features) {
        double[][] inputs = new double[layers()][];
        double[][] outputs = new double[layers()][];
        double[] a = features;
        for (int l = 0; l < layers(); l++) {
            inputs[l] = new double[a.length + 1];
            System.arraycopy(a, 0, inputs[l], 0, a.length);
            inputs[l][a.length] = 1;
            double[] s = new double[weights[l].length];
            for (int i = 0; i < s.length; i++) {
                for (int j = 0; j <= a.length; j++) {
                    s[i] += weights[l][i][j] * inputs[l][j];
                }
            }
            outputs[l] = s;
            a = new double[s.length];
            for (int i = 0; i < s.length; i++) {
                a[i] = Math.max(0, s[i]);
            }
        }
        return new Pass(inputs, outputs, softmax(outputs[layers() - 1]));
    }

    private static double[] softmax(double[] s) {
        double top = Double.NEGATIVE_INFINITY;
        for (double x : s) {
            top = Math.max(top, x);
        }
        double sum = 0;
        double[] p = new double[s.length];
        for (int i = 0; i < s.length; i++) {
            p[i] = Math.exp(s[i] - top);
            sum += p[i];
        }
        for (int i = 0; i < s.length; i++) {
            p[i] /= sum;
        }
        return p;
    }

    /**
     * What a sample leaves.
     *
     * @param inputs of each layer, with the constant 1 of the bias at the end
     * @param preActivations of each layer
     * @param probabilities of the classes
     */
    record Pass(double[][] inputs, double[][] preActivations, double[] probabilities) {}

    /** {@code d(-log p(y)) / d s} of layer {@code layer}. */
    double[] gradient(Pass pass, int layer, int y) {
        double[] delta = pass.probabilities().clone();
        delta[y] -= 1;
        for (int l = layers() - 1; l > layer; l--) {
            double[] s = pass.preActivations()[l - 1];
            double[] below = new double[s.length];
            for (int j = 0; j < s.length; j++) {
                for (int i = 0; i < delta.length; i++) {
                    below[j] += s[j] > 0 ? weights[l][i][j] * delta[i] : 0;
                }
            }
            delta = below;
        }
        return delta;
    }
}
