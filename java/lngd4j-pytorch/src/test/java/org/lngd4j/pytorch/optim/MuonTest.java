// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@SuppressWarnings("try") // scopes that are only opened and closed
class MuonTest {
    // Five steps multiply a small singular value, and its rounding of 6e-8, by up to 3.4^5 = 480:
    // 3e-5 of an update of about the rate times the scale.
    private static final double ALLOWED = 1e-4;
    private static final double ALLOWED_ADAMW = 3e-7;

    // Outputs, inputs, momentum, Nesterov, Newton-Schulz steps, scale rule, its factor, decay.
    @ParameterizedTest
    @CsvSource({
        "5, 9, 0.95, true, 5, SHAPE, 1, 0",
        "8, 2, 0.95, true, 5, SHAPE, 2, 0.3",
        "6, 6, 0.7, false, 4, MATCH_ADAMW, 0.4898979485566356, 0",
        "9, 4, 0.9, false, 5, UNIT_RMS, 1.5, 0.1",
        "4, 9, 0.9, true, 3, UNIT_RMS, 0.6666666666666666, 0",
        "1, 7, 0, true, 5, NONE, 1, 0"
    })
    void followsThePaper(
            int outputs,
            int inputs,
            double momentum,
            boolean nesterov,
            int steps,
            MuonScale scale,
            double factor,
            double decay) {
        MuonOptions options =
                MuonOptions.builder()
                        .momentum(momentum)
                        .nesterov(nesterov)
                        .newtonSchulzSteps(steps)
                        .scale(scale)
                        .weightDecay(decay)
                        .build();
        Twin twin = Twin.muon(momentum, nesterov, steps, factor);
        Random random = new Random(3);
        double rate = 0.05;
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            Tensor w = torch.randn(outputs, inputs);
            MuonStep step = new MuonStep(new NamedParameter("w", w, ParameterRole.HIDDEN), options);
            for (int t = 1; t <= 12; t++) {
                double[][] before = Dense.of(w);
                Tensor g = Dense.gradient(random, outputs, inputs);
                step.step(g, rate);
                double[][] direction = twin.direction(Dense.of(g), t);
                double[][] expected = Dense.sum(1 - rate * decay, before, -rate, direction);
                assertThat(Dense.difference(Dense.of(w), expected))
                        .as("step %d", t)
                        .isLessThan(ALLOWED * rate * factor + 3e-7); // and roundings of w
                rate *= 0.9;
            }
            step.close();
        }
    }

    /** Every parameter of a network by its rule, over the public class. */
    @Test
    void aNetworkMovesByMuonAndAdamW() {
        ConvNet net = new ConvNet(1);
        RestOptions rest = new RestOptions(0.005, 0.9, 0.95, 1e-8, 0.4);
        MuonOptions options =
                MuonOptions.builder().learningRate(0.02).weightDecay(0.2).rest(rest).build();
        Map<String, Twin> twins = new HashMap<>();
        for (String name : net.weights().keySet()) {
            twins.put(name, Twin.adam(0.9, 0.95, 1e-8));
        }
        twins.put("second.weight", Twin.muon(0.95, true, 5, 1));
        twins.put("hidden.weight", Twin.muon(0.95, true, 5, 1));
        Map<String, double[][]> start = net.weights();
        try (Muon muon = new Muon(net, options)) {
            for (int t = 1; t <= 8; t++) {
                net.backward(t);
                double rate = 0.02 * Math.pow(0.8, t);
                muon.setLearningRate(rate);
                Map<String, double[][]> before = net.weights();
                Map<String, double[][]> gradients = net.gradients();
                muon.step();
                muon.zeroGrad();
                Map<String, double[][]> after = net.weights();
                for (String name : before.keySet()) {
                    boolean own = name.equals("second.weight") || name.equals("hidden.weight");
                    boolean weight = name.endsWith("weight") && !name.startsWith("norm");
                    // AdamW's rate follows the schedule of the matrices: a quarter of it.
                    double r = own ? rate : rate / 4;
                    double decay = own ? 0.2 : weight ? 0.4 : 0;
                    double[][] u = twins.get(name).direction(gradients.get(name), t);
                    double[][] w = Dense.sum(1 - r * decay, before.get(name), -r, u);
                    assertThat(Dense.difference(after.get(name), w))
                            .as("%s after step %d", name, t)
                            .isLessThan(own ? ALLOWED * r : ALLOWED_ADAMW);
                }
            }
        }
        net.weights()
                .forEach(
                        (name, w) ->
                                assertThat(Dense.difference(w, start.get(name)))
                                        .as(name)
                                        .isGreaterThan(1e-4));
    }

    @Test
    void singularValuesComeNearOneAndZerosStayZeros() {
        try (PointerScope scope = new PointerScope()) {
            torch.manual_seed(1);
            Tensor x = NewtonSchulz.orthogonalise(torch.randn(6, 9), 5);
            double[][] gram = Dense.times(Dense.of(x), Dense.transposed(Dense.of(x)));
            for (int i = 0; i < 6; i++) {
                // Jordan: to between about 0.68 and 1.13, so squares to between 0.46 and 1.28.
                assertThat(gram[i][i]).isCloseTo(0.87, within(0.42));
            }
            double[][] zeros = Dense.of(NewtonSchulz.orthogonalise(torch.zeros(6, 9), 5));
            assertThat(Dense.difference(zeros, new double[6][9])).isZero();
        }
    }

    @Test
    void defaultsAreThePapers() {
        MuonOptions jordan = MuonOptions.builder().build();
        assertThat(jordan.learningRate()).isEqualTo(0.02);
        assertThat(jordan.momentum()).isEqualTo(0.95);
        assertThat(jordan.nesterov()).isTrue();
        assertThat(jordan.newtonSchulzSteps()).isEqualTo(5);
        assertThat(jordan.scale()).isEqualTo(MuonScale.SHAPE);
        assertThat(jordan.weightDecay()).isZero();
        assertThat(jordan.rest()).isEqualTo(new RestOptions(3e-4, 0.9, 0.95, 1e-10, 0));
        MuonOptions scalable = MuonOptions.matchingAdamW(0.01, 0.1).build();
        assertThat(scalable.scale()).isEqualTo(MuonScale.MATCH_ADAMW);
        assertThat(scalable.weightDecay()).isEqualTo(0.1);
        assertThat(scalable.rest()).isEqualTo(new RestOptions(0.01, 0.9, 0.95, 1e-8, 0.1));
    }
}
