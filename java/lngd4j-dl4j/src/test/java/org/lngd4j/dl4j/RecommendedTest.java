// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.EmbeddingLayer;
import org.deeplearning4j.nn.conf.layers.LSTM;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.RnnLossLayer;
import org.deeplearning4j.nn.conf.layers.RnnOutputLayer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.lngd4j.Field;
import org.lngd4j.LayerSpec;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;
import org.lngd4j.Preset;
import org.lngd4j.Treatment;
import org.lngd4j.nativelib.LngdArgumentException;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.Sgd;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** Lngd.recommended: what it says to a network, and that the network can be trained by it. */
@SuppressWarnings("try") // attachments that are only opened and closed
class RecommendedTest {
    private static final int STEPS = 400;

    private static OutputLayer output(int in, int out, LossFunction loss, Activation phi) {
        return new OutputLayer.Builder(loss).nIn(in).nOut(out).activation(phi).build();
    }

    private static MultiLayerNetwork with(OutputLayer output) {
        return Nets.of(new Adam(1e-3), Nets.dense(Nets.INPUTS, 8, Activation.RELU), output);
    }

    private static LayerSpec lastSpec(MultiLayerNetwork net, LngdOptions options) {
        try (LngdTraining lngd = Lngd.attach(net, options)) {
            return lngd.optimizer().layers().get(lngd.optimizer().layerCount() - 1);
        }
    }

    @Test
    void aClassifier() {
        MultiLayerNetwork net = Nets.mlp();
        LngdOptions options = Lngd.recommended(net, STEPS, 64);
        assertThat(options).isEqualTo(LngdOptions.blockKronecker(STEPS).build());
        assertThat(options.reason()).startsWith("BLOCK_KRONECKER:").contains("softmax");
        // By its output model the library knows which layer the bound and its decay are for.
        assertThat(lastSpec(net, options).output()).isEqualTo(OutputModel.SOFTMAX);
        MultiLayerNetwork flags = with(output(8, 3, LossFunction.XENT, Activation.SIGMOID));
        assertThat(Lngd.recommended(flags, STEPS, 64)).isEqualTo(options);
        assertThat(lastSpec(flags, options).output()).isEqualTo(OutputModel.SIGMOID);
    }

    @Test
    void anAutoencoderAndARegression() {
        LngdOptions fit = LngdOptions.blockKroneckerFit(STEPS).build();
        MultiLayerNetwork autoencoder =
                with(output(8, Nets.INPUTS, LossFunction.XENT, Activation.SIGMOID));
        LngdOptions options = Lngd.recommended(autoencoder, STEPS, 64);
        assertThat(options).isEqualTo(fit);
        assertThat(options.reason()).contains("autoencoder");
        MultiLayerNetwork regression = with(output(8, 2, LossFunction.MSE, Activation.IDENTITY));
        options = Lngd.recommended(regression, STEPS, 64);
        assertThat(options).isEqualTo(fit);
        assertThat(lastSpec(regression, options).output()).isEqualTo(OutputModel.SQUARED_ERROR);
    }

    @Test
    void aConvolution() {
        MultiLayerNetwork net =
                SampledFisherTest.images(
                        new Sgd(0.1),
                        SampledFisherTest.conv(Activation.RELU),
                        new DenseLayer.Builder().nOut(5).activation(Activation.RELU).build(),
                        SampledFisherTest.output(LossFunction.MCXENT, Activation.SOFTMAX));
        LngdOptions options = Lngd.recommended(net, 80, 64);
        assertThat(options.preset()).isEqualTo(Preset.BLOCK_KRONECKER);
        assertThat(options.statisticsSamples()).isEqualTo(64);
        assertThat(options.statisticsInterval()).isEqualTo(2); // 80 / 40
        try (LngdTraining lngd = Lngd.attach(net, options)) {
            net.fit(Nets.data(64, 1, 1));
            assertThat(lngd.optimizer().health(0).lastStepSkipped()).isFalse();
        }
    }

    @Test
    void embeddingsAreTrainedBothSided() {
        MultiLayerNetwork net =
                Nets.of(
                        new Adam(1e-3),
                        new EmbeddingLayer.Builder().nIn(20).nOut(8).build(),
                        Nets.softmax(8));
        LngdOptions options = Lngd.recommended(net, STEPS, 64);
        assertThat(options).isEqualTo(LngdOptions.blockKronecker(STEPS).build());
        try (LngdTraining lngd = Lngd.attach(net, options)) {
            assertThat(lngd.report().with(Treatment.LNGD)).hasSize(2);
            INDArray words = Nd4j.create(64, 1);
            INDArray labels = Nd4j.zeros(64, Nets.CLASSES);
            for (int i = 0; i < 64; i++) {
                words.putScalar(i, 0, i % 10);
                labels.putScalar(i, i % Nets.CLASSES, 1);
            }
            net.fit(new DataSet(words, labels));
            // A is the share of each index in the batch: 7 or 6 of 64, and none of the last ten.
            float[] a = lngd.optimizer().read(0, Field.PHI);
            for (int word = 0; word < 20; word++) {
                int times = word < 4 ? 7 : word < 10 ? 6 : 0;
                assertThat(a[word]).isEqualTo(times / 64f);
            }
            assertThat(lngd.optimizer().health(0).lastStepSkipped()).isFalse();
        }
        // Approximations that have no block for it leave it to its own updater, and say so.
        LngdOptions named = LngdOptions.preset(Preset.EKFAC, 0).build();
        try (LngdTraining lngd = Lngd.attach(net, named)) {
            assertThat(lngd.report().with(Treatment.FIRST_ORDER)).hasSize(1);
            assertThat(lngd.report().toString()).contains("EKFAC has no block for embeddings");
        }
    }

    @Test
    void whatHasNoSampledTargetsGetsTheRecipeToo() {
        MultiLayerNetwork recurrent =
                Nets.of(
                        new Sgd(0.1),
                        new LSTM.Builder().nIn(4).nOut(3).build(),
                        Nets.dense(3, 3, Activation.RELU),
                        new RnnOutputLayer.Builder(LossFunction.MCXENT)
                                .nIn(3)
                                .nOut(2)
                                .activation(Activation.SOFTMAX)
                                .build());
        recurrent.getLayerWiseConfigurations().getInputPreProcessors().clear();
        LngdOptions options = Lngd.recommended(recurrent, STEPS, 64);
        assertThat(options).isEqualTo(LngdOptions.recipe(STEPS).build());
        assertThat(options.reason()).startsWith("RECIPE:").contains("LSTM");
        MultiLayerNetwork hinge = with(output(8, 2, LossFunction.HINGE, Activation.IDENTITY));
        options = Lngd.recommended(hinge, STEPS, 64);
        assertThat(options).isEqualTo(LngdOptions.recipe(STEPS).build());
        assertThat(options.reason()).startsWith("RECIPE:").contains("LossHinge");
    }

    @Test
    void aSmallBatchGetsASoftTrustRatio() {
        MultiLayerNetwork net = with(output(8, 2, LossFunction.MSE, Activation.IDENTITY));
        LngdOptions options = Lngd.recommended(net, STEPS, 8);
        assertThat(options.softTrust()).isTrue();
        assertThat(options.reason()).contains("batches of 8");
        INDArray x = Nd4j.rand(8, Nets.INPUTS);
        DataSet data = new DataSet(x, x.mmul(Nd4j.rand(Nets.INPUTS, 2)));
        double before = net.score(data);
        try (LngdTraining lngd = Lngd.attach(net, options)) {
            for (int i = 0; i < 50; i++) {
                net.fit(data);
            }
            assertThat(lngd.optimizer().health(0).skippedSteps()).isZero();
        }
        assertThat(net.score(data)).isLessThan(0.5 * before);
    }

    /** One with an output for classes and then one for values. */
    @Test
    void ofAGraphTheLastOutputDecides() {
        ComputationGraph graph = SampledFisherTest.graph(true);
        LngdOptions options = Lngd.recommended(graph, STEPS, 64);
        assertThat(options.preset()).isEqualTo(Preset.BLOCK_KRONECKER_FIT);
        assertThat(options.statisticsSamples()).isEqualTo(64);
        try (LngdTraining lngd = Lngd.attach(graph, options)) {
            graph.fit(SampledFisherTest.pair(32, 3));
            assertThat(lngd.optimizer().health(0).lastStepSkipped()).isFalse();
        }
    }

    @Test
    void theNetworkIsLeftAsItWas() {
        MultiLayerNetwork net = Nets.mlp();
        String before = net.getLayerWiseConfigurations().toJson();
        INDArray weights = net.params().dup();
        Lngd.recommended(net, STEPS, 64);
        assertThat(net.getLayerWiseConfigurations().toJson()).isEqualTo(before);
        assertThat(net.params()).isEqualTo(weights);
    }

    @Test
    void badArgumentsAreRefusedByName() {
        MultiLayerNetwork net = Nets.mlp();
        refused(net, 0, 64, "total_steps");
        refused(net, -1, 64, "total_steps");
        refused(net, 10, 0, "batch");
        refused(null, 10, 10, "net");
        assertThatThrownBy(() -> Lngd.recommended((ComputationGraph) null, 10, 10))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("graph");
        MultiLayerNetwork none =
                Nets.of(
                        new Sgd(0.1),
                        new LSTM.Builder().nIn(3).nOut(2).build(),
                        new RnnLossLayer.Builder(LossFunction.MCXENT)
                                .activation(Activation.SOFTMAX)
                                .build());
        refused(none, 10, 10, "no layer that LNGD can train");
    }

    private static void refused(MultiLayerNetwork net, long steps, int batch, String word) {
        assertThatThrownBy(() -> Lngd.recommended(net, steps, batch))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining(word);
    }
}
