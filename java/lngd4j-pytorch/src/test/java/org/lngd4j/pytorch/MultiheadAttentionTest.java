// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.assertj.core.data.Offset;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.lngd4j.LngdOptions;
import org.lngd4j.Preset;
import org.lngd4j.Treatment;
import org.lngd4j.nativelib.LngdArgumentException;

class MultiheadAttentionTest {
    private static final int WIDTH = 6;
    private static final int HEADS = 2;

    // A dozen products of float32 near 1 in another order.
    private static final Offset<Float> ROUNDING = Offset.offset(1e-5f);

    private static LngdMultiheadAttention attention() {
        torch.manual_seed(4);
        return new LngdMultiheadAttention(WIDTH, HEADS);
    }

    /** The formula, head by head; {@code allowed} T x S of one sample, or null. */
    private static Tensor plain(LngdMultiheadAttention net, Tensor x, Tensor m, Tensor allowed) {
        List<LngdLinear> layers = net.layers();
        Tensor q = layers.get(0).forward(x);
        Tensor k = layers.get(1).forward(m);
        Tensor v = layers.get(2).forward(m);
        TensorVector heads = new TensorVector();
        long width = WIDTH / HEADS;
        for (int h = 0; h < HEADS; h++) {
            Tensor scores =
                    q.narrow(2, h * width, width)
                            .matmul(k.narrow(2, h * width, width).transpose(1, 2))
                            .div(new Scalar(Math.sqrt(width)));
            if (allowed != null) {
                scores =
                        scores.masked_fill(
                                allowed.logical_not(), new Scalar(Double.NEGATIVE_INFINITY));
            }
            heads.push_back(scores.softmax(2).matmul(v.narrow(2, h * width, width)));
        }
        return layers.get(3).forward(torch.cat(heads, 2));
    }

    private static void close(Tensor is, Tensor should) {
        float[] a = Nets.floats(is);
        float[] b = Nets.floats(should);
        assertThat(a).hasSameSizeAs(b);
        for (int i = 0; i < a.length; i++) {
            assertThat(a[i]).isCloseTo(b[i], ROUNDING);
        }
    }

    @Test
    void theFormulaOfThePaper() {
        LngdMultiheadAttention net = attention();
        Tensor x = Nets.inputs(1, 3, 5, WIDTH);
        Tensor m = Nets.inputs(2, 3, 4, WIDTH);
        close(net.forward(x), plain(net, x, x, null));
        close(net.forward(x, m, AttentionMask.NONE), plain(net, x, m, null));
        Tensor before = torch.ones(5, 5).to(torch.ScalarType.Bool).tril();
        close(net.forward(x, x, AttentionMask.causal(null)), plain(net, x, x, before));
    }

    @Test
    void paddingIsAttendedToByNobody() {
        LngdMultiheadAttention net = attention();
        Tensor x = Nets.inputs(1, 2, 5, WIDTH);
        Tensor other = x.clone();
        other.narrow(0, 1, 1).narrow(1, 3, 2).fill_(new Scalar(100.0));
        Tensor rows =
                Tensor.create(
                        new boolean[] {
                            true, true, true, true, true, true, true, true, false, false
                        },
                        2,
                        5);
        for (AttentionMask mask : List.of(AttentionMask.within(rows), AttentionMask.causal(rows))) {
            Tensor a = net.forward(x, x, mask);
            Tensor b = net.forward(other, other, mask);
            close(a.narrow(0, 0, 1), b.narrow(0, 0, 1));
            close(a.narrow(0, 1, 1).narrow(1, 0, 3), b.narrow(0, 1, 1).narrow(1, 0, 3));
        }
        // Also where a sequence is padded in front, so that its first positions see nothing.
        Tensor front = rows.flip(1);
        assertThat(Nets.floats(net.forward(x, x, AttentionMask.causal(front))))
                .doesNotContain(Float.NaN);
    }

    /** A memory that is kept gives what the whole would give. */
    @Test
    void oneTokenAfterAnother() {
        LngdMultiheadAttention net = attention();
        Tensor x = Nets.inputs(1, 2, 5, WIDTH);
        Tensor whole = net.forward(x, x, AttentionMask.causal(null));
        for (int t = 0; t < 5; t++) {
            LngdMultiheadAttention.Memory memory = net.memory(x.narrow(1, 0, t + 1), null);
            close(net.attend(x.narrow(1, t, 1), memory, AttentionMask.NONE), whole.narrow(1, t, 1));
        }
    }

    @Test
    void lngdTrainsItsFourLayers() {
        class Net extends Module {
            final LngdMultiheadAttention attention =
                    register_module("attention", new LngdMultiheadAttention(WIDTH, HEADS, 0.1));
        }
        Net net = new Net();
        Tensor x = Nets.inputs(1, 8, 5, WIDTH);
        Tensor rows = torch.ones(8, 5).to(torch.ScalarType.Bool);
        LngdOptions options = LngdOptions.preset(Preset.RECIPE, 10).build();
        try (LngdTorch lngd = LngdTorch.attach(net, options)) {
            assertThat(lngd.report().with(Treatment.LNGD))
                    .extracting(e -> e.name())
                    .containsExactly(
                            "attention.query",
                            "attention.key",
                            "attention.value",
                            "attention.output");
            assertThat(lngd.report().with(Treatment.LNGD))
                    .allMatch(e -> e.treatment() == Treatment.LNGD);
            float[] before = Nets.weights(net);
            for (int step = 0; step < 3; step++) {
                net.attention
                        .forward(x, x, AttentionMask.within(rows))
                        .pow(new Scalar(2))
                        .mean()
                        .backward();
                lngd.step();
                lngd.zeroGrad();
            }
            assertThat(Nets.weights(net)).isNotEqualTo(before).doesNotContain(Float.NaN);
            assertThat(lngd.health().values()).allMatch(h -> h.skippedSteps() == 0);
        }
    }

    @Test
    void badSizesAndMasksAreRefused() {
        assertThatThrownBy(() -> new LngdMultiheadAttention(6, 4))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("width is 6 and heads is 4");
        assertThatThrownBy(() -> new LngdMultiheadAttention(6, 2, 1))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("dropout is 1.0, allowed is 0 or more, below 1");
        LngdMultiheadAttention net = attention();
        Tensor x = Nets.inputs(1, 2, 5, WIDTH);
        Tensor rows = torch.ones(2, 4).to(torch.ScalarType.Bool);
        assertThatThrownBy(() -> net.forward(x, x, AttentionMask.within(rows)))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("rows is [2, 4], allowed is [2, 5]");
        LngdMultiheadAttention.Memory memory = net.memory(x, null);
        assertThatThrownBy(() -> net.attend(x, memory, AttentionMask.across(null, rows)))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("memoryRows has 2 axes, the last of 4, allowed is N x 5");
    }
}
