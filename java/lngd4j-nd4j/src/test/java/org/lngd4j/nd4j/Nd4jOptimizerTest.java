// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.nd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lngd4j.Activation;
import org.lngd4j.Field;
import org.lngd4j.LayerSpec;
import org.lngd4j.LayerTensors;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.LngdOptions;
import org.lngd4j.Precision;
import org.lngd4j.Signal;
import org.lngd4j.StepPlan;
import org.lngd4j.UpdateMode;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdBusyException;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.executioner.OpExecutioner;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;

/** What is not every array: types, closed ones, workspaces, threads. */
@Tag(TestDevice.TAG)
class Nd4jOptimizerTest {
    private final INDArray a = new Data(1).floats(4, 5);
    private final INDArray s = new Data(2).floats(4, 3);
    private final INDArray w = new Data(3).floats(3, 5);
    private final INDArray b = new Data(4).vector(3);
    private final INDArray g = new Data(5).floats(3, 5);
    private final INDArray gb = new Data(6).vector(3);
    private final Nd4jOptimizer optimizer =
            Nd4jOptimizer.create(
                    LngdOptions.recipe(100)
                            .statisticsInterval(1)
                            .inverseInterval(1)
                            .device(TestDevice.get())
                            .threads(1)
                            .precision(Precision.TF32X3)
                            .build(),
                    List.of(LayerSpec.dense("hidden", 5, 3).activation(Activation.TANH)));
    private final LngdOptimizer core = optimizer.core();

    @AfterEach
    void close() {
        core.close();
    }

    private void observe(INDArray inputs, INDArray signal) {
        optimizer.observe(0, inputs, signal, Signal.PRE_ACTIVATIONS);
    }

    private StepPlan plan(INDArray weights, INDArray bias) {
        LayerTensors tensors = optimizer.tensors(0, weights, bias, g, gb);
        return core.plan(List.of(tensors), UpdateMode.WEIGHTS);
    }

    @ParameterizedTest
    @EnumSource(
            value = DataType.class,
            names = {"DOUBLE", "HALF", "BFLOAT16", "INT", "LONG", "BYTE", "BOOL"})
    void otherTypesAreRefusedByName(DataType type) {
        INDArray other = Nd4j.zeros(4, 5).castTo(type);
        refused(() -> observe(other, s), "inputs", "hidden", type.name());
        refused(() -> observe(a, other), "signal", "hidden", type.name(), "FLOAT");
        refused(() -> plan(w.castTo(type), b), "weights", "hidden", type.name());
        refused(() -> plan(w, Nd4j.zeros(3).castTo(type)), "bias", type.name());
        refused(() -> optimizer.samples(0, other, s), "inputs of the samples", type.name());
        refused(() -> optimizer.write(0, Field.PSI, Nd4j.zeros(3).castTo(type)), "values");
    }

    @Test
    void otherShapesAreRefusedByName() {
        refused(() -> observe(Nd4j.zeros(4, 6), s), "inputs", "hidden", "[4, 6]", "5]");
        refused(() -> observe(Nd4j.zeros(20), s), "inputs", "[20]");
        refused(() -> observe(Nd4j.zeros(2, 2, 5), s), "inputs", "[2, 2, 5]");
        refused(() -> observe(Nd4j.scalar(1f), s), "inputs", "[]");
        refused(() -> observe(a, Nd4j.zeros(3, 3)), "signal", "[3, 3]", "4");
        refused(() -> observe(Nd4j.empty(DataType.FLOAT), s), "inputs", "empty");
        refused(() -> plan(w.transpose(), b), "weights", "[5, 3]");
        refused(() -> plan(w, Nd4j.zeros(4)), "bias", "[4]");
        refused(() -> plan(w, Nd4j.zeros(1, 4)), "bias", "[4]");
        refused(() -> plan(w, Nd4j.zeros(3, 3)), "bias", "[3, 3]");
        refused(() -> plan(w, null), "bias", "null");
        refused(() -> plan(null, b), "weights", "null");
        refused(() -> optimizer.write(0, Field.PSI, Nd4j.zeros(4)), "values", "[4]", "[3]", "PSI");
        refused(() -> optimizer.write(0, Field.MOMENTUM, Nd4j.zeros(18)), "[18]", "[3, 6]");
        refused(() -> observe(null, s), "inputs", "null");
        refused(() -> observe(a, null), "signal", "null");
        refused(() -> optimizer.observe(0, a, s, null), "kind");
        refused(() -> optimizer.observe(1, a, s, Signal.PRE_ACTIVATIONS), "layer", "1");
        refused(() -> optimizer.tensors(-1, w, b, g, gb), "layer", "-1");
        refused(() -> optimizer.read(9, Field.PHI), "layer", "9");
        // None of them has left anything behind.
        assertThat(core.needsStatistics(0)).isTrue();
        observe(a, s);
        plan(w, b).step(1);
        assertThat(core.health(0).statisticsUpdates()).isEqualTo(1);
    }

    @Test
    void deviceArraysAreRefused() {
        refused(
                () -> Nd4jTensor.checkBackend(OpExecutioner.ExecutionerType.CUDA),
                "CUDA",
                "NATIVE_CPU");
    }

    @Test
    void aClosedArrayIsRefused() {
        INDArray closed = a.dup();
        closed.close();
        refused(() -> observe(closed, s), "inputs", "hidden", "closed");
        INDArray owned = w.dup();
        StepPlan doomed = plan(owned, b);
        observe(a, s);
        doomed.step(1);
        owned.close();
        assertThatThrownBy(() -> doomed.step(1))
                .isInstanceOf(LngdStateException.class)
                .hasMessageContainingAll("weights", "hidden", "closed");
    }

    /** Other data under the same array: what the native plan has is no longer the array's. */
    @Test
    void anArrayWhoseDataWereExchangedIsRefused() {
        INDArray owned = w.dup();
        StepPlan plan = plan(owned, b);
        observe(a, s);
        plan.step(1);
        owned.setData(w.dup().data());
        assertThatThrownBy(() -> plan.step(1))
                .isInstanceOf(LngdStateException.class)
                .hasMessageContainingAll("weights", "hidden", "moved");
    }

    @Test
    void anArrayOfAClosedWorkspaceIsRefused() {
        INDArray leaked;
        StepPlan plan;
        try (MemoryWorkspace scope = Nd4j.getWorkspaceManager().getAndActivateWorkspace("views")) {
            leaked = Nd4j.create(DataType.FLOAT, 4, 5);
            observe(leaked, s);
            plan = plan(Nd4j.create(DataType.FLOAT, 3, 5), b);
            plan.step(1);
            assertThat(scope.isScopeActive()).isTrue();
            assertThat(optimizer.read(0, Field.DIRECTION).isAttached()).isFalse();
        }
        refused(() -> observe(leaked, s), "inputs", "workspace");
        assertThatThrownBy(() -> plan.step(1))
                .isInstanceOf(LngdStateException.class)
                .hasMessageContainingAll("weights", "workspace");
        Nd4j.getWorkspaceManager().destroyAllWorkspacesForCurrentThread();
    }

    @Test
    void aViewCanBePointedAtAnotherArray() {
        Nd4jTensor view = new Nd4jTensor("bias", true);
        assertThatThrownBy(view::address).isInstanceOf(LngdStateException.class);
        for (INDArray vector : List.of(b, b.dup().reshape(1, 3), b.dup().reshape(3, 1))) {
            view.point(vector);
            assertThat(view.rank()).isEqualTo(1);
            assertThat(view.size(0)).isEqualTo(3);
            assertThat(view.stride(0)).isEqualTo(1);
            assertThat(view.address()).isEqualTo(vector.data().address());
        }
        INDArray column = a.get(NDArrayIndex.all(), NDArrayIndex.interval(2, 3));
        view.point(column);
        assertThat(view.stride(0)).isEqualTo(5);
        assertThat(view.address()).isEqualTo(a.data().address() + 2 * Float.BYTES);
        view.point(column.transpose());
        assertThat(view.size(0)).isEqualTo(4);
        assertThat(view.stride(0)).isEqualTo(5);
        view.point(column);
        refused(() -> view.point(Nd4j.zeros(DataType.DOUBLE, 3)), "bias", "DOUBLE");
        assertThat(view.get()).isSameAs(column);
        assertThat(view.point(w).rank()).isEqualTo(2);
    }

    @Test
    void fieldsComeBackAsArrays() {
        observe(a, s);
        plan(w, b).step(1);
        INDArray momentum = optimizer.read(0, Field.MOMENTUM);
        assertThat(momentum.dataType()).isEqualTo(DataType.FLOAT);
        assertThat(momentum.ordering()).isEqualTo('c');
        assertThat(momentum.shape()).containsExactly(3, 6);
        assertThat(Data.bits(momentum)).isEqualTo(core.read(0, Field.MOMENTUM));
        optimizer.write(0, Field.PSI, Nd4j.createFromArray(new float[][] {{1}, {2}, {3}}));
        assertThat(core.read(0, Field.PSI)).containsExactly(1, 2, 3);
    }

    @Test
    void afterCloseEverythingIsRefused() {
        core.close();
        for (ThrowingCallable call :
                List.<ThrowingCallable>of(
                        () -> observe(a, s),
                        () -> optimizer.read(0, Field.PHI),
                        () -> optimizer.write(0, Field.PSI, Nd4j.zeros(3)),
                        () -> optimizer.fisherRows(0, 0, a, s, Signal.PRE_ACTIVATIONS))) {
            assertThatThrownBy(call).isInstanceOf(LngdHandleException.class);
        }
    }

    @Test
    void twoThreadsAreServedOrBusy() throws InterruptedException {
        AtomicInteger served = new AtomicInteger();
        List<Throwable> others = Collections.synchronizedList(new ArrayList<>());
        Runnable work =
                () -> {
                    for (int i = 0; i < 3000; i++) {
                        try {
                            observe(a, s);
                            served.incrementAndGet();
                        } catch (LngdBusyException e) {
                            // Allowed: the other thread is inside.
                        } catch (RuntimeException e) {
                            others.add(e);
                        }
                    }
                };
        List<Thread> threads = List.of(new Thread(work), new Thread(work));
        threads.forEach(Thread::start);
        for (Thread thread : threads) {
            thread.join();
        }
        assertThat(others).isEmpty();
        assertThat(served.get()).isPositive();
        plan(w, b).step(1);
    }

    private static void refused(ThrowingCallable call, String... words) {
        assertThatThrownBy(call)
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContainingAll(words);
    }
}
