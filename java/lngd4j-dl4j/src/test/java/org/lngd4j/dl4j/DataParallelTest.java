// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.assertj.core.data.Offset;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.BackpropType;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.layers.PReLULayer;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.params.BatchNormalizationParamInitializer;
import org.deeplearning4j.optimize.api.BaseTrainingListener;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.LngdOptions;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.gloo.RanksException;
import org.lngd4j.gloo.Rendezvous;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.schedule.ISchedule;

/** What differs between ranks, and what goes wrong on one of them: two ranks as threads. */
@SuppressWarnings("try") // attachments that are only opened and closed
class DataParallelTest {
    private static final LngdOptions OPTIONS =
            LngdOptions.recipe(9).threads(1).statisticsInterval(2).inverseInterval(2).build();

    @TempDir Path folder;

    private Rendezvous file() {
        return Rendezvous.file(folder.resolve("store"));
    }

    /** Made in one thread, since ND4J's generator is one for all. */
    private static Model[] nets(RankNets nets) {
        return new Model[] {nets.net(1), nets.net(2)};
    }

    private static void train(
            RankNets nets, Model net, DataParallel lngd, Ranks ranks, int from, int to) {
        for (int step = from; step < to; step++) {
            RankProgram.step(net, lngd, ranks, step, nets.batch(step));
        }
    }

    @Test
    void aStateOfRankZeroGoesOnWithTheSameBits() throws Exception {
        Path state = folder.resolve("state.zip");
        Model[] nets = nets(RankNets.GRAPH);
        List<float[]> straight =
                RankThreads.run(
                        file(),
                        ranks -> {
                            Model net = nets[ranks.rank()];
                            try (DataParallel lngd = RankProgram.attach(net, OPTIONS, ranks)) {
                                train(RankNets.GRAPH, net, lngd, ranks, 0, 4);
                                if (ranks.rank() == 0) {
                                    lngd.training().save(state);
                                }
                                train(RankNets.GRAPH, net, lngd, ranks, 4, 9);
                            }
                            return RankNets.weights(net);
                        });
        List<float[]> resumed =
                RankThreads.run(
                        Rendezvous.file(folder.resolve("again")),
                        ranks -> {
                            DataParallel lngd =
                                    DataParallel.resume(
                                            state, OPTIONS, AttachOptions.defaults(), ranks);
                            Model net = lngd.training().network();
                            train(RankNets.GRAPH, net, lngd, ranks, 4, 7);
                            lngd.training().restore(state);
                            train(RankNets.GRAPH, net, lngd, ranks, 4, 9);
                            lngd.training().restore(state);
                            if (ranks.rank() == 1) {
                                net.params().putScalar(3, 7);
                            }
                            assertThatThrownBy(() -> train(RankNets.GRAPH, net, lngd, ranks, 4, 5))
                                    .isInstanceOf(LngdStateException.class)
                                    .hasMessageStartingWith("rank 1 has a checksum of the weights");
                            lngd.training().restore(state);
                            train(RankNets.GRAPH, net, lngd, ranks, 4, 9);
                            lngd.close();
                            return RankNets.weights(net);
                        });
        assertThat(straight.get(1)).containsExactly(straight.get(0));
        assertThat(resumed.get(0)).containsExactly(straight.get(0));
        assertThat(resumed.get(1)).containsExactly(straight.get(0));
    }

    @Test
    void aFileThatOneRankCannotReadIsRefusedOnAll() throws Exception {
        Path state = folder.resolve("state.zip");
        LngdOptions all = OPTIONS.toBuilder().statisticsSamples(0).build();
        MultiLayerNetwork net = Nets.mlp();
        try (LngdTraining lngd = Lngd.attach(net, all)) {
            lngd.save(state);
        }
        RankThreads.run(
                file(),
                ranks -> {
                    Path own = ranks.rank() == 0 ? state : folder.resolve("nothing.zip");
                    assertThatThrownBy(
                                    () ->
                                            DataParallel.resume(
                                                    own, all, AttachOptions.defaults(), ranks))
                            .isInstanceOf(
                                    ranks.rank() == 0
                                            ? LngdArgumentException.class
                                            : java.io.IOException.class)
                            .hasMessageStartingWith(ranks.rank() == 0 ? "rank 1 says: " : "")
                            .hasMessageContaining("nothing.zip");
                    return null;
                });
    }

    /** The network was trained before, on both ranks, and differently. */
    @Test
    void weightsAndUpdaterStateOfRankZeroCount() throws Exception {
        Model one = RankNets.GRAPH.net(1);
        Model[] nets = nets(RankNets.GRAPH);
        for (int step = 0; step < 3; step++) {
            RankNets.fit(one, RankNets.GRAPH.batch(step));
            RankNets.fit(nets[0], RankNets.GRAPH.batch(step));
            RankNets.fit(nets[1], RankNets.GRAPH.batch(step + 3));
        }
        AttachOptions last = AttachOptions.defaults().leaveAverages(false);
        try (LngdTraining lngd =
                Lngd.attach((org.deeplearning4j.nn.graph.ComputationGraph) one, OPTIONS, last)) {
            for (int step = 0; step < 4; step++) {
                RankNets.fit(one, RankNets.GRAPH.batch(step));
            }
        }
        List<float[]> weights =
                RankThreads.run(
                        file(),
                        ranks -> {
                            var net =
                                    (org.deeplearning4j.nn.graph.ComputationGraph)
                                            nets[ranks.rank()];
                            try (DataParallel lngd =
                                    DataParallel.attach(net, OPTIONS, last, ranks)) {
                                train(RankNets.GRAPH, net, lngd, ranks, 0, 4);
                            }
                            return RankNets.weights(net);
                        });
        assertThat(weights.get(1)).containsExactly(weights.get(0));
        // Sums of float32 in another order, amplified by inverses.
        assertThat(weights.get(0)).containsExactly(RankNets.weights(one), Offset.offset(2e-6f));
    }

    @Test
    void otherWeightsOfARankAreRefusedOnAll() throws Exception {
        Model[] nets = nets(RankNets.MLP);
        RankThreads.run(
                file(),
                ranks -> {
                    Model net = nets[ranks.rank()];
                    try (DataParallel lngd = RankProgram.attach(net, OPTIONS, ranks)) {
                        if (ranks.rank() == 1) {
                            net.params().putScalar(0, 1);
                        }
                        assertThatThrownBy(() -> train(RankNets.MLP, net, lngd, ranks, 0, 1))
                                .isInstanceOf(LngdStateException.class)
                                .hasMessageStartingWith("rank 1 has a checksum of the weights");
                    }
                    return null;
                });
    }

    @Test
    void aNetworkThatOneRankCannotTrainIsRefusedOnAll() throws Exception {
        MultiLayerNetwork[] nets = {Nets.mlp(), Nets.mlp().convertDataType(DataType.DOUBLE)};
        RankThreads.run(
                file(),
                ranks -> {
                    assertThatThrownBy(
                                    () -> DataParallel.attach(nets[ranks.rank()], OPTIONS, ranks))
                            .isInstanceOf(LngdArgumentException.class)
                            .hasMessageStartingWith(
                                    (ranks.rank() == 0 ? "rank 1 says: " : "")
                                            + "net has the data type DOUBLE");
                    return null;
                });
        Lngd.attach(nets[0], OPTIONS).close(); // nothing is attached to it
    }

    @Test
    void anotherSettingOfTheNetworkIsToldByName() throws Exception {
        MultiLayerNetwork[] nets = {
            Nets.of(new Adam(1e-3), Nets.dense(12, 4, Activation.TANH), Nets.softmax(4)),
            Nets.of(new Adam(2e-3), Nets.dense(12, 4, Activation.RELU), Nets.softmax(4))
        };
        RankThreads.run(
                file(),
                ranks -> {
                    assertThatThrownBy(
                                    () -> DataParallel.attach(nets[ranks.rank()], OPTIONS, ranks))
                            .isInstanceOf(LngdArgumentException.class)
                            .hasMessageContaining(
                                    "rank 1 has configuration/confs/0/layer/iupdater/learningRate"
                                            + " 0.002, rank 0 0.001")
                            .hasMessageContaining("ActivationReLU");
                    return null;
                });
    }

    @Test
    void whatCannotBeSharedIsRefused() {
        try (Ranks one = Ranks.connect(file(), 0, 1, Duration.ofSeconds(20))) {
            MultiLayerNetwork net = Nets.mlp();
            refused(() -> DataParallel.attach(net, OPTIONS, null), "ranks is null");
            refused(() -> DataParallel.attach(net, null, one), "options is null");
            refused(
                    () -> DataParallel.attach(net, LngdOptions.recipeEmpirical(9).build(), one),
                    "options.layerRate is EMPIRICAL");
            MultiLayerNetwork truncated =
                    new MultiLayerNetwork(
                            new NeuralNetConfiguration.Builder()
                                    .list(Nets.dense(12, 4, Activation.TANH), Nets.softmax(4))
                                    .backpropType(BackpropType.TruncatedBPTT)
                                    .tBPTTLength(2)
                                    .build());
            refused(
                    () -> DataParallel.attach(truncated, OPTIONS, one),
                    "the network is trained by truncated backpropagation through time");
            Lngd.attach(truncated, OPTIONS).close(); // nothing is attached to it
            DataParallel lngd = DataParallel.attach(net, OPTIONS, one);
            refused(() -> lngd.share(-1, 2), "first is -1, allowed is 0 or more");
            refused(() -> lngd.share(0, 0), "samples is 0, allowed is 1 to 2147483647");
            refused(() -> lngd.share(2147483640, 8), "samples is 8, allowed is 1 to 7");
            lngd.close();
            lngd.close();
            assertThatThrownBy(() -> lngd.share(0, 1)).isInstanceOf(LngdHandleException.class);
        }
    }

    private static void refused(
            org.assertj.core.api.ThrowableAssert.ThrowingCallable what, String message) {
        assertThatThrownBy(what)
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageStartingWith(message);
    }

    @Test
    void theSamplesOfTheStatisticsAreThoseOfAllRanks() throws Exception {
        LngdOptions options = OPTIONS.toBuilder().statisticsSamples(7).build();
        Model[] nets = nets(RankNets.MLP);
        RankThreads.run(
                file(),
                ranks -> {
                    try (DataParallel lngd =
                            RankProgram.attach(nets[ranks.rank()], options, ranks)) {
                        assertThat(lngd.training().options().statisticsSamples()).isEqualTo(4);
                    }
                    return null;
                });
    }

    /** Five samples and seven: means by their number, variances within the shares. */
    @Test
    void runningStatisticsAreMeansOverTheShares() throws Exception {
        Model[] nets = nets(RankNets.NORMALISED);
        DataSet batch = RankNets.NORMALISED.batch(0);
        INDArray in = ((MultiLayerNetwork) nets[0]).feedForward(batch.getFeatures()).get(1);
        INDArray head = in.get(NDArrayIndex.interval(0, 5), NDArrayIndex.all());
        INDArray tail = in.get(NDArrayIndex.interval(5, 12), NDArrayIndex.all());
        INDArray variance = head.var(false, 0).mul(5 / 12.0).add(tail.var(false, 0).mul(7 / 12.0));
        List<INDArray[]> seen =
                RankThreads.run(
                        file(),
                        ranks -> {
                            MultiLayerNetwork net = (MultiLayerNetwork) nets[ranks.rank()];
                            try (DataParallel lngd = DataParallel.attach(net, OPTIONS, ranks)) {
                                int first = ranks.rank() * 5;
                                int samples = 5 + ranks.rank() * 2;
                                lngd.share(first, samples);
                                net.fit(RankNets.share(batch, first, samples));
                            }
                            return new INDArray[] {
                                running(net, BatchNormalizationParamInitializer.GLOBAL_MEAN),
                                running(net, BatchNormalizationParamInitializer.GLOBAL_VAR)
                            };
                        });
        for (INDArray[] of : seen) {
            // DL4J's decay is 0.9; it starts at mean 0 and variance 1.
            assertThat(of[0].sub(in.mean(0).mul(0.1)).amaxNumber().doubleValue()).isLessThan(1e-6);
            assertThat(of[1].sub(0.9).sub(variance.mul(0.1)).amaxNumber().doubleValue())
                    .isLessThan(1e-6);
        }
    }

    private static INDArray running(MultiLayerNetwork net, String name) {
        INDArray p = net.getLayer(1).getParam(name);
        return p.dup().reshape(p.length());
    }

    @Test
    void listenersAndCountersGoOnWithoutSamplesAndNothingMovesPastTheEnd() throws Exception {
        Model[] nets = nets(RankNets.GRAPH);
        int[] told = new int[2];
        LngdOptions options = LngdOptions.recipe(4).threads(1).build();
        List<float[]> weights =
                RankThreads.run(
                        file(),
                        ranks -> {
                            Model net = nets[ranks.rank()];
                            net.setListeners(
                                    new BaseTrainingListener() {
                                        @Override
                                        public void iterationDone(Model m, int at, int epoch) {
                                            assertThat(at).isEqualTo(told[ranks.rank()]++);
                                        }
                                    });
                            try (DataParallel lngd = RankProgram.attach(net, options, ranks)) {
                                train(RankNets.GRAPH, net, lngd, ranks, 0, 4);
                                float[] before = RankNets.weights(net);
                                train(RankNets.GRAPH, net, lngd, ranks, 4, 9);
                                assertThat(RankNets.weights(net)).containsExactly(before);
                                assertThat(lngd.training().stepsPastEnd()).isEqualTo(5);
                                lngd.training().extend(1 + ranks.rank());
                                assertThatThrownBy(
                                                () ->
                                                        train(
                                                                RankNets.GRAPH,
                                                                net,
                                                                lngd,
                                                                ranks,
                                                                9,
                                                                10))
                                        .hasMessageStartingWith(
                                                "rank 1 has the end of the schedule 6, rank 0 5");
                            }
                            return RankNets.weights(net);
                        });
        assertThat(told).containsExactly(9, 9);
        assertThat(weights.get(1)).containsExactly(weights.get(0));
    }

    /** As in one process, where DL4J's updaters take it in: LNGD's layers alone keep it out. */
    @Test
    void aNaNOfOneRankIsThatOfAll() throws Exception {
        Model[] nets = nets(RankNets.GRAPH);
        Model one = RankNets.GRAPH.net(1);
        DataSet batch = RankNets.GRAPH.batch(0);
        batch.getFeatures().putScalar(batch.getFeatures().length() - 1, Double.NaN);
        try (LngdTraining lngd = RankProgram.attach(one, OPTIONS)) {
            RankNets.fit(one, batch);
        }
        List<float[]> weights =
                RankThreads.run(
                        file(),
                        ranks -> {
                            Model net = nets[ranks.rank()];
                            try (DataParallel lngd = RankProgram.attach(net, OPTIONS, ranks)) {
                                RankProgram.step(net, lngd, ranks, 0, batch);
                            }
                            return RankNets.weights(net);
                        });
        assertThat(RankNets.weights(one)).contains(Float.NaN).contains(0f);
        assertThat(weights.get(1)).containsExactly(weights.get(0));
        for (int i = 0; i < weights.get(0).length; i++) {
            float expected = RankNets.weights(one)[i];
            if (Float.isNaN(expected)) {
                assertThat(weights.get(0)[i]).isNaN();
            } else {
                // Adam's first step is 1e-2 long whatever its gradient, but for its epsilon.
                assertThat(weights.get(0)[i]).isCloseTo(expected, Offset.offset(1e-6f));
            }
        }
    }

    /** What rank 0 saw for a step that was refused is in no statistics. */
    @Test
    void aStepThatWasRefusedLeavesNothingBehind() throws Exception {
        Model[] nets = nets(RankNets.MLP);
        MultiLayerNetwork one = (MultiLayerNetwork) RankNets.MLP.net(1);
        DataSet batch = RankNets.MLP.batch(0);
        try (LngdTraining lngd = Lngd.attach(one, OPTIONS)) {
            one.fit(batch);
        }
        List<float[]> weights =
                RankThreads.run(
                        file(),
                        ranks -> {
                            MultiLayerNetwork net = (MultiLayerNetwork) nets[ranks.rank()];
                            try (DataParallel lngd = DataParallel.attach(net, OPTIONS, ranks)) {
                                if (ranks.rank() == 0) {
                                    lngd.share(0, RankNets.BATCH);
                                }
                                assertThatThrownBy(() -> net.fit(RankNets.MLP.batch(1)))
                                        .isInstanceOf(LngdStateException.class);
                                if (ranks.rank() == 1) {
                                    lngd.share(0, RankNets.BATCH);
                                    net.fit(batch);
                                } else {
                                    lngd.stepWithoutSamples();
                                }
                            }
                            return RankNets.weights(net);
                        });
        assertThat(weights.get(1)).containsExactly(weights.get(0));
        assertThat(weights.get(0)).containsExactly(RankNets.weights(one), Offset.offset(1e-6f));
    }

    /** A learning rate that fails on one thread, in the middle of a step. */
    static final class Failing implements ISchedule {
        private static final long serialVersionUID = 1L;
        private static final ThreadLocal<Boolean> HERE = ThreadLocal.withInitial(() -> false);

        @Override
        public double valueAt(int iteration, int epoch) {
            if (HERE.get()) {
                throw new IllegalStateException("of a test");
            }
            return 1e-3;
        }

        @Override
        public ISchedule clone() {
            return this;
        }
    }

    @Test
    void aStepThatFailsOnOneRankIsKnownToTheOthersAtOnce() throws Exception {
        PReLULayer prelu = new PReLULayer.Builder().inputShape(4).build();
        prelu.setNIn(4);
        prelu.setNOut(4);
        MultiLayerNetwork[] nets = new MultiLayerNetwork[2];
        for (int i = 0; i < 2; i++) {
            nets[i] =
                    Nets.of(
                            new Adam(new Failing()),
                            Nets.dense(Nets.INPUTS, 4, Activation.TANH),
                            prelu,
                            Nets.softmax(4));
        }
        long start = System.nanoTime();
        RankThreads.run(
                file(),
                ranks -> {
                    MultiLayerNetwork net = nets[ranks.rank()];
                    try (DataParallel lngd = DataParallel.attach(net, OPTIONS, ranks)) {
                        train(RankNets.MLP, net, lngd, ranks, 0, 1);
                        Failing.HERE.set(ranks.rank() == 1);
                        if (ranks.rank() == 1) {
                            assertThatThrownBy(() -> train(RankNets.MLP, net, lngd, ranks, 1, 2))
                                    .hasMessage("of a test");
                            assertThatThrownBy(() -> train(RankNets.MLP, net, lngd, ranks, 2, 3))
                                    .isInstanceOf(LngdStateException.class)
                                    .hasMessageContaining("a step failed: of a test");
                        } else {
                            assertThatThrownBy(() -> train(RankNets.MLP, net, lngd, ranks, 1, 3))
                                    .isInstanceOf(RanksException.class);
                        }
                    }
                    return null;
                });
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(15));
    }
}
