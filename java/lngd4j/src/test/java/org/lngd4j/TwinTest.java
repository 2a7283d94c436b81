// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Runs of several steps through the Java API against the oracle in double precision, over options
 * and odd shapes.
 */
class TwinTest {
    private static final int STEPS = 9;

    /**
     * float32 keeps 6e-8; the damped factors here have condition numbers of at most a few hundred
     * (RELATIVE damping, gamma 1 or 0.3, d below 150), and {@value #STEPS} steps add up.
     */
    private static final double TOLERANCE = 3e-4;

    /** N, d_w, m. A softmax of one class has no gradient, so m is 2 at least. */
    private static final int[][] SHAPES = {
        {1, 1, 2}, {3, 7, 5}, {1, 9, 4}, {17, 5, 33}, {50, 130, 3}, {33, 31, 17}
    };

    static Stream<Arguments> cases() {
        Map<String, UnaryOperator<LngdOptions.Builder>> changes = new LinkedHashMap<>();
        changes.put("as it is", b -> b);
        changes.put("blocks of 7", b -> b.blockSize(7));
        changes.put("full Phi", b -> b.blockSize(0));
        changes.put("Nesterov", b -> b.nesterov(true));
        changes.put("intervals 2 and 3", b -> b.statisticsInterval(2).inverseInterval(3));
        changes.put("16 samples", b -> b.statisticsSamples(16));
        changes.put("decoupled decay", b -> b.weightDecay(0.1, WeightDecay.DECOUPLED));
        changes.put("coupled decay", b -> b.weightDecay(0.1, WeightDecay.COUPLED));
        changes.put("absolute damping", b -> b.absoluteDamping(0.5, 50));
        changes.put("no trust ratio", b -> b.trustRatio(TrustRatio.OFF, 0).learningRate(0.01));
        changes.put("trust cap", b -> b.trustRatio(TrustRatio.CAP, 0.02).learningRate(0.05));
        changes.put(
                "rate EMPIRICAL",
                b -> b.layerRate(LayerRate.EMPIRICAL).trustRatio(TrustRatio.CAP, 0.1));
        changes.put(
                "rate KRONECKER",
                b -> b.layerRate(LayerRate.KRONECKER).trustRatio(TrustRatio.CAP, 0.1));
        changes.put("Fisher PROVIDED", b -> b.fisher(Fisher.PROVIDED));
        changes.put(
                "one lambda a layer",
                b -> b.blockSize(7).dampingScope(DampingScope.LAYER).secondDamping(3));
        changes.put("soft trust ratio", b -> b.softTrust(true));
        changes.put(
                "decay in units of tau, and of the output layer",
                b ->
                        b.trustRatio(TrustRatio.ALWAYS, 0.2)
                                .outputBound(true)
                                .outputDecay(4)
                                .weightDecay(0.3, WeightDecay.TRUST));
        changes.put("NG+", b -> b.approximation(Approximation.NGPLUS).fisher(Fisher.PROVIDED));
        changes.put(
                "KFAC in blocks",
                b ->
                        b.approximation(Approximation.KFAC)
                                .fisher(Fisher.PROVIDED)
                                .blockSize(7)
                                .secondBlockSize(5));
        changes.put(
                "BLOCK_KRONECKER in small blocks",
                b ->
                        b.approximation(Approximation.KFAC)
                                .fisher(Fisher.PROVIDED)
                                .blockSize(7)
                                .secondBlockSize(5)
                                .signalDamping(0.7, 0.02, 20)
                                .signalReference(0.5)
                                .secondDamping(3)
                                .softTrust(true)
                                .outputBound(true)
                                .outputDecay(4)
                                .weightDecay(0.3, WeightDecay.TRUST)
                                .rho(0.9));
        changes.put("depth slope", b -> b.trustDepthSlope(1.5));
        changes.put("two threads", b -> b.threads(2));
        List<Arguments> cases = new ArrayList<>();
        changes.forEach(
                (name, change) -> {
                    for (int[] shape : SHAPES) {
                        cases.add(Arguments.of(name, shape, change));
                    }
                });
        return cases.stream();
    }

    @ParameterizedTest(name = "{0}, N, d_w, m = {1}")
    @MethodSource("cases")
    void aRunFollowsTheFormulas(
            String name, int[] shape, UnaryOperator<LngdOptions.Builder> change) {
        int n = shape[0];
        LngdOptions options =
                change.apply(
                                LngdOptions.recipe(100)
                                        .device(TestDevice.get())
                                        .precision(Precision.TF32X3)
                                        .statisticsInterval(1)
                                        .inverseInterval(1)
                                        .threads(1)
                                        .blockSize(0)
                                        .statisticsSamples(0))
                        .build();
        List<LayerSpec> layers =
                List.of(
                        LayerSpec.dense("first", shape[1], shape[2]).activation(Activation.TANH),
                        LayerSpec.dense("middle", shape[2], shape[1]).bias(false),
                        LayerSpec.dense("last", shape[1], shape[2]).output(OutputModel.SOFTMAX));
        Data data = new Data(shape[0] + 31L * shape[1]);
        List<Layer> net = new ArrayList<>();
        for (int i = 0; i < layers.size(); i++) {
            net.add(new Layer(options, layers.get(i), i, layers.size(), data));
        }
        try (LngdOptimizer optimizer = LngdOptimizer.create(options, layers);
                StepPlan plan =
                        optimizer.plan(
                                net.stream().map(l -> l.tensors).toList(), UpdateMode.WEIGHTS)) {
            for (int t = 0; t < STEPS; t++) {
                double factor = 1 - 0.05 * t;
                List<LayerSamples> samples = new ArrayList<>();
                for (Layer layer : net) {
                    samples.add(layer.next(optimizer, data, n, factor));
                }
                if (options.layerRate() == LayerRate.EMPIRICAL) {
                    plan.step(factor, samples);
                } else {
                    plan.step(factor);
                }
            }
            for (int i = 0; i < net.size(); i++) {
                net.get(i).check(optimizer);
            }
        }
    }

    /** A layer in both worlds. */
    private static final class Layer {
        private final int index;
        private final LayerSpec spec;
        private final LngdOptions options;
        private final LngdTwin twin;
        private final HostArray weights;
        private final HostArray bias;
        private final HostArray gradients;
        private final HostArray biasGradients;
        private final LayerTensors tensors;
        private int steps;

        Layer(LngdOptions options, LayerSpec spec, int index, int layers, Data data) {
            this.index = index;
            this.spec = spec;
            this.options = options;
            double[][] w = data.matrix((int) spec.outputs(), (int) spec.columns());
            twin = new LngdTwin(options, spec, index, layers, w);
            int dw = (int) spec.inputs();
            weights = Data.columns(w, 0, dw);
            bias = spec.bias() ? Data.lastColumn(w) : null;
            gradients = HostArray.zeros(spec.outputs(), dw);
            biasGradients = spec.bias() ? HostArray.zeros(spec.outputs()) : null;
            tensors = new LayerTensors(index, weights, bias, gradients, biasGradients);
        }

        private static void shrink(double[][] g) {
            for (double[] row : g) {
                for (int j = 0; j < row.length; j++) {
                    row[j] = (float) (row[j] / 16);
                }
            }
        }

        LayerSamples next(LngdOptimizer optimizer, Data data, int n, double factor) {
            double[][] a = data.matrix(n, (int) spec.inputs());
            double[][] s = data.matrix(n, (int) spec.outputs());
            // A ReLU layer whose inputs are all negative would have no statistics to compare.
            s[0][0] = Math.abs(s[0][0]);
            double[][] delta = data.matrix(n, (int) spec.outputs());
            double[][] g = data.matrix((int) spec.outputs(), (int) spec.columns());
            if (steps++ % 3 == 2) {
                shrink(g); // so that the soft trust ratio has something to do
            }
            gradients.set(Data.columns(g, 0, (int) spec.inputs()).values());
            if (spec.bias()) {
                biasGradients.set(Data.lastColumn(g).values());
            }
            HostArray inputs = Data.array(a);
            Signal kind =
                    options.fisher() == Fisher.PROVIDED ? Signal.GRADIENTS : Signal.PRE_ACTIVATIONS;
            optimizer.observe(index, inputs, Data.array(s), kind);
            twin.step(Data.withOnes(a, spec.bias()), s, g, delta, factor);
            return new LayerSamples(inputs, Data.array(delta));
        }

        void check(LngdOptimizer optimizer) {
            int dw = (int) spec.inputs();
            close("weights", weights.values(), Data.columns(twin.w, 0, dw).values());
            if (spec.bias()) {
                close("bias", bias.values(), Data.lastColumn(twin.w).values());
            }
            close("Phi", optimizer.read(index, Field.PHI), Data.flat(twin.phi));
            boolean kfac = options.approximation() == Approximation.KFAC;
            float[] psi = kfac ? Data.flat(twin.psi) : diagonal(twin.psi);
            close("psi", optimizer.read(index, Field.PSI), psi);
            close("momentum", optimizer.read(index, Field.MOMENTUM), Data.flat(twin.momentum));
            close("average", optimizer.read(index, Field.AVERAGE), Data.flat(twin.average));
            close("inverse", optimizer.read(index, Field.PHI_INVERSE), Data.flat(twin.phiInverse));
            LayerHealth health = optimizer.health(index);
            assertThat(health.steps()).isEqualTo(STEPS);
            assertThat(health.skippedSteps()).isZero();
            Percentage percentage = Percentage.withPercentage(100 * 10 * TOLERANCE);
            assertThat(health.alpha()).isCloseTo(twin.alphaL, percentage);
            assertThat(health.innerProduct()).isCloseTo(twin.inner, percentage);
            assertThat(health.trustScale()).isCloseTo(twin.trustScale, percentage);
            if (twin.curvature > 0) {
                assertThat(health.curvature()).isCloseTo(twin.curvature, percentage);
            }
        }

        private static float[] diagonal(double[][] matrix) {
            float[] values = new float[matrix.length];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) matrix[i][i];
            }
            return values;
        }

        private void close(String what, float[] actual, float[] expected) {
            double difference = Data.largest(Data.difference(actual, expected));
            assertThat(difference / Data.largest(expected))
                    .as("%s of layer %s", what, spec.name())
                    .isLessThan(TOLERANCE);
        }
    }
}
