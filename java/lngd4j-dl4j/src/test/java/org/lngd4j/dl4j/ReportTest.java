// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.deeplearning4j.nn.conf.GradientNormalization;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.constraint.MaxNormConstraint;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.DropoutLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.misc.FrozenLayer;
import org.deeplearning4j.nn.conf.layers.misc.FrozenLayerWithBackprop;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.lngd4j.LayerRegistration;
import org.lngd4j.LngdOptions;
import org.lngd4j.RegistrationReport;
import org.lngd4j.Treatment;
import org.lngd4j.TrustRatio;
import org.lngd4j.nativelib.LngdArgumentException;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.Sgd;

/**
 * Networks of many layer types: every layer is listed, trained by what the report says, and frozen
 * ones keep still.
 */
@SuppressWarnings("try") // attachments that are only opened and closed
class ReportTest {
    private static final LngdOptions OPTIONS = LngdOptions.recipe(50).build();

    private static MultiLayerNetwork convolutional() {
        MultiLayerNetwork net =
                new MultiLayerNetwork(
                        new NeuralNetConfiguration.Builder()
                                .seed(3)
                                .updater(new Adam(1e-3))
                                .list()
                                .layer(
                                        new ConvolutionLayer.Builder(3, 3)
                                                .nOut(4)
                                                .activation(Activation.RELU)
                                                .build())
                                .layer(new BatchNormalization.Builder().build())
                                .layer(
                                        new DenseLayer.Builder()
                                                .nOut(16)
                                                .activation(Activation.RELU)
                                                .build())
                                .layer(new DropoutLayer(0.8))
                                .layer(
                                        new FrozenLayerWithBackprop(
                                                new DenseLayer.Builder()
                                                        .nOut(10)
                                                        .activation(Activation.TANH)
                                                        .build()))
                                .layer(
                                        new DenseLayer.Builder()
                                                .nOut(9)
                                                .activation(Activation.TANH)
                                                .updater(new Sgd(0))
                                                .build())
                                .layer(
                                        new DenseLayer.Builder()
                                                .nOut(8)
                                                .hasLayerNorm(true)
                                                .activation(Activation.TANH)
                                                .build())
                                .layer(
                                        new OutputLayer.Builder()
                                                .nOut(Nets.CLASSES)
                                                .activation(Activation.SOFTMAX)
                                                .build())
                                .setInputType(InputType.convolutionalFlat(4, 3, 1))
                                .build());
        net.init();
        return net;
    }

    @Test
    void everyLayerIsListedWithItsTreatmentAndTrainedSo() {
        MultiLayerNetwork net = convolutional();
        INDArray before = net.params().dup();
        try (LngdTraining lngd =
                Lngd.attach(net, OPTIONS, AttachOptions.defaults().fallback(new Sgd(0.05)))) {
            RegistrationReport report = lngd.report();
            assertThat(report.layers())
                    .extracting(LayerRegistration::treatment)
                    .containsExactly(
                            Treatment.LNGD,
                            Treatment.FIRST_ORDER,
                            Treatment.LNGD,
                            Treatment.NO_PARAMETERS,
                            Treatment.FROZEN,
                            Treatment.FROZEN,
                            Treatment.FIRST_ORDER,
                            Treatment.LNGD);
            assertThat(report.layers().get(0).detail()).contains("3x3 on 1");
            assertThat(report.layers().get(1).detail())
                    .contains("BatchNormalization", "Sgd 0.05 (chosen at attach)");
            assertThat(report.layers().get(6).detail()).contains("layer normalisation");
            assertThat(report.layers().get(7).lngdIndex()).isEqualTo(2);
            assertThat(report.toString())
                    .contains(
                            "trained by",
                            "BatchNormalization",
                            "softmax, categorical",
                            "not averaged",
                            "LNGD trains");
            for (int t = 0; t < 5; t++) {
                net.fit(Nets.data(32, t, 1));
            }
            for (LayerRegistration layer : report.layers()) {
                boolean moved = moved(net, before, layer.index());
                boolean shouldMove =
                        layer.treatment() == Treatment.LNGD
                                || layer.treatment() == Treatment.FIRST_ORDER;
                assertThat(moved).as(layer.toString()).isEqualTo(shouldMove);
            }
        }
    }

    private static boolean moved(MultiLayerNetwork net, INDArray before, int layer) {
        if (net.getLayer(layer).numParams() == 0) {
            return false;
        }
        MultiLayerNetwork old = net.clone();
        old.setParams(before);
        return !net.getLayer(layer).params().equals(old.getLayer(layer).params());
    }

    @Test
    void layersBehindAFrozenLayerKeepStill() {
        MultiLayerNetwork net =
                Nets.of(
                        new Adam(1e-3),
                        Nets.dense(Nets.INPUTS, 16, Activation.TANH),
                        new FrozenLayer(Nets.dense(16, 8, Activation.TANH)),
                        Nets.softmax(8));
        INDArray before = net.params().dup();
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            assertThat(lngd.report().layers())
                    .extracting(LayerRegistration::treatment)
                    .containsExactly(Treatment.FROZEN, Treatment.FROZEN, Treatment.LNGD);
            assertThat(lngd.report().layers().get(0).detail()).contains("backward pass");
            for (int t = 0; t < 3; t++) {
                net.fit(Nets.data(32, t, 1));
            }
        }
        assertThat(moved(net, before, 0)).isFalse();
        assertThat(moved(net, before, 1)).isFalse();
        assertThat(moved(net, before, 2)).isTrue();
    }

    /**
     * Where LNGD does nothing (factor 0), the fallback layers must move exactly as under plain
     * DL4J.
     */
    @Test
    void fallbackLayersMoveAsUnderPlainDl4j() {
        MultiLayerNetwork plain =
                Nets.of(
                        new Adam(1e-2),
                        new DenseLayer.Builder()
                                .nIn(Nets.INPUTS)
                                .nOut(16)
                                .updater(new Sgd(0))
                                .build(),
                        new BatchNormalization.Builder().nOut(16).build(),
                        Nets.dense(16, 8, Activation.TANH),
                        new BatchNormalization.Builder().nOut(8).build(),
                        new OutputLayer.Builder()
                                .nIn(8)
                                .nOut(Nets.CLASSES)
                                .activation(Activation.SOFTMAX)
                                .updater(new Sgd(0))
                                .build());
        MultiLayerNetwork attached = plain.clone();
        ((DenseLayer) plain.getLayer(2).conf().getLayer()).setIUpdater(new Sgd(0));
        plain.setUpdater(null);
        LngdOptions still = OPTIONS.toBuilder().schedule((s, e) -> 0).build();
        try (LngdTraining lngd =
                Lngd.attach(attached, still, AttachOptions.defaults().leaveAverages(false))) {
            for (int t = 0; t < 6; t++) {
                plain.fit(Nets.data(32, t, 1));
                attached.fit(Nets.data(32, t, 1));
            }
        }
        assertThat(attached.params().toFloatVector()).isEqualTo(plain.params().toFloatVector());
    }

    @Test
    void gradientNormalisationAndConstraintsGoOn() {
        MultiLayerNetwork net =
                Nets.of(
                        new Sgd(0.1),
                        new DenseLayer.Builder()
                                .nIn(Nets.INPUTS)
                                .nOut(16)
                                .activation(Activation.TANH)
                                .gradientNormalization(
                                        GradientNormalization.ClipElementWiseAbsoluteValue)
                                .gradientNormalizationThreshold(1e-30)
                                .build(),
                        new OutputLayer.Builder()
                                .nIn(16)
                                .nOut(Nets.CLASSES)
                                .activation(Activation.SOFTMAX)
                                .constrainWeights(new MaxNormConstraint(0.3, 0))
                                .build());
        INDArray before = net.getParam("0_W").dup();
        AttachOptions last = AttachOptions.defaults().leaveAverages(false);
        // Without the trust ratio, which gives every direction the same length.
        LngdOptions raw =
                OPTIONS.toBuilder().trustRatio(TrustRatio.OFF, 0).learningRate(1e-3).build();
        try (LngdTraining lngd = Lngd.attach(net, raw, last)) {
            for (int t = 0; t < 3; t++) {
                net.fit(Nets.data(32, t, 1));
            }
            assertThat(lngd.report().notes()).hasSize(2);
        }
        assertThat(net.getParam("0_W")).as("a gradient clipped to almost 0").isEqualTo(before);
        assertThat(net.getParam("1_W").norm2(0).amaxNumber().doubleValue())
                .isLessThanOrEqualTo(0.3 + 1e-6);
    }

    @Test
    void aNetworkWithoutAnyLayerForLngdIsRefused() {
        MultiLayerNetwork net =
                Nets.of(
                        new Sgd(0.1),
                        new DenseLayer.Builder()
                                .nIn(Nets.INPUTS)
                                .nOut(4)
                                .updater(new Sgd(0))
                                .build(),
                        new OutputLayer.Builder()
                                .nIn(4)
                                .nOut(Nets.CLASSES)
                                .activation(Activation.SOFTMAX)
                                .updater(new Sgd(0))
                                .build());
        DataSet data = Nets.data(8, 1, 1);
        assertThatThrownBy(() -> Lngd.attach(net, OPTIONS))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("no layer that LNGD can train")
                .hasMessageContaining("learning rate of its updater is 0");
        net.fit(data);
    }
}
