// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.lang.ref.Reference;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.LngdArgumentException;

/** Embeddings beside a dense layer on one-hot rows, and their shapes. */
class EmbeddingTest {
    private static final int VOCABULARY = 7;
    private static final int OUTPUTS = 3;

    private static final LngdOptions OPTIONS =
            LngdOptions.recipe(100)
                    .layerRate(LayerRate.EMPIRICAL)
                    .blockSize(0)
                    .device(Device.CPU)
                    .build();

    private static HostArray weights(int columns, double scale) {
        float[] w = new float[OUTPUTS * columns];
        for (int i = 0; i < columns; i++) {
            for (int j = 0; j < OUTPUTS; j++) {
                w[j * columns + i] = (float) (scale * Math.sin(1 + i + 2.3 * j));
            }
        }
        return new HostArray(w, OUTPUTS, columns);
    }

    private static HostArray wave(double phase, long... shape) {
        HostArray result = HostArray.zeros(shape);
        float[] values = result.values();
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) Math.sin(phase + 1.7 * i);
        }
        return result.set(values);
    }

    @Test
    void oneStepIsThatOfADenseLayerOnOneHotRows() {
        int samples = 5;
        HostArray indices = new HostArray(new float[] {3, 0, 3, 6, 1}, samples, 1);
        float[] ones = new float[samples * VOCABULARY];
        for (int n = 0; n < samples; n++) {
            ones[n * VOCABULARY + (int) indices.values()[n]] = 1;
        }
        HostArray oneHot = new HostArray(ones, samples, VOCABULARY);
        HostArray signal = wave(0, samples, OUTPUTS);
        HostArray deltas = wave(2, samples, OUTPUTS);
        LayerSpec embedding =
                LayerSpec.embedding("words", VOCABULARY, OUTPUTS).activation(Activation.TANH);
        LayerSpec dense =
                LayerSpec.dense("words", VOCABULARY, OUTPUTS)
                        .bias(false)
                        .activation(Activation.TANH);
        float[] ours = step(embedding, indices, signal, deltas, oneHot);
        float[] theirs = step(dense, oneHot, signal, deltas, oneHot);
        // Both in float32; a few roundings each.
        assertThat(Data.largest(Data.difference(ours, theirs))).isLessThan(1e-6);
        float[] before = weights(VOCABULARY, 0.3).values();
        assertThat(Data.largest(Data.difference(ours, before))).isGreaterThan(1e-4); // it moved
    }

    /** The weights after a step, those of the embedding kept as DL4J does: through a transpose. */
    private static float[] step(
            LayerSpec spec,
            HostArray inputs,
            HostArray signal,
            HostArray deltas,
            HostArray oneHot) {
        try (LngdOptimizer optimizer = LngdOptimizer.create(OPTIONS, List.of(spec))) {
            HostArray w = weights(VOCABULARY, 0.3).transposed();
            int samples = (int) oneHot.size(0);
            float[] gradient = new float[OUTPUTS * VOCABULARY];
            for (int n = 0; n < samples; n++) {
                for (int k = 0; k < gradient.length; k++) {
                    float delta = deltas.values()[n * OUTPUTS + k / VOCABULARY];
                    float hot = oneHot.values()[n * VOCABULARY + k % VOCABULARY];
                    gradient[k] += delta * hot / samples;
                }
            }
            HostArray g = new HostArray(gradient, OUTPUTS, VOCABULARY);
            try (StepPlan plan =
                    optimizer.plan(
                            List.of(new LayerTensors(0, w.transpose(), null, g, null)),
                            UpdateMode.WEIGHTS)) {
                optimizer.observe(0, inputs, signal, Signal.PRE_ACTIVATIONS);
                plan.step(1, List.of(new LayerSamples(inputs, deltas)));
            }
            assertThat(optimizer.health(0).skippedSteps()).isZero();
            return w.transposed().values();
        }
    }

    /** Phi_kk = (1/N) sum over the positions with index k of sum_i phi'(s)^2, phi the identity. */
    @Test
    void sequencesCountTheirPositions() {
        LayerSpec spec = LayerSpec.embedding("words", VOCABULARY, OUTPUTS).bias(true);
        try (LngdOptimizer optimizer = LngdOptimizer.create(OPTIONS, List.of(spec))) {
            HostArray indices = new HostArray(new float[] {2, 2, 5, 0, 2, 1, 1, 0}, 2, 4);
            HostArray memory = wave(0, 2, 4, OUTPUTS);
            // N x m x T over memory in the order N x T x m, as DL4J has it.
            TensorView signal =
                    NativeTensor.strided(
                            MemoryKind.HOST,
                            0,
                            memory.address(),
                            new long[] {2, OUTPUTS, 4},
                            new long[] {4 * OUTPUTS, 1, OUTPUTS});
            FisherRows rows = optimizer.fisherRows(0, 0, indices, signal, Signal.PRE_ACTIVATIONS);
            assertThat(rows.q()).hasSize(8 * OUTPUTS);
            assertThat(rows.r()).containsOnly(3f); // phi' is 1
            assertThat(rows.c()).hasSize(8).containsOnly(2f); // one-hot and the bias
            HostArray w = weights(VOCABULARY, 0.3);
            HostArray b = HostArray.zeros(OUTPUTS);
            try (StepPlan plan =
                    optimizer.plan(
                            List.of(new LayerTensors(0, w, b, w.dup(), b.dup())),
                            UpdateMode.WEIGHTS)) {
                optimizer.observe(0, indices, signal, Signal.PRE_ACTIVATIONS);
                plan.step(1, List.of(new LayerSamples(indices, signal)));
            }
            Reference.reachabilityFence(memory);
            float[] phi = optimizer.read(0, Field.PHI);
            // r = 3 for each position; over N = 2 samples; the bias is met 8 times.
            assertThat(phi).containsExactly(3f, 3f, 4.5f, 0f, 0f, 1.5f, 0f, 12f);
            assertThat(optimizer.shape(0, Field.PHI_INVERSE)).containsExactly(8);
            double sum = 0;
            for (float x : optimizer.read(0, Field.PSI)) {
                sum += x;
            }
            assertThat(sum).isCloseTo(1, within(1e-6)); // three roundings of numbers near 1/3
            for (int i = 0; i < phi.length; i++) {
                phi[i] *= 2;
            }
            optimizer.write(0, Field.PHI, phi);
            assertThat(optimizer.read(0, Field.PHI)).isEqualTo(phi);
        }
    }

    @Test
    void badShapesAndSpecsAreRefusedByName() {
        LayerSpec spec = LayerSpec.embedding("words", VOCABULARY, OUTPUTS);
        assertThat(spec.bias()).isFalse();
        assertThat(spec.activation()).isEqualTo(Activation.IDENTITY);
        assertThat(spec.columns()).isEqualTo(VOCABULARY);
        assertThat(spec.bias(true).activation(Activation.TANH).embedding()).isTrue();
        assertThatThrownBy(() -> spec.stride(2)).hasMessageContainingAll("stride", "an embedding");
        assertThatThrownBy(() -> LayerSpec.embedding("words", 0, 1))
                .hasMessageContainingAll("words", "inputs", "0");
        try (LngdOptimizer optimizer = LngdOptimizer.create(OPTIONS, List.of(spec))) {
            HostArray good = HostArray.zeros(2, 4);
            HostArray signal = HostArray.zeros(2, OUTPUTS, 4);
            assertThatThrownBy(() -> optimizer.observe(0, signal, signal, Signal.PRE_ACTIVATIONS))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContainingAll("inputs", "words", "[2, 3, 4]", "positions");
            assertThatThrownBy(
                            () ->
                                    optimizer.observe(
                                            0,
                                            good,
                                            HostArray.zeros(2, 4, OUTPUTS),
                                            Signal.PRE_ACTIVATIONS))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContainingAll("signal", "[2, 4, 3]", "[2, 3, positions]");
            assertThatThrownBy(
                            () ->
                                    optimizer.observe(
                                            0,
                                            good,
                                            HostArray.zeros(2, OUTPUTS, 5),
                                            Signal.PRE_ACTIVATIONS))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContainingAll("signal", "5 positions", "4");
        }
    }
}
