// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lngd4j.nativelib.DeviceLibrary;
import org.lngd4j.nativelib.LngdArgumentException;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

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
        INDArray a = Data.array(scaled);
        INDArray wanted = a.mmul(data.floats(INPUTS, OUTPUTS));
        INDArray w = Nd4j.zeros(OUTPUTS, INPUTS);
        INDArray b = Nd4j.zeros(OUTPUTS);
        INDArray dw = Nd4j.zeros(OUTPUTS, INPUTS);
        INDArray db = Nd4j.zeros(OUTPUTS);
        double first = wanted.norm2Number().doubleValue();
        try (LngdOptimizer optimizer =
                        LngdOptimizer.create(options(preset).build(), List.of(LAYER));
                StepPlan plan =
                        optimizer.plan(
                                List.of(new LayerTensors(0, w, b, dw, db)), UpdateMode.WEIGHTS)) {
            for (int step = 0; step < 40; step++) {
                INDArray error = a.mmul(w.transpose()).addRowVector(b).sub(wanted);
                optimizer.observe(0, a, data.floats(SAMPLES, OUTPUTS), Signal.GRADIENTS);
                dw.assign(error.transpose().mmul(a).div(SAMPLES));
                db.assign(error.mean(0));
                plan.step(1);
            }
            assertThat(optimizer.health(0).skippedSteps()).isZero();
            assertThat(optimizer.read(0, Field.PSI).shape()).containsExactly(OUTPUTS, OUTPUTS);
        }
        INDArray error = a.mmul(w.transpose()).addRowVector(b).sub(wanted);
        assertThat(error.norm2Number().doubleValue()).isLessThan(1e-3 * first);
    }

    @Test
    void whatDoesNotGoTogetherIsRefusedByName() {
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
