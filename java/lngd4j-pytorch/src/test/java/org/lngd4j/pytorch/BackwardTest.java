// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.LngdOptions;
import org.lngd4j.ParameterRule;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.gloo.RanksException;
import org.lngd4j.gloo.Rendezvous;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;

/** {@link LngdTorch#backward}: gradients added during the backward pass, and what goes wrong. */
@SuppressWarnings("try") // scopes that are only opened and closed
class BackwardTest {
    private static final int HALF = Nets.BATCH / 2;

    private static final LngdOptions OPTIONS =
            LngdOptions.recipe(9).statisticsInterval(2).inverseInterval(2).build();

    @TempDir Path folder;

    private Rendezvous file() {
        return Rendezvous.file(folder.resolve("store"));
    }

    /** PyTorch's generator is one for all threads. */
    private static synchronized Nets.Mlp net() {
        return new Nets.Mlp(1);
    }

    private static synchronized Tensor loss(
            Nets.Mlp net, int rank, int step, int from, int samples) {
        int first = rank * HALF + from;
        Tensor x = Nets.inputs(step, Nets.BATCH, Nets.INPUTS).narrow(0, first, samples);
        Tensor y = Nets.labels(step, Nets.BATCH).narrow(0, first, samples);
        return torch.cross_entropy_loss(net.second.forward(torch.relu(net.first.forward(x))), y);
    }

    private static Tensor loss(Nets.Mlp net, int rank, int step) {
        return loss(net, rank, step, 0, HALF);
    }

    private static LngdTorch attach(Nets.Mlp net, Ranks ranks) {
        return LngdTorch.attach(net, OPTIONS, ParameterRule.adamW(), ranks).leaveAverages(false);
    }

    /** With equal shares each rank's gradient is halved before the sum, either way. */
    @Test
    void equalSharesGiveTheBitsOfGradientsAddedInTheStep() throws Exception {
        List<float[]> all =
                RankThreads.run(
                        file(),
                        ranks -> {
                            float[][] weights = new float[2][];
                            long[] bytes = new long[3];
                            for (int way = 0; way < 2; way++) {
                                Nets.Mlp net = net();
                                try (LngdTorch lngd = attach(net, ranks)) {
                                    for (int step = 0; step < 9; step++) {
                                        lngd.share(ranks.rank() * HALF, HALF);
                                        Tensor loss = loss(net, ranks.rank(), step);
                                        if (way == 0) {
                                            loss.backward();
                                        } else {
                                            lngd.backward(loss);
                                        }
                                        lngd.step();
                                        lngd.zeroGrad();
                                    }
                                }
                                weights[way] = Nets.weights(net);
                                bytes[way + 1] = ranks.times().bytes();
                            }
                            assertThat(weights[1]).containsExactly(weights[0]);
                            // Gradients travel once, which their values would not tell: 9 times.
                            // More meetings, in steps with statistics, are a third of it.
                            long gradients = 9L * Float.BYTES * weights[0].length;
                            assertThat(bytes[2] - 2 * bytes[1]).isLessThan(gradients);
                            return weights[1];
                        });
        assertThat(all.get(1)).containsExactly(all.get(0));
    }

    /** Two passes over halves of the share, and gradients that are changed alike on all ranks. */
    @Test
    void severalPassesAddUp() throws Exception {
        RankThreads.run(
                file(),
                ranks -> {
                    Nets.Mlp net = net();
                    try (LngdTorch lngd = attach(net, ranks)) {
                        lngd.share(ranks.rank() * HALF, HALF);
                        lngd.backward(loss(net, ranks.rank(), 0));
                        float[] whole = Nets.gradients(net);
                        lngd.zeroGrad();
                        lngd.share(ranks.rank() * HALF, HALF);
                        int part = HALF / 2;
                        lngd.backward(half(loss(net, ranks.rank(), 0, 0, part)));
                        lngd.backward(half(loss(net, ranks.rank(), 0, part, part)));
                        float[] sum = Nets.gradients(net);
                        for (int i = 0; i < whole.length; i++) {
                            // roundings of sums whose terms are below 1
                            assertThat(sum[i]).isCloseTo(whole[i], within(2e-7f));
                        }
                        clip(net);
                        lngd.step();
                    }
                    return null;
                });
    }

    private static org.assertj.core.data.Offset<Float> within(float value) {
        return org.assertj.core.data.Offset.offset(value);
    }

    private static Tensor half(Tensor loss) {
        return loss.mul(new Scalar(0.5));
    }

    private static void clip(Nets.Mlp net) {
        try (NoGradGuard guard = new NoGradGuard()) {
            for (long i = 0; i < net.parameters().size(); i++) {
                net.parameters().get(i).grad().mul_(new Scalar(0.5));
            }
        }
    }

    @Test
    void withoutRanksItIsTheLossesOwn() {
        Nets.Mlp net = net();
        try (LngdTorch lngd = LngdTorch.attach(net, OPTIONS)) {
            lngd.backward(loss(net, 0, 0));
            float[] gradients = Nets.gradients(net);
            lngd.zeroGrad();
            loss(net, 0, 0).backward();
            assertThat(Nets.gradients(net)).containsExactly(gradients);
            lngd.step();
            assertThatThrownBy(lngd::backwardWithoutSamples)
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("without ranks");
            assertThatThrownBy(() -> lngd.backward(null)).hasMessageStartingWith("loss is null");
        }
    }

    /** What is wrong on one rank is an exception on all; nothing is changed, and they go on. */
    @Test
    void refusalsOfOneRankStopAll() throws Exception {
        RankThreads.run(
                file(),
                ranks -> {
                    int rank = ranks.rank();
                    boolean one = rank == 1;
                    Nets.Mlp net = net();
                    try (LngdTorch lngd = attach(net, ranks)) {
                        String there = "rank 1 has refused the step";
                        // a step here, a backward pass there
                        lngd.share(rank * HALF, HALF);
                        assertThatThrownBy(
                                        () -> {
                                            if (one) {
                                                lngd.step();
                                            } else {
                                                lngd.backward(loss(net, rank, 0));
                                            }
                                        })
                                .isInstanceOf(LngdStateException.class)
                                .hasMessage(
                                        "rank 1 has calls of LngdTorch.backward in this step: 0,"
                                                + " rank 0 1; allowed is the same on all ranks");
                        // losses that are none
                        Tensor many = loss(net, rank, 0).mul(torch.ones(2));
                        assertThatThrownBy(() -> lngd.backward(one ? many : loss(net, rank, 0)))
                                .hasMessage(
                                        one
                                                ? "loss has 2 numbers, allowed is one: the mean over"
                                                        + " samples"
                                                : there + ", and tells the reason there");
                        assertThatThrownBy(
                                        () ->
                                                lngd.backward(
                                                        one ? torch.zeros(1) : loss(net, rank, 0)))
                                .hasMessageContaining(one ? "asks for no gradient" : there);
                        // a share that is not what was told
                        assertThatThrownBy(
                                        () -> {
                                            if (one) {
                                                lngd.backwardWithoutSamples();
                                            } else {
                                                lngd.backward(loss(net, rank, 0));
                                            }
                                        })
                                .hasMessageContaining(
                                        one ? "allowed is backward(loss) then" : there);
                        // a gradient from before
                        if (one) {
                            loss(net, rank, 0).backward();
                        }
                        assertThatThrownBy(() -> lngd.backward(loss(net, rank, 0)))
                                .isInstanceOf(LngdStateException.class)
                                .hasMessageContaining(one ? "call zeroGrad() after" : there);
                        lngd.zeroGrad();
                        // no samples at all
                        lngd.share(0, 0);
                        assertThatThrownBy(lngd::backwardWithoutSamples)
                                .hasMessageContaining("the shares of all ranks have 0 samples");
                        lngd.share(rank * HALF, HALF);
                        lngd.backward(loss(net, rank, 0));
                        lngd.step();
                        assertThat(lngd.steps()).isEqualTo(1);
                        assertThat(lngd.health().get("first").skippedSteps()).isZero();
                    }
                    return null;
                });
    }

    /** PyTorch's own backward pass after ours adds what only its rank has. */
    @Test
    void gradientsOfOneRankAloneAreSeenInAStepWithStatistics() throws Exception {
        RankThreads.run(
                file(),
                ranks -> {
                    Nets.Mlp net = net();
                    try (LngdTorch lngd = attach(net, ranks)) {
                        float[] before = Nets.weights(net);
                        lngd.share(ranks.rank() * HALF, HALF);
                        lngd.backward(loss(net, ranks.rank(), 0));
                        loss(net, ranks.rank(), 1).backward();
                        assertThatThrownBy(lngd::step)
                                .isInstanceOf(LngdStateException.class)
                                .hasMessageContaining(GRADIENTS);
                        assertThat(Nets.weights(net)).containsExactly(before);
                    }
                    return null;
                });
    }

    /** Where a step has no collective it is seen in the next, and in all that follow. */
    @Test
    void gradientsOfOneRankAloneAreSeenAfterAStepWithoutStatistics() throws Exception {
        RankThreads.run(
                file(),
                ranks -> {
                    Nets.Mlp net = net();
                    try (LngdTorch lngd = attach(net, ranks)) {
                        train(net, lngd, ranks.rank(), 0);
                        lngd.share(ranks.rank() * HALF, HALF);
                        lngd.backward(loss(net, ranks.rank(), 1));
                        loss(net, ranks.rank(), 2).backward();
                        lngd.step();
                        lngd.zeroGrad();
                        assertThatThrownBy(() -> train(net, lngd, ranks.rank(), 2))
                                .isInstanceOf(LngdStateException.class)
                                .hasMessageContaining(GRADIENTS);
                        assertThatThrownBy(() -> train(net, lngd, ranks.rank(), 2))
                                .hasMessageContaining(GRADIENTS);
                    }
                    return null;
                });
    }

    private static final String GRADIENTS = "a checksum of some numbers of the gradients:";

    private static void train(Nets.Mlp net, LngdTorch lngd, int rank, int step) {
        lngd.share(rank * HALF, HALF);
        lngd.backward(loss(net, rank, step));
        lngd.step();
        lngd.zeroGrad();
    }

    /** A batch whose gradients are thrown away, and PyTorch's own backward pass for the next. */
    @Test
    void aBatchMayBeDropped() throws Exception {
        List<float[]> all =
                RankThreads.run(
                        file(),
                        ranks -> {
                            Nets.Mlp net = net();
                            try (LngdTorch lngd = attach(net, ranks)) {
                                lngd.share(ranks.rank() * HALF, HALF);
                                lngd.backward(loss(net, ranks.rank(), 0));
                                lngd.zeroGrad();
                                lngd.share(ranks.rank() * HALF, HALF);
                                loss(net, ranks.rank(), 1).backward();
                                lngd.step();
                            }
                            return Nets.weights(net);
                        });
        assertThat(all.get(1)).containsExactly(all.get(0));
    }

    /** In a step without collectives a rank refuses alone, and catches up. */
    @Test
    void aRankThatRefusedItsStepMayTakeIt() throws Exception {
        List<float[]> all =
                RankThreads.run(
                        file(),
                        ranks -> {
                            Nets.Mlp net = net();
                            try (LngdTorch lngd = attach(net, ranks)) {
                                train(net, lngd, ranks.rank(), 0);
                                lngd.share(ranks.rank() * HALF, HALF);
                                lngd.backward(loss(net, ranks.rank(), 1));
                                if (ranks.rank() == 1) {
                                    try (AveragedWeights averages = lngd.averagedWeights()) {
                                        assertThatThrownBy(lngd::step)
                                                .hasMessageContaining("averaged weights");
                                    }
                                }
                                lngd.step();
                                lngd.zeroGrad();
                                train(net, lngd, ranks.rank(), 2);
                                assertThat(lngd.steps()).isEqualTo(3);
                            }
                            return Nets.weights(net);
                        });
        assertThat(all.get(1)).containsExactly(all.get(0));
    }

    /** The graph was used up on one rank: the others must not wait for its gradients. */
    @Test
    void aPassThatFailsOnOneRankEndsTheAttachment() throws Exception {
        RankThreads.run(
                file(),
                ranks -> {
                    Nets.Mlp net = net();
                    try (LngdTorch lngd = attach(net, ranks)) {
                        float[] before = Nets.weights(net);
                        lngd.share(ranks.rank() * HALF, HALF);
                        Tensor loss = loss(net, ranks.rank(), 0);
                        if (ranks.rank() == 1) {
                            loss.backward();
                            lngd.zeroGrad();
                        }
                        assertThatThrownBy(() -> lngd.backward(loss))
                                .isInstanceOf(RanksException.class);
                        assertThatThrownBy(lngd::step).isInstanceOf(LngdStateException.class);
                        assertThat(Nets.weights(net)).containsExactly(before);
                    }
                    return null;
                });
    }

    @Test
    void aLossThatIsNoneIsRefusedWithoutRanks() {
        Nets.Mlp net = net();
        try (LngdTorch lngd = LngdTorch.attach(net, OPTIONS)) {
            assertThatThrownBy(() -> lngd.backward(new Tensor()))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessage("loss is undefined, allowed is one number");
        }
    }
}
