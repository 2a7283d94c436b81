// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.deeplearning4j.datasets.iterator.utilty.ListDataSetIterator;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.optimize.api.BaseTrainingListener;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lngd4j.Fisher;
import org.lngd4j.LayerRegistration;
import org.lngd4j.LngdOptions;
import org.lngd4j.Preset;
import org.lngd4j.Schedule;
import org.lngd4j.Treatment;
import org.nd4j.common.primitives.Pair;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.activations.impl.ActivationTanH;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.learning.config.Sgd;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** Real training: what only a working optimizer reaches. */
@SuppressWarnings("try") // attachments that are only opened and closed
class TrainingTest {
    private static final int STEPS = 150;

    /**
     * Inputs whose sizes span a factor of 300: a first-order step that fits the large ones hardly
     * sees the small ones.
     */
    private static final DataSet HARD = Nets.data(512, 5, 300);

    private static MultiLayerNetwork net(double rate) {
        return Nets.of(
                new Sgd(rate), Nets.dense(Nets.INPUTS, 32, Activation.TANH), Nets.softmax(32));
    }

    private static double lngd(double damping) {
        MultiLayerNetwork net = net(0.1);
        LngdOptions options =
                LngdOptions.recipe(STEPS)
                        .relativeDamping(damping)
                        .dampingFloor(1e-12)
                        .trustRatio(org.lngd4j.TrustRatio.ALWAYS, 0.05)
                        .statisticsInterval(5)
                        .inverseInterval(5)
                        .statisticsSamples(0)
                        .build();
        try (LngdTraining lngd = Lngd.attach(net, options)) {
            fit(net);
        }
        return net.score(HARD);
    }

    private static void fit(MultiLayerNetwork net) {
        for (int i = 0; i < STEPS; i++) {
            net.fit(HARD);
        }
    }

    @Test
    void reachesALossThatNeitherSgdNorABrokenPreconditionerReaches() {
        double sgd = Double.POSITIVE_INFINITY;
        for (double rate : new double[] {0.03, 0.1, 0.3, 1, 3, 10}) {
            MultiLayerNetwork net = net(rate);
            fit(net);
            sgd = Math.min(sgd, net.score(HARD));
        }
        double working = lngd(1e-5);
        // Damping of a million times the mean eigenvalue makes both factors the identity: plain
        // normalised gradients.
        double broken = lngd(1e6);
        assertThat(working).isLessThan(0.1);
        assertThat(broken).isGreaterThan(0.25);
        assertThat(sgd).isGreaterThan(0.5);
    }

    @ParameterizedTest
    @EnumSource(Preset.class)
    void everyPresetLowersTheLoss(Preset preset) {
        MultiLayerNetwork net = Nets.mlp();
        DataSet data = Nets.data(256, 5, 1);
        double before = net.score(data);
        LngdOptions.Builder options = LngdOptions.preset(preset, 60);
        if (preset == Preset.PAPER) {
            options.learningRate(0.03).statisticsInterval(10).inverseInterval(10);
        }
        try (LngdTraining lngd = Lngd.attach(net, options.build())) {
            for (int i = 0; i < 60; i++) {
                net.fit(data);
            }
            for (int i = 0; i < 3; i++) {
                assertThat(lngd.optimizer().health(i).skippedSteps()).isZero();
            }
        }
        assertThat(net.score(data)).isLessThan(0.85 * before);
    }

    /** On inputs of very different sizes, with the settings of the presets as they are. */
    @ParameterizedTest
    @EnumSource(names = {"BLOCK_KRONECKER", "BLOCK_KRONECKER_FIT"})
    void blockKroneckerReachesWhatTheRecipeDoes(Preset preset) {
        double recipe = reached(Preset.RECIPE);
        double block = reached(preset);
        assertThat(recipe).isLessThan(0.5 * net(0.1).score(HARD));
        assertThat(block).isLessThanOrEqualTo(recipe);
    }

    private static double reached(Preset preset) {
        MultiLayerNetwork net = net(0.1);
        try (LngdTraining lngd = Lngd.attach(net, LngdOptions.preset(preset, STEPS).build())) {
            fit(net);
            assertThat(lngd.optimizer().health(0).skippedSteps()).isZero();
        }
        return net.score(HARD);
    }

    @Test
    void everyKindOfFitIsAStep() {
        MultiLayerNetwork net = Nets.mlp();
        List<Double> scores = new java.util.ArrayList<>();
        net.setListeners(
                new BaseTrainingListener() {
                    @Override
                    public void iterationDone(Model model, int iteration, int epoch) {
                        scores.add(model.score());
                    }
                });
        List<DataSet> batches = Nets.batches(3, 20);
        DataSet one = batches.get(0);
        int[] classes = one.getLabels().argMax(1).toIntVector();
        try (LngdTraining lngd = Lngd.attach(net, LngdOptions.recipeEmpirical(50).build())) {
            net.fit(one);
            net.fit(one.getFeatures(), one.getLabels());
            net.fit(one.getFeatures(), classes);
            net.fit(new ListDataSetIterator<>(batches, 1));
            net.fit(new ListDataSetIterator<>(Nets.batches(2, 17), 1), 2);
            net.fit(one.toMultiDataSet());
            assertThat(lngd.steps()).isEqualTo(3 + 3 + 4 + 1);
            assertThat(net.getIterationCount()).isEqualTo(11);
            assertThat(net.getEpochCount()).isEqualTo(3);
        }
        assertThat(scores).hasSize(11).allMatch(Double::isFinite);
    }

    @Test
    void schedulesSeeStepsAndEpochsFromTheAttachmentOn() {
        MultiLayerNetwork net = Nets.mlp();
        net.fit(new ListDataSetIterator<>(Nets.batches(3, 20), 1), 2);
        java.util.Set<String> seen = new java.util.TreeSet<>();
        Schedule schedule =
                (step, epoch) -> {
                    seen.add(step + "/" + epoch);
                    return epoch == 0 ? 1 : 0;
                };
        LngdOptions options = LngdOptions.recipe(50).momentum(0).schedule(schedule).build();
        try (LngdTraining lngd = Lngd.attach(net, options)) {
            net.fit(new ListDataSetIterator<>(Nets.batches(2, 20), 1), 1);
            INDArray before = net.params().dup();
            net.fit(new ListDataSetIterator<>(Nets.batches(2, 20), 1), 1);
            assertThat(net.params()).as("factor 0 in epoch 1").isEqualTo(before);
        }
        assertThat(seen).contains("0/0", "1/0", "2/1", "3/1").doesNotContain("3/0");
    }

    /** An activation that the library cannot know. */
    private static final class MyTanh implements IActivation {
        private static final long serialVersionUID = 1L;
        private final IActivation tanh = new ActivationTanH();

        @Override
        public INDArray getActivation(INDArray in, boolean training) {
            return tanh.getActivation(in, training);
        }

        @Override
        public Pair<INDArray, INDArray> backprop(INDArray in, INDArray epsilon) {
            return tanh.backprop(in, epsilon);
        }

        @Override
        public int numParams(int inputSize) {
            return 0;
        }

        @Override
        public String toString() {
            return "mytanh";
        }
    }

    /** Mixes its columns: no Kronecker block. */
    private static final class Mixing implements IActivation {
        private static final long serialVersionUID = 1L;

        @Override
        public INDArray getActivation(INDArray in, boolean training) {
            return in.subiColumnVector(in.mean(true, 1));
        }

        @Override
        public Pair<INDArray, INDArray> backprop(INDArray in, INDArray epsilon) {
            return new Pair<>(epsilon.subColumnVector(epsilon.mean(true, 1)), null);
        }

        @Override
        public int numParams(int inputSize) {
            return 0;
        }
    }

    @Test
    void anUnknownElementwiseActivationGivesTheStepsOfTheKnownOne() {
        LngdOptions options =
                LngdOptions.recipe(40).statisticsInterval(3).inverseInterval(3).build();
        MultiLayerNetwork known =
                Nets.of(
                        new Sgd(0.1),
                        Nets.dense(Nets.INPUTS, 16, new ActivationTanH()),
                        Nets.softmax(16));
        MultiLayerNetwork unknown =
                Nets.of(new Sgd(0.1), Nets.dense(Nets.INPUTS, 16, new MyTanh()), Nets.softmax(16));
        for (MultiLayerNetwork net : List.of(known, unknown)) {
            try (LngdTraining lngd = Lngd.attach(net, options)) {
                for (int i = 0; i < 10; i++) {
                    net.fit(Nets.data(64, i, 1));
                }
                boolean provided = lngd.report().layers().get(0).spec().fisher() == Fisher.PROVIDED;
                assertThat(provided).isEqualTo(net == unknown);
            }
        }
        // The library computes tanh' itself, ND4J another way: rounding, grown over ten steps.
        assertThat(unknown.params().sub(known.params()).amaxNumber().doubleValue())
                .isLessThan(1e-4);
    }

    @Test
    void anActivationThatMixesColumnsFallsBack() {
        MultiLayerNetwork net =
                Nets.of(new Sgd(0.1), Nets.dense(Nets.INPUTS, 16, new Mixing()), Nets.softmax(16));
        try (LngdTraining lngd = Lngd.attach(net, LngdOptions.recipe(10).build())) {
            LayerRegistration first = lngd.report().layers().get(0);
            assertThat(first.treatment()).isEqualTo(Treatment.FIRST_ORDER);
            assertThat(first.detail()).contains("not elementwise", "Sgd 0.1 (its own)");
            net.fit(Nets.data(32, 1, 1));
        }
    }

    /** One step with weight decay beside one without it. */
    @Test
    void weightDecayFollowsTheRateOfLngd() {
        double coefficient = 0.5;
        for (double factor : new double[] {1, 0.25, 0}) {
            LngdOptions options = LngdOptions.recipe(10).schedule((s, e) -> factor).build();
            AttachOptions last = AttachOptions.defaults().leaveAverages(false);
            INDArray before = null;
            INDArray[] after = new INDArray[2];
            for (int i = 0; i < 2; i++) {
                OutputLayer.Builder layer =
                        new OutputLayer.Builder(LossFunction.MCXENT)
                                .nIn(Nets.INPUTS)
                                .nOut(Nets.CLASSES)
                                .activation(Activation.SOFTMAX);
                MultiLayerNetwork net =
                        Nets.of(
                                new Sgd(0.1),
                                i == 0 ? layer.build() : layer.weightDecay(coefficient).build());
                before = net.getParam("0_W").dup();
                try (LngdTraining lngd = Lngd.attach(net, options, last)) {
                    net.fit(Nets.data(32, 1, 1));
                    assertThat(lngd.report().toString().contains("WeightDecay")).isEqualTo(i == 1);
                }
                after[i] = net.getParam("0_W");
            }
            double rate = factor * 0.17 / Math.sqrt(10); // not Sgd's 0.1
            INDArray wanted = after[0].sub(before.mul(rate * coefficient));
            assertThat(after[1].sub(wanted).amaxNumber().doubleValue()).isLessThan(1e-6);
        }
    }

    @Test
    void l2TurnsTheGradient() {
        // L2 of a huge coefficient turns the gradient, and with it the step, towards the weights.
        Layer l2 =
                new OutputLayer.Builder(LossFunction.MCXENT)
                        .nIn(Nets.INPUTS)
                        .nOut(Nets.CLASSES)
                        .activation(Activation.SOFTMAX)
                        .l2(1e6)
                        .build();
        MultiLayerNetwork shrinking = Nets.of(new Sgd(0.1), l2);
        double norm = shrinking.getParam("0_W").norm2Number().doubleValue();
        try (LngdTraining lngd = Lngd.attach(shrinking, LngdOptions.recipe(10).build())) {
            shrinking.fit(Nets.data(32, 1, 1));
        }
        assertThat(shrinking.getParam("0_W").norm2Number().doubleValue()).isLessThan(0.97 * norm);
    }
}
