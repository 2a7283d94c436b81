// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import static org.assertj.core.api.Assertions.assertThat;

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
class SoapTest {
    private static final double RATE = 0.01;

    // Outputs, inputs, steps between bases, longest side.
    @ParameterizedTest
    @CsvSource({
        "5, 5, 3, 100",
        "4, 7, 3, 100",
        "7, 4, 1, 100",
        "4, 7, 10, 100",
        "4, 7, 2, 5",
        "7, 4, 2, 5",
        "6, 6, 2, 5",
        "1, 6, 50, 100"
    })
    void followsThePaper(int outputs, int inputs, int frequency, int largest) {
        SoapOptions options =
                SoapOptions.builder()
                        .beta1(0.9)
                        .shampooBeta(0.8)
                        .weightDecay(0)
                        .preconditionFrequency(frequency)
                        .maxPreconditionedSize(largest)
                        .build();
        SoapTwin twin = new SoapTwin(options);
        Random random = new Random(5);
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            // Weights of zero: then a step is seen to the last digit.
            Tensor w = torch.zeros(outputs, inputs);
            SoapStep step = new SoapStep(new NamedParameter("w", w, ParameterRole.HIDDEN), options);
            for (int t = 1; t <= 24; t++) {
                w.zero_();
                Tensor g = Dense.gradient(random, outputs, inputs);
                step.prepare(g);
                step.step(g, RATE);
                double[][] u = twin.direction(Dense.of(g), t);
                if (t == 1) {
                    bases(twin, step, outputs <= largest, inputs <= largest);
                }
                // Directions of about 1, and a basis whose error is a rounding (6e-8) over the gaps
                // between its eigenvalues, a hundredth or so of them: 1e-5 of the rate.
                assertThat(Dense.difference(Dense.of(w), Dense.sum(-RATE, u, 0, u)))
                        .as("step %d", t)
                        .isLessThan(2e-4 * RATE);
            }
            step.close();
        }
    }

    /** The first bases must be eigenvectors by falling eigenvalues; then the twin takes them. */
    private static void bases(SoapTwin twin, SoapStep step, boolean left, boolean right) {
        double[][] ql = left ? Dense.of(step.state().get(3)) : null;
        double[][] qr = right ? Dense.of(step.state().get(left ? 5 : 3)) : null;
        if (left) {
            eigenvectors(ql, twin.left());
        }
        if (right) {
            eigenvectors(qr, twin.right());
        }
        twin.bases(ql, qr);
    }

    private static void eigenvectors(double[][] q, double[][] factor) {
        double[][] d = Dense.times(Dense.transposed(q), Dense.times(factor, q));
        double[][] e = Dense.times(Dense.transposed(q), q);
        for (int i = 0; i < d.length; i++) {
            for (int j = 0; j < d.length; j++) {
                // Roundings of 6e-8, added up over a handful of numbers.
                assertThat(Math.abs(e[i][j] - (i == j ? 1 : 0))).isLessThan(3e-6);
                if (i != j) {
                    assertThat(Math.abs(d[i][j])).isLessThan(3e-6 * d[0][0]);
                }
            }
            if (i > 0) {
                assertThat(d[i][i]).isLessThan(d[i - 1][i - 1] + 3e-6 * d[0][0]);
            }
        }
    }

    /**
     * A longest side of 1 leaves bases out: then SOAP is Adam from the second step on, and rates
     * and decays of whole networks can be compared to the last digits.
     */
    @Test
    void everyMatrixOfANetworkIsTrainedAndTheRestByAdamW() {
        ConvNet net = new ConvNet(1);
        SoapOptions options =
                SoapOptions.builder().weightDecay(0.2).maxPreconditionedSize(1).build();
        Map<String, Twin> twins = new HashMap<>();
        for (String name : net.weights().keySet()) {
            twins.put(name, matrix(name) ? new SoapTwin(options) : Twin.adam(0.95, 0.95, 1e-8));
        }
        try (Soap soap = new Soap(net, options)) {
            assertThat(soap.report().parameters("Soap"))
                    .containsExactly(
                            "first.weight", "second.weight", "hidden.weight", "output.weight");
            soap.setLearningRate(RATE);
            for (int t = 1; t <= 6; t++) {
                net.backward(t);
                Map<String, double[][]> before = net.weights();
                Map<String, double[][]> gradients = net.gradients();
                soap.step();
                soap.zeroGrad();
                Map<String, double[][]> after = net.weights();
                for (String name : before.keySet()) {
                    double[][] u = twins.get(name).direction(gradients.get(name), t);
                    double decay = matrix(name) ? 0.2 : 0;
                    double[][] w = Dense.sum(1 - RATE * decay, before.get(name), -RATE, u);
                    assertThat(Dense.difference(after.get(name), w))
                            .as("%s after step %d", name, t)
                            .isLessThan(3e-7);
                }
            }
        }
    }

    private static boolean matrix(String name) {
        return name.endsWith("weight") && !name.startsWith("norm");
    }

    @Test
    void trainsWithBases() {
        ConvNet net = new ConvNet(1);
        float before = net.backward(1);
        float after = before;
        try (Soap soap = new Soap(net, SoapOptions.builder().learningRate(0.01).build())) {
            soap.zeroGrad();
            for (int i = 0; i < 60; i++) {
                after = net.backward(1);
                soap.step();
                soap.zeroGrad();
            }
        }
        assertThat(after).isLessThan(0.2f * before);
    }

    @Test
    void defaultsAreTheAuthors() {
        SoapOptions options = SoapOptions.builder().build();
        assertThat(options.learningRate()).isEqualTo(3e-3);
        assertThat(options.beta1()).isEqualTo(0.95);
        assertThat(options.beta2()).isEqualTo(0.95);
        assertThat(options.shampooBeta()).isEqualTo(0.95);
        assertThat(options.epsilon()).isEqualTo(1e-8);
        assertThat(options.weightDecay()).isEqualTo(0.01);
        assertThat(options.preconditionFrequency()).isEqualTo(10);
        assertThat(options.maxPreconditionedSize()).isEqualTo(10_000);
    }
}
