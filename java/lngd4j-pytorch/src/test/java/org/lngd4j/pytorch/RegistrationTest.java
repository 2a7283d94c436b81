// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import static org.assertj.core.api.Assertions.assertThat;

import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Adam;
import org.bytedeco.pytorch.AdamOptions;
import org.bytedeco.pytorch.BatchNorm1dImpl;
import org.bytedeco.pytorch.BatchNormOptions;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.lngd4j.LayerOptions;
import org.lngd4j.LayerRegistration;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;
import org.lngd4j.ParameterRule;
import org.lngd4j.Preset;
import org.lngd4j.RegistrationReport;
import org.lngd4j.Schedule;
import org.lngd4j.Treatment;

/** What is done with each parameter, and that those outside of LNGD's layers are trained too. */
@SuppressWarnings("try") // scopes that are only opened and closed
@Tag(TestDevice.TAG)
class RegistrationTest {
    private static final class Mixed extends Module {
        final LngdLinear first;
        final BatchNorm1dImpl norm;
        final LinearImpl plain;
        final LngdLinear frozen;
        final LngdLinear output;
        final Tensor table;

        Mixed() {
            super("mixed");
            torch.manual_seed(1);
            first = register_module("first", new LngdLinear(Nets.INPUTS, Nets.HIDDEN));
            norm = register_module("norm", new BatchNorm1dImpl(new BatchNormOptions(Nets.HIDDEN)));
            plain = register_module("plain", new LinearImpl(Nets.HIDDEN, Nets.HIDDEN));
            frozen = register_module("frozen", new LngdLinear(Nets.HIDDEN, Nets.HIDDEN));
            output = register_module("output", new LngdLinear(Nets.HIDDEN, Nets.CLASSES));
            output.output(OutputModel.SOFTMAX);
            table = register_parameter("table", torch.ones(1, Nets.HIDDEN), true);
            frozen.weight().set_requires_grad(false);
            frozen.bias().set_requires_grad(false);
        }

        Tensor forward(Tensor x) {
            Tensor h = torch.relu(norm.forward(first.forward(x)).mul(table));
            return output.forward(frozen.forward(plain.forward(h)));
        }

        void backward(int step) {
            Tensor x = Nets.inputs(100 + step, Nets.BATCH, Nets.INPUTS);
            torch.cross_entropy_loss(forward(x), Nets.labels(step, Nets.BATCH)).backward();
        }
    }

    @Test
    void everyParameterIsReported() {
        Mixed net = new Mixed();
        try (LngdTorch lngd = LngdTorch.attach(net, LngdOptions.blockKronecker(5).build())) {
            RegistrationReport report = lngd.report();
            assertThat(report.with(Treatment.LNGD))
                    .extracting(LayerRegistration::name)
                    .containsExactly("first", "output");
            assertThat(report.with(Treatment.FROZEN))
                    .extracting(LayerRegistration::name)
                    .containsExactlyInAnyOrder("frozen.weight", "frozen.bias");
            assertThat(report.with(Treatment.FIRST_ORDER))
                    .extracting(LayerRegistration::name)
                    .containsExactlyInAnyOrder(
                            "table", "norm.weight", "norm.bias", "plain.weight", "plain.bias");
            assertThat(report.toString())
                    .contains("a parameter of torch::nn::BatchNorm1dImpl")
                    .contains("AdamW learning rate 0.01");
            long all = 0;
            TensorVector parameters = net.parameters();
            for (long i = 0; i < parameters.size(); i++) {
                all += parameters.get(i).numel();
            }
            assertThat(report.layers().stream().mapToLong(LayerRegistration::parameters).sum())
                    .isEqualTo(all);
        }
    }

    /** The rule AdamW without decay is torch::optim's Adam. */
    @Test
    void parametersOutsideOfLayersAreMovedAsPyTorchMovesThem() {
        Mixed ours = new Mixed();
        Mixed theirs = new Mixed();
        LngdOptions options =
                LngdOptions.blockKronecker(5)
                        .device(TestDevice.get())
                        .schedule(Schedule.constant(1))
                        .averaging(false)
                        .build();
        ParameterRule rule = ParameterRule.adamW().learningRate(0.01);
        Tensor[] mine = {ours.table, ours.norm.weight(), ours.plain.weight(), ours.plain.bias()};
        Tensor[] other = {
            theirs.table, theirs.norm.weight(), theirs.plain.weight(), theirs.plain.bias()
        };
        float[] start = Nets.floats(ours.plain.weight());
        try (LngdTorch lngd = LngdTorch.attach(ours, options, rule);
                Adam adam = new Adam(new TensorVector(other), new AdamOptions(0.01))) {
            for (int step = 0; step < 5; step++) {
                try (PointerScope scope = new PointerScope()) {
                    ours.backward(step);
                    // The layers of LNGD move elsewhere, so the gradients are handed over.
                    for (int i = 0; i < mine.length; i++) {
                        other[i].mutable_grad().put(mine[i].grad().clone());
                    }
                    adam.step();
                    lngd.step();
                    lngd.zeroGrad();
                }
            }
            assertThat(lngd.health().get("plain.weight").steps()).isEqualTo(5);
        }
        assertThat(Nets.floats(ours.plain.weight())).isNotEqualTo(start);
        for (int i = 0; i < mine.length; i++) {
            float[] is = Nets.floats(mine[i]);
            float[] should = Nets.floats(other[i]);
            for (int k = 0; k < is.length; k++) {
                // Five steps of 0.01, each rounded in another order: 5 x 0.01 x a few 6e-8, and the
                // rounding of weights near 1.
                assertThat(is[k]).isCloseTo(should[k], Offset.offset(1e-6f));
            }
        }
    }

    @Test
    void aLayerMayHaveOptionsOfItsOwn() {
        Nets.Mlp net = new Nets.Mlp(1);
        net.first.lngdOptions(LayerOptions.DEFAULT.rateMultiplier(0));
        float[] frozen = Nets.floats(net.first.weight());
        float[] second = Nets.floats(net.second.weight());
        LngdOptions options = LngdOptions.recipe(5).device(TestDevice.get()).build();
        try (LngdTorch lngd = LngdTorch.attach(net, options)) {
            Nets.train(net, lngd, 0, 3);
        }
        assertThat(Nets.floats(net.first.weight())).containsExactly(frozen);
        assertThat(Nets.floats(net.second.weight())).isNotEqualTo(second);
    }

    @Test
    void theOutputIsTheLastLayerWhateverTheOrderOfRegistration() {
        Module net = new Module("backwards");
        net.register_module("output", new LngdLinear(5, 4).output(OutputModel.SOFTMAX));
        net.register_module("hidden", new LngdLinear(6, 5));
        LngdOptions options = LngdTorch.recommended(net, 100, 32);
        assertThat(options.preset()).isEqualTo(Preset.BLOCK_KRONECKER);
        try (LngdTorch lngd = LngdTorch.attach(net, options)) {
            assertThat(lngd.report().with(Treatment.LNGD))
                    .extracting(LayerRegistration::name)
                    .containsExactly("hidden", "output");
        }
    }
}
