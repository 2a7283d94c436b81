// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.RNNFormat;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.LSTM;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.RnnOutputLayer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.lngd4j.Field;
import org.lngd4j.Fisher;
import org.lngd4j.LngdOptions;
import org.lngd4j.Treatment;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.dataset.MultiDataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.Sgd;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** Padding enters no statistics: those of a batch with masks are those of its other rows alone. */
@SuppressWarnings("try") // attachments that are only opened and closed
class MaskTest {
    static final int INPUTS = 4;
    static final int CLASSES = 3;
    static final int[] LENGTHS = {5, 1, 3, 0, 4, 2};
    static final int TIMES = 5;
    static final AttachOptions LAST = AttachOptions.defaults().leaveAverages(false);

    static LngdOptions options(int samples) {
        return LngdOptions.recipe(20)
                .statisticsSamples(samples)
                .statisticsInterval(1)
                .inverseInterval(1)
                .build();
    }

    static MultiLayerNetwork net(InputType type, Layer... layers) {
        NeuralNetConfiguration.ListBuilder list =
                new NeuralNetConfiguration.Builder().seed(3).updater(new Sgd(0.1)).list();
        for (Layer layer : layers) {
            list.layer(layer);
        }
        MultiLayerNetwork net = new MultiLayerNetwork(list.setInputType(type).build());
        net.init();
        return net;
    }

    static DenseLayer dense(int out) {
        return new DenseLayer.Builder().nOut(out).activation(Activation.TANH).build();
    }

    static RnnOutputLayer sequences() {
        return new RnnOutputLayer.Builder(LossFunction.MCXENT)
                .nOut(CLASSES)
                .activation(Activation.SOFTMAX)
                .build();
    }

    static OutputLayer output() {
        return new OutputLayer.Builder(LossFunction.MCXENT)
                .nOut(CLASSES)
                .activation(Activation.SOFTMAX)
                .build();
    }

    /** Sequences of several lengths, one of none; what is padding is anything but zero. */
    static DataSet padded() {
        int samples = LENGTHS.length;
        Random random = new Random(5);
        INDArray x = Nd4j.create(samples, INPUTS, TIMES);
        INDArray y = Nd4j.zeros(samples, CLASSES, TIMES);
        INDArray mask = Nd4j.zeros(samples, TIMES);
        for (int n = 0; n < samples; n++) {
            for (int t = 0; t < TIMES; t++) {
                boolean counts = t < LENGTHS[n];
                for (int c = 0; c < INPUTS; c++) {
                    x.putScalar(n, c, t, random.nextGaussian() * (counts ? 1 : 30));
                }
                y.putScalar(n, random.nextInt(CLASSES), t, 1);
                mask.putScalar(n, t, counts ? 1 : 0);
            }
        }
        return new DataSet(x, y, mask, mask.dup());
    }

    /** Their rows without padding, in the order in which DL4J makes rows of them. */
    private static DataSet rows(DataSet padded) {
        List<INDArray> x = new ArrayList<>();
        List<INDArray> y = new ArrayList<>();
        for (int t = 0; t < TIMES; t++) {
            for (int n = 0; n < LENGTHS.length; n++) {
                if (t < LENGTHS[n]) {
                    x.add(row(padded.getFeatures(), n, t));
                    y.add(row(padded.getLabels(), n, t));
                }
            }
        }
        return new DataSet(
                Nd4j.concat(0, x.toArray(new INDArray[0])),
                Nd4j.concat(0, y.toArray(new INDArray[0])));
    }

    private static INDArray row(INDArray sequences, int n, int t) {
        INDArray row = Nd4j.create(1, sequences.size(1));
        for (int c = 0; c < row.length(); c++) {
            row.putScalar(0, c, sequences.getDouble(n, c, t));
        }
        return row;
    }

    static void assertSameStatistics(LngdTraining one, LngdTraining two) {
        assertThat(one.report().with(Treatment.LNGD)).isNotEmpty();
        for (int i = 0; i < one.report().with(Treatment.LNGD).size(); i++) {
            assertThat(one.optimizer().health(i).statisticsUpdates()).isPositive();
            for (Field field : new Field[] {Field.PHI, Field.PSI}) {
                INDArray expected = Nets.read(two, i, field);
                double largest = expected.amaxNumber().doubleValue();
                // Another batch size makes GEMMs round otherwise; squares of float32 results.
                assertThat(Nets.read(one, i, field).sub(expected).amaxNumber().doubleValue())
                        .as("%s of layer %d, largest %s", field, i, largest)
                        .isLessThanOrEqualTo(2e-5 * largest);
            }
        }
    }

    /** Which masks a batch has. */
    enum Masks {
        /** Those of features and labels, as DL4J's iterators make them. */
        BOTH,
        /** Of labels alone: hidden rows are left out where nothing that they give is asked for. */
        LABELS
    }

    @ParameterizedTest
    @CsvSource({
        "BOTH, true, 0, NCW",
        "BOTH, false, 0, NCW",
        "LABELS, true, 0, NCW",
        "BOTH, true, 6, NCW",
        "LABELS, true, 0, NWC"
    })
    void sequencesWithPaddingAreTheirRows(
            Masks masks, boolean hidden, int samples, RNNFormat format) {
        DataSet data = padded();
        DataSet alone = rows(data);
        if (masks == Masks.LABELS) {
            data.setFeaturesMaskArray(null);
        }
        if (format == RNNFormat.NWC) {
            data.setFeatures(data.getFeatures().permute(0, 2, 1).dup());
            data.setLabels(data.getLabels().permute(0, 2, 1).dup());
        }
        RnnOutputLayer last = sequences();
        last.setRnnDataFormat(format);
        InputType time = InputType.recurrent(INPUTS, TIMES, format);
        InputType plain = InputType.feedForward(INPUTS);
        MultiLayerNetwork sequence = hidden ? net(time, dense(7), dense(5), last) : net(time, last);
        MultiLayerNetwork rows =
                hidden ? net(plain, dense(7), dense(5), output()) : net(plain, output());
        rows.setParams(sequence.params().dup());
        // 15 rows count of 30: of every second one, some would be padding.
        try (LngdTraining one = Lngd.attach(sequence, options(samples), LAST);
                LngdTraining two = Lngd.attach(rows, options(samples), LAST)) {
            assertThat(one.report().layers())
                    .allMatch(layer -> layer.treatment() == Treatment.LNGD);
            sequence.fit(data);
            rows.fit(alone);
            assertSameStatistics(one, two);
            // The gradient is divided by samples here, by rows there: rounding.
            assertThat(sequence.params().sub(rows.params()).amaxNumber().doubleValue())
                    .isLessThan(2e-5);
            for (int i = 0; i < 9; i++) {
                sequence.fit(data);
                rows.fit(alone);
            }
            assertSameStatistics(one, two);
        }
    }

    /** Examples that the labels' mask leaves out, of every layer; at the end, for the draws. */
    @ParameterizedTest
    @EnumSource(
            value = Fisher.class,
            names = {"EXPECTED", "SAMPLED", "PROVIDED"})
    void examplesThatAreLeftOutEnterNoLayer(Fisher fisher) {
        LngdOptions options = options(0).toBuilder().fisher(fisher).seed(4).build();
        DataSet alone = Nets.data(8, 5, 1);
        DataSet more = Nets.data(11, 6, 1);
        INDArray mask = Nd4j.zeros(11, 1);
        for (int n = 0; n < 8; n++) {
            more.getFeatures().putRow(n, alone.getFeatures().getRow(n));
            more.getLabels().putRow(n, alone.getLabels().getRow(n));
            mask.putScalar(n, 0, 1);
        }
        more.setLabelsMaskArray(mask);
        MultiLayerNetwork net = images();
        MultiLayerNetwork twin = net.clone();
        try (LngdTraining one = Lngd.attach(net, options, LAST);
                LngdTraining two = Lngd.attach(twin, options, LAST)) {
            assertThat(one.report().with(Treatment.LNGD)).hasSize(3);
            net.fit(more);
            twin.fit(alone);
            assertSameStatistics(one, two);
            assertThat(net.params().sub(twin.params()).amaxNumber().doubleValue()).isLessThan(2e-5);
        }
    }

    private static MultiLayerNetwork images() {
        return images(LossFunction.MCXENT, Activation.SOFTMAX);
    }

    private static MultiLayerNetwork images(LossFunction loss, Activation phi) {
        return SampledFisherTest.images(
                new Sgd(0.1),
                SampledFisherTest.conv(Activation.TANH),
                dense(6),
                SampledFisherTest.output(loss, phi));
    }

    /** In the middle, where what is left must be picked. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void examplesInTheMiddle(boolean wholeRow) {
        DataSet data = Nets.data(9, 5, 1);
        INDArray mask = Nd4j.ones(9, wholeRow ? Nets.CLASSES : 1);
        mask.getRow(0).assign(0);
        mask.getRow(4).assign(0);
        int[] others = {1, 2, 3, 5, 6, 7, 8};
        DataSet alone =
                new DataSet(
                        Nd4j.pullRows(data.getFeatures(), 1, others, 'c'),
                        Nd4j.pullRows(data.getLabels(), 1, others, 'c'));
        data.setLabelsMaskArray(mask);
        // Of a softmax DL4J refuses masks of single elements.
        MultiLayerNetwork net = wholeRow ? images(LossFunction.XENT, Activation.SIGMOID) : images();
        MultiLayerNetwork twin = net.clone();
        try (LngdTraining one = Lngd.attach(net, options(0), LAST);
                LngdTraining two = Lngd.attach(twin, options(0), LAST)) {
            net.fit(data);
            twin.fit(alone);
            assertSameStatistics(one, two);
        }
    }

    @Test
    void aMaskThatLeavesNothingOutChangesNoBit() {
        DataSet data = padded();
        DataSet unmasked = new DataSet(data.getFeatures(), data.getLabels());
        data.getFeaturesMaskArray().assign(1);
        data.getLabelsMaskArray().assign(1);
        MultiLayerNetwork net = net(InputType.recurrent(INPUTS), dense(7), sequences());
        MultiLayerNetwork twin = net.clone();
        try (LngdTraining one = Lngd.attach(net, options(8), LAST);
                LngdTraining two = Lngd.attach(twin, options(8), LAST)) {
            for (int i = 0; i < 4; i++) {
                net.fit(data);
                twin.fit(unmasked);
            }
        }
        assertThat(net.params()).isEqualTo(twin.params());
    }

    @Test
    void aBatchOfPaddingAloneIsNoStatistics() {
        DataSet data = padded();
        MultiLayerNetwork net = net(InputType.recurrent(INPUTS), dense(7), sequences());
        try (LngdTraining lngd = Lngd.attach(net, options(0), LAST)) {
            net.fit(data);
            INDArray phi = Nets.read(lngd, 0, Field.PHI);
            data.getFeaturesMaskArray().assign(0);
            data.getLabelsMaskArray().assign(0);
            net.fit(data);
            assertThat(lngd.optimizer().health(0).statisticsUpdates()).isEqualTo(1);
            assertThat(Nets.read(lngd, 0, Field.PHI)).isEqualTo(phi);
            assertThat(net.params().isNaN().any()).isFalse();
        }
    }

    /** Labels of one output may be missing where those of the other are there. */
    @ParameterizedTest
    @EnumSource(
            value = Fisher.class,
            names = {"EXPECTED", "PROVIDED"})
    void anExampleCountsThatOneOutputHasLabelsOf(Fisher fisher) {
        LngdOptions options = options(0).toBuilder().fisher(fisher).seed(4).build();
        MultiDataSet data = SampledFisherTest.pair(6, 3);
        INDArray first = Nd4j.create(new float[] {1, 1, 1, 0, 0, 0}, new long[] {6, 1});
        INDArray second = Nd4j.create(new float[] {1, 1, 1, 1, 0, 0}, new long[] {6, 1});
        data.setLabelsMaskArray(new INDArray[] {first, second});
        MultiDataSet alone =
                new MultiDataSet(
                        new INDArray[] {Shadow.first(data.getFeatures(0), 4).dup()},
                        new INDArray[] {
                            Shadow.first(data.getLabels(0), 4).dup(),
                            Shadow.first(data.getLabels(1), 4).dup()
                        });
        alone.setLabelsMaskArray(
                new INDArray[] {Shadow.first(first, 4).dup(), Shadow.first(second, 4).dup()});
        ComputationGraph net = SampledFisherTest.graph(false);
        ComputationGraph twin = net.clone();
        try (LngdTraining one = Lngd.attach(net, options, LAST);
                LngdTraining two = Lngd.attach(twin, options, LAST)) {
            net.fit(data);
            twin.fit(alone);
            assertThat(one.report().with(Treatment.LNGD)).hasSize(4);
            assertSameStatistics(one, two);
            assertThat(net.params().sub(twin.params()).amaxNumber().doubleValue()).isLessThan(2e-5);
        }
    }

    @Test
    void cellsThatAdamTrainsDoNotHinder() {
        DataSet data = padded();
        NeuralNetConfiguration.ListBuilder list =
                new NeuralNetConfiguration.Builder().seed(3).updater(new Adam(1e-2)).list();
        list.layer(new LSTM.Builder().nOut(6).build()).layer(dense(5)).layer(sequences());
        MultiLayerNetwork net =
                new MultiLayerNetwork(list.setInputType(InputType.recurrent(INPUTS)).build());
        net.init();
        double before = net.score(data);
        try (LngdTraining lngd = Lngd.attach(net, options(0), LAST)) {
            for (int i = 0; i < 20; i++) {
                net.fit(data);
            }
            assertThat(lngd.optimizer().health(0).statisticsUpdates()).isEqualTo(20);
        }
        assertThat(net.score(data)).isLessThan(before);
    }
}
