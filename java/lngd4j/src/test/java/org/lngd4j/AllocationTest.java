// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A training loop of observe, rebind and step allocates nothing on the Java heap. */
class AllocationTest {
    private static final int WARM_UP = 3000;
    private static final int STEPS = 2000;
    private static final int ROUNDS = 5;

    @Test
    void observeRebindAndStepAllocateNothing() {
        assertThat(allocatedBy(LngdOptions.recipe(10_000))).isZero();
    }

    @Test
    void stepsWithSamplesAllocateNothing() {
        assertThat(allocatedBy(LngdOptions.recipeEmpirical(10_000))).isZero();
    }

    @Test
    void schedulesAllocateNothing() {
        assertThat(
                        allocatedBy(
                                LngdOptions.recipe(10_000)
                                        .dampingSchedule(Schedule.cosine(40_000))
                                        .statisticsIntervalSchedule(Schedule.constant(3))))
                .isZero();
    }

    /**
     * Bytes that {@value #STEPS} steps allocate in this thread, of which nothing is rounded away:
     * the least of {@value #ROUNDS} rounds. What a step allocates shows in every round; what the
     * JVM allocates in this thread once, when it links a class or a call site late, in one.
     */
    private static long allocatedBy(LngdOptions.Builder options) {
        List<LayerSpec> layers =
                List.of(
                        LayerSpec.dense("first", 8, 6),
                        LayerSpec.dense("second", 6, 4).activation(Activation.TANH),
                        LayerSpec.dense("last", 4, 3).output(OutputModel.SOFTMAX));
        Data data = new Data(1);
        List<LayerTensors> tensors = new ArrayList<>();
        List<LayerTensors> moved = new ArrayList<>(); // the same weights, other gradients
        List<LayerSamples> samples = new ArrayList<>();
        TensorView[] signals = new TensorView[layers.size()];
        for (int i = 0; i < signals.length; i++) {
            LayerSpec l = layers.get(i);
            TensorView weights = data.floats(l.outputs(), l.inputs());
            TensorView bias = data.vector(l.outputs());
            for (List<LayerTensors> list : List.of(tensors, moved)) {
                TensorView gradients = data.floats(l.outputs(), l.inputs());
                list.add(new LayerTensors(i, weights, bias, gradients, data.vector(l.outputs())));
            }
            signals[i] = data.floats(5, l.outputs());
            samples.add(new LayerSamples(data.floats(5, l.inputs()), data.floats(5, l.outputs())));
        }
        List<List<LayerTensors>> both = List.of(tensors, moved);
        try (LngdOptimizer optimizer =
                        LngdOptimizer.create(
                                options.device(TestDevice.get())
                                        .threads(1)
                                        .statisticsInterval(2)
                                        .build(),
                                layers);
                StepPlan plan = optimizer.plan(tensors, UpdateMode.WEIGHTS)) {
            run(optimizer, plan, both, samples, signals, 0, WARM_UP);
            ThreadMXBean bean = (ThreadMXBean) ManagementFactory.getThreadMXBean();
            long thread = Thread.currentThread().getId();
            // The bean's own first call allocates.
            bean.getThreadAllocatedBytes(thread);
            long least = Long.MAX_VALUE;
            for (int round = 0; round < ROUNDS; round++) {
                int start = WARM_UP + round * STEPS;
                long before = bean.getThreadAllocatedBytes(thread);
                run(optimizer, plan, both, samples, signals, start, start + STEPS);
                least = Math.min(least, bean.getThreadAllocatedBytes(thread) - before);
            }
            return least;
        }
    }

    private static void run(
            LngdOptimizer optimizer,
            StepPlan plan,
            List<List<LayerTensors>> tensors,
            List<LayerSamples> samples,
            TensorView[] signals,
            int from,
            int to) {
        for (int t = from; t < to; t++) {
            boolean deltas = false;
            for (int i = 0; i < signals.length; i++) {
                if (optimizer.needsStatistics(i)) {
                    optimizer.observe(
                            i, samples.get(i).inputs(), signals[i], Signal.PRE_ACTIVATIONS);
                }
                deltas |= optimizer.needsDeltas(i);
            }
            plan.rebind(tensors.get(t % 2));
            double factor = optimizer.schedule(t, 0);
            if (deltas) {
                plan.step(factor, samples);
            } else {
                plan.step(factor);
            }
        }
    }
}
