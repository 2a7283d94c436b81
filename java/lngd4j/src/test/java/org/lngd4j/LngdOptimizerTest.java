// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdBusyException;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.LngdStateDataException;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.executioner.OpExecutioner;
import org.nd4j.linalg.factory.Nd4j;

/** Life and misuse of an optimizer. */
@Tag(TestDevice.TAG)
class LngdOptimizerTest {
    private final Net net =
            new Net(LngdOptions.recipe(100).statisticsInterval(1).inverseInterval(1));

    @AfterEach
    void close() {
        net.optimizer.close();
    }

    @ParameterizedTest
    @EnumSource(
            value = DataType.class,
            names = {"DOUBLE", "HALF", "BFLOAT16", "INT", "LONG", "BYTE", "BOOL"})
    void otherTypesAreRefusedByName(DataType type) {
        INDArray other = Nd4j.zeros(4, 5).castTo(type);
        refused(
                () -> net.optimizer.observe(0, other, net.s, Signal.PRE_ACTIVATIONS),
                "inputs",
                "hidden",
                type.name());
        refused(
                () -> net.optimizer.observe(0, net.a, other, Signal.PRE_ACTIVATIONS),
                "signal",
                type.name(),
                "FLOAT");
        INDArray w = net.tensors.weights();
        refused(() -> net.plan(w.castTo(type), net.tensors.bias()), "weights", type.name());
        refused(() -> net.plan(w, Nd4j.zeros(3).castTo(type)), "bias", type.name());
    }

    @Test
    void otherShapesAreRefusedByName() {
        refused(
                () -> net.optimizer.observe(0, Nd4j.zeros(4, 6), net.s, Signal.PRE_ACTIVATIONS),
                "inputs",
                "[4, 6]",
                "5]");
        refused(
                () -> net.optimizer.observe(0, Nd4j.zeros(20), net.s, Signal.PRE_ACTIVATIONS),
                "inputs",
                "[20]");
        refused(
                () -> net.optimizer.observe(0, Nd4j.zeros(2, 2, 5), net.s, Signal.PRE_ACTIVATIONS),
                "inputs",
                "[2, 2, 5]");
        refused(
                () -> net.optimizer.observe(0, Nd4j.scalar(1f), net.s, Signal.PRE_ACTIVATIONS),
                "inputs",
                "[]");
        refused(
                () -> net.optimizer.observe(0, net.a, Nd4j.zeros(3, 3), Signal.PRE_ACTIVATIONS),
                "signal",
                "[3, 3]",
                "4");
        refused(
                () ->
                        net.optimizer.observe(
                                0, Nd4j.empty(DataType.FLOAT), net.s, Signal.PRE_ACTIVATIONS),
                "empty");
        refused(
                () -> net.plan(net.tensors.weights().transpose(), net.tensors.bias()),
                "weights",
                "[5, 3]");
        refused(() -> net.plan(net.tensors.weights(), Nd4j.zeros(4)), "bias", "[4]");
        refused(() -> net.plan(net.tensors.weights(), Nd4j.zeros(3, 3)), "bias", "[3, 3]");
        refused(() -> net.plan(net.tensors.weights(), null), "bias", "null");
    }

    @Test
    void nullsAndIndicesAreRefused() {
        refused(
                () -> net.optimizer.observe(0, null, net.s, Signal.PRE_ACTIVATIONS),
                "inputs",
                "null");
        refused(
                () -> net.optimizer.observe(0, net.a, null, Signal.PRE_ACTIVATIONS),
                "signal",
                "null");
        refused(() -> net.optimizer.observe(0, net.a, net.s, null), "kind");
        for (int layer : new int[] {-1, 1, Integer.MAX_VALUE}) {
            refused(
                    () -> net.optimizer.observe(layer, net.a, net.s, Signal.PRE_ACTIVATIONS),
                    "layer",
                    "" + layer);
            refused(() -> net.optimizer.health(layer), "layer", "" + layer);
            refused(() -> net.optimizer.read(layer, Field.PHI), "layer", "" + layer);
            refused(() -> net.optimizer.needsStatistics(layer), "layer", "" + layer);
        }
        refused(() -> net.optimizer.plan(null, UpdateMode.WEIGHTS), "tensors");
        refused(() -> net.optimizer.plan(List.of(), UpdateMode.WEIGHTS), "tensors", "empty");
        refused(
                () -> net.optimizer.plan(Arrays.asList((LayerTensors) null), UpdateMode.WEIGHTS),
                "tensors[0]");
        refused(() -> net.optimizer.plan(List.of(net.tensors), null), "mode");
        refused(() -> net.optimizer.restoreState(null), "state");
        refused(() -> net.optimizer.set(null, 1), "setting");
        refused(() -> LngdOptimizer.create(null, List.of()), "options");
        refused(() -> LngdOptimizer.create(net.optimizer.options(), null), "layers");
        refused(() -> LngdOptimizer.create(net.optimizer.options(), List.of()), "layers", "empty");
    }

    @Test
    void deviceArraysAreRefused() {
        refused(() -> Views.checkBackend(OpExecutioner.ExecutionerType.CUDA), "CUDA", "NATIVE_CPU");
    }

    @Test
    void aClosedArrayIsRefused() {
        INDArray a = net.a.dup();
        a.close();
        refused(
                () -> net.optimizer.observe(0, a, net.s, Signal.PRE_ACTIVATIONS),
                "inputs",
                "closed");
        StepPlan plan = net.plan(net.tensors.weights().dup(), net.tensors.bias());
        StepPlan doomed = net.planOfOwnArrays();
        plan.step(1);
        net.owned.close();
        assertThatThrownBy(() -> doomed.step(1))
                .isInstanceOf(LngdStateException.class)
                .hasMessageContaining("closed");
    }

    @Test
    void anArrayOfAClosedWorkspaceIsRefused() {
        INDArray leaked;
        try (MemoryWorkspace w = Nd4j.getWorkspaceManager().getAndActivateWorkspace("views")) {
            leaked = Nd4j.create(DataType.FLOAT, 4, 5);
            net.optimizer.observe(0, leaked, net.s, Signal.PRE_ACTIVATIONS);
            assertThat(w.isScopeActive()).isTrue();
        }
        refused(
                () -> net.optimizer.observe(0, leaked, net.s, Signal.PRE_ACTIVATIONS),
                "inputs",
                "workspace");
        Nd4j.getWorkspaceManager().destroyAllWorkspacesForCurrentThread();
    }

    @Test
    void afterCloseEverythingIsRefused() {
        StepPlan plan = net.plan(net.tensors.weights(), net.tensors.bias());
        byte[] state = net.optimizer.saveState();
        net.optimizer.close();
        net.optimizer.close();
        List<ThrowingCallable> calls =
                List.of(
                        () -> net.optimizer.observe(0, net.a, net.s, Signal.PRE_ACTIVATIONS),
                        () -> net.optimizer.needsStatistics(0),
                        () -> net.optimizer.needsDeltas(0),
                        () -> net.optimizer.plan(List.of(net.tensors), UpdateMode.WEIGHTS),
                        () -> net.optimizer.set(Setting.MOMENTUM, 0.5),
                        () -> net.optimizer.get(Setting.MOMENTUM),
                        () -> net.optimizer.health(0),
                        net.optimizer::memory,
                        net.optimizer::times,
                        net.optimizer::saveState,
                        () -> net.optimizer.restoreState(state),
                        () -> net.optimizer.read(0, Field.PHI),
                        () -> net.optimizer.write(0, Field.PSI, Nd4j.zeros(3)),
                        () -> net.optimizer.fisherRows(0, 0, net.a, net.s, Signal.PRE_ACTIVATIONS),
                        () -> net.optimizer.stream(0),
                        net.optimizer::synchronize,
                        () -> net.optimizer.allocate(1),
                        () -> plan.step(1),
                        plan::refresh,
                        () -> plan.replay(1),
                        plan::swapAverages);
        for (ThrowingCallable call : calls) {
            assertThatThrownBy(call)
                    .isInstanceOf(LngdHandleException.class)
                    .hasMessageContaining("closed");
        }
        plan.close();
        assertThat(net.optimizer.toString()).contains("hidden");
        assertThat(plan.toString()).contains("hidden", "closed");
    }

    @Test
    void aClosedPlanIsRefusedAndItsOptimizerLives() {
        StepPlan plan = net.plan(net.tensors.weights(), net.tensors.bias());
        plan.close();
        plan.close();
        assertThatThrownBy(() -> plan.step(1))
                .isInstanceOf(LngdHandleException.class)
                .hasMessageContaining("plan");
        net.stepped(1);
    }

    @Test
    void twoThreadsAreServedOrBusy() throws InterruptedException {
        AtomicInteger served = new AtomicInteger();
        List<Throwable> others = java.util.Collections.synchronizedList(new ArrayList<>());
        Runnable work =
                () -> {
                    for (int i = 0; i < 3000; i++) {
                        try {
                            net.optimizer.observe(0, net.a, net.s, Signal.PRE_ACTIVATIONS);
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
        net.stepped(1);
    }

    @Test
    void settingsChangeAndAreChecked() {
        net.optimizer.set(Setting.MOMENTUM, 0.25);
        assertThat(net.optimizer.get(Setting.MOMENTUM)).isEqualTo(0.25);
        refused(() -> net.optimizer.set(Setting.MOMENTUM, 1), "momentum", "1");
        refused(() -> net.optimizer.set(Setting.INVERSE_INTERVAL, 0.5), "inverse_interval");
        assertThat(net.optimizer.get(Setting.MOMENTUM)).isEqualTo(0.25);
    }

    @Test
    void reportsTellWhatHappened() {
        net.stepped(3);
        LayerHealth health = net.optimizer.health(0);
        assertThat(health.steps()).isEqualTo(3);
        assertThat(health.statisticsUpdates()).isEqualTo(3);
        assertThat(health.inverseUpdates()).isEqualTo(3);
        assertThat(health.skippedSteps()).isZero();
        assertThat(health.lastFailedBlock()).isEqualTo(-1);
        assertThat(health.precision())
                .isEqualTo(TestDevice.get() == Device.CPU ? Precision.FP32 : Precision.TF32X3);
        assertThat(health.weightNorm()).isPositive();
        MemoryReport memory = net.optimizer.memory();
        assertThat(memory.total())
                .isEqualTo(
                        memory.factors()
                                + memory.inverses()
                                + memory.momentum()
                                + memory.averages()
                                + memory.workspace());
        KernelTimes times = net.optimizer.times();
        assertThat(times.statistics()).isPositive();
        assertThat(times.total()).isGreaterThan(times.statistics());
    }

    @Test
    void averagesAreSwappedInAndBack() {
        StepPlan plan = net.plan(net.tensors.weights(), net.tensors.bias());
        assertThat(plan.swapAverages()).isFalse();
        net.stepped(5);
        INDArray now = net.tensors.weights().dup();
        INDArray average = net.optimizer.read(0, Field.AVERAGE);
        assertThat(plan.swapAverages()).isTrue();
        float[] swapped = Data.bits(Data.columns(average.toDoubleMatrix(), 0, 5));
        assertThat(Data.bits(net.tensors.weights()))
                .isEqualTo(swapped)
                .isNotEqualTo(Data.bits(now));
        assertThatThrownBy(() -> plan.step(1)).isInstanceOf(LngdStateException.class);
        assertThatThrownBy(net.optimizer::saveState).isInstanceOf(LngdStateException.class);
        assertThat(plan.swapAverages()).isFalse();
        assertThat(Data.bits(net.tensors.weights())).isEqualTo(Data.bits(now));
    }

    @Test
    void aRestoredRunHasTheSameBits() {
        Net other = new Net(LngdOptions.recipe(100).statisticsInterval(1).inverseInterval(1));
        net.stepped(4);
        other.stepped(4);
        byte[] state = net.optimizer.saveState();
        Net resumed = new Net(LngdOptions.recipe(100).statisticsInterval(1).inverseInterval(1));
        resumed.optimizer.restoreState(state);
        resumed.tensors.weights().assign(net.tensors.weights());
        resumed.tensors.bias().assign(net.tensors.bias());
        resumed.stepped(3);
        other.stepped(3);
        assertThat(Data.bits(resumed.tensors.weights()))
                .isEqualTo(Data.bits(other.tensors.weights()));
        assertThat(resumed.optimizer.saveState()).isEqualTo(other.optimizer.saveState());
        byte[] spoiled = state.clone();
        spoiled[spoiled.length / 2] ^= 4;
        for (byte[] bad : List.of(new byte[0], Arrays.copyOf(state, state.length - 1), spoiled)) {
            assertThatThrownBy(() -> resumed.optimizer.restoreState(bad))
                    .isInstanceOf(LngdStateDataException.class);
        }
        assertThat(resumed.optimizer.saveState()).isEqualTo(other.optimizer.saveState());
        other.optimizer.close();
        resumed.optimizer.close();
    }

    @Test
    void schedulesReachTheLibrary() {
        Net scheduled =
                new Net(
                        LngdOptions.recipe(100)
                                .schedule(Schedule.linear(10))
                                .dampingSchedule((step, epoch) -> 1 + epoch)
                                .statisticsIntervalSchedule((step, epoch) -> 3.2 + step)
                                .inverseIntervalSchedule(Schedule.constant(8)));
        assertThat(scheduled.optimizer.schedule(5, 2)).isEqualTo(0.5);
        assertThat(scheduled.optimizer.get(Setting.DAMPING_FACTOR)).isEqualTo(3);
        assertThat(scheduled.optimizer.get(Setting.STATISTICS_INTERVAL)).isEqualTo(8);
        assertThat(scheduled.optimizer.get(Setting.INVERSE_INTERVAL)).isEqualTo(8);
        assertThat(scheduled.optimizer.schedule(6, 0)).isEqualTo(0.4);
        assertThat(scheduled.optimizer.get(Setting.DAMPING_FACTOR)).isEqualTo(1);
        scheduled.optimizer.close();
    }

    @Test
    void samplingIsKeyedBySeed() {
        float[][] phi = new float[3][];
        long[] seeds = {1, 1, 2};
        for (int i = 0; i < 3; i++) {
            Net sampled = new Net(LngdOptions.recipe(100).fisher(Fisher.SAMPLED).seed(seeds[i]));
            sampled.stepped(1);
            phi[i] = Data.bits(sampled.optimizer.read(0, Field.PHI));
            sampled.optimizer.close();
        }
        assertThat(phi[1]).isEqualTo(phi[0]);
        assertThat(phi[2]).isNotEqualTo(phi[0]);
    }

    @Test
    void samplesAreAskedForAndChecked() {
        Net empirical = new Net(LngdOptions.recipeEmpirical(100));
        assertThat(empirical.optimizer.needsDeltas(0)).isTrue();
        assertThat(net.optimizer.needsDeltas(0)).isFalse();
        StepPlan plan = empirical.plan(empirical.tensors.weights(), empirical.tensors.bias());
        empirical.optimizer.observe(0, net.a, net.s, Signal.PRE_ACTIVATIONS);
        refused(() -> plan.step(1), "samples");
        refused(() -> plan.step(1, null), "data");
        refused(() -> plan.step(1, List.of()), "0", "1");
        refused(() -> plan.step(1, List.of(new LayerSamples(net.a, net.a))), "deltas", "[4, 5]");
        refused(() -> plan.step(1, List.of(new LayerSamples(null, net.s))), "inputs", "null");
        refused(() -> plan.step(Double.NaN, List.of(new LayerSamples(net.a, net.s))), "factor");
        plan.step(1, List.of(new LayerSamples(net.a, net.s)));
        empirical.optimizer.close();
    }

    private static void refused(ThrowingCallable call, String... words) {
        assertThatThrownBy(call)
                .isInstanceOf(LngdArgumentException.class)
                .hasMessageContainingAll(words);
    }

    /** One layer with its arrays. */
    static final class Net {
        final INDArray a = new Data(1).floats(4, 5);
        final INDArray s = new Data(2).floats(4, 3);
        final LayerTensors tensors;
        final LngdOptimizer optimizer;
        INDArray owned;
        private StepPlan plan;

        Net(LngdOptions.Builder options) {
            optimizer =
                    LngdOptimizer.create(
                            options.device(TestDevice.get())
                                    .threads(1)
                                    .precision(Precision.TF32X3)
                                    .build(),
                            List.of(LayerSpec.dense("hidden", 5, 3).activation(Activation.TANH)));
            Data data = new Data(3);
            tensors =
                    new LayerTensors(
                            0,
                            data.floats(3, 5),
                            data.vector(3),
                            data.floats(3, 5),
                            data.vector(3));
        }

        StepPlan plan(INDArray weights, INDArray bias) {
            return optimizer.plan(
                    List.of(
                            new LayerTensors(
                                    0,
                                    weights,
                                    bias,
                                    tensors.weightGradients(),
                                    tensors.biasGradients())),
                    UpdateMode.WEIGHTS);
        }

        StepPlan planOfOwnArrays() {
            owned = tensors.weights().dup();
            return plan(owned, tensors.bias());
        }

        void stepped(int steps) {
            if (plan == null) {
                plan = plan(tensors.weights(), tensors.bias());
            }
            for (int i = 0; i < steps; i++) {
                optimizer.observe(0, a, s, Signal.PRE_ACTIVATIONS);
                plan.step(1);
            }
        }
    }
}
