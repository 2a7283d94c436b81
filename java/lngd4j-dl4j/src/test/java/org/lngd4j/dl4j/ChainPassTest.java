// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.conf.layers.ActivationLayer;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.LossLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.Sgd;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** The pass for derivatives of pre-activations, held against DL4J's own. */
@SuppressWarnings("try") // scopes that are only opened and closed
class ChainPassTest {
    private static final DataSet DATA = Nets.data(9, 5, 1);

    /** Inputs and deltas of the decorated layers, the last layer first. */
    private static final class Seen implements BackpropWatch {
        final Layer layer;
        final List<INDArray> all;

        Seen(Layer layer, List<INDArray> all) {
            this.layer = layer;
            this.all = all;
        }

        @Override
        public void before(INDArray preActivations) {
            keep(preActivations);
        }

        @Override
        public void after(INDArray delta, boolean masked) {
            keep(layer.input());
            keep(delta);
        }

        private void keep(INDArray array) {
            try (MemoryWorkspace outside = Nd4j.getMemoryManager().scopeOutOfWorkspaces()) {
                all.add(array.dup());
            }
        }
    }

    private static List<INDArray> watch(MultiLayerNetwork net, int... indices) {
        List<INDArray> seen = new ArrayList<>();
        for (int i : indices) {
            Layer layer = net.getLayer(i);
            new Decoration(layer, new Seen(layer, seen)).install();
        }
        return seen;
    }

    private static void assertSame(MultiLayerNetwork net, int lowest, int... watched) {
        MultiLayerNetwork theirs = net.clone();
        theirs.setInput(DATA.getFeatures());
        theirs.setLabels(DATA.getLabels());
        List<INDArray> expected = watch(theirs, watched);
        theirs.computeGradientAndScore();
        net.initGradientsView();
        net.setInput(DATA.getFeatures());
        net.setLabels(DATA.getLabels());
        List<INDArray> actual = watch(net, watched);
        new ChainPass(net).run(net.getInput(), lowest);
        assertThat(actual).hasSize(3 * watched.length);
        for (int i = 0; i < actual.size(); i++) {
            // Another layout of a product rounds otherwise.
            double largest = expected.get(i).amaxNumber().doubleValue();
            assertThat(largest).isGreaterThan(1e-3);
            assertThat(actual.get(i).sub(expected.get(i)).amaxNumber().doubleValue())
                    .as("%d", i)
                    .isLessThanOrEqualTo(1e-5 * largest);
        }
    }

    @Test
    void denseLayersHaveDl4jsDerivativesAndNoGradientsOfWeights() {
        MultiLayerNetwork net = Nets.mlp();
        assertSame(net, 0, 0, 1, 2);
        assertThat(net.getFlattenedGradients().amaxNumber().doubleValue()).isZero();
    }

    @Test
    void nothingBelowTheLowestLayerIsPassedBackward() {
        MultiLayerNetwork net = Nets.mlp();
        net.initGradientsView();
        net.setInput(DATA.getFeatures());
        net.setLabels(DATA.getLabels());
        List<INDArray> below = watch(net, 0);
        List<INDArray> lowest = watch(net, 1);
        new ChainPass(net).run(net.getInput(), 1);
        assertThat(below).isEmpty();
        assertThat(lowest).hasSize(3);
    }

    @Test
    void otherLayersGoDl4jsWay() {
        assertSame(
                SampledFisherTest.images(
                        new Sgd(0.1),
                        SampledFisherTest.conv(Activation.RELU),
                        new BatchNormalization(),
                        new ActivationLayer(Activation.TANH),
                        new DenseLayer.Builder().nOut(6).activation(Activation.ELU).build(),
                        new DenseLayer.Builder()
                                .nOut(5)
                                .hasBias(false)
                                .activation(Activation.SOFTPLUS)
                                .build(),
                        new DenseLayer.Builder()
                                .nOut(5)
                                .hasLayerNorm(true)
                                .activation(Activation.TANH)
                                .build(),
                        SampledFisherTest.output(LossFunction.L2, Activation.SIGMOID)),
                0,
                0,
                3,
                4,
                6);
        assertSame(
                Nets.of(
                        new Sgd(0.1),
                        Nets.dense(Nets.INPUTS, 6, Activation.TANH),
                        Nets.dense(6, Nets.CLASSES, Activation.SIGMOID),
                        new LossLayer.Builder(LossFunction.L2)
                                .activation(Activation.IDENTITY)
                                .build()),
                0,
                0,
                1);
    }
}
