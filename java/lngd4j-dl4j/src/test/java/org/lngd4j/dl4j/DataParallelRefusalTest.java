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
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.schedule.ISchedule;

/** What ranks refuse, and what goes wrong on one of them: two ranks as threads. */
@SuppressWarnings("try") // attachments that are only opened and closed
class DataParallelRefusalTest {
    private static final LngdOptions OPTIONS =
            LngdOptions.recipe(9).threads(1).statisticsInterval(2).inverseInterval(2).build();

    @TempDir Path folder;

    private Rendezvous file() {
        return Rendezvous.file(folder.resolve("store"));
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

    @Test
    void otherWeightsOfARankAreRefusedOnAll() throws Exception {
        Model[] nets = RankNets.MLP.two();
        RankThreads.run(
                file(),
                ranks -> {
                    Model net = nets[ranks.rank()];
                    try (DataParallel lngd = RankProgram.attach(net, OPTIONS, ranks)) {
                        if (ranks.rank() == 1) {
                            net.params().putScalar(0, 1);
                        }
                        assertThatThrownBy(() -> RankNets.MLP.train(net, lngd, ranks, 0, 1))
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
    void aStepThatWasRefusedLeavesNothingBehind() throws Exception {
        Model[] nets = RankNets.MLP.two();
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
                        RankNets.MLP.train(net, lngd, ranks, 0, 1);
                        Failing.HERE.set(ranks.rank() == 1);
                        if (ranks.rank() == 1) {
                            assertThatThrownBy(() -> RankNets.MLP.train(net, lngd, ranks, 1, 2))
                                    .hasMessage("of a test");
                            assertThatThrownBy(() -> RankNets.MLP.train(net, lngd, ranks, 2, 3))
                                    .isInstanceOf(LngdStateException.class)
                                    .hasMessageContaining("a step failed: of a test");
                        } else {
                            assertThatThrownBy(() -> RankNets.MLP.train(net, lngd, ranks, 1, 3))
                                    .isInstanceOf(RanksException.class);
                        }
                    }
                    return null;
                });
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(15));
    }
}
