// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;

import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.LSTM;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.RnnOutputLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.lngd4j.LngdOptions;
import org.lngd4j.Treatment;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** Layers behind a time axis: dense ones are LNGD's, recurrent ones keep their updater. */
@SuppressWarnings("try") // attachments that are only opened and closed
class RecurrentTest {
    private static final int SAMPLES = 6;
    private static final int TIMES = 5;
    private static final int INPUTS = 4;
    private static final int CLASSES = 3;

    private static MultiLayerNetwork net(InputType type, Layer... layers) {
        NeuralNetConfiguration.ListBuilder list =
                new NeuralNetConfiguration.Builder().seed(3).updater(new Adam(1e-2)).list();
        for (Layer layer : layers) {
            list.layer(layer);
        }
        MultiLayerNetwork net = new MultiLayerNetwork(list.setInputType(type).build());
        net.init();
        return net;
    }

    private static RnnOutputLayer sequences() {
        return new RnnOutputLayer.Builder(LossFunction.MCXENT)
                .nOut(CLASSES)
                .activation(Activation.SOFTMAX)
                .build();
    }

    /** Of each step the class is the input that is largest. */
    private static DataSet data() {
        INDArray x = Nd4j.rand(new int[] {SAMPLES, INPUTS, TIMES});
        INDArray y = Nd4j.zeros(SAMPLES, CLASSES, TIMES);
        for (int n = 0; n < SAMPLES; n++) {
            for (int t = 0; t < TIMES; t++) {
                int most = 0;
                for (int c = 1; c < CLASSES; c++) {
                    most = x.getDouble(n, c, t) > x.getDouble(n, most, t) ? c : most;
                }
                y.putScalar(new int[] {n, most, t}, 1);
            }
        }
        return new DataSet(x, y);
    }

    private static DataSet rows(DataSet sequences) {
        return new DataSet(
                sequences.getFeatures().permute(0, 2, 1).dup('c').reshape(-1, INPUTS),
                sequences.getLabels().permute(0, 2, 1).dup('c').reshape(-1, CLASSES));
    }

    /** What a sequence layer does is what a dense one does with its samples and times as rows. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void isTheDenseLayerOfItsRows(boolean hidden) {
        Nd4j.getRandom().setSeed(5);
        DataSet data = data();
        DenseLayer dense = new DenseLayer.Builder().nOut(7).activation(Activation.TANH).build();
        OutputLayer output =
                new OutputLayer.Builder(LossFunction.MCXENT)
                        .nOut(CLASSES)
                        .activation(Activation.SOFTMAX)
                        .build();
        InputType time = InputType.recurrent(INPUTS);
        InputType plain = InputType.feedForward(INPUTS);
        MultiLayerNetwork sequence =
                hidden ? net(time, dense, sequences()) : net(time, sequences());
        MultiLayerNetwork rows = hidden ? net(plain, dense.clone(), output) : net(plain, output);
        rows.setParams(sequence.params().dup());
        // All rows: which are taken first differs between the two.
        LngdOptions options =
                LngdOptions.recipe(20)
                        .statisticsSamples(0)
                        .statisticsInterval(2)
                        .inverseInterval(2)
                        .build();
        AttachOptions last = AttachOptions.defaults().leaveAverages(false);
        try (LngdTraining one = Lngd.attach(sequence, options, last);
                LngdTraining two = Lngd.attach(rows, options, last)) {
            assertThat(one.report().layers())
                    .allMatch(layer -> layer.treatment() == Treatment.LNGD)
                    .allMatch(layer -> layer.detail().contains("in time"));
            for (int i = 0; i < 10; i++) {
                sequence.fit(data);
                rows.fit(rows(data));
            }
            assertThat(one.optimizer().health(0).statisticsUpdates()).isEqualTo(5);
        }
        // Sums in another order, and a gradient that DL4J divides by samples here, by rows there:
        // rounding, grown over ten steps.
        assertThat(sequence.params().sub(rows.params()).amaxNumber().doubleValue())
                .isLessThan(1e-4);
    }

    @Test
    void recurrentCellsKeepTheirUpdater() {
        Nd4j.getRandom().setSeed(6);
        MultiLayerNetwork net =
                net(InputType.recurrent(INPUTS), new LSTM.Builder().nOut(8).build(), sequences());
        INDArray cells = net.getLayer(0).params().dup();
        DataSet data = data();
        double first = net.score(data);
        try (LngdTraining lngd = Lngd.attach(net, Lngd.recommended(net, 60, SAMPLES))) {
            assertThat(lngd.report().layers().get(0).treatment()).isEqualTo(Treatment.FIRST_ORDER);
            assertThat(lngd.report().layers().get(1).treatment()).isEqualTo(Treatment.LNGD);
            for (int i = 0; i < 60; i++) {
                net.fit(data);
            }
            assertThat(lngd.health()).hasSize(1);
            assertThat(lngd.health().values().iterator().next().skippedSteps()).isZero();
        }
        assertThat(net.getLayer(0).params().sub(cells).amaxNumber().doubleValue())
                .isGreaterThan(1e-3);
        assertThat(net.score(data)).isLessThan(0.8 * first);
    }

    /** The first rows are all of the first times. */
    @Test
    void fewRowsAreSpreadOverAllTimes() {
        INDArray rows = Nd4j.linspace(0, 63, 64).reshape(64, 1);
        INDArray spread = ArrayForm.TIME_ROWS.spread(rows, 16);
        assertThat(spread.rows()).isGreaterThanOrEqualTo(16);
        assertThat(spread.getDouble(1, 0)).isEqualTo(3); // 64 / 16 made odd
        assertThat(spread.getDouble(15, 0)).isEqualTo(45);
        assertThat(ArrayForm.DENSE.spread(rows, 16)).isSameAs(rows);
        assertThat(ArrayForm.TIME_ROWS.spread(rows, 0)).isSameAs(rows);
    }
}
