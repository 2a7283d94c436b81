// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv2dOptions;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.kReflect;
import org.bytedeco.pytorch.kSame;
import org.junit.jupiter.api.Test;
import org.lngd4j.Field;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;
import org.lngd4j.nativelib.LngdArgumentException;

/** Convolutions: geometry, weights as a matrix, and their factor against PyTorch's own patches. */
@SuppressWarnings("try") // scopes that are only opened and closed
class ConvolutionTest {
    // Sums of some hundred products of float32 near 1 in another order.
    private static final Offset<Float> ROUNDING = Offset.offset(2e-5f);

    private static final class Net extends Module {
        final LngdConv2d conv;
        final LngdLinear output;

        Net(Conv2dOptions options, long features) {
            super("net");
            torch.manual_seed(1);
            conv = register_module("conv", new LngdConv2d(options));
            output =
                    register_module(
                            "output",
                            new LngdLinear(features, Nets.CLASSES).output(OutputModel.SOFTMAX));
        }

        Tensor forward(Tensor x) {
            return output.forward(torch.relu_(conv.forward(x)).flatten(1, -1));
        }
    }

    private static Conv2dOptions options(long in, long out, long h, long w) {
        return new Conv2dOptions(in, out, new LongPointer(h, w));
    }

    /** KFAC's A of a convolution is the mean over samples of sum_t patch patch^T. */
    private static void checkPatches(
            Conv2dOptions options, long[] padding, long[] dilation, long[] stride) {
        Tensor x = Nets.inputs(3, 5, 2, 7, 6);
        long[] kernel = {options.kernel_size().get(0), options.kernel_size().get(1)};
        long features;
        Tensor expected;
        try (NoGradGuard guard = new NoGradGuard()) {
            Tensor patches = torch.im2col(x, kernel, dilation, padding, stride);
            Tensor one = torch.ones(5, 1, patches.size(2));
            Tensor rows =
                    torch.cat(new org.bytedeco.pytorch.TensorVector(patches, one), 1)
                            .transpose(1, 2)
                            .reshape(-1, patches.size(1) + 1);
            expected = rows.t().matmul(rows).div(new Scalar(5.0));
            features = 3 * patches.size(2);
        }
        Net net = new Net(options, features);
        LngdOptions recommended =
                LngdTorch.recommended(net, 10, 5).toBuilder().statisticsSamples(0).build();
        try (LngdTorch lngd = LngdTorch.attach(net, recommended)) {
            torch.cross_entropy_loss(net.forward(x), Nets.labels(3, 5)).backward();
            float[] before = Nets.weights(net);
            lngd.step();
            float[] is = lngd.optimizer().read(0, Field.PHI);
            float[] should = Nets.floats(expected);
            assertThat(is).hasSameSizeAs(should);
            for (int i = 0; i < is.length; i++) {
                assertThat(is[i]).isCloseTo(should[i], ROUNDING);
            }
            assertThat(Nets.weights(net)).isNotEqualTo(before);
            assertThat(lngd.health().values()).allMatch(h -> h.skippedSteps() == 0);
        }
    }

    @Test
    void patchesOfAPlainConvolution() {
        checkPatches(options(2, 3, 3, 2), at(0, 0), at(1, 1), at(1, 1));
    }

    @Test
    void patchesWithStridePaddingAndDilation() {
        Conv2dOptions options = options(2, 3, 3, 2);
        options.stride().put(0, 2).put(1, 1);
        options.dilation().put(0, 1).put(1, 2);
        options.padding().put(new LongPointer(1, 2));
        checkPatches(options, at(1, 2), at(1, 2), at(2, 1));
    }

    private static long[] at(long a, long b) {
        return new long[] {a, b};
    }

    @Test
    void samePaddingPutsTheOddZeroBehind() {
        Conv2dOptions options = options(2, 3, 4, 3);
        options.padding().put(new kSame());
        Net net = new Net(options, 3 * 7 * 6);
        try (LngdTorch lngd = LngdTorch.attach(net, LngdTorch.recommended(net, 10, 5))) {
            assertThat(lngd.optimizer().layers().get(0).convolution().axes().get(0).before())
                    .isEqualTo(1);
            assertThat(lngd.optimizer().layers().get(0).convolution().axes().get(0).after())
                    .isEqualTo(2);
            Tensor x = Nets.inputs(3, 5, 2, 7, 6);
            torch.cross_entropy_loss(net.forward(x), Nets.labels(3, 5)).backward();
            lngd.step();
            assertThat(lngd.health().get("conv").statisticsUpdates()).isEqualTo(1);
        }
    }

    @Test
    void groupsAndChannelsLastImages() {
        Conv2dOptions options = options(2, 4, 3, 3);
        options.groups().put(0, 2);
        float[] plain = step(options, false);
        assertThat(step(options, true)).containsExactly(plain);
    }

    private static float[] step(Conv2dOptions options, boolean channelsLast) {
        Net net = new Net(options, 4 * 5 * 4);
        try (LngdTorch lngd = LngdTorch.attach(net, LngdTorch.recommended(net, 10, 5))) {
            assertThat(lngd.optimizer().layers().get(0).groups()).isEqualTo(2);
            Tensor x = Nets.inputs(3, 5, 2, 7, 6);
            if (channelsLast) {
                // Another order in memory, the same numbers.
                x = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2);
            }
            torch.cross_entropy_loss(net.forward(x), Nets.labels(3, 5)).backward();
            lngd.step();
            return lngd.optimizer().read(0, Field.PHI);
        }
    }

    @Test
    void otherPaddingModesAreRefusedByName() {
        Conv2dOptions options = options(2, 3, 3, 3);
        options.padding_mode().put(new kReflect());
        Net net = new Net(options, 3 * 5 * 4);
        assertThatThrownBy(() -> LngdTorch.recommended(net, 10, 5))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("conv")
                .hasMessageContaining("padding_mode");
    }

    @Test
    void weightsInChannelsLastAreRefusedByName() {
        Net net = new Net(options(2, 3, 3, 3), 3 * 5 * 4);
        try (NoGradGuard guard = new NoGradGuard()) {
            Tensor w = net.conv.weight();
            w.set_data(w.detach().permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2));
        }
        assertThatThrownBy(() -> LngdTorch.recommended(net, 10, 5))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("conv.weight")
                .hasMessageContaining("contiguous");
    }
}
