// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.LngdOptions;
import org.lngd4j.ParameterRule;
import org.lngd4j.TrustRatio;
import org.lngd4j.gloo.Rendezvous;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;

/** Scaled losses, the flag that keeps a step out, and clipped gradients. */
@SuppressWarnings("try") // scopes that are only opened and closed
class LossScaleTest {
    private static final int STEPS = 5;

    @TempDir Path folder;

    private static LngdOptions recipe(double clipping) {
        return LngdOptions.recipe(STEPS)
                .device(TestDevice.get())
                .trustRatio(TrustRatio.OFF, 0)
                .learningRate(0.05)
                .statisticsInterval(1)
                .inverseInterval(1)
                .gradientClipping(clipping)
                .build();
    }

    private static LngdOptions kronecker() {
        return LngdOptions.blockKronecker(STEPS).device(TestDevice.get()).build();
    }

    private static void backward(Nets.Mlp net, int step, double scale) {
        Tensor loss =
                torch.cross_entropy_loss(
                        net.forward(Nets.inputs(100 + step, Nets.BATCH, Nets.INPUTS)),
                        Nets.labels(step, Nets.BATCH));
        loss.mul(new Scalar(scale)).backward();
    }

    /** As in docs/pytorch.md. */
    private static Tensor foundInf(Nets.Mlp net) {
        Tensor found = torch.zeros(1);
        TensorVector parameters = net.parameters();
        for (long i = 0; i < parameters.size(); i++) {
            Tensor g = parameters.get(i).grad();
            found.add_(torch.isfinite(g).logical_not().any().to(torch.ScalarType.Float));
        }
        return found;
    }

    private interface Steps {
        void take(Nets.Mlp net, LngdTorch lngd, int step);
    }

    private static float[] train(LngdOptions options, int steps, Steps take) {
        Nets.Mlp net = new Nets.Mlp(1);
        try (LngdTorch lngd = LngdTorch.attach(net, options).leaveAverages(false)) {
            for (int step = 0; step < steps; step++) {
                try (PointerScope scope = new PointerScope()) {
                    take.take(net, lngd, step);
                    lngd.zeroGrad();
                }
            }
        }
        return Nets.weights(net);
    }

    private static void plain(Nets.Mlp net, LngdTorch lngd, int step) {
        backward(net, step, 1);
        lngd.step();
    }

    @Test
    @Tag(TestDevice.TAG)
    void aScaledLossMakesTheStepsOfTheLoss() {
        for (LngdOptions options : List.of(recipe(0), recipe(0.01), kronecker())) {
            float[] plain = train(options, STEPS, LossScaleTest::plain);
            assertThat(
                            train(
                                    options,
                                    STEPS,
                                    (net, lngd, step) -> {
                                        backward(net, step, 1024);
                                        lngd.step(1024);
                                    }))
                    .containsExactly(plain);
            assertThat(
                            train(
                                    options,
                                    STEPS,
                                    (net, lngd, step) -> {
                                        if (step == 2) { // and one without in between
                                            plain(net, lngd, step);
                                            return;
                                        }
                                        double scale = Math.scalb(1.0, 3 * step);
                                        backward(net, step, scale);
                                        lngd.step(torch.full(new long[0], new Scalar(scale)), null);
                                    }))
                    .containsExactly(plain);
        }
    }

    @Test
    @Tag(TestDevice.TAG)
    void aFlaggedStepMovesNothing() {
        LngdOptions options = recipe(0);
        Nets.Mlp net = new Nets.Mlp(1);
        try (LngdTorch with = LngdTorch.attach(net, options).leaveAverages(false)) {
            for (int step = 0; step < STEPS; step++) {
                boolean skip = step == 0 || step == 3;
                float[] before = Nets.weights(net);
                backward(net, step, skip ? Double.POSITIVE_INFINITY : 8);
                with.step(8, foundInf(net));
                with.zeroGrad();
                if (skip) {
                    assertThat(Nets.weights(net)).containsExactly(before);
                    continue;
                }
                assertThat(Nets.weights(net)).isNotEqualTo(before);
            }
            assertThat(with.steps()).isEqualTo(STEPS);
            assertThat(with.health().get("first").skippedSteps()).isEqualTo(2);
            assertThat(with.health().get("first").skippedStatistics()).isZero();
            assertThat(with.health().get("first").statisticsUpdates()).isEqualTo(STEPS - 2);
        }
    }

    @Test
    void gradientsAreClippedByTheNormOfAll() {
        double[] norm = new double[1];
        Nets.Mlp net = new Nets.Mlp(1);
        try (LngdTorch lngd = LngdTorch.attach(net, recipe(1e-3))) {
            backward(net, 0, 4);
            for (Tensor p :
                    List.of(
                            net.first.weight(),
                            net.first.bias(),
                            net.second.weight(),
                            net.second.bias())) {
                for (float g : Nets.floats(p.grad())) {
                    norm[0] += (double) g * g;
                }
            }
            float[] gradient = Nets.floats(net.first.weight().grad());
            assertThatThrownBy(lngd::gradientNorm).isInstanceOf(LngdStateException.class);
            lngd.step(4);
            double wanted = Math.sqrt(norm[0]) / 4;
            assertThat(lngd.gradientNorm()).isCloseTo(wanted, Offset.offset(1e-12 * wanted));
            assertThat(Nets.floats(net.first.weight().grad())).containsExactly(gradient);
        }
        assertThat(train(recipe(1e-3), 2, LossScaleTest::plain))
                .isNotEqualTo(train(recipe(0), 2, LossScaleTest::plain));
        assertThat(train(recipe(1e9), 2, LossScaleTest::plain))
                .containsExactly(train(recipe(0), 2, LossScaleTest::plain));
    }

    /** The flag of one keeps the step out on both, and gradients are clipped after the sum. */
    @Test
    void ranksSkipAndClipAlike() throws Exception {
        ranks(false);
    }

    /** Gradients are the same then, and so are flags that are made of them. */
    @Test
    void ranksThatAddGradientsInTheBackwardPassSkipAndClipAlike() throws Exception {
        ranks(true);
    }

    /** PyTorch's generator is one for all threads. */
    private static synchronized Nets.Mlp net() {
        return new Nets.Mlp(1);
    }

    private static synchronized Tensor inputs(int seed) {
        return Nets.inputs(seed, Nets.BATCH, Nets.INPUTS);
    }

    private void ranks(boolean overlap) throws Exception {
        int half = Nets.BATCH / 2;
        List<float[]> weights =
                RankThreads.run(
                        Rendezvous.file(folder.resolve("store")),
                        ranks -> {
                            Nets.Mlp net = net();
                            try (LngdTorch lngd =
                                    LngdTorch.attach(
                                                    net,
                                                    recipe(1e-3),
                                                    ParameterRule.adamW()
                                                            .learningRate(LngdTorch.OTHERS_RATE),
                                                    ranks)
                                            .leaveAverages(false)) {
                                for (int step = 0; step < STEPS; step++) {
                                    int from = ranks.rank() * half;
                                    lngd.share(from, half);
                                    Tensor x = inputs(100 + step).narrow(0, from, half);
                                    Tensor y = Nets.labels(step, Nets.BATCH).narrow(0, from, half);
                                    Tensor loss =
                                            torch.cross_entropy_loss(net.forward(x), y)
                                                    .mul(new Scalar(8.0));
                                    if (overlap) {
                                        lngd.backward(loss);
                                    } else {
                                        loss.backward();
                                    }
                                    boolean found = step == 1 && (overlap || ranks.rank() == 1);
                                    lngd.step(
                                            8,
                                            torch.full(new long[0], new Scalar(found ? 1.0 : 0.0)));
                                    lngd.zeroGrad();
                                }
                                assertThat(lngd.health().get("first").skippedSteps()).isEqualTo(1);
                            }
                            return Nets.weights(net);
                        });
        assertThat(weights.get(1)).containsExactly(weights.get(0));
        Nets.Mlp alone = new Nets.Mlp(1);
        try (LngdTorch lngd = LngdTorch.attach(alone, recipe(1e-3)).leaveAverages(false)) {
            for (int step = 0; step < STEPS; step++) {
                backward(alone, step, 1);
                lngd.step(1, torch.full(new long[0], new Scalar(step == 1 ? 1.0 : 0.0)));
                lngd.zeroGrad();
            }
        }
        float[] one = Nets.weights(alone);
        for (int i = 0; i < one.length; i++) {
            assertThat(weights.get(0)[i]).isCloseTo(one[i], Offset.offset(2e-6f));
        }
    }

    @Test
    void whatIsNoScaleIsRefusedByName() {
        Nets.Mlp net = new Nets.Mlp(1);
        try (LngdTorch lngd = LngdTorch.attach(net, recipe(0))) {
            float[] before = Nets.weights(net);
            backward(net, 0, 1);
            for (double bad : new double[] {0, -2, Double.NaN, Double.POSITIVE_INFINITY}) {
                assertThatThrownBy(() -> lngd.step(bad))
                        .isInstanceOf(LngdArgumentException.class)
                        .hasMessageContainingAll("scale is", "allowed");
            }
            Tensor two = torch.ones(2);
            assertThatThrownBy(() -> lngd.step(two, null))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContainingAll("scale has 2 elements");
            Tensor whole = torch.ones(1).to(torch.ScalarType.Double);
            assertThatThrownBy(() -> lngd.step(1, whole))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContainingAll("foundInf has the type Double");
            assertThat(Nets.weights(net)).containsExactly(before);
            assertThat(lngd.steps()).isZero();
            lngd.step();
            assertThat(Nets.weights(net)).isNotEqualTo(before);
        }
    }
}
