// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import org.deeplearning4j.nn.conf.layers.ActivationLayer;
import org.deeplearning4j.nn.conf.layers.LossLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.lngd4j.LayerSamples;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;
import org.lngd4j.RegistrationReport;
import org.lngd4j.Treatment;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.activations.impl.ActivationELU;
import org.nd4j.linalg.activations.impl.ActivationReLU;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.learning.config.Sgd;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** The captured inputs and deltas reproduce DL4J's own gradients. */
class CaptureTest {
    private static final LngdOptions EMPIRICAL = LngdOptions.recipeEmpirical(100).build();

    @ParameterizedTest
    @EnumSource(
            value = Activation.class,
            mode = EnumSource.Mode.EXCLUDE,
            names = {"SOFTMAX"})
    void everyActivation(Activation activation) {
        check(
                Nets.of(
                        new Sgd(0.1),
                        Nets.dense(Nets.INPUTS, 16, activation),
                        Nets.dense(16, 8, activation),
                        Nets.softmax(8)));
    }

    @Test
    void activationsWithParameters() {
        check(
                Nets.of(
                        new Sgd(0.1),
                        Nets.dense(Nets.INPUTS, 16, new ActivationReLU(6.0, 0.1, 0.2)),
                        Nets.dense(16, 8, new ActivationELU(0.5)),
                        Nets.softmax(8)));
    }

    static Stream<Object[]> outputs() {
        return Stream.of(
                new Object[] {LossFunction.MCXENT, Activation.SOFTMAX, OutputModel.SOFTMAX},
                new Object[] {
                    LossFunction.NEGATIVELOGLIKELIHOOD, Activation.SOFTMAX, OutputModel.SOFTMAX
                },
                new Object[] {LossFunction.KL_DIVERGENCE, Activation.SOFTMAX, OutputModel.SOFTMAX},
                new Object[] {LossFunction.XENT, Activation.SIGMOID, OutputModel.SIGMOID},
                new Object[] {LossFunction.MSE, Activation.IDENTITY, OutputModel.SQUARED_ERROR},
                new Object[] {LossFunction.MSE, Activation.TANH, OutputModel.SQUARED_ERROR},
                new Object[] {LossFunction.MSE, Activation.SOFTMAX, OutputModel.SOFTMAX_GAUSSIAN},
                new Object[] {
                    LossFunction.SQUARED_LOSS, Activation.SIGMOID, OutputModel.SQUARED_ERROR
                },
                new Object[] {
                    LossFunction.MEAN_ABSOLUTE_ERROR, Activation.IDENTITY, OutputModel.SQUARED_ERROR
                });
    }

    @ParameterizedTest
    @MethodSource("outputs")
    void everyOutput(LossFunction loss, Activation activation, OutputModel model) {
        OutputLayer output =
                new OutputLayer.Builder(loss)
                        .nIn(16)
                        .nOut(Nets.CLASSES)
                        .activation(activation)
                        .build();
        MultiLayerNetwork net =
                Nets.of(new Sgd(0.1), Nets.dense(Nets.INPUTS, 16, Activation.TANH), output);
        RegistrationReport report = check(net);
        assertThat(report.layers().get(1).spec().output()).isEqualTo(model);
    }

    @Test
    void aBareDenseLayerTakesTheModelOfWhatFollowsIt() {
        MultiLayerNetwork net =
                Nets.of(
                        new Sgd(0.1),
                        Nets.dense(Nets.INPUTS, 16, Activation.IDENTITY),
                        new ActivationLayer(Activation.RELU),
                        Nets.dense(16, Nets.CLASSES, Activation.IDENTITY),
                        new LossLayer.Builder(LossFunction.MCXENT)
                                .activation(Activation.SOFTMAX)
                                .build());
        RegistrationReport report = check(net);
        assertThat(report.layers().get(0).spec().activation())
                .isEqualTo(org.lngd4j.Activation.RELU);
        assertThat(report.layers().get(2).spec().output()).isEqualTo(OutputModel.SOFTMAX);
    }

    @Test
    void dropoutGivesTheInputsThatTheGradientSaw() {
        check(
                Nets.of(
                        new Sgd(0.1),
                        Nets.dense(Nets.INPUTS, 16, Activation.RELU),
                        new org.deeplearning4j.nn.conf.layers.DenseLayer.Builder()
                                .nIn(16)
                                .nOut(8)
                                .activation(Activation.TANH)
                                .dropOut(0.5)
                                .build(),
                        Nets.softmax(8)));
    }

    @Test
    void labelMasks() {
        DataSet data = Nets.data(10, 3, 1);
        INDArray mask = org.nd4j.linalg.factory.Nd4j.ones(10, 1);
        mask.putScalar(3, 0, 0);
        mask.putScalar(7, 0, 0);
        data.setLabelsMaskArray(mask);
        check(Nets.mlp(), data);
    }

    private static RegistrationReport check(MultiLayerNetwork net) {
        return check(net, Nets.data(37, 3, 1));
    }

    private static RegistrationReport check(MultiLayerNetwork net, DataSet data) {
        try (LngdTraining lngd = Lngd.attach(net, EMPIRICAL)) {
            net.setInput(data.getFeatures());
            net.setLabels(data.getLabels());
            net.setLayerMaskArrays(null, data.getLabelsMaskArray());
            net.computeGradientAndScore();
            assertThat(lngd.report().with(Treatment.LNGD)).isNotEmpty();
            for (LayerCapture capture : lngd.captures()) {
                LayerSamples s = capture.samples();
                assertThat(s).as("layer %s", capture.layer.getIndex()).isNotNull();
                // Before the updater, DL4J's gradients are sums over the batch.
                INDArray dW = net.gradient().getGradientFor(capture.layer.getIndex() + "_W");
                INDArray db = net.gradient().getGradientFor(capture.layer.getIndex() + "_b");
                assertClose(Nets.inputs(s).transpose().mmul(Nets.deltas(s)), dW);
                assertClose(Nets.deltas(s).sum(0), db.reshape(db.length()));
                assertThat(dW.amaxNumber().doubleValue()).isGreaterThan(1e-4);
            }
            return lngd.report();
        }
    }

    /** Sums of at most 37 products: 1e-5 of the largest entry is rounding. */
    private static void assertClose(INDArray actual, INDArray expected) {
        double largest = expected.amaxNumber().doubleValue();
        assertThat(actual.sub(expected).amaxNumber().doubleValue())
                .isLessThanOrEqualTo(1e-5 * largest + 1e-7);
    }
}
