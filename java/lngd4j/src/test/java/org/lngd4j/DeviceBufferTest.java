// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.LngdOutOfMemoryException;

/** Memory of the device, and training on it. */
@Tag(TestDevice.TAG)
class DeviceBufferTest {
    private final Net net = net();

    private static Net net() {
        return new Net(LngdOptions.recipe(100).statisticsInterval(1).inverseInterval(1));
    }

    @AfterEach
    void close() {
        net.optimizer.close();
    }

    @Test
    void valuesComeBack() {
        float[] values = new Data(1).matrixOf(100);
        try (DeviceBuffer buffer = net.optimizer.allocate(120)) {
            buffer.write(values);
            assertThat(buffer.read(100)).isEqualTo(values);
            assertThat(buffer.read(120)[119]).isZero();
            assertThat(buffer.length()).isEqualTo(120);
            assertThat(buffer.toString()).contains("120 floats");
        }
    }

    @Test
    void whatDoesNotFitIsRefused() {
        DeviceBuffer buffer = net.optimizer.allocate(12);
        refused(() -> net.optimizer.allocate(0), "length", "0");
        refused(() -> net.optimizer.allocate(Long.MAX_VALUE), "length");
        refused(() -> buffer.write(new float[13]), "13", "12");
        refused(() -> buffer.read(0), "count", "0");
        refused(() -> buffer.read(13), "count", "13");
        refused(() -> buffer.tensor(13), "0 to 12", "0 to 11");
        refused(() -> buffer.tensor(3, 5), "0 to 14");
        refused(() -> buffer.tensor(1, new long[] {3}, new long[] {-1}), "-1 to 1");
        refused(() -> buffer.tensor(1, new long[] {3}, new long[] {1, 1}), "strides");
        assertThat(buffer.tensor(3, 4).transpose().shape()).containsExactly(4, 3);
        assertThat(buffer.tensor(11, new long[] {3, 4}, new long[] {-4, -1}).address())
                .isEqualTo(buffer.tensor(1).address() + 44);
        assertThatThrownBy(() -> net.optimizer.allocate(1L << 44))
                .isInstanceOf(LngdOutOfMemoryException.class);
    }

    @Test
    void aBufferEndsWithItselfOrItsOptimizer() {
        DeviceBuffer closed = net.optimizer.allocate(3);
        DeviceBuffer open = net.optimizer.allocate(3);
        closed.close();
        closed.close();
        for (ThrowingCallable call :
                List.<ThrowingCallable>of(
                        () -> closed.read(1), () -> closed.write(1), () -> closed.tensor(1))) {
            assertThatThrownBy(call)
                    .isInstanceOf(LngdHandleException.class)
                    .hasMessageContaining("closed");
        }
        open.write(1, 2, 3);
        net.optimizer.close();
        assertThatThrownBy(() -> open.read(1)).isInstanceOf(LngdHandleException.class);
        open.close();
    }

    /** The same bits as with tensors in host memory, whatever the strides are. */
    @ParameterizedTest
    @EnumSource(UpdateMode.class)
    void trainingOnTheDeviceGivesTheBitsOfTrainingOnTheHost(UpdateMode mode) {
        Net host = net();
        HostArray weights = net.w.dup();
        HostArray bias = net.b.dup();
        HostArray gradients = net.g.dup();
        HostArray biasGradients = net.gb.dup();
        LayerTensors arrays = new LayerTensors(0, weights, bias, gradients, biasGradients);
        LngdOptimizer device = net.optimizer;
        // Weights as inputs x outputs, as DL4J has them; gradients with a gap after each row.
        NativeTensor w = moved(device, weights.transposed()).transpose();
        NativeTensor b = moved(device, bias);
        DeviceBuffer gaps = device.allocate(3 * 8);
        gaps.write(spread(gradients, 8));
        NativeTensor g = gaps.tensor(0, new long[] {3, 5}, new long[] {8, 1});
        NativeTensor gb = moved(device, biasGradients);
        NativeTensor a = moved(device, net.a);
        NativeTensor s = moved(device, net.s);
        try (StepPlan onHost = host.optimizer.plan(List.of(arrays), mode);
                StepPlan onDevice = device.plan(List.of(new LayerTensors(0, w, b, g, gb)), mode)) {
            for (int i = 0; i < 3; i++) {
                host.optimizer.observe(0, host.a, host.s, Signal.PRE_ACTIVATIONS);
                onHost.step(1);
                device.observe(0, a, s, Signal.PRE_ACTIVATIONS);
                if (i == 1) {
                    onDevice.refresh();
                }
                onDevice.step(1);
            }
            device.synchronize();
            assertThat(device.saveState()).isEqualTo(host.optimizer.saveState());
            assertThat(gaps.read(24)).isEqualTo(spread(gradients, 8));
            // Nothing is due at once after a step with statistics every step: no graph may be
            // launched without observing.
            assertThat(onDevice.replay(1)).isFalse();
        }
        host.optimizer.close();
    }

    @Test
    void samplesMayLieOnTheDevice() {
        double[] curvatures = new double[2];
        for (int i = 0; i < 2; i++) {
            Net one = new Net(LngdOptions.recipeEmpirical(100));
            one.optimizer.observe(0, one.a, one.s, Signal.PRE_ACTIVATIONS);
            try (StepPlan plan = one.plan(one.w, one.b)) {
                plan.step(
                        1,
                        List.of(
                                i == 0
                                        ? new LayerSamples(one.a, one.s)
                                        : new LayerSamples(
                                                moved(one.optimizer, one.a),
                                                moved(one.optimizer, one.s))));
                curvatures[i] = one.optimizer.health(0).curvature();
                NativeTensor a = moved(one.optimizer, one.a);
                refused(() -> plan.step(1, List.of(new LayerSamples(a, a))), "deltas");
                refused(() -> plan.step(1, List.of(new LayerSamples(null, a))), "inputs");
            }
            one.optimizer.close();
        }
        assertThat(curvatures[1]).isEqualTo(curvatures[0]).isPositive();
    }

    @Test
    void tensorsOfOtherShapesOrPlacesAreRefused() {
        LngdOptimizer o = net.optimizer;
        NativeTensor a = moved(o, net.a);
        NativeTensor s = moved(o, net.s);
        Signal kind = Signal.PRE_ACTIVATIONS;
        refused(() -> o.observe(0, a.transpose(), s, kind), "inputs", "hidden", "5]");
        refused(() -> o.observe(0, a, a, kind), "signal", "3]");
        refused(() -> o.observe(0, null, s, kind), "inputs", "null");
        refused(() -> o.observe(0, a, s, null), "kind");
        refused(() -> o.observe(3, a, s, kind), "layer");
        refused(
                () -> o.observe(0, NativeTensor.at(MemoryKind.CUDA, 7, 64, 4, 5), s, kind),
                "inputs");
        NativeTensor w = moved(o, net.w);
        NativeTensor b = moved(o, net.b);
        refused(() -> plan(new LayerTensors(0, w.transpose(), b, w, b)), "weights", "[3, 5]");
        refused(() -> plan(new LayerTensors(0, w, null, w, b)), "bias", "null");
        refused(() -> plan(new LayerTensors(0, w, w, w, b)), "bias", "[3]");
        refused(() -> plan(new LayerTensors(9, w, b, w, b)), "layer", "9");
        if (o.device() == Device.CPU) {
            refused(() -> o.stream(0x1000), "stream");
        }
        o.stream(0);
    }

    private StepPlan plan(LayerTensors tensors) {
        return net.optimizer.plan(List.of(tensors), UpdateMode.WEIGHTS);
    }

    /** Freed with the optimizer. */
    private static NativeTensor moved(LngdOptimizer optimizer, HostArray a) {
        float[] values = a.values();
        DeviceBuffer buffer = optimizer.allocate(values.length);
        buffer.write(values);
        return buffer.tensor(a.shape());
    }

    private static float[] spread(HostArray matrix, int pitch) {
        int columns = (int) matrix.size(1);
        float[] compact = matrix.values();
        float[] wide = new float[(int) matrix.size(0) * pitch];
        for (int i = 0; i < matrix.size(0); i++) {
            System.arraycopy(compact, i * columns, wide, i * pitch, columns);
        }
        return wide;
    }

    private static void refused(ThrowingCallable call, String... words) {
        assertThatThrownBy(call)
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContainingAll(words);
    }
}
