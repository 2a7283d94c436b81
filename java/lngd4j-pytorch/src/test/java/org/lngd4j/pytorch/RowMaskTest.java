// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.assertj.core.data.Offset;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lngd4j.Activation;
import org.lngd4j.Field;
import org.lngd4j.Fisher;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;
import org.lngd4j.Preset;
import org.lngd4j.Treatment;
import org.lngd4j.nativelib.LngdArgumentException;

/** Padded sequences: the statistics are those of the same rows without any padding. */
class RowMaskTest {
    private static final int BATCH = 4;
    private static final int LENGTH = 5;
    private static final int WIDTH = 6;
    private static final int CLASSES = 4;

    // Sums of some dozens of products of float32 near 1 in another order.
    private static final Offset<Float> ROUNDING = Offset.offset(2e-6f);

    private static final class Tagger extends Module {
        final LngdEmbedding embedding;
        final LngdLinear hidden;
        final LngdLinear output;

        Tagger() {
            super("tagger");
            torch.manual_seed(3);
            embedding = register_module("embedding", new LngdEmbedding(9, WIDTH));
            hidden = register_module("hidden", new LngdLinear(WIDTH, WIDTH));
            output = register_module("output", new LngdLinear(WIDTH, CLASSES));
            hidden.activation(Activation.TANH);
            output.output(OutputModel.SOFTMAX);
        }

        Tensor forward(Tensor tokens, Tensor rows) {
            Tensor x = embedding.forward(tokens, rows);
            return output.forward(torch.tanh(hidden.forward(x, rows)), rows);
        }
    }

    private static final long[] LENGTHS = {5, 2, 3, 1};

    /** Tokens 1 to 8, 0 where there is padding. */
    private static Tensor tokens() {
        long[] ids = new long[BATCH * LENGTH];
        for (int n = 0; n < BATCH; n++) {
            for (int t = 0; t < LENGTHS[n]; t++) {
                ids[n * LENGTH + t] = 1 + (3 * n + 5 * t) % 8;
            }
        }
        return Tensor.create(ids, BATCH, LENGTH);
    }

    private static void backward(Tensor logits, Tensor tokens) {
        Tensor targets = tokens.sub(new Scalar(1L)).reshape(-1);
        Tensor classes = targets.remainder(new Scalar((long) CLASSES));
        Tensor padding = targets.lt(new Scalar(0L));
        torch.cross_entropy_loss(
                        logits.reshape(-1, CLASSES),
                        classes.masked_fill(padding, new Scalar(-100L)),
                        new TensorOptional(),
                        torch.Reduction.Mean.value,
                        -100,
                        0)
                .backward();
    }

    private static LngdOptions options(Preset preset) {
        return LngdOptions.preset(preset, 10).statisticsSamples(0).seed(5).build();
    }

    @ParameterizedTest
    @EnumSource(names = {"RECIPE", "KFAC"})
    void paddingIsNotThere(Preset preset) {
        Tagger padded = new Tagger();
        Tagger flat = new Tagger();
        Tensor tokens = tokens();
        Tensor rows = tokens.ne(new Scalar(0L));
        // The same tokens one after another, each a sample of its own.
        Tensor dense = tokens.masked_select(rows);
        try (LngdTorch one = LngdTorch.attach(padded, options(preset));
                LngdTorch other = LngdTorch.attach(flat, options(preset))) {
            backward(padded.forward(tokens, rows), tokens);
            backward(flat.forward(dense, null), dense);
            one.step();
            other.step();
            assertThat(one.report().with(Treatment.LNGD)).hasSize(3);
            for (int layer = 0; layer < 3; layer++) {
                float[] is = one.optimizer().read(layer, Field.PHI);
                float[] should = other.optimizer().read(layer, Field.PHI);
                assertThat(is).hasSameSizeAs(should);
                for (int i = 0; i < is.length; i++) {
                    assertThat(is[i]).isCloseTo(should[i], ROUNDING);
                }
            }
            assertThat(one.health().values()).allMatch(h -> h.skippedSteps() == 0);
            assertThat(Nets.weights(padded)).hasSameSizeAs(Nets.weights(flat));
            float[] w = Nets.weights(padded);
            float[] v = Nets.weights(flat);
            for (int i = 0; i < w.length; i++) {
                assertThat(w[i]).isCloseTo(v[i], Offset.offset(1e-4f)); // inverses amplify
            }
        }
    }

    /** Targets are drawn for rows that count; autograd carries nothing of the others down. */
    @Test
    void drawnTargetsLeavePaddingOut() {
        Tagger net = new Tagger();
        LngdOptions drawn =
                LngdOptions.preset(Preset.KFAC, 10)
                        .statisticsSamples(0)
                        .fisher(Fisher.PROVIDED)
                        .build();
        Tensor tokens = tokens();
        Tensor rows = tokens.ne(new Scalar(0L));
        try (LngdTorch lngd = LngdTorch.attach(net, drawn)) {
            Tensor hidden =
                    torch.tanh(net.hidden.forward(net.embedding.forward(tokens, rows), rows));
            backward(net.output.forward(hidden, rows), tokens);
            lngd.step();
            // A = mean of [a 1] [a 1]^T over the eleven rows that count.
            Tensor a =
                    hidden.detach()
                            .reshape(-1, WIDTH)
                            .index_select(0, RowMask.indices(rows, BATCH));
            Tensor b = torch.cat(new TensorVector(a, torch.ones(11, 1)), 1);
            float[] should = Nets.floats(b.t().matmul(b).div(new Scalar(11.0)));
            float[] is = lngd.optimizer().read(2, Field.PHI);
            for (int i = 0; i < is.length; i++) {
                assertThat(is[i]).isCloseTo(should[i], ROUNDING);
            }
        }
    }

    @Test
    void aBatchOfPaddingOnlyIsNoSample() {
        Tagger net = new Tagger();
        Tensor tokens = tokens();
        Tensor none = tokens.lt(new Scalar(0L));
        try (LngdTorch lngd = LngdTorch.attach(net, options(Preset.RECIPE))) {
            backward(net.forward(tokens, none), tokens);
            lngd.step();
            assertThat(lngd.steps()).isEqualTo(1);
        }
    }

    @Test
    void aMaskOfAnotherShapeOrTypeIsRefused() {
        Tagger net = new Tagger();
        Tensor tokens = tokens();
        assertThatThrownBy(() -> net.forward(tokens, tokens))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("rows has the type Long, allowed is Bool");
        Tensor rows = tokens.ne(new Scalar(0L));
        assertThatThrownBy(() -> net.forward(tokens, rows.narrow(1, 0, 3)))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("rows is [4, 3], allowed is [4, 5]");
    }

    @Test
    void rowsAreCountedAndNumbered() {
        Tensor rows = tokens().ne(new Scalar(0L));
        assertThat(RowMask.count(rows)).isEqualTo(11);
        // Five of the first sample, then the first two of the second.
        assertThat(RowMask.indices(rows, 2).equal(Tensor.create(new long[] {0, 1, 2, 3, 4, 5, 6})))
                .isTrue();
    }
}
