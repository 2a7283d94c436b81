// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.Convolution1DLayer;
import org.deeplearning4j.nn.conf.layers.EmbeddingSequenceLayer;
import org.deeplearning4j.nn.conf.layers.GlobalPoolingLayer;
import org.deeplearning4j.nn.conf.layers.PoolingType;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lngd4j.Field;
import org.lngd4j.Fisher;
import org.lngd4j.LngdOptions;
import org.lngd4j.Treatment;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;

/** Masks of layers that have positions: embeddings of sequences, convolutions. */
@SuppressWarnings("try") // attachments that are only opened and closed
class PositionMaskTest {
    private static MultiLayerNetwork words(int times) {
        return MaskTest.net(
                InputType.recurrent(9, times),
                new EmbeddingSequenceLayer.Builder()
                        .nIn(9)
                        .nOut(4)
                        .hasBias(true)
                        .inputLength(times)
                        .build(),
                new Convolution1DLayer.Builder(1).nOut(5).activation(Activation.TANH).build(),
                new GlobalPoolingLayer(PoolingType.AVG),
                MaskTest.output());
    }

    /** The same words, in sequences that padding makes as long as all shall be. */
    private static DataSet words(int times, int[] lengths) {
        INDArray x = Nd4j.create(lengths.length, 1, times).assign(8);
        INDArray y = Nd4j.zeros(lengths.length, MaskTest.CLASSES);
        INDArray mask = Nd4j.zeros(lengths.length, times);
        for (int n = 0; n < lengths.length; n++) {
            y.putScalar(n, n % MaskTest.CLASSES, 1);
            for (int t = 0; t < lengths[n]; t++) {
                x.putScalar(n, 0, t, (n * 5 + 3 * t) % 8);
                mask.putScalar(n, t, 1);
            }
        }
        return new DataSet(x, y, mask, null);
    }

    /** Embedding and convolution with a kernel of 1, whose positions are rows of their own. */
    @ParameterizedTest
    @CsvSource({
        "EXPECTED, 0",
        "EXPECTED, 2",
        "PROVIDED, 0",
    })
    void positionsThatArePaddingAreLeftOut(Fisher fisher, int samples) {
        LngdOptions options = MaskTest.options(samples).toBuilder().fisher(fisher).seed(4).build();
        for (int[] lengths : new int[][] {{3, 3, 3, 3}, {2, 3, 1, 3}}) {
            MultiLayerNetwork net = words(5);
            MultiLayerNetwork twin = words(3);
            twin.setParams(net.params().dup());
            try (LngdTraining one = Lngd.attach(net, options, MaskTest.LAST);
                    LngdTraining two = Lngd.attach(twin, options, MaskTest.LAST)) {
                net.fit(words(5, lengths));
                DataSet shorter = words(3, lengths);
                if (lengths[0] == 3) { // nothing is left out: without a mask
                    shorter.setFeaturesMaskArray(null);
                }
                twin.fit(shorter);
                assertThat(one.report().with(Treatment.LNGD)).hasSize(3);
                MaskTest.assertSameStatistics(one, two);
                assertThat(Nets.read(one, 0, Field.PHI).getDouble(8)).isZero();
                assertThat(net.params().sub(twin.params()).amaxNumber().doubleValue())
                        .isLessThan(2e-5);
            }
        }
    }

    @Test
    void samplesOfEquallyManyPositionsGoTogether() {
        INDArray a = Nd4j.arange(12).reshape(4, 3); // sample n, position t: 3 n + t
        INDArray g = Nd4j.arange(24).reshape(4, 2, 3);
        int[] rows = {0, 1, 3, 5, 9, 11}; // n + 4 t: (0,0) (1,0) (3,0) (1,1) (1,2) (3,2)
        List<PositionGroups.Group> groups = PositionGroups.of(a, g, rows, 0);
        assertThat(groups).hasSize(3);
        assertThat(groups.get(0).inputs().toFloatMatrix()).isDeepEqualTo(new float[][] {{0}});
        assertThat(groups.get(1).inputs().toFloatMatrix()).isDeepEqualTo(new float[][] {{9, 11}});
        assertThat(groups.get(2).inputs().toFloatMatrix()).isDeepEqualTo(new float[][] {{3, 4, 5}});
        assertThat(groups.get(1).signal().slice(0).toFloatMatrix())
                .isDeepEqualTo(new float[][] {{18, 20}, {21, 23}});
        assertThat(PositionGroups.of(a, g, rows, 2)).hasSize(2); // samples 0 and 1
    }
}
