// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nd4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.lngd4j.Activation;
import org.lngd4j.Field;
import org.lngd4j.FisherRows;
import org.lngd4j.LayerRate;
import org.lngd4j.LayerSpec;
import org.lngd4j.LayerTensors;
import org.lngd4j.LngdOptions;
import org.lngd4j.Signal;
import org.lngd4j.StepPlan;
import org.lngd4j.UpdateMode;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;

/**
 * Any view gives the same bits as a compact copy: the library packs what it reads into the same
 * buffers, whatever the strides, and the order of every sum is that of the packed data.
 */
@Tag(TestDevice.TAG)
class ViewsTest {
    private static final int[][] SHAPES = {
        {6, 5, 3}, {1, 5, 3}, {6, 1, 2}, {6, 5, 1}, {65, 33, 17}
    };

    static Stream<Arguments> cases() {
        List<Arguments> cases = new ArrayList<>();
        for (ViewKind kind : ViewKind.values()) {
            for (int[] shape : SHAPES) {
                cases.add(Arguments.of(kind, shape));
            }
        }
        return cases.stream();
    }

    @ParameterizedTest(name = "{0}, N, d_w, m = {1}")
    @MethodSource("cases")
    void observeReadsAnyView(ViewKind kind, int[] shape) {
        INDArray a = new Data(1).floats(shape[0], shape[1]);
        INDArray s = new Data(2).floats(shape[0], shape[2]).add(0.5);
        Run plain = new Run(shape).observe(a.dup('c'), s.dup('c'));
        Run viewed = new Run(shape).observe(kind.of(a), kind.of(s));
        assertThat(viewed.read(Field.PHI)).isEqualTo(plain.read(Field.PHI));
        assertThat(viewed.read(Field.PSI)).isEqualTo(plain.read(Field.PSI));
        double sum = 0;
        for (float x : plain.read(Field.PSI)) {
            sum += x;
        }
        assertThat(sum).isCloseTo(1, within(1e-5));
    }

    @ParameterizedTest(name = "{0}, N, d_w, m = {1}")
    @MethodSource("cases")
    void stepReadsAndWritesAnyView(ViewKind kind, int[] shape) {
        INDArray w = new Data(3).floats(shape[2], shape[1]);
        INDArray g = new Data(4).floats(shape[2], shape[1]);
        Run plain = new Run(shape).step(w.dup('c'), g.dup('c'), UpdateMode.WEIGHTS);
        Run viewed = new Run(shape).step(kind.of(w), kind.of(g), UpdateMode.WEIGHTS);
        assertThat(Data.bits(viewed.weights)).isEqualTo(Data.bits(plain.weights));
        assertThat(Data.bits(plain.weights)).isNotEqualTo(Data.bits(w));
        assertThat(Data.bits(viewed.gradients)).isEqualTo(Data.bits(g));
        Run update = new Run(shape).step(kind.of(w), kind.of(g), UpdateMode.GRADIENTS);
        assertThat(Data.bits(update.weights)).isEqualTo(Data.bits(w));
        assertThat(w.sub(update.gradients).sub(plain.weights).amaxNumber().doubleValue())
                .isLessThan(1e-6);
    }

    @ParameterizedTest
    @EnumSource(ViewKind.class)
    void aViewLeavesItsSurroundingsAlone(ViewKind kind) {
        INDArray w = kind.of(new Data(3).floats(3, 5));
        float[] before = w.data().asFloat();
        float[] inside = w.dup('c').data().asFloat();
        Run run =
                new Run(new int[] {6, 5, 3}).step(w, new Data(4).floats(3, 5), UpdateMode.WEIGHTS);
        float[] after = run.weights.data().asFloat();
        int changed = 0;
        for (int i = 0; i < after.length; i++) {
            changed += before[i] == after[i] ? 0 : 1;
        }
        assertThat(changed).isLessThanOrEqualTo(inside.length);
    }

    @ParameterizedTest
    @EnumSource(ViewKind.class)
    void fieldsAndRowsTakeAnyView(ViewKind kind) {
        int[] shape = {6, 5, 3};
        Run run = new Run(shape);
        INDArray momentum = new Data(5).floats(3, 6);
        run.optimizer.write(0, Field.MOMENTUM, kind.of(momentum));
        assertThat(run.read(Field.MOMENTUM)).isEqualTo(Data.bits(momentum));
        INDArray a = new Data(1).floats(6, 5);
        INDArray s = new Data(2).floats(6, 3);
        FisherRows plain = run.optimizer.fisherRows(0, 0, a, s, Signal.PRE_ACTIVATIONS);
        FisherRows viewed =
                run.optimizer.fisherRows(0, 0, kind.of(a), kind.of(s), Signal.PRE_ACTIVATIONS);
        assertThat(viewed.q()).isEqualTo(plain.q());
        assertThat(viewed.r()).isEqualTo(plain.r());
        assertThat(viewed.c()).isEqualTo(plain.c());
    }

    @ParameterizedTest
    @EnumSource(ViewKind.class)
    void samplesTakeAnyView(ViewKind kind) {
        INDArray a = new Data(1).floats(6, 5);
        INDArray delta = new Data(2).floats(6, 3);
        assertThat(empirical(kind.of(a), kind.of(delta)))
                .isEqualTo(empirical(a, delta))
                .isPositive();
    }

    private static double empirical(INDArray a, INDArray delta) {
        Run run =
                new Run(
                        new int[] {6, 5, 3},
                        LngdOptions.recipeEmpirical(10)
                                .device(TestDevice.get())
                                .threads(1)
                                .build());
        run.observe(a, delta);
        LayerTensors tensors = run.tensors(new Data(3).floats(3, 5), new Data(4).floats(3, 5));
        try (StepPlan plan = run.optimizer.core().plan(List.of(tensors), UpdateMode.WEIGHTS)) {
            plan.step(1, List.of(run.optimizer.samples(0, a, delta)));
        }
        return run.optimizer.core().health(0).curvature();
    }

    private static org.assertj.core.data.Offset<Double> within(double x) {
        return org.assertj.core.data.Offset.offset(x);
    }

    /** One layer, one observation, one step. */
    private static final class Run {
        final Nd4jOptimizer optimizer;
        final int[] shape;
        INDArray weights;
        INDArray gradients;

        Run(int[] shape) {
            this(shape, LngdOptions.recipe(100).device(TestDevice.get()).threads(1).build());
        }

        Run(int[] shape, LngdOptions options) {
            this.shape = shape;
            optimizer =
                    Nd4jOptimizer.create(
                            options,
                            List.of(
                                    LayerSpec.dense("layer", shape[1], shape[2])
                                            .activation(Activation.TANH)));
        }

        Run observe(INDArray a, INDArray s) {
            optimizer.observe(0, a, s, Signal.PRE_ACTIVATIONS);
            if (optimizer.core().options().layerRate() == LayerRate.NONE) {
                step(
                        Nd4j.zeros(shape[2], shape[1]),
                        Nd4j.zeros(shape[2], shape[1]),
                        UpdateMode.WEIGHTS);
            }
            return this;
        }

        /** Bias vectors in the three shapes that are allowed, by turns. */
        LayerTensors tensors(INDArray w, INDArray g) {
            long m = shape[2];
            INDArray column =
                    new Data(8).floats(m, 2).get(NDArrayIndex.all(), NDArrayIndex.interval(1, 2));
            return optimizer.tensors(0, w, new Data(7).vector(m).reshape(1, m), g, column);
        }

        Run step(INDArray w, INDArray g, UpdateMode mode) {
            if (weights == null) {
                optimizer.observe(
                        0,
                        new Data(1).floats(shape[0], shape[1]),
                        new Data(2).floats(shape[0], shape[2]),
                        Signal.PRE_ACTIVATIONS);
            }
            weights = w;
            gradients = g;
            try (StepPlan plan = optimizer.core().plan(List.of(tensors(w, g)), mode)) {
                plan.step(1);
            }
            return this;
        }

        float[] read(Field field) {
            return Data.bits(optimizer.read(0, field));
        }
    }
}
