// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.deeplearning4j.datasets.iterator.utilty.ListDataSetIterator;
import org.deeplearning4j.earlystopping.EarlyStoppingConfiguration;
import org.deeplearning4j.earlystopping.EarlyStoppingResult;
import org.deeplearning4j.earlystopping.saver.InMemoryModelSaver;
import org.deeplearning4j.earlystopping.scorecalc.DataSetLossCalculator;
import org.deeplearning4j.earlystopping.termination.MaxEpochsTerminationCondition;
import org.deeplearning4j.earlystopping.trainer.EarlyStoppingTrainer;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.optimize.api.BaseTrainingListener;
import org.junit.jupiter.api.Test;
import org.lngd4j.LngdOptions;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.learning.config.Adam;

/**
 * Averaged weights: what they are, that they come and go to the same bits, and who gets to see
 * them.
 */
@SuppressWarnings("try") // attachments and swaps that are only opened and closed
class AveragedWeightsTest {
    private static final LngdOptions OPTIONS = LngdOptions.recipe(100).build();

    private static MultiLayerNetwork mixed() {
        return Nets.of(
                new Adam(1e-2),
                Nets.dense(Nets.INPUTS, 16, Activation.TANH),
                new BatchNormalization.Builder().nOut(16).build(),
                Nets.dense(16, 8, Activation.RELU),
                Nets.softmax(8));
    }

    @Test
    void theyAreTheAverageOfAllTrainedParametersAndSwapToTheSameBits() {
        MultiLayerNetwork net = mixed();
        INDArray expected = null;
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            for (int t = 0; t < 7; t++) {
                net.fit(Nets.data(32, t, 1));
                INDArray w = net.params().dup();
                // avg += 8 / (8 + t) (W - avg)
                expected =
                        expected == null ? w : expected.addi(w.sub(expected).muli(8.0 / (8 + t)));
            }
            INDArray trained = net.params().dup();
            INDArray mean = net.getParam("1_mean").dup();
            try (AveragedWeights averaged = lngd.averagedWeights()) {
                assertThat(averaged.active()).isTrue();
                assertThat(net.params()).isNotEqualTo(trained);
                assertThat(net.getParam("1_mean")).isEqualTo(mean);
                for (String name : List.of("0_W", "0_b", "1_gamma", "1_beta", "2_W", "3_b")) {
                    MultiLayerNetwork other = net.clone();
                    other.setParams(expected);
                    assertThat(
                                    net.getParam(name)
                                            .sub(other.getParam(name))
                                            .amaxNumber()
                                            .doubleValue())
                            .as(name)
                            .isLessThan(1e-5);
                }
            }
            assertThat(bits(net)).isEqualTo(trained.toFloatVector());
        }
    }

    private static float[] bits(MultiLayerNetwork net) {
        return net.params().toFloatVector();
    }

    @Test
    void closeLeavesThemUnlessToldOtherwise() {
        for (boolean leave : new boolean[] {true, false}) {
            MultiLayerNetwork net = mixed();
            float[] trained;
            float[] average;
            try (LngdTraining lngd =
                    Lngd.attach(net, OPTIONS, AttachOptions.defaults().leaveAverages(leave))) {
                for (int t = 0; t < 5; t++) {
                    net.fit(Nets.data(32, t, 1));
                }
                trained = bits(net);
                try (AveragedWeights averaged = lngd.averagedWeights()) {
                    average = bits(net);
                }
            }
            assertThat(average).isNotEqualTo(trained);
            assertThat(bits(net)).isEqualTo(leave ? average : trained);
        }
    }

    @Test
    void closeWhileSwappedAndBeforeAnyStep() {
        MultiLayerNetwork net = mixed();
        float[] fresh = bits(net);
        LngdTraining first = Lngd.attach(net, OPTIONS);
        assertThat(first.averagedWeights().active()).isFalse();
        first.close();
        assertThat(bits(net)).isEqualTo(fresh);

        LngdTraining second =
                Lngd.attach(net, OPTIONS, AttachOptions.defaults().leaveAverages(false));
        net.fit(Nets.data(32, 1, 1));
        net.fit(Nets.data(32, 2, 1));
        float[] trained = bits(net);
        AveragedWeights open = second.averagedWeights();
        second.close();
        open.close();
        assertThat(bits(net)).isEqualTo(trained);
    }

    @Test
    void aStepOrASecondSwapMeanwhileIsRefused() throws Exception {
        MultiLayerNetwork net = mixed();
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            net.fit(Nets.data(32, 1, 1));
            net.fit(Nets.data(32, 2, 1));
            try (AveragedWeights averaged = lngd.averagedWeights()) {
                float[] average = bits(net);
                assertThatThrownBy(() -> net.fit(Nets.data(32, 1, 1)))
                        .isInstanceOf(LngdStateException.class)
                        .hasMessageContaining("averaged weights");
                assertThatThrownBy(lngd::averagedWeights).isInstanceOf(LngdStateException.class);
                assertThatThrownBy(() -> lngd.save(java.nio.file.Path.of("never")))
                        .isInstanceOf(LngdStateException.class);
                assertThat(bits(net)).isEqualTo(average);
            }
            net.fit(Nets.data(32, 3, 1));
            assertThat(lngd.steps()).isEqualTo(3);
        }
        LngdOptions off = OPTIONS.toBuilder().averaging(false).build();
        try (LngdTraining lngd = Lngd.attach(net, off)) {
            assertThatThrownBy(lngd::averagedWeights).hasMessageContaining("averaging is off");
        }
    }

    @Test
    void aListenerCanBeShownThem() {
        MultiLayerNetwork net = mixed();
        List<float[]> plain = new ArrayList<>();
        List<float[]> shown = new ArrayList<>();
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            net.setListeners(recorder(plain), lngd.averaging(recorder(shown)));
            for (int t = 0; t < 4; t++) {
                net.fit(Nets.data(32, t, 1));
            }
            assertThat(bits(net)).isEqualTo(plain.get(3));
        }
        assertThat(shown).hasSize(4);
        assertThat(shown.get(3)).isNotEqualTo(plain.get(3)).isEqualTo(bits(net));
    }

    /** BLOCK_KRONECKER_FIT keeps none: the weights of the training are the model. */
    @Test
    void withoutAveragingTheWeightsOfTheTrainingAreShownAndLeft() {
        MultiLayerNetwork net = mixed();
        List<float[]> plain = new ArrayList<>();
        List<float[]> shown = new ArrayList<>();
        LngdOptions options = LngdOptions.blockKroneckerFit(4).build();
        assertThat(options.averaging()).isFalse();
        try (LngdTraining lngd = Lngd.attach(net, options)) {
            net.setListeners(recorder(plain), lngd.averaging(recorder(shown)));
            for (int t = 0; t < 4; t++) {
                net.fit(Nets.data(32, t, 1));
            }
        }
        assertThat(shown.get(3)).isEqualTo(plain.get(3)).isEqualTo(bits(net));
        assertThat(shown.get(3)).isNotEqualTo(shown.get(2));
    }

    private static BaseTrainingListener recorder(List<float[]> seen) {
        return new BaseTrainingListener() {
            @Override
            public void iterationDone(Model model, int iteration, int epoch) {
                seen.add(model.params().toFloatVector());
            }
        };
    }

    @Test
    void earlyStoppingScoresAndSavesThem() {
        MultiLayerNetwork net = mixed();
        ListDataSetIterator<org.nd4j.linalg.dataset.DataSet> train =
                new ListDataSetIterator<>(Nets.batches(8, 32), 1);
        ListDataSetIterator<org.nd4j.linalg.dataset.DataSet> test =
                new ListDataSetIterator<>(List.of(Nets.data(200, 77, 1)), 1);
        double before = net.score(Nets.data(200, 77, 1));
        try (LngdTraining lngd = Lngd.attach(net, LngdOptions.recipe(48).build())) {
            EarlyStoppingConfiguration<MultiLayerNetwork> stop =
                    new EarlyStoppingConfiguration.Builder<MultiLayerNetwork>()
                            .epochTerminationConditions(new MaxEpochsTerminationCondition(6))
                            .scoreCalculator(lngd.averaging(new DataSetLossCalculator(test, true)))
                            .modelSaver(lngd.averaging(new InMemoryModelSaver<>()))
                            .build();
            EarlyStoppingResult<MultiLayerNetwork> result =
                    new EarlyStoppingTrainer(stop, net, train).fit();
            assertThat(lngd.steps()).isEqualTo(48);
            assertThat(result.getTotalEpochs()).isEqualTo(6);
            // Not getBestModelScore(): DL4J asks the saved copy, which has none.
            double best = result.getScoreVsEpoch().get(result.getBestModelEpoch());
            assertThat(best).isLessThan(before);
            // The score was that of the model that was saved.
            assertThat(result.getBestModel().score(Nets.data(200, 77, 1)))
                    .isCloseTo(best, org.assertj.core.api.Assertions.within(1e-5));
        }
    }
}
