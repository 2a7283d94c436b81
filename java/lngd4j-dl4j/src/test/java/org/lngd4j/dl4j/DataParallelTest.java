// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import org.assertj.core.data.Offset;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.params.BatchNormalizationParamInitializer;
import org.deeplearning4j.optimize.api.BaseTrainingListener;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.LngdOptions;
import org.lngd4j.gloo.Rendezvous;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.indexing.NDArrayIndex;

/** What ranks have in common and go on from: two ranks as threads. */
@SuppressWarnings("try") // attachments that are only opened and closed
class DataParallelTest {
    private static final LngdOptions OPTIONS =
            LngdOptions.recipe(9).threads(1).statisticsInterval(2).inverseInterval(2).build();

    @TempDir Path folder;

    private Rendezvous file() {
        return Rendezvous.file(folder.resolve("store"));
    }

    @Test
    void aStateOfRankZeroGoesOnWithTheSameBits() throws Exception {
        Path state = folder.resolve("state.zip");
        Model[] nets = RankNets.GRAPH.two();
        List<float[]> straight =
                RankThreads.run(
                        file(),
                        ranks -> {
                            Model net = nets[ranks.rank()];
                            try (DataParallel lngd = RankProgram.attach(net, OPTIONS, ranks)) {
                                RankNets.GRAPH.train(net, lngd, ranks, 0, 4);
                                if (ranks.rank() == 0) {
                                    lngd.training().save(state);
                                }
                                RankNets.GRAPH.train(net, lngd, ranks, 4, 9);
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
                            RankNets.GRAPH.train(net, lngd, ranks, 4, 7);
                            lngd.training().restore(state);
                            RankNets.GRAPH.train(net, lngd, ranks, 4, 9);
                            lngd.training().restore(state);
                            if (ranks.rank() == 1) {
                                net.params().putScalar(3, 7);
                            }
                            assertThatThrownBy(() -> RankNets.GRAPH.train(net, lngd, ranks, 4, 5))
                                    .isInstanceOf(LngdStateException.class)
                                    .hasMessageStartingWith("rank 1 has a checksum of the weights");
                            lngd.training().restore(state);
                            RankNets.GRAPH.train(net, lngd, ranks, 4, 9);
                            lngd.close();
                            return RankNets.weights(net);
                        });
        assertThat(straight.get(1)).containsExactly(straight.get(0));
        assertThat(resumed.get(0)).containsExactly(straight.get(0));
        assertThat(resumed.get(1)).containsExactly(straight.get(0));
    }

    /** The network was trained before, on both ranks, and differently. */
    @Test
    void weightsAndUpdaterStateOfRankZeroCount() throws Exception {
        Model one = RankNets.GRAPH.net(1);
        Model[] nets = RankNets.GRAPH.two();
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
                                RankNets.GRAPH.train(net, lngd, ranks, 0, 4);
                            }
                            return RankNets.weights(net);
                        });
        assertThat(weights.get(1)).containsExactly(weights.get(0));
        // Sums of float32 in another order, amplified by inverses.
        assertThat(weights.get(0)).containsExactly(RankNets.weights(one), Offset.offset(2e-6f));
    }

    @Test
    void theSamplesOfTheStatisticsAreThoseOfAllRanks() throws Exception {
        LngdOptions options = OPTIONS.toBuilder().statisticsSamples(7).build();
        Model[] nets = RankNets.MLP.two();
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
        Model[] nets = RankNets.NORMALISED.two();
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
        Model[] nets = RankNets.GRAPH.two();
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
                                RankNets.GRAPH.train(net, lngd, ranks, 0, 4);
                                float[] before = RankNets.weights(net);
                                RankNets.GRAPH.train(net, lngd, ranks, 4, 9);
                                assertThat(RankNets.weights(net)).containsExactly(before);
                                assertThat(lngd.training().stepsPastEnd()).isEqualTo(5);
                                lngd.training().extend(1 + ranks.rank());
                                assertThatThrownBy(
                                                () -> RankNets.GRAPH.train(net, lngd, ranks, 9, 10))
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
        Model[] nets = RankNets.GRAPH.two();
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

    /** A learning rate that fails on one thread, in the middle of a step. */
}
