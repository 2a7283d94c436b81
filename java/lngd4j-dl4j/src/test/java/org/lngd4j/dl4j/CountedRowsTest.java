// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.IntStream;
import org.deeplearning4j.nn.conf.ConvolutionMode;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.Convolution1DLayer;
import org.deeplearning4j.nn.conf.layers.LSTM;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lngd4j.LngdOptions;
import org.lngd4j.Treatment;
import org.nd4j.linalg.dataset.DataSet;

/** Which rows count, by the masks of features, of labels, or both. */
@SuppressWarnings("try") // attachments that are only opened and closed
class CountedRowsTest {
    /** One time of each is asked for, as of a network that reads a text and then answers. */
    @Test
    void belowCellsATimeWithoutLabelsStillCounts() {
        DataSet data = MaskTest.padded();
        data.setFeaturesMaskArray(null);
        MultiLayerNetwork net =
                MaskTest.net(
                        InputType.recurrent(MaskTest.INPUTS),
                        MaskTest.dense(7),
                        new LSTM.Builder().nOut(4).build(),
                        MaskTest.dense(6),
                        MaskTest.sequences());
        CountedRows counted = counted(net, data);
        long rows = (long) MaskTest.LENGTHS.length * MaskTest.TIMES;
        int full = IntStream.of(MaskTest.LENGTHS).sum();
        assertThat(counted.of(net.getLayer(3), rows)).hasSize(full);
        assertThat(counted.of(net.getLayer(2), rows)).hasSize(full);
        // Cells carry a time on to later ones; the sequence without labels is left out whole.
        assertThat(counted.of(net.getLayer(0), rows))
                .hasSize((int) rows - MaskTest.TIMES)
                .doesNotContain(3, 3 + MaskTest.LENGTHS.length);
    }

    private static CountedRows counted(MultiLayerNetwork net, DataSet data) {
        SequentialNetwork face = new SequentialNetwork(net);
        net.setInput(data.getFeatures());
        net.setLayerMaskArrays(data.getFeaturesMaskArray(), data.getLabelsMaskArray());
        return new CountedRows(face, face.units(), face.outputs());
    }

    /** DL4J has no masks of labels then: its loss takes the padding in, and so do statistics. */
    @Test
    void withAMaskOfFeaturesAloneTheOutputCountsWhatItsLossCounts() {
        DataSet data = MaskTest.padded();
        data.setLabelsMaskArray(null);
        MultiLayerNetwork net =
                MaskTest.net(
                        InputType.recurrent(MaskTest.INPUTS),
                        MaskTest.dense(7),
                        MaskTest.sequences());
        CountedRows counted = counted(net, data);
        long rows = (long) MaskTest.LENGTHS.length * MaskTest.TIMES;
        assertThat(counted.of(net.getLayer(0), rows)).hasSize(IntStream.of(MaskTest.LENGTHS).sum());
        assertThat(counted.of(net.getLayer(1), rows)).isNull();
    }

    /** Labels alone say it where each position is a row of its own, and else they do not. */
    @ParameterizedTest
    @CsvSource({"1, 15", "3, 25"})
    void belowAConvolutionLabelsSayWhatCounts(int kernel, int expected) {
        DataSet data = MaskTest.padded();
        data.setFeaturesMaskArray(null);
        MultiLayerNetwork net =
                MaskTest.net(
                        InputType.recurrent(MaskTest.INPUTS, MaskTest.TIMES),
                        new Convolution1DLayer.Builder(1).nOut(5).build(),
                        new Convolution1DLayer.Builder(kernel)
                                .nOut(4)
                                .convolutionMode(ConvolutionMode.Same)
                                .build(),
                        MaskTest.sequences());
        CountedRows counted = counted(net, data);
        // 15 positions of 30; of whole samples one of 6.
        assertThat(counted.of(net.getLayer(0), 30)).hasSize(expected);
        assertThat(counted.of(net.getLayer(1), 6)).hasSize(5);
        LngdOptions options = MaskTest.options(0);
        try (LngdTraining lngd = Lngd.attach(net, options, MaskTest.LAST)) {
            net.fit(data);
            assertThat(lngd.report().with(Treatment.LNGD)).hasSize(3);
            assertThat(lngd.optimizer().health(0).statisticsUpdates()).isEqualTo(1);
        }
    }

    @Test
    void nothingIsCopiedWhereAMaskLeavesNothingOut() {
        DataSet data = MaskTest.padded();
        data.getFeaturesMaskArray().assign(1);
        data.getLabelsMaskArray().assign(1);
        MultiLayerNetwork net =
                MaskTest.net(
                        InputType.recurrent(MaskTest.INPUTS),
                        MaskTest.dense(7),
                        MaskTest.sequences());
        CountedRows counted = counted(net, data);
        assertThat(counted.of(net.getLayer(0), 30)).isNull();
        assertThat(counted.of(net.getLayer(1), 30)).isNull();
    }
}
