// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.optimizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.gradient.Gradient;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lngd4j.cli.model.Dl4jNetwork;
import org.lngd4j.cli.optimizer.LayerwiseConfig.Rule;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.lossfunctions.LossFunctions;

/** LARS and LAMB in a network of DL4J's against a plain double-precision twin. */
class LayerwiseUpdaterTest {
    private static final int[] LAYERS = {5 * 4 + 4, 4 * 3 + 3};
    private static final int STEPS = 30;

    private final INDArray features = Nd4j.createUninitialized(DataType.FLOAT, 8, 5);
    private final INDArray targets = Nd4j.zeros(DataType.FLOAT, 8, 3);

    @BeforeEach
    void data() {
        Random random = new Random(1);
        for (int i = 0; i < 8; i++) {
            for (int k = 0; k < 5; k++) {
                features.putScalar(i, k, random.nextGaussian());
            }
            targets.putScalar(i, i % 3, 1);
        }
    }

    @ParameterizedTest
    @CsvSource({"LARS, 0", "LARS, 0.1", "LAMB, 0", "LAMB, 0.1"})
    void followsItsFormulaInDoublePrecision(Rule rule, double decay) {
        CosineSchedule schedule = new CosineSchedule(0.02, STEPS);
        LayerwiseConfig config = new LayerwiseConfig(rule, schedule, 0.9, decay);
        MultiLayerNetwork net = network(config);
        LayerwiseUpdater.bind(Dl4jNetwork.of(net));
        assertThat(net.getUpdater().getStateViewArray().length())
                .isEqualTo((rule == Rule.LARS ? 1 : 2) * net.numParams());
        double[] w = net.params().ravel().toDoubleVector();
        Twin twin = new Twin(w.length, decay);
        for (int step = 0; step < STEPS; step++) {
            double[] g = gradient(net);
            double rate = schedule.valueAt(step, 0);
            if (rule == Rule.LARS) {
                twin.lars(w, g, rate);
            } else {
                twin.lamb(w, g, rate, step + 1);
            }
            net.fit(features, targets);
            float[] seen = net.params().ravel().toFloatVector();
            for (int k = 0; k < w.length; k++) {
                // Weights of about 1 and a step of 0.02: a handful of roundings of 6e-8 a step. For
                // LAMB a gradient near 0 is divided by its own root, which its rounding then moves.
                double allowed = rule == Rule.LARS ? 1e-6 : 2e-5;
                assertThat((double) seen[k]).isCloseTo(w[k], within(allowed));
                // The twin goes on from the network's weights: errors must not pile up through the
                // gradients.
                w[k] = seen[k];
            }
        }
    }

    @Test
    void aLayerOfZerosMovesAndAZeroGradientDoesNot() {
        for (Rule rule : Rule.values()) {
            LayerwiseConfig config = new LayerwiseConfig(rule, new CosineSchedule(0.1, 10), 0.9, 0);
            INDArray state = Nd4j.zeros(DataType.FLOAT, config.stateSize(4));
            LayerwiseUpdater updater = (LayerwiseUpdater) config.instantiate(state, true);
            INDArray weights = Nd4j.zeros(DataType.FLOAT, 4);
            updater.bind(java.util.List.of(new LayerwiseUpdater.Part(weights, 0, 4)));

            INDArray gradient = Nd4j.createFromArray(0f, 0f, 0f, 0f);
            updater.applyUpdater(gradient, 0, 0);
            assertThat(gradient.toFloatVector()).containsOnly(0f);

            gradient = Nd4j.createFromArray(3f, 0f, -4f, 0f);
            updater.applyUpdater(gradient, 0, 0);
            // rate times the least norm; one rounding or two.
            assertThat(gradient.norm2Number().doubleValue())
                    .isCloseTo(0.1 * LayerwiseUpdater.LEAST_NORM, within(1e-10));
        }
    }

    @Test
    void anUnboundUpdaterSaysSo() {
        MultiLayerNetwork net =
                network(new LayerwiseConfig(Rule.LARS, new CosineSchedule(0.1, 10), 0.9, 0));

        assertThatThrownBy(() -> net.fit(features, targets)).hasMessageContaining("not bound");
    }

    private static MultiLayerNetwork network(LayerwiseConfig config) {
        MultiLayerNetwork net =
                new MultiLayerNetwork(
                        new NeuralNetConfiguration.Builder()
                                .seed(2)
                                .dataType(DataType.FLOAT)
                                .updater(config)
                                .list()
                                .layer(
                                        new DenseLayer.Builder()
                                                .nIn(5)
                                                .nOut(4)
                                                .activation(Activation.TANH)
                                                .build())
                                .layer(
                                        new OutputLayer.Builder(LossFunctions.LossFunction.MCXENT)
                                                .nIn(4)
                                                .nOut(3)
                                                .activation(Activation.SOFTMAX)
                                                .build())
                                .build());
        net.init();
        return net;
    }

    private double[] gradient(MultiLayerNetwork net) {
        MultiLayerNetwork copy = net.clone();
        copy.setInput(features);
        copy.setLabels(targets);
        copy.computeGradientAndScore();
        Gradient gradient = copy.gradient();
        // DL4J divides by the batch in its updater.
        return gradient.gradient().ravel().div(features.size(0)).toDoubleVector();
    }

    /** The formulas with loops and doubles. */
    private static final class Twin {
        private final double[] m;
        private final double[] v;
        private final double decay;

        Twin(int length, double decay) {
            this.m = new double[length];
            this.v = new double[length];
            this.decay = decay;
        }

        void lars(double[] w, double[] g, double rate) {
            int from = 0;
            for (int length : LAYERS) {
                int to = from + length;
                double wn = norm(w, from, to);
                double local = rate * wn / (norm(g, from, to) + decay * wn);
                for (int k = from; k < to; k++) {
                    m[k] = 0.9 * m[k] + local * (g[k] + decay * w[k]);
                    w[k] -= m[k];
                }
                from = to;
            }
        }

        void lamb(double[] w, double[] g, double rate, int t) {
            int from = 0;
            for (int length : LAYERS) {
                int to = from + length;
                double[] u = new double[w.length];
                for (int k = from; k < to; k++) {
                    m[k] = 0.9 * m[k] + 0.1 * g[k];
                    v[k] = 0.999 * v[k] + 0.001 * g[k] * g[k];
                    double mean = m[k] / (1 - Math.pow(0.9, t));
                    double square = v[k] / (1 - Math.pow(0.999, t));
                    u[k] = mean / (Math.sqrt(square) + 1e-6) + decay * w[k];
                }
                double scale = rate * norm(w, from, to) / norm(u, from, to);
                for (int k = from; k < to; k++) {
                    w[k] -= scale * u[k];
                }
                from = to;
            }
        }

        private static double norm(double[] x, int from, int to) {
            double sum = 0;
            for (int k = from; k < to; k++) {
                sum += x[k] * x[k];
            }
            return Math.sqrt(sum);
        }
    }
}
