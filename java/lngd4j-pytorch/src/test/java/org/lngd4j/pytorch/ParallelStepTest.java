// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.assertj.core.data.Offset;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.InversePlacement;
import org.lngd4j.LngdOptions;
import org.lngd4j.ParameterRule;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.gloo.Rendezvous;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;

/** What differs between ranks, and what goes wrong on one of them. */
@SuppressWarnings("try") // scopes that are only opened and closed
class ParallelStepTest {
    private static final int HALF = Nets.BATCH / 2;

    private static final LngdOptions OPTIONS =
            LngdOptions.recipe(9).statisticsInterval(2).inverseInterval(2).build();

    // A few steps; sums of float32 in another order, 2^-24 of weights below 1, amplified by
    // inverses.
    private static final Offset<Float> ROUNDING = Offset.offset(2e-6f);

    @TempDir Path folder;

    private Rendezvous file() {
        return Rendezvous.file(folder.resolve("store"));
    }

    /**
     * Four ranks share two layers; a state saved by ranks that share goes on with ones that do not.
     */
    @Test
    void fourRanksShareInverses() throws Exception {
        byte[][] state = new byte[1][];
        List<List<float[]>> all = new ArrayList<>();
        for (InversePlacement inverses :
                List.of(InversePlacement.OWNED, InversePlacement.REPLICATED)) {
            all.add(
                    RankThreads.run(
                            Rendezvous.file(folder.resolve(inverses.name())),
                            4,
                            ranks -> {
                                Nets.Mlp net = copyOf(1);
                                try (LngdTorch lngd = attach(net, ranks, inverses)) {
                                    assertThat(lngd.inverses().placement()).isEqualTo(inverses);
                                    quarters(net, lngd, ranks.rank(), 0, 5);
                                    byte[] saved = lngd.saveState();
                                    if (state[0] == null && ranks.rank() == 0) {
                                        state[0] = saved;
                                    }
                                    ranks.gather(""); // rank 0 has saved
                                    assertThat(saved).isEqualTo(state[0]);
                                    lngd.restoreState(state[0]);
                                    quarters(net, lngd, ranks.rank(), 5, 9);
                                }
                                return Nets.weights(net);
                            }));
        }
        for (List<float[]> weights : all) {
            for (float[] of : weights) {
                assertThat(of).containsExactly(all.get(0).get(0));
            }
        }
        Nets.Mlp alone = new Nets.Mlp(1);
        try (LngdTorch lngd = LngdTorch.attach(alone, OPTIONS)) {
            assertThatThrownBy(lngd::inverses)
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("without ranks");
        }
    }

    private static void quarters(Nets.Mlp net, LngdTorch lngd, int rank, int from, int to) {
        int own = Nets.BATCH / 4;
        for (int step = from; step < to; step++) {
            lngd.share(rank * own, own);
            net.backward(
                    inputs(step).narrow(0, rank * own, own),
                    Nets.labels(step, Nets.BATCH).narrow(0, rank * own, own));
            lngd.step();
            lngd.zeroGrad();
        }
    }

    /**
     * The loss does not reach the second layer in steps 0 to 2: nothing is due of it then, on any
     * rank, and its statistics begin with the first step that does.
     */
    @Test
    void aLayerThatIsNotReachedHasNoInverses() throws Exception {
        List<List<float[]>> all = new ArrayList<>();
        for (InversePlacement inverses :
                List.of(InversePlacement.OWNED, InversePlacement.REPLICATED)) {
            all.add(
                    RankThreads.run(
                            Rendezvous.file(folder.resolve(inverses.name())),
                            ranks -> {
                                Nets.Mlp net = copyOf(1);
                                try (LngdTorch lngd = attach(net, ranks, inverses)) {
                                    for (int step = 0; step < 6; step++) {
                                        lngd.share(ranks.rank() * HALF, HALF);
                                        Tensor x = inputs(step);
                                        Tensor s =
                                                net.first.forward(
                                                        x.narrow(0, ranks.rank() * HALF, HALF));
                                        if (step > 2) {
                                            torch.cross_entropy_loss(
                                                            net.second.forward(torch.relu(s)),
                                                            Nets.labels(step, HALF))
                                                    .backward();
                                        } else {
                                            mean(s).backward();
                                        }
                                        lngd.step();
                                        lngd.zeroGrad();
                                    }
                                    assertThat(lngd.health().get("first").inverseUpdates())
                                            .isEqualTo(3);
                                    assertThat(lngd.health().get("second").inverseUpdates())
                                            .isEqualTo(2);
                                    assertThat(lngd.health().get("second").skippedSteps()).isZero();
                                }
                                return Nets.weights(net);
                            }));
        }
        for (List<float[]> weights : all) {
            assertThat(weights.get(0)).containsExactly(all.get(1).get(0));
            assertThat(weights.get(1)).containsExactly(all.get(1).get(0));
        }
    }

    @Test
    void ranksThatAskForOtherPlacementsAreRefused() throws Exception {
        RankThreads.run(
                file(),
                ranks -> {
                    Nets.Mlp net = copyOf(1 + ranks.rank());
                    float[] before = Nets.weights(net);
                    InversePlacement own = InversePlacement.values()[ranks.rank()];
                    assertThatThrownBy(() -> attach(net, ranks, own))
                            .isInstanceOf(LngdArgumentException.class)
                            .hasMessageContaining("the placement of inverses OWNED, rank 0 REPL");
                    assertThat(Nets.weights(net)).containsExactly(before);
                    return null;
                });
    }

    /** The other rank must not wait for it. */
    @Test
    void anArgumentThatIsNullOnOneRankIsRefusedOnAll() throws Exception {
        RankThreads.run(
                file(),
                ranks -> {
                    boolean one = ranks.rank() == 1;
                    InversePlacement own = one ? null : InversePlacement.AUTO;
                    assertThatThrownBy(() -> attach(copyOf(1), ranks, own))
                            .isInstanceOf(LngdArgumentException.class)
                            .hasMessage((one ? "" : "rank 1 says: ") + "inverses is null");
                    LngdOptions options = one ? null : OPTIONS;
                    assertThatThrownBy(
                                    () ->
                                            LngdTorch.attach(
                                                    copyOf(1),
                                                    options,
                                                    ParameterRule.adamW(),
                                                    ranks))
                            .hasMessage((one ? "" : "rank 1 says: ") + "options is null");
                    return null;
                });
    }

    private static LngdTorch attach(Nets.Mlp net, Ranks ranks, InversePlacement inverses) {
        return LngdTorch.attach(net, OPTIONS, ParameterRule.adamW(), ranks, inverses)
                .leaveAverages(false);
    }

    private static LngdTorch attach(Nets.Mlp net, Ranks ranks) {
        return LngdTorch.attach(net, OPTIONS, ParameterRule.adamW(), ranks).leaveAverages(false);
    }

    private static Tensor mean(Tensor t) {
        return t.pow(new Scalar(2)).mean();
    }

    /** The loss of rank 1 does not reach the second layer, and at last that of none does. */
    @Test
    void aGradientOfSomeRanksIsAddedToZeros() throws Exception {
        Nets.Mlp one = new Nets.Mlp(1);
        try (LngdTorch lngd =
                LngdTorch.attach(one, OPTIONS, ParameterRule.adamW()).leaveAverages(false)) {
            for (int step = 0; step < 3; step++) {
                Tensor x = Nets.inputs(step, Nets.BATCH, Nets.INPUTS);
                Tensor s = one.first.forward(x);
                Tensor loss = mean(s.narrow(0, HALF, HALF));
                if (step < 2) {
                    Tensor scores = one.second.forward(torch.relu(s.narrow(0, 0, HALF)));
                    loss = loss.add(torch.cross_entropy_loss(scores, Nets.labels(step, HALF)));
                } else {
                    loss = loss.add(mean(s.narrow(0, 0, HALF)));
                }
                loss.div(new Scalar(2.0)).backward();
                lngd.step();
                lngd.zeroGrad();
            }
        }
        List<float[]> weights =
                RankThreads.run(
                        file(),
                        ranks -> {
                            Nets.Mlp net = copyOf(1);
                            try (LngdTorch lngd = attach(net, ranks)) {
                                for (int step = 0; step < 3; step++) {
                                    half(net, lngd, ranks.rank(), step);
                                }
                            }
                            return Nets.weights(net);
                        });
        assertThat(weights.get(1)).containsExactly(weights.get(0));
        assertThat(weights.get(0)).containsExactly(Nets.weights(one), ROUNDING);
    }

    private static void half(Nets.Mlp net, LngdTorch lngd, int rank, int step) {
        Tensor x = inputs(step).narrow(0, rank * HALF, HALF);
        lngd.share(rank * HALF, HALF);
        Tensor s = net.first.forward(x);
        if (rank == 0 && step < 2) {
            torch.cross_entropy_loss(net.second.forward(torch.relu(s)), Nets.labels(step, HALF))
                    .backward();
        } else {
            mean(s).backward();
        }
        lngd.step();
        lngd.zeroGrad();
    }

    /** PyTorch's generator is one for all threads. */
    private static synchronized Tensor inputs(int step) {
        return Nets.inputs(step, Nets.BATCH, Nets.INPUTS);
    }

    private static synchronized Nets.Mlp copyOf(long seed) {
        return new Nets.Mlp(seed);
    }

    private static void train(Nets.Mlp net, LngdTorch lngd, int rank, int from, int to) {
        for (int step = from; step < to; step++) {
            lngd.share(rank * HALF, HALF);
            net.backward(
                    inputs(step).narrow(0, rank * HALF, HALF),
                    Nets.labels(step, Nets.BATCH).narrow(0, rank * HALF, HALF));
            lngd.step();
            lngd.zeroGrad();
        }
    }

    @Test
    void aStateOfRankZeroGoesOnWithTheSameBits() throws Exception {
        byte[][] state = new byte[1][];
        List<float[]> four =
                RankThreads.run(
                        file(),
                        ranks -> {
                            Nets.Mlp net = copyOf(1);
                            try (LngdTorch lngd = attach(net, ranks)) {
                                train(net, lngd, ranks.rank(), 0, 4);
                                if (ranks.rank() == 0) {
                                    state[0] = lngd.saveState();
                                }
                                float[] weights = Nets.weights(net);
                                train(net, lngd, ranks.rank(), 4, 9);
                                return ranks.rank() == 0 ? weights : Nets.weights(net);
                            }
                        });
        List<float[]> resumed =
                RankThreads.run(
                        Rendezvous.file(folder.resolve("again")),
                        ranks -> {
                            Nets.Mlp net = copyOf(7);
                            try (LngdTorch lngd = attach(net, ranks)) {
                                put(net, four.get(0));
                                lngd.restoreState(state[0]);
                                train(net, lngd, ranks.rank(), 4, 9);
                                float[] end = Nets.weights(net);
                                put(net, ranks.rank() == 0 ? end : four.get(0));
                                lngd.restoreState(state[0]);
                                assertThatThrownBy(() -> train(net, lngd, ranks.rank(), 4, 5))
                                        .hasMessageStartingWith(
                                                "rank 1 has a checksum of the weights");
                                return end;
                            }
                        });
        assertThat(resumed.get(0)).containsExactly(four.get(1));
        assertThat(resumed.get(1)).containsExactly(four.get(1));
    }

    private static void put(Nets.Mlp net, float[] weights) {
        try (NoGradGuard guard = new NoGradGuard()) {
            int at = 0;
            for (long i = 0; i < net.parameters().size(); i++) {
                Tensor p = net.parameters().get(i);
                float[] own = new float[(int) p.numel()];
                System.arraycopy(weights, at, own, 0, own.length);
                p.copy_(Tensor.create(own).view_as(p));
                at += own.length;
            }
        }
    }

    @Test
    void otherWeightsOfARankAreRefusedOnAll() throws Exception {
        RankThreads.run(
                file(),
                ranks -> {
                    Nets.Mlp net = copyOf(1);
                    try (LngdTorch lngd = attach(net, ranks)) {
                        if (ranks.rank() == 1) {
                            put(net, new float[Nets.weights(net).length]);
                        }
                        assertThatThrownBy(() -> train(net, lngd, ranks.rank(), 0, 1))
                                .isInstanceOf(LngdStateException.class)
                                .hasMessageStartingWith("rank 1 has a checksum of the weights");
                    }
                    return null;
                });
    }

    @Test
    void aModelThatOneRankCannotTrainIsRefusedOnAll() throws Exception {
        RankThreads.run(
                file(),
                ranks -> {
                    Nets.Mlp net = copyOf(1);
                    if (ranks.rank() == 1) {
                        net.to(torch.ScalarType.Double, false);
                    }
                    assertThatThrownBy(() -> attach(net, ranks))
                            .isInstanceOf(LngdArgumentException.class)
                            .hasMessage(
                                    (ranks.rank() == 0 ? "rank 1 says: " : "")
                                            + "first.weight has the type Double, allowed is Float (float32)");
                    return null;
                });
    }

    @Test
    void theSamplesOfTheStatisticsAreThoseOfAllRanks() throws Exception {
        LngdOptions options = OPTIONS.toBuilder().statisticsSamples(7).build();
        RankThreads.run(
                file(),
                ranks -> {
                    Nets.Mlp net = copyOf(1);
                    try (LngdTorch lngd =
                            LngdTorch.attach(net, options, ParameterRule.adamW(), ranks)) {
                        assertThat(lngd.options().statisticsSamples()).isEqualTo(4);
                    }
                    return null;
                });
    }

    @Test
    void aShareIsOfRanksAndNotNegative() throws Exception {
        Nets.Mlp net = new Nets.Mlp(1);
        try (LngdTorch lngd = LngdTorch.attach(net, OPTIONS)) {
            assertThatThrownBy(() -> lngd.share(0, 1))
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("attached without ranks");
            assertThatThrownBy(() -> lngd.share(0, -1))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessage("samples is -1, allowed is 0 or more");
        }
        RankThreads.run(
                file(),
                ranks -> {
                    Nets.Mlp of = copyOf(1);
                    try (LngdTorch lngd = attach(of, ranks)) {
                        of.backward(inputs(0), Nets.labels(0, Nets.BATCH));
                        lngd.share(0, ranks.rank() == 0 ? Nets.BATCH : 0);
                        assertThatThrownBy(lngd::step)
                                .isInstanceOf(LngdStateException.class)
                                .hasMessageContaining(
                                        ranks.rank() == 1
                                                ? "told to have 0 samples"
                                                : "rank 1 has refused");
                    }
                    return null;
                });
    }
}
