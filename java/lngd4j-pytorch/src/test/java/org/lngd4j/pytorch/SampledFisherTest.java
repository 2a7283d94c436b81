// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import static org.assertj.core.api.Assertions.assertThat;

import org.assertj.core.data.Offset;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.lngd4j.Field;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;

/**
 * The factors after one step with {@code Fisher.PROVIDED}, against KFAC's definition: A = (1/N) sum
 * a a^T, B = (1/N) sum g g^T, g = p - onehot(y) at the output and (W^T g) * relu'(s) below.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
@Tag(TestDevice.TAG)
class SampledFisherTest {
    // Sums of a dozen products of float32 near 1, in another order: a few roundings of 6e-8.
    private static final Offset<Float> ROUNDING = Offset.offset(2e-6f);

    @ParameterizedTest
    @ValueSource(ints = {0, 5})
    void factorsAreThoseOfTheDrawnTargets(int samples) {
        Nets.Mlp net = new Nets.Mlp(1);
        net.inPlace = true;
        LngdOptions options =
                LngdOptions.blockKronecker(10)
                        .device(TestDevice.get())
                        .statisticsSamples(samples)
                        .seed(11)
                        .build();
        Tensor x = Nets.inputs(2, Nets.BATCH, Nets.INPUTS);
        int n = samples == 0 ? Nets.BATCH : samples;
        Expected expected = new Expected(net, x, n, options.seed());
        try (LngdTorch lngd = LngdTorch.attach(net, options)) {
            net.backward(x, Nets.labels(2, Nets.BATCH));
            float[] gradient = Nets.floats(net.first.weight().grad());
            assertThat(gradient).as("the user's gradient").containsExactly(plainGradient(x));
            lngd.step();
            assertClose(lngd, 0, Field.PHI, expected.a1);
            assertClose(lngd, 0, Field.PSI, expected.b1);
            assertClose(lngd, 1, Field.PHI, expected.a2);
            assertClose(lngd, 1, Field.PSI, expected.b2);
        }
    }

    private static float[] plainGradient(Tensor x) {
        Nets.Mlp net = new Nets.Mlp(1);
        net.backward(x, Nets.labels(2, Nets.BATCH));
        return Nets.floats(net.first.weight().grad());
    }

    private static void assertClose(LngdTorch lngd, int layer, Field field, Tensor expected) {
        float[] is = lngd.optimizer().read(layer, field);
        float[] should = Nets.floats(expected);
        assertThat(is).hasSameSizeAs(should);
        for (int i = 0; i < is.length; i++) {
            assertThat(is[i]).as("%s of layer %d", field, layer).isCloseTo(should[i], ROUNDING);
        }
    }

    private static final class Expected {
        final Tensor a1;
        final Tensor b1;
        final Tensor a2;
        final Tensor b2;

        Expected(Nets.Mlp net, Tensor x, int n, long seed) {
            try (NoGradGuard guard = new NoGradGuard()) {
                Tensor some = x.narrow(0, 0, n);
                Tensor s1 = torch.linear(some, net.first.weight(), optional(net.first.bias()));
                Tensor h = torch.relu(s1);
                Tensor s2 = torch.linear(h, net.second.weight(), optional(net.second.bias()));
                Tensor g2 = SampledTargets.gradient(OutputModel.SOFTMAX, s2, seed, 0, 0, 0);
                Tensor slope = s1.gt(new org.bytedeco.pytorch.Scalar(0)).to(g2.scalar_type());
                Tensor g1 = g2.matmul(net.second.weight()).mul(slope);
                a1 = second(withOne(some), n);
                a2 = second(withOne(h), n);
                b1 = second(g1, n);
                b2 = second(g2, n);
            }
        }

        private static org.bytedeco.pytorch.TensorOptional optional(Tensor t) {
            return new org.bytedeco.pytorch.TensorOptional(t);
        }

        private static Tensor withOne(Tensor a) {
            Tensor one = torch.ones(a.size(0), 1);
            return torch.cat(new org.bytedeco.pytorch.TensorVector(a, one), 1);
        }

        private static Tensor second(Tensor rows, int n) {
            return rows.t().matmul(rows).div(new org.bytedeco.pytorch.Scalar((double) n));
        }
    }
}
