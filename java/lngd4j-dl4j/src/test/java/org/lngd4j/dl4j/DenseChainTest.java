// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.lngd4j.dl4j.SampledFisherTest.OPTIONS;
import static org.lngd4j.dl4j.SampledFisherTest.assertStatistics;
import static org.lngd4j.dl4j.SampledFisherTest.oneByOne;
import static org.lngd4j.dl4j.SampledFisherTest.targets;

import java.util.List;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.lngd4j.Field;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.nd4j.linalg.learning.config.Sgd;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** Gradients of sampled targets out of the training's own forward pass. */
class DenseChainTest {
    private static final int SAMPLES = OPTIONS.statisticsSamples();

    private static MultiLayerNetwork stack(LossFunction loss, Activation phi) {
        return Nets.of(
                new Sgd(0.1),
                Nets.dense(Nets.INPUTS, 9, Activation.RELU),
                Nets.dense(9, 7, Activation.TANH),
                Nets.dense(7, 8, Activation.LEAKYRELU),
                new OutputLayer.Builder(loss).nIn(8).nOut(Nets.CLASSES).activation(phi).build());
    }

    private static List<List<INDArray>> expected(
            MultiLayerNetwork net, DataSet data, PredictiveModel model, double scale) {
        INDArray x = data.getFeatures().get(NDArrayIndex.interval(0, SAMPLES), NDArrayIndex.all());
        return oneByOne(net.clone(), x, targets(net.output(x), model, 0, 0), scale);
    }

    @ParameterizedTest(name = "{0} {1}")
    @MethodSource("org.lngd4j.dl4j.SampledFisherTest#outputs")
    void gradientsAreThoseOfDl4jForTheSameTargets(
            LossFunction loss, Activation phi, PredictiveModel model, double scale) {
        MultiLayerNetwork net = stack(loss, phi);
        DataSet data = Nets.data(SAMPLES + 3, 5, 1);
        List<List<INDArray>> rows = expected(net, data, model, scale);
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            net.fit(data);
            assertStatistics(lngd, OPTIONS, rows);
            assertThat(lngd.shadowed()).isFalse();
        }
    }

    /** A backward pass whose gradients are never stepped leaves nothing. */
    @Test
    void theLastBackwardPassBeforeTheUpdateCounts() {
        MultiLayerNetwork net = stack(LossFunction.MCXENT, Activation.SOFTMAX);
        DataSet data = Nets.data(SAMPLES + 3, 5, 1);
        DataSet other = Nets.data(SAMPLES + 3, 6, 1);
        List<List<INDArray>> rows = expected(net, data, PredictiveModel.CATEGORICAL, 1);
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            net.setInput(other.getFeatures());
            net.setLabels(other.getLabels());
            net.computeGradientAndScore();
            net.fit(data);
            assertStatistics(lngd, OPTIONS, rows);
        }
    }

    @Test
    void aBatchWithAMaskGoesThroughTheShadow() {
        MultiLayerNetwork net = stack(LossFunction.MCXENT, Activation.SOFTMAX);
        DataSet data = Nets.data(SAMPLES, 5, 1);
        List<List<INDArray>> rows = expected(net, data, PredictiveModel.CATEGORICAL, 1);
        INDArray mask = Nd4j.ones(SAMPLES, 1);
        mask.putScalar(2, 0, 0);
        int[] others = {0, 1, 3, 4, 5};
        rows.replaceAll(layer -> layer.stream().map(rs -> CountedRows.pick(rs, others)).toList());
        data.setLabelsMaskArray(mask);
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            net.fit(data);
            assertThat(lngd.shadowed()).isTrue();
            assertStatistics(lngd, OPTIONS, rows);
            net.fit(Nets.data(SAMPLES, 6, 1)); // and the next one by the chain again
            assertThat(lngd.optimizer().health(0).statisticsUpdates()).isEqualTo(2);
        }
    }

    /** The model that is evaluated has no dropout; the training's forward pass has. */
    @Test
    void aNetworkWithDropoutHasNoChain() {
        MultiLayerNetwork net =
                Nets.of(
                        new Sgd(0.1),
                        new DenseLayer.Builder()
                                .nIn(Nets.INPUTS)
                                .nOut(9)
                                .activation(Activation.RELU)
                                .build(),
                        new DenseLayer.Builder()
                                .nIn(9)
                                .nOut(8)
                                .activation(Activation.RELU)
                                .dropOut(0.5)
                                .build(),
                        Nets.softmax(8));
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            assertThat(lngd.shadowed()).isTrue();
            net.fit(Nets.data(SAMPLES, 5, 1));
            assertThat(Nets.read(lngd, 0, Field.PHI).amaxNumber().doubleValue()).isGreaterThan(0);
        }
    }
}
