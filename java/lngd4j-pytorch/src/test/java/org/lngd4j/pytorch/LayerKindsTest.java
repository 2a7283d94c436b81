// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.assertj.core.data.Offset;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Conv1dOptions;
import org.bytedeco.pytorch.EmbeddingOptions;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.lngd4j.Field;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;
import org.lngd4j.Preset;
import org.lngd4j.WeightDecay;
import org.lngd4j.nativelib.LngdArgumentException;

/** The kinds of layers that have no test of their own: sequences and embeddings. */
class LayerKindsTest {
    // Sums of some dozens of products of float32 near 1 in another order.
    private static final Offset<Float> ROUNDING = Offset.offset(1e-5f);

    private static final class Sequences extends Module {
        final LngdConv1d conv;
        final LngdLinear output;

        Sequences(Conv1dOptions options, long features) {
            super("sequences");
            torch.manual_seed(1);
            conv = register_module("conv", new LngdConv1d(options));
            output = register_module("output", new LngdLinear(features, Nets.CLASSES));
            output.output(OutputModel.SOFTMAX);
        }
    }

    /** The factor is that of a two-dimensional convolution of height 1. */
    @Test
    void aSequenceIsAnImageOfHeightOne() {
        Conv1dOptions options = new Conv1dOptions(2, 3, new LongPointer(new long[] {3}));
        options.stride().put(2);
        options.padding().put(new LongPointer(new long[] {1}));
        Sequences net = new Sequences(options, 3 * 4);
        Tensor x = Nets.inputs(4, 5, 2, 7);
        LngdOptions recommended =
                LngdTorch.recommended(net, 10, 5).toBuilder().statisticsSamples(0).build();
        try (LngdTorch lngd = LngdTorch.attach(net, recommended)) {
            Tensor s = net.conv.forward(x);
            torch.cross_entropy_loss(
                            net.output.forward(torch.relu_(s).flatten(1, -1)), Nets.labels(4, 5))
                    .backward();
            lngd.step();
            long[] one = {1, 1};
            Tensor patches =
                    torch.im2col(
                            x.unsqueeze(2),
                            new long[] {1, 3},
                            one,
                            new long[] {0, 1},
                            new long[] {1, 2});
            Tensor ones = torch.ones(5, 1, patches.size(2));
            Tensor rows =
                    torch.cat(new org.bytedeco.pytorch.TensorVector(patches, ones), 1)
                            .transpose(1, 2)
                            .reshape(-1, 7);
            float[] should =
                    Nets.floats(rows.t().matmul(rows).div(new org.bytedeco.pytorch.Scalar(5.0)));
            float[] is = lngd.optimizer().read(0, Field.PHI);
            assertThat(is).hasSameSizeAs(should);
            for (int i = 0; i < is.length; i++) {
                assertThat(is[i]).isCloseTo(should[i], ROUNDING);
            }
            assertThat(lngd.health().values()).allMatch(h -> h.skippedSteps() == 0);
        }
    }

    @Test
    void constructorsWithoutOptionsTakeSizes() {
        assertThat(new LngdConv1d(2, 3, 5).weight().sizes().vec().get()).containsExactly(3, 2, 5);
        assertThat(new LngdConv2d(2, 3, 5).weight().sizes().vec().get())
                .containsExactly(3, 2, 5, 5);
        assertThat(new LngdEmbedding(7, 3).weight().sizes().vec().get()).containsExactly(7, 3);
    }

    private static final class Words extends Module {
        final LngdEmbedding table;
        final LngdLinear output;

        Words(EmbeddingOptions options) {
            super("words");
            torch.manual_seed(1);
            table = register_module("table", new LngdEmbedding(options));
            output = register_module("output", new LngdLinear(3, Nets.CLASSES));
            output.output(OutputModel.SOFTMAX);
        }

        Tensor forward(Tensor indices) {
            return output.forward(table.forward(indices).mean(1));
        }
    }

    @Test
    void wordsThatWereMetMoveAndTheOthersStay() {
        Words net = new Words(new EmbeddingOptions(6, 3));
        LngdOptions options =
                LngdTorch.recommended(net, 10, 4).toBuilder()
                        .averaging(false)
                        .weightDecay(0, WeightDecay.DECOUPLED) // which moves all
                        .build();
        assertThat(options.preset()).isEqualTo(Preset.BLOCK_KRONECKER);
        float[] before = Nets.floats(net.table.weight());
        try (LngdTorch lngd = LngdTorch.attach(net, options)) {
            Tensor indices = Tensor.create(new long[] {0, 1, 1, 3, 0, 0, 3, 3}, 4, 2);
            torch.cross_entropy_loss(net.forward(indices), Nets.labels(4, 4)).backward();
            lngd.step();
            assertThat(lngd.health().get("table").statisticsUpdates()).isEqualTo(1);
            // Phi is the diagonal: 0 for the words that were not met.
            float[] phi = lngd.optimizer().read(0, Field.PHI);
            assertThat(phi).hasSize(6);
            float[] after = Nets.floats(net.table.weight());
            for (int word = 0; word < 6; word++) {
                boolean met = word == 0 || word == 1 || word == 3;
                assertThat(phi[word] > 0).isEqualTo(met);
                boolean moved = false;
                for (int i = 3 * word; i < 3 * word + 3; i++) {
                    moved |= after[i] != before[i];
                }
                assertThat(moved).as("word %d", word).isEqualTo(met);
            }
        }
    }

    @Test
    void sparseGradientsAreRefusedByName() {
        EmbeddingOptions options = new EmbeddingOptions(6, 3);
        options.sparse().put(true);
        Words net = new Words(options);
        assertThatThrownBy(() -> LngdTorch.recommended(net, 10, 4))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining("table")
                .hasMessageContaining("sparse");
    }

    /** N x T x d is as N T x d. */
    @Test
    void positionsOfADenseLayerAreSamples() {
        assertThat(trained(true)).containsExactly(trained(false));
    }

    private static float[] trained(boolean positions) {
        Nets.Mlp net = new Nets.Mlp(1);
        try (LngdTorch lngd = LngdTorch.attach(net, LngdTorch.recommended(net, 10, 4))) {
            Tensor x = Nets.inputs(2, 12, Nets.INPUTS);
            Tensor logits = net.forward(positions ? x.view(4, 3, Nets.INPUTS) : x);
            torch.cross_entropy_loss(logits.view(12, Nets.CLASSES), Nets.labels(2, 12)).backward();
            lngd.step();
        }
        return Nets.weights(net);
    }

    /**
     * Hidden layers on N x T x d, the output on N T x d, more rows wanted than there are samples.
     */
    @Test
    void aModelMayReshapeBelowItsOutput() {
        Nets.Mlp net = new Nets.Mlp(1);
        LngdOptions options = LngdOptions.blockKronecker(10).statisticsSamples(8).seed(11).build();
        try (LngdTorch lngd = LngdTorch.attach(net, options)) {
            Tensor x = Nets.inputs(2, 12, Nets.INPUTS);
            Tensor h = torch.relu(net.first.forward(x.view(4, 3, Nets.INPUTS)));
            Tensor logits = net.second.forward(h.view(12, Nets.HIDDEN));
            torch.cross_entropy_loss(logits, Nets.labels(2, 12)).backward();
            lngd.step();
            assertThat(lngd.health().values()).allMatch(health -> health.statisticsUpdates() == 1);
            // 8 of 12 rows have targets: two of the four samples at all of their positions.
            Tensor rows = x.narrow(0, 0, 6);
            Tensor one = torch.ones(6, 1);
            Tensor a = torch.cat(new org.bytedeco.pytorch.TensorVector(rows, one), 1);
            float[] should = Nets.floats(a.t().matmul(a).div(new org.bytedeco.pytorch.Scalar(6.0)));
            float[] is = lngd.optimizer().read(0, Field.PHI);
            for (int i = 0; i < is.length; i++) {
                assertThat(is[i]).isCloseTo(should[i], ROUNDING);
            }
        }
    }
}
