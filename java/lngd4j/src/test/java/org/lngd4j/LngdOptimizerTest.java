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
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdBusyException;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.LngdStateDataException;
import org.lngd4j.nativelib.LngdStateException;

/** Life and misuse of an optimizer. */
@Tag(TestDevice.TAG)
class LngdOptimizerTest {
    private final Net net =
            new Net(LngdOptions.recipe(100).statisticsInterval(1).inverseInterval(1));

    @AfterEach
    void close() {
        net.optimizer.close();
    }

    @Test
    void otherShapesAreRefusedByName() {
        TensorView scalar = new Scalar();
        refused(
                () ->
                        net.optimizer.observe(
                                0, HostArray.zeros(4, 6), net.s, Signal.PRE_ACTIVATIONS),
                "inputs",
                "[4, 6]",
                "5]");
        refused(
                () -> net.optimizer.observe(0, HostArray.zeros(20), net.s, Signal.PRE_ACTIVATIONS),
                "inputs",
                "[20]");
        refused(
                () ->
                        net.optimizer.observe(
                                0, HostArray.zeros(2, 2, 5), net.s, Signal.PRE_ACTIVATIONS),
                "inputs",
                "[2, 2, 5]");
        refused(
                () -> net.optimizer.observe(0, scalar, net.s, Signal.PRE_ACTIVATIONS),
                "inputs",
                "[]");
        refused(
                () ->
                        net.optimizer.observe(
                                0, net.a, HostArray.zeros(3, 3), Signal.PRE_ACTIVATIONS),
                "signal",
                "[3, 3]",
                "4");
        refused(() -> net.plan(net.w.transpose(), net.b), "weights", "[5, 3]");
        refused(() -> net.plan(net.w, HostArray.zeros(4)), "bias", "[4]");
        refused(() -> net.plan(net.w, HostArray.zeros(3, 3)), "bias", "[3, 3]");
        refused(() -> net.plan(net.w, null), "bias", "null");
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

    /** What an adapter throws for an array that was freed comes through, and nothing is changed. */
    @Test
    void aFreedTensorIsRefused() {
        HostArray a = net.a.dup();
        a.free();
        assertThatThrownBy(() -> net.optimizer.observe(0, a, net.s, Signal.PRE_ACTIVATIONS))
                .hasMessageContaining("freed");
        assertThat(net.optimizer.needsStatistics(0)).isTrue();
        HostArray owned = net.w.dup();
        StepPlan doomed = net.plan(owned, net.b);
        net.stepped(1);
        byte[] state = net.optimizer.saveState();
        owned.free();
        assertThatThrownBy(() -> doomed.step(1)).hasMessageContaining("freed");
        assertThatThrownBy(() -> doomed.replay(1)).hasMessageContaining("freed");
        assertThatThrownBy(doomed::swapAverages).hasMessageContaining("freed");
        assertThat(net.optimizer.saveState()).isEqualTo(state);
    }

    @Test
    void aTensorThatMovedIsRefusedByName() {
        HostArray w = net.w.dup();
        HostArray b = net.b.dup();
        StepPlan plan = net.plan(w, b);
        net.observed();
        plan.step(1);
        for (HostArray moved : List.of(w, b, net.g)) {
            moved.move();
        }
        for (ThrowingCallable call :
                List.<ThrowingCallable>of(
                        () -> plan.step(1), () -> plan.replay(1), plan::swapAverages)) {
            assertThatThrownBy(call)
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContainingAll("weights", "hidden", "moved", "rebind");
        }
        plan.refresh(); // looks at none of them
        plan.rebind(List.of(new LayerTensors(0, w, b, net.g, net.gb)));
        net.observed();
        plan.step(1);
        net.gb.move();
        assertThatThrownBy(() -> plan.step(1)).hasMessageContaining("biasGradients");
        plan.swapAverages(); // looks at no gradient
        plan.swapAverages();
    }

    @Test
    void afterCloseEverythingIsRefused() {
        StepPlan plan = net.plan(net.w, net.b);
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
                        () -> net.optimizer.write(0, Field.PSI, new float[3]),
                        () -> net.optimizer.fisherRows(0, 0, net.a, net.s, Signal.PRE_ACTIVATIONS),
                        () -> net.optimizer.stream(0),
                        net.optimizer::synchronize,
                        () -> net.optimizer.allocate(1),
                        () -> plan.step(1),
                        plan::refresh,
                        () -> plan.rebind(List.of(net.tensors)),
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
        StepPlan plan = net.plan(net.w, net.b);
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
    void averagesAreSwappedInAndBack() {
        StepPlan plan = net.plan(net.w, net.b);
        assertThat(plan.swapAverages()).isFalse();
        net.stepped(5);
        float[] now = net.w.values();
        float[] average = net.optimizer.read(0, Field.AVERAGE);
        assertThat(plan.swapAverages()).isTrue();
        float[] swapped = new float[15];
        for (int i = 0; i < 15; i++) {
            swapped[i] = average[i / 5 * 6 + i % 5]; // the sixth column is the bias
        }
        assertThat(net.w.values()).isEqualTo(swapped).isNotEqualTo(now);
        assertThatThrownBy(() -> plan.step(1)).isInstanceOf(LngdStateException.class);
        assertThatThrownBy(net.optimizer::saveState).isInstanceOf(LngdStateException.class);
        assertThat(plan.swapAverages()).isFalse();
        assertThat(net.w.values()).isEqualTo(now);
    }

    @Test
    void aRestoredRunHasTheSameBits() {
        Net other = new Net(LngdOptions.recipe(100).statisticsInterval(1).inverseInterval(1));
        net.stepped(4);
        other.stepped(4);
        byte[] state = net.optimizer.saveState();
        Net resumed = new Net(LngdOptions.recipe(100).statisticsInterval(1).inverseInterval(1));
        resumed.optimizer.restoreState(state);
        resumed.w.set(net.w.values());
        resumed.b.set(net.b.values());
        resumed.stepped(3);
        other.stepped(3);
        assertThat(resumed.w.values()).isEqualTo(other.w.values());
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
    void samplesAreAskedForAndChecked() {
        Net empirical = new Net(LngdOptions.recipeEmpirical(100));
        assertThat(empirical.optimizer.needsDeltas(0)).isTrue();
        assertThat(net.optimizer.needsDeltas(0)).isFalse();
        StepPlan plan = empirical.plan(empirical.w, empirical.b);
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

    /** A tensor without dimensions, which no layer takes. */
    private static final class Scalar implements TensorView {
        @Override
        public MemoryKind kind() {
            return MemoryKind.HOST;
        }

        @Override
        public int deviceIndex() {
            return 0;
        }

        @Override
        public long address() {
            return 64;
        }

        @Override
        public int rank() {
            return 0;
        }

        @Override
        public long size(int dimension) {
            throw new IndexOutOfBoundsException(dimension);
        }

        @Override
        public long stride(int dimension) {
            throw new IndexOutOfBoundsException(dimension);
        }
    }
}
