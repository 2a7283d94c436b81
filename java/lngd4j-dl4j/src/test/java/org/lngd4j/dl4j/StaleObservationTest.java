// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.function.Consumer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lngd4j.Fisher;
import org.lngd4j.LngdOptions;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;

/**
 * What was observed belongs to the backward pass whose gradients are stepped: nothing else counts.
 */
@SuppressWarnings("try") // attachments that are only opened and closed
class StaleObservationTest {
    private static final DataSet OTHER = Nets.data(20, 77, 1);

    private static INDArray weights(Fisher fisher, Consumer<MultiLayerNetwork> before) {
        MultiLayerNetwork net = Nets.mlp();
        LngdOptions options =
                LngdOptions.recipe(20)
                        .fisher(fisher)
                        .statisticsInterval(2)
                        .inverseInterval(2)
                        .build();
        try (LngdTraining lngd = Lngd.attach(net, options)) {
            for (DataSet batch : Nets.batches(5, 16)) {
                before.accept(net);
                net.fit(batch);
            }
            return net.params().dup();
        }
    }

    private static void gradient(MultiLayerNetwork net, DataSet data) {
        net.setInput(data.getFeatures());
        net.setLabels(data.getLabels());
        net.computeGradientAndScore();
    }

    @ParameterizedTest
    @EnumSource(Fisher.class)
    void aGradientThatNobodySteps(Fisher fisher) {
        INDArray plain = weights(fisher, net -> {});
        INDArray checked =
                weights(
                        fisher,
                        net -> {
                            gradient(net, OTHER);
                            gradient(net, OTHER);
                        });
        assertThat(checked).isEqualTo(plain);
    }

    @ParameterizedTest
    @EnumSource(Fisher.class)
    void aBatchThatThrows(Fisher fisher) {
        INDArray plain = weights(fisher, net -> {});
        DataSet wrong = new DataSet(OTHER.getFeatures(), Nd4j.ones(20, Nets.CLASSES + 1));
        INDArray thrown =
                weights(
                        fisher,
                        net ->
                                assertThatThrownBy(() -> net.fit(wrong))
                                        .isInstanceOf(RuntimeException.class));
        assertThat(thrown).isEqualTo(plain);
    }

    @ParameterizedTest
    @EnumSource(Fisher.class)
    void aBatchOfNaN(Fisher fisher) {
        INDArray plain = weights(fisher, net -> {});
        DataSet poison =
                new DataSet(
                        Nd4j.valueArrayOf(new long[] {20, Nets.INPUTS}, Double.NaN),
                        OTHER.getLabels());
        assertThat(weights(fisher, net -> gradient(net, poison))).isEqualTo(plain);
    }
}
