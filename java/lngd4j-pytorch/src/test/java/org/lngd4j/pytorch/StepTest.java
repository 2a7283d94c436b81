// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.lngd4j.Activation;
import org.lngd4j.Field;
import org.lngd4j.LayerSpec;
import org.lngd4j.LayerTensors;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;
import org.lngd4j.Signal;
import org.lngd4j.StepPlan;
import org.lngd4j.UpdateMode;

/** A step is that of the core on what the layers saw, bit by bit. */
@Tag(TestDevice.TAG)
@SuppressWarnings("try") // scopes that are only opened and closed
class StepTest {
    private static final int STEPS = 5;

    private static LngdOptions recipe() {
        return LngdOptions.recipe(STEPS)
                .device(TestDevice.get())
                .statisticsInterval(2)
                .inverseInterval(2)
                .build();
    }

    @Test
    void movesTheWeightsAsTheCoreDoes() {
        Nets.Mlp net = new Nets.Mlp(1);
        try (LngdTorch lngd = LngdTorch.attach(net, recipe()).leaveAverages(false)) {
            Nets.train(net, lngd, 0, STEPS);
        }
        assertThat(Nets.weights(net)).containsExactly(byHand());
    }

    /** The same model, its layers not attached: inputs and outputs are handed over by hand. */
    private static float[] byHand() {
        Nets.Mlp net = new Nets.Mlp(1);
        List<LayerSpec> specs =
                List.of(
                        LayerSpec.dense("first", Nets.INPUTS, Nets.HIDDEN)
                                .activation(Activation.RELU),
                        LayerSpec.dense("second", Nets.HIDDEN, Nets.CLASSES)
                                .output(OutputModel.SOFTMAX));
        try (LngdOptimizer core = LngdOptimizer.create(recipe(), specs)) {
            for (int step = 0; step < STEPS; step++) {
                Tensor x = Nets.inputs(100 + step, Nets.BATCH, Nets.INPUTS);
                Tensor s = net.first.forward(x);
                Tensor h = torch.relu(s);
                Tensor logits = net.second.forward(h);
                core.observe(0, view(x), view(s), Signal.PRE_ACTIVATIONS);
                core.observe(1, view(h), view(logits), Signal.PRE_ACTIVATIONS);
                torch.cross_entropy_loss(logits, Nets.labels(step, Nets.BATCH)).backward();
                List<LayerTensors> tensors = List.of(tensors(0, net.first), tensors(1, net.second));
                try (StepPlan plan = core.plan(tensors, UpdateMode.WEIGHTS)) {
                    plan.step(core.schedule(step, 0));
                }
                net.zero_grad(true);
            }
        }
        return Nets.weights(net);
    }

    private static LayerTensors tensors(int index, LngdLinear layer) {
        return new LayerTensors(
                index,
                view(layer.weight()),
                view(layer.bias()),
                view(layer.weight().grad()),
                view(layer.bias().grad()));
    }

    private static TorchTensor view(Tensor t) {
        return TorchTensor.of("t", t.detach());
    }

    @Test
    void leavesWhatTheModelComputesAsItIs() {
        Nets.Mlp plain = new Nets.Mlp(1);
        Nets.Mlp net = new Nets.Mlp(1);
        Tensor x = Nets.inputs(7, Nets.BATCH, Nets.INPUTS);
        try (LngdTorch lngd = LngdTorch.attach(net, recipe())) {
            assertThat(Nets.floats(net.forward(x))).containsExactly(Nets.floats(plain.forward(x)));
            net.backward(x, Nets.labels(7, Nets.BATCH));
            plain.backward(x, Nets.labels(7, Nets.BATCH));
            assertThat(Nets.floats(net.first.weight().grad()))
                    .containsExactly(Nets.floats(plain.first.weight().grad()));
            lngd.zeroGrad();
        }
    }

    @Test
    void anActivationInPlaceChangesNothing() {
        assertThat(trained(true, false)).containsExactly(trained(false, false));
    }

    @Test
    void passesThatAreNotSteppedLeaveNothingBehind() {
        assertThat(trained(false, true)).containsExactly(trained(false, false));
    }

    /** Not even where its gradients are stepped. */
    @Test
    void evaluationModeIsNotLookedAt() {
        Nets.Mlp net = new Nets.Mlp(1);
        try (LngdTorch lngd = LngdTorch.attach(net, recipe())) {
            net.eval();
            Nets.train(net, lngd, 0, 1);
            assertThat(lngd.health().get("first").statisticsUpdates()).isZero();
            net.train(true);
            Nets.train(net, lngd, 1, 2);
            assertThat(lngd.health().get("first").statisticsUpdates()).isEqualTo(1);
        }
    }

    /**
     * With drawn targets too: A is made of the inputs of the passes that count, and of no others.
     */
    @Test
    void passesThatAreNotSteppedLeaveNothingBehindWithDrawnTargets() {
        assertThat(factor(true)).containsExactly(factor(false));
    }

    private static float[] factor(boolean distracted) {
        Nets.Mlp net = new Nets.Mlp(1);
        LngdOptions options = LngdOptions.blockKronecker(5).device(TestDevice.get()).build();
        try (LngdTorch lngd = LngdTorch.attach(net, options)) {
            if (distracted) {
                distract(net);
            }
            Nets.train(net, lngd, 0, 1);
            return lngd.optimizer().read(0, Field.PHI);
        }
    }

    private static float[] trained(boolean inPlace, boolean distracted) {
        Nets.Mlp net = new Nets.Mlp(1);
        net.inPlace = inPlace;
        try (LngdTorch lngd = LngdTorch.attach(net, recipe())) {
            for (int step = 0; step < STEPS; step++) {
                if (distracted) {
                    distract(net);
                }
                Nets.train(net, lngd, step, step + 1);
            }
        }
        return Nets.weights(net);
    }

    private static void distract(Nets.Mlp net) {
        try (PointerScope scope = new PointerScope()) {
            Tensor x = Nets.inputs(9, 3, Nets.INPUTS);
            net.forward(x); // with a graph, but no backward pass comes
            net.eval();
            net.forward(x);
            net.train(true);
            try (NoGradGuard guard = new NoGradGuard()) {
                net.forward(x);
            }
        }
    }

    @Test
    void halvesOfABatchAddUp() {
        float[] whole = accumulated(1);
        float[] halves = accumulated(2);
        // Sums of float32 in another order: a few roundings of 2^-24 of the weights, which are
        // below 1, and the inverses amplify what the gradients differ by.
        for (int i = 0; i < whole.length; i++) {
            assertThat(halves[i]).isCloseTo(whole[i], org.assertj.core.data.Offset.offset(2e-6f));
        }
    }

    private static float[] accumulated(int parts) {
        Nets.Mlp net = new Nets.Mlp(1);
        try (LngdTorch lngd = LngdTorch.attach(net, recipe())) {
            Tensor x = Nets.inputs(3, Nets.BATCH, Nets.INPUTS);
            Tensor y = Nets.labels(3, Nets.BATCH);
            long rows = Nets.BATCH / parts;
            for (int part = 0; part < parts; part++) {
                Tensor logits = net.forward(x.narrow(0, part * rows, rows));
                torch.cross_entropy_loss(logits, y.narrow(0, part * rows, rows))
                        .div(new org.bytedeco.pytorch.Scalar((double) parts))
                        .backward();
            }
            lngd.step();
            assertThat(lngd.health().get("first").statisticsUpdates()).isEqualTo(1);
            assertThat(lngd.health().get("first").skippedSteps()).isZero();
        }
        return Nets.weights(net);
    }

    @Test
    void aLayerThatTheLossDoesNotReachStays() {
        Nets.Mlp net = new Nets.Mlp(1);
        float[] second = Nets.floats(net.second.weight());
        float[] first = Nets.floats(net.first.weight());
        try (LngdTorch lngd = LngdTorch.attach(net, recipe())) {
            Tensor x = Nets.inputs(3, Nets.BATCH, Nets.INPUTS);
            net.first.forward(x).pow(new org.bytedeco.pytorch.Scalar(2)).mean().backward();
            lngd.step();
            lngd.zeroGrad();
            assertThat(Nets.floats(net.second.weight())).containsExactly(second);
            assertThat(Nets.floats(net.first.weight())).isNotEqualTo(first);
            // And then all of them, and the first alone again.
            Nets.train(net, lngd, 1, 3); // after one step the average is the weight
            assertThat(Nets.floats(net.second.weight())).isNotEqualTo(second);
            second = Nets.floats(net.second.weight());
            net.first.forward(x).pow(new org.bytedeco.pytorch.Scalar(2)).mean().backward();
            lngd.step();
            assertThat(Nets.floats(net.second.weight())).containsExactly(second);
            try (AveragedWeights averages = lngd.averagedWeights()) {
                assertThat(Nets.floats(net.second.weight())).isNotEqualTo(second);
            }
            assertThat(Nets.floats(net.second.weight())).containsExactly(second);
        }
    }

    @Test
    void gradientsMayLieElsewhereAtEachStep() {
        float[] usual = trained(false, false);
        Nets.Mlp net = new Nets.Mlp(1);
        try (LngdTorch lngd = LngdTorch.attach(net, recipe())) {
            List<Tensor> occupied = new java.util.ArrayList<>();
            for (int step = 0; step < STEPS; step++) {
                Nets.train(net, lngd, step, step + 1);
                // What was freed is taken at once, so that the next gradients must move.
                for (int i = 0; i < 64; i++) {
                    occupied.add(torch.zeros(Nets.HIDDEN, Nets.INPUTS));
                }
            }
        }
        assertThat(Nets.weights(net)).containsExactly(usual);
    }

    @Test
    void autogradKnowsThatTheWeightsHaveChanged() {
        Nets.Mlp net = new Nets.Mlp(1);
        try (LngdTorch lngd = LngdTorch.attach(net, recipe())) {
            long before = net.first.weight()._version();
            Nets.train(net, lngd, 0, 1);
            assertThat(net.first.weight()._version()).isGreaterThan(before);
        }
    }
}
