// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdHandleException;

/** Tensors that move between steps, as those of a framework that frees its gradients. */
@Tag(TestDevice.TAG)
class RebindTest {
    private static final int STEPS = 5;

    private final Net net = new Net();

    @AfterEach
    void close() {
        net.optimizer.close();
    }

    /** Two layers, the second without bias; names w, b, dW, db as in the record. */
    private static final class Net {
        final LngdOptimizer optimizer =
                LngdOptimizer.create(
                        LngdOptions.recipe(100)
                                .statisticsInterval(2)
                                .inverseInterval(2)
                                .device(TestDevice.get())
                                .threads(1)
                                .precision(Precision.TF32X3)
                                .build(),
                        List.of(
                                LayerSpec.dense("first", 5, 4).activation(Activation.TANH),
                                LayerSpec.dense("second", 4, 3).bias(false)));
        final Data data = new Data(1);
        final HostArray w0 = data.floats(4, 5);
        final HostArray b0 = data.vector(4);
        final HostArray w1 = data.floats(3, 4);
        HostArray dw0 = data.floats(4, 5);
        HostArray db0 = data.vector(4);
        HostArray dw1 = data.floats(3, 4);

        List<LayerTensors> tensors() {
            return List.of(
                    new LayerTensors(0, w0, b0, dw0, db0),
                    new LayerTensors(1, w1, null, dw1, null));
        }

        void observe() {
            optimizer.observe(0, data.floats(6, 5), data.floats(6, 4), Signal.PRE_ACTIVATIONS);
            optimizer.observe(1, data.floats(6, 4), data.floats(6, 3), Signal.PRE_ACTIVATIONS);
        }

        /** The backward pass of a framework: other gradients, in other memory. */
        void backward() {
            dw0 = data.floats(4, 5);
            db0 = data.vector(4);
            dw1 = data.floats(3, 4);
        }

        void free() {
            dw0.free();
            db0.free();
            dw1.free();
        }

        List<float[]> weights() {
            return List.of(w0.values(), b0.values(), w1.values());
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void gradientsThatAreFreedAndMadeAnewGiveTheBitsOfAPlanMadeAnew(boolean weightsToo) {
        Net other = new Net();
        StepPlan plan = net.optimizer.plan(net.tensors(), UpdateMode.WEIGHTS);
        for (int t = 0; t < STEPS; t++) {
            net.observe();
            other.observe();
            if (t > 0) {
                net.backward();
                other.backward();
                if (weightsToo) {
                    net.w0.move();
                    net.b0.move();
                    net.w1.move();
                }
                plan.rebind(net.tensors());
            }
            plan.step(1);
            try (StepPlan anew = other.optimizer.plan(other.tensors(), UpdateMode.WEIGHTS)) {
                anew.step(1);
            }
            net.free();
        }
        assertThat(net.weights()).usingRecursiveComparison().isEqualTo(other.weights());
        assertThat(net.weights()).usingRecursiveComparison().isNotEqualTo(new Net().weights());
        assertThat(net.optimizer.saveState()).isEqualTo(other.optimizer.saveState());
        assertThat(plan.swapAverages()).isTrue(); // although the gradients are gone
        other.optimizer.close();
    }

    @ParameterizedTest
    @EnumSource(UpdateMode.class)
    void theSameInMemoryOfTheDevice(UpdateMode mode) {
        Net other = new Net();
        DeviceBuffer weights = net.optimizer.allocate(40);
        weights.write(new Data(2).matrixOf(40));
        DeviceBuffer otherWeights = other.optimizer.allocate(40);
        otherWeights.write(weights.read(40));
        StepPlan plan = null;
        for (int t = 0; t < STEPS; t++) {
            DeviceBuffer gradients = net.optimizer.allocate(40);
            DeviceBuffer otherGradients = other.optimizer.allocate(40);
            gradients.write(new Data(3 + t).matrixOf(40));
            otherGradients.write(gradients.read(40));
            net.observe();
            other.observe();
            if (plan == null) {
                plan = net.optimizer.plan(tensors(weights, gradients), mode);
            } else {
                plan.rebind(tensors(weights, gradients));
            }
            plan.step(1);
            other.optimizer.plan(tensors(otherWeights, otherGradients), mode).step(1);
            // The stream may still need the old ones: they are freed after it is past them.
            net.optimizer.synchronize();
            assertThat(gradients.read(40)).isEqualTo(otherGradients.read(40));
            gradients.close();
        }
        assertThat(weights.read(40)).isEqualTo(otherWeights.read(40));
        assertThat(net.optimizer.saveState()).isEqualTo(other.optimizer.saveState());
        other.optimizer.close();
    }

    private static List<LayerTensors> tensors(DeviceBuffer weights, DeviceBuffer gradients) {
        return List.of(
                new LayerTensors(
                        0,
                        weights.tensor(4, 5),
                        weights.tensor(20, new long[] {4}, new long[] {1}),
                        gradients.tensor(4, 5),
                        gradients.tensor(20, new long[] {4}, new long[] {1})),
                new LayerTensors(
                        1,
                        weights.tensor(24, new long[] {3, 4}, new long[] {4, 1}),
                        null,
                        gradients.tensor(24, new long[] {3, 4}, new long[] {4, 1}),
                        null));
    }

    @Test
    void anotherShapeLayerOrMemoryIsRefusedByNameAndChangesNothing() {
        StepPlan plan = net.optimizer.plan(net.tensors(), UpdateMode.WEIGHTS);
        net.observe();
        plan.step(1);
        byte[] state = net.optimizer.saveState();
        LayerTensors first = net.tensors().get(0);
        LayerTensors second = net.tensors().get(1);
        refused(() -> plan.rebind(null), "tensors");
        refused(() -> plan.rebind(List.of(first)), "1", "2, one for each layer");
        refused(() -> plan.rebind(List.of(second, first)), "tensors[0]", "1", "layer 0", "first");
        refused(() -> plan.rebind(Arrays.asList(first, null)), "tensors[1]", "null", "second");
        HostArray wrong = net.data.floats(4, 4);
        refused(() -> rebind(plan, second, 0, wrong), "weights", "first", "[4, 4]", "[4, 5]");
        refused(() -> rebind(plan, second, 1, wrong), "bias", "first", "[4, 4]", "[4]");
        refused(() -> rebind(plan, second, 2, wrong), "weightGradients", "first", "[4, 4]");
        refused(() -> rebind(plan, second, 3, wrong), "biasGradients", "first", "[4, 4]");
        refused(() -> rebind(plan, second, 0, null), "weights", "first", "null");
        refused(() -> rebind(plan, second, 1, null), "bias", "first", "null");
        // The same sizes in another order of the memory.
        NativeTensor turned = net.data.floats(5, 4).transpose();
        refused(() -> rebind(plan, second, 2, turned), "weightGradients", "[1, 4]", "[5, 1]");
        NativeTensor device = NativeTensor.at(MemoryKind.CUDA, 0, 64, 4, 5);
        refused(() -> rebind(plan, second, 2, device), "weightGradients", "CUDA:0", "HOST:0");
        NativeTensor third = NativeTensor.at(MemoryKind.HOST, 3, 64, 4, 5);
        refused(() -> rebind(plan, second, 2, third), "weightGradients", "HOST:3");
        LayerTensors biased = new LayerTensors(1, net.w1, net.b0, net.dw1, null);
        refused(() -> plan.rebind(List.of(first, biased)), "bias", "second", "no bias");
        // Native: what is written overlaps.
        refused(() -> rebind(plan, second, 0, net.dw0), "overlap");
        HostArray freed = net.data.floats(4, 5);
        freed.free();
        assertThatThrownBy(() -> rebind(plan, second, 2, freed)).hasMessageContaining("freed");
        assertThat(net.optimizer.saveState()).isEqualTo(state);
        // The plan still has its own tensors.
        Net other = new Net();
        StepPlan untouched = other.optimizer.plan(other.tensors(), UpdateMode.WEIGHTS);
        other.observe();
        untouched.step(1);
        plan.step(1);
        untouched.step(1);
        assertThat(net.weights()).usingRecursiveComparison().isEqualTo(other.weights());
        other.optimizer.close();
    }

    /** With one tensor of the first layer replaced. */
    private void rebind(StepPlan plan, LayerTensors second, int which, TensorView by) {
        List<TensorView> t = new ArrayList<>(List.of(net.w0, net.b0, net.dw0, net.db0));
        t.set(which, by);
        plan.rebind(List.of(new LayerTensors(0, t.get(0), t.get(1), t.get(2), t.get(3)), second));
    }

    /** One view may stand for arrays that come and go, if the rebind is told. */
    @Test
    void theSameViewsMayLieElsewhere() {
        StepPlan plan = net.optimizer.plan(net.tensors(), UpdateMode.WEIGHTS);
        net.observe();
        net.dw0.move();
        assertThatThrownBy(() -> plan.step(1)).hasMessageContainingAll("weightGradients", "moved");
        plan.rebind(net.tensors());
        plan.step(1);
        assertThat(net.optimizer.health(0).steps()).isEqualTo(1);
        assertThat(net.optimizer.health(0).skippedSteps()).isZero();
    }

    @Test
    void theStrideOfASingleRowDoesNotCount() {
        LngdOptions options = net.optimizer.options();
        LayerSpec row = LayerSpec.dense("row", 5, 1).bias(false);
        try (LngdOptimizer optimizer = LngdOptimizer.create(options, List.of(row))) {
            HostArray w = net.data.floats(1, 5);
            HostArray g = net.data.floats(1, 5);
            StepPlan plan =
                    optimizer.plan(
                            List.of(new LayerTensors(0, w, null, g, null)), UpdateMode.WEIGHTS);
            HostArray memory = net.data.floats(1, 5);
            long[] strides = {1, 1};
            NativeTensor other =
                    NativeTensor.strided(
                            MemoryKind.HOST, 0, memory.address(), memory.shape(), strides);
            plan.rebind(List.of(new LayerTensors(0, w, null, other, null)));
            plan.step(1);
            assertThat(memory.values()).hasSize(5); // still there
        }
    }

    @Test
    void aClosedPlanAndAClosedOptimizerAreRefused() {
        StepPlan plan = net.optimizer.plan(net.tensors(), UpdateMode.WEIGHTS);
        StepPlan open = net.optimizer.plan(net.tensors(), UpdateMode.WEIGHTS);
        plan.close();
        assertThatThrownBy(() -> plan.rebind(net.tensors()))
                .isInstanceOf(LngdHandleException.class)
                .hasMessageContaining("plan was closed");
        net.optimizer.close();
        for (List<LayerTensors> any :
                List.of(net.tensors(), Collections.<LayerTensors>emptyList())) {
            assertThatThrownBy(() -> open.rebind(any))
                    .isInstanceOf(LngdHandleException.class)
                    .hasMessageContaining("optimizer was closed");
        }
    }

    private static void refused(ThrowingCallable call, String... words) {
        assertThatThrownBy(call)
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContainingAll(words);
    }
}
