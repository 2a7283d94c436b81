// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.lngd4j.nativelib.LngdArgumentException;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

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

    /** Weights as DL4J keeps them, [vocabulary, outputs] in 'f' order, seen through a transpose. */
    private static INDArray weights(long columns, double scale) {
        INDArray w = Nd4j.createUninitialized(DataType.FLOAT, new long[] {columns, OUTPUTS}, 'f');
        for (long i = 0; i < columns; i++) {
            for (long j = 0; j < OUTPUTS; j++) {
                w.putScalar(i, j, scale * Math.sin(1 + i + 2.3 * j));
            }
        }
        return w.transpose();
    }

    private static INDArray wave(double phase, long... shape) {
        INDArray result = Nd4j.createUninitialized(DataType.FLOAT, shape);
        for (long i = 0; i < result.length(); i++) {
            result.putScalar(i, Math.sin(phase + 1.7 * i));
        }
        return result;
    }

    @Test
    void oneStepIsThatOfADenseLayerOnOneHotRows() {
        int samples = 5;
        INDArray indices = Nd4j.createFromArray(3f, 0f, 3f, 6f, 1f);
        INDArray oneHot = Nd4j.zeros(DataType.FLOAT, samples, VOCABULARY);
        for (int n = 0; n < samples; n++) {
            oneHot.putScalar(n, indices.getInt(n), 1);
        }
        INDArray signal = wave(0, samples, OUTPUTS);
        INDArray deltas = wave(2, samples, OUTPUTS);
        LayerSpec embedding =
                LayerSpec.embedding("words", VOCABULARY, OUTPUTS).activation(Activation.TANH);
        LayerSpec dense =
                LayerSpec.dense("words", VOCABULARY, OUTPUTS)
                        .bias(false)
                        .activation(Activation.TANH);
        INDArray ours = step(embedding, indices.reshape(samples, 1), signal, deltas, oneHot);
        INDArray theirs = step(dense, oneHot, signal, deltas, oneHot);
        // Both in float32; a few roundings each.
        assertThat(ours.sub(theirs).amaxNumber().doubleValue()).isLessThan(1e-6);
        assertThat(ours.sub(weights(VOCABULARY, 0.3)).amaxNumber().doubleValue())
                .isGreaterThan(1e-4); // it moved
    }

    private static INDArray step(
            LayerSpec spec, INDArray inputs, INDArray signal, INDArray deltas, INDArray oneHot) {
        try (LngdOptimizer optimizer = LngdOptimizer.create(OPTIONS, List.of(spec))) {
            INDArray w = weights(VOCABULARY, 0.3);
            INDArray gradient = deltas.transpose().mmul(oneHot).divi(oneHot.size(0));
            try (StepPlan plan =
                    optimizer.plan(
                            List.of(new LayerTensors(0, w, null, gradient, null)),
                            UpdateMode.WEIGHTS)) {
                optimizer.observe(0, inputs, signal, Signal.PRE_ACTIVATIONS);
                plan.step(1, List.of(new LayerSamples(inputs, deltas)));
            }
            assertThat(optimizer.health(0).skippedSteps()).isZero();
            return w;
        }
    }

    /** Phi_kk = (1/N) sum over the positions with index k of sum_i phi'(s)^2, phi the identity. */
    @Test
    void sequencesCountTheirPositions() {
        LayerSpec spec = LayerSpec.embedding("words", VOCABULARY, OUTPUTS).bias(true);
        try (LngdOptimizer optimizer = LngdOptimizer.create(OPTIONS, List.of(spec))) {
            INDArray indices = Nd4j.createFromArray(new float[][] {{2, 2, 5, 0}, {2, 1, 1, 0}});
            INDArray signal = wave(0, 2, 4, OUTPUTS).permute(0, 2, 1); // as DL4J has it
            FisherRows rows = optimizer.fisherRows(0, 0, indices, signal, Signal.PRE_ACTIVATIONS);
            assertThat(rows.q().shape()).containsExactly(8, OUTPUTS);
            assertThat(rows.c().toFloatVector()).containsOnly(2f); // one-hot and the bias
            INDArray w = weights(VOCABULARY, 0.3);
            INDArray b = Nd4j.zeros(DataType.FLOAT, OUTPUTS);
            try (StepPlan plan =
                    optimizer.plan(
                            List.of(new LayerTensors(0, w, b, w.dup(), b.dup())),
                            UpdateMode.WEIGHTS)) {
                optimizer.observe(0, indices, signal, Signal.PRE_ACTIVATIONS);
                plan.step(1, List.of(new LayerSamples(indices, signal)));
            }
            INDArray phi = optimizer.read(0, Field.PHI);
            // r = 3 for each position; over N = 2 samples; the bias is met 8 times.
            assertThat(phi.toFloatVector()).containsExactly(3f, 3f, 4.5f, 0f, 0f, 1.5f, 0f, 12f);
            assertThat(optimizer.read(0, Field.PHI_INVERSE).shape()).containsExactly(8);
            assertThat(optimizer.read(0, Field.PSI).sumNumber().doubleValue())
                    .isCloseTo(1, within(1e-6)); // three roundings of numbers near 1/3
            optimizer.write(0, Field.PHI, phi.mul(2));
            assertThat(optimizer.read(0, Field.PHI)).isEqualTo(phi.mul(2));
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
            INDArray good = Nd4j.zeros(DataType.FLOAT, 2, 4);
            INDArray signal = Nd4j.zeros(DataType.FLOAT, 2, OUTPUTS, 4);
            assertThatThrownBy(() -> optimizer.observe(0, signal, signal, Signal.PRE_ACTIVATIONS))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContainingAll("inputs", "words", "[2, 3, 4]", "positions");
            assertThatThrownBy(
                            () ->
                                    optimizer.observe(
                                            0,
                                            good,
                                            Nd4j.zeros(DataType.FLOAT, 2, 4, OUTPUTS),
                                            Signal.PRE_ACTIVATIONS))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContainingAll("signal", "[2, 4, 3]", "[2, 3, positions]");
            assertThatThrownBy(
                            () ->
                                    optimizer.observe(
                                            0,
                                            good,
                                            Nd4j.zeros(DataType.FLOAT, 2, OUTPUTS, 5),
                                            Signal.PRE_ACTIVATIONS))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContainingAll("signal", "5 positions", "4");
            assertThatThrownBy(
                            () ->
                                    optimizer.observe(
                                            0,
                                            good.castTo(DataType.INT32),
                                            signal,
                                            Signal.PRE_ACTIVATIONS))
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContainingAll("inputs", "INT", "FLOAT");
        }
    }
}
