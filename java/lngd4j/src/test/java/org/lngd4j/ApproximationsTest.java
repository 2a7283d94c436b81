// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lngd4j.nativelib.DeviceLibrary;
import org.lngd4j.nativelib.LngdArgumentException;

/** KFAC and its kin through the Java API. The matrices themselves are tested in native/test. */
class ApproximationsTest {
    private static final int SAMPLES = 64;
    private static final int INPUTS = 6;
    private static final int OUTPUTS = 4;

    private static final LayerSpec LAYER =
            LayerSpec.dense("layer", INPUTS, OUTPUTS).activation(Activation.IDENTITY);

    private static LngdOptions.Builder options(Preset preset) {
        return LngdOptions.preset(preset, 0)
                .device(Device.CPU)
                .statisticsInterval(1)
                .inverseInterval(1)
                .momentum(0)
                .factoredDamping(1e-8)
                .learningRate(0.5);
    }

    /**
     * Least squares with inputs whose scales differ by a factor of 100, so that the eigenvalues of
     * A span four orders of magnitude: a gradient step that does not diverge along the largest
     * would need tens of thousands of steps along the smallest. The model's own targets are s + eps
     * and their gradients g = -eps, so B is close to I and A is exact. With lambda = 1e-8, A is
     * damped by less than its smallest eigenvalue, 1e-4; a step of rate 1/2 then takes a quarter of
     * the error at least, and 40 of them leave 0.75^40 = 1e-5 of it.
     */
    @ParameterizedTest
    @EnumSource(names = {"KFAC", "TKFAC", "EKFAC"})
    void anIllConditionedLeastSquaresProblemIsSolved(Preset preset) {
        Data data = new Data(7);
        double[][] scaled = data.matrix(SAMPLES, INPUTS);
        for (double[] row : scaled) {
            for (int j = 0; j < INPUTS; j++) {
                row[j] = (float) (row[j] * Math.pow(100, -j / (INPUTS - 1.0)));
            }
        }
        HostArray a = Data.array(scaled);
        double[][] wanted = product(scaled, data.matrix(INPUTS, OUTPUTS));
        HostArray w = HostArray.zeros(OUTPUTS, INPUTS);
        HostArray b = HostArray.zeros(OUTPUTS);
        HostArray dw = HostArray.zeros(OUTPUTS, INPUTS);
        HostArray db = HostArray.zeros(OUTPUTS);
        double first = norm(wanted);
        try (LngdOptimizer optimizer =
                        LngdOptimizer.create(options(preset).build(), List.of(LAYER));
                StepPlan plan =
                        optimizer.plan(
                                List.of(new LayerTensors(0, w, b, dw, db)), UpdateMode.WEIGHTS)) {
            for (int step = 0; step < 40; step++) {
                double[][] error = error(scaled, w.values(), b.values(), wanted);
                optimizer.observe(0, a, data.floats(SAMPLES, OUTPUTS), Signal.GRADIENTS);
                double[][] gradient = product(transpose(error), Data.withOnes(scaled, true));
                for (double[] row : gradient) {
                    Arrays.setAll(row, j -> row[j] / SAMPLES);
                }
                dw.set(Data.columns(gradient, 0, INPUTS).values());
                db.set(Data.lastColumn(gradient).values());
                plan.step(1);
            }
            assertThat(optimizer.health(0).skippedSteps()).isZero();
            assertThat(optimizer.shape(0, Field.PSI)).containsExactly(OUTPUTS, OUTPUTS);
            assertThat(optimizer.read(0, Field.PSI)).hasSize(OUTPUTS * OUTPUTS);
        }
        assertThat(norm(error(scaled, w.values(), b.values(), wanted))).isLessThan(1e-3 * first);
    }

    /** a W^T + b - wanted. */
    private static double[][] error(double[][] a, float[] w, float[] b, double[][] wanted) {
        double[][] error = new double[a.length][OUTPUTS];
        for (int n = 0; n < a.length; n++) {
            for (int i = 0; i < OUTPUTS; i++) {
                error[n][i] = b[i] - wanted[n][i];
                for (int j = 0; j < INPUTS; j++) {
                    error[n][i] += a[n][j] * w[i * INPUTS + j];
                }
            }
        }
        return error;
    }

    private static double[][] product(double[][] a, double[][] b) {
        double[][] c = new double[a.length][b[0].length];
        for (int i = 0; i < a.length; i++) {
            for (int k = 0; k < b.length; k++) {
                for (int j = 0; j < c[i].length; j++) {
                    c[i][j] += a[i][k] * b[k][j];
                }
            }
        }
        return c;
    }

    private static double[][] transpose(double[][] a) {
        double[][] t = new double[a[0].length][a.length];
        for (int i = 0; i < a.length; i++) {
            for (int j = 0; j < t.length; j++) {
                t[j][i] = a[i][j];
            }
        }
        return t;
    }

    private static double norm(double[][] a) {
        double sum = 0;
        for (double[] row : a) {
            for (double x : row) {
                sum += x * x;
            }
        }
        return Math.sqrt(sum);
    }

    /**
     * S0 is the geometric mean over the layers of alpha_l beta_l, taken at the first inversion; it
     * belongs to the state, and a fixed one is left alone.
     */
    @Test
    void theSignalReferenceIsTakenOverTheLayersAndSaved() {
        LngdOptions options = LngdOptions.blockKronecker(100).device(Device.CPU).threads(1).build();
        List<LayerSpec> layers = List.of(LAYER, LayerSpec.dense("last", OUTPUTS, 3).bias(false));
        Data data = new Data(11);
        double logarithms = 0;
        byte[] state;
        double taken;
        try (LngdOptimizer optimizer = LngdOptimizer.create(options, layers);
                StepPlan plan = plan(optimizer, data)) {
            assertThat(optimizer.get(Setting.SIGNAL_REFERENCE)).isZero();
            for (int i = 0; i < 2; i++) {
                LayerSpec spec = layers.get(i);
                HostArray a = data.floats(SAMPLES, spec.inputs());
                HostArray g = data.floats(SAMPLES, spec.outputs());
                float[] scaled = g.values();
                for (int k = 0; k < scaled.length; k++) {
                    scaled[k] *= i + 1;
                }
                g.set(scaled);
                optimizer.observe(i, a, g, Signal.GRADIENTS);
                double constants = spec.bias() ? SAMPLES : 0;
                double alpha = (square(a) + constants) / SAMPLES / spec.columns();
                logarithms += Math.log(alpha * square(g) / SAMPLES / spec.outputs()) / 2;
            }
            plan.step(1);
            taken = optimizer.get(Setting.SIGNAL_REFERENCE);
            // The rows' squares are summed in float32.
            assertThat(taken).isCloseTo(Math.exp(logarithms), Percentage.withPercentage(1e-4));
            state = optimizer.saveState();
        }
        try (LngdOptimizer optimizer = LngdOptimizer.create(options, layers)) {
            optimizer.restoreState(state);
            assertThat(optimizer.get(Setting.SIGNAL_REFERENCE)).isEqualTo(taken);
            optimizer.set(Setting.SIGNAL_REFERENCE, 0.5);
            assertThat(optimizer.get(Setting.SIGNAL_REFERENCE)).isEqualTo(0.5);
            assertThatThrownBy(() -> optimizer.set(Setting.SIGNAL_REFERENCE, -1))
                    .hasMessageContainingAll("signal_reference", "-1");
            assertThat(optimizer.get(Setting.SIGNAL_REFERENCE)).isEqualTo(0.5);
        }
    }

    private static StepPlan plan(LngdOptimizer optimizer, Data data) {
        List<LayerTensors> tensors = new ArrayList<>();
        for (int i = 0; i < optimizer.layerCount(); i++) {
            LayerSpec spec = optimizer.layers().get(i);
            long m = spec.outputs();
            HostArray bias = spec.bias() ? data.vector(m) : null;
            tensors.add(
                    new LayerTensors(
                            i,
                            data.floats(m, spec.inputs()),
                            bias,
                            data.floats(m, spec.inputs()),
                            bias == null ? null : data.vector(m)));
        }
        return optimizer.plan(tensors, UpdateMode.WEIGHTS);
    }

    private static double square(HostArray a) {
        double sum = 0;
        for (float x : a.values()) {
            sum += (double) x * x;
        }
        return sum;
    }

    @Test
    void whatDoesNotGoTogetherIsRefusedByName() {
        refused(LngdOptions.recipe(10).secondBlockSize(4), "second_block_size");
        refused(LngdOptions.recipe(10).signalDamping(1, 0.1, 1), "LNGD_DAMPING_SIGNAL");
        refused(LngdOptions.recipe(10).orthogonalise(true), "orthogonalise");
        refused(options(Preset.KFAC).weightDecay(0.1, WeightDecay.TRUST), "LNGD_DECAY_TRUST");
        refused(options(Preset.KFAC).softTrust(true), "soft_trust");
        refused(options(Preset.KFAC).outputBound(true), "output_bound");
        refused(options(Preset.NGPLUS), "LNGD_DAMPING_FACTORED");
        LngdOptions.Builder capped = LngdOptions.blockKronecker(10).orthogonalise(true);
        refused(capped.trustRatio(TrustRatio.CAP, 0.1), "orthogonalise");
        refused(options(Preset.KFAC).fisher(Fisher.EXPECTED), "fisher");
        refused(options(Preset.KFAC).layerRate(LayerRate.KRONECKER), "rate");
        refused(options(Preset.EKFAC).device(Device.CUDA_EMULATED), "LNGD_APPROXIMATION_EKFAC (3)");
        refused(options(Preset.KFAC).approximation(Approximation.LNGD), "damping");
    }

    @Test
    void autoTakesEkfacToTheCpuAndSaysSo() {
        DeviceChoice choice = DeviceChoice.of(options(Preset.EKFAC).device(Device.AUTO).build());
        assertThat(choice.device()).isEqualTo(Device.CPU);
        if (DeviceLibrary.mayHaveCuda()) {
            assertThat(choice.reason()).contains("LNGD_APPROXIMATION_EKFAC");
        } else {
            assertThat(choice.reason()).isEmpty(); // nothing else was to be had
        }
    }

    private static void refused(LngdOptions.Builder options, String name) {
        assertThatThrownBy(() -> LngdOptimizer.create(options.build(), List.of(LAYER)))
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContaining(name);
    }
}
