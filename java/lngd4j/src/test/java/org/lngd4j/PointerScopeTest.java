// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.Test;

/**
 * JavaCPP frees what was allocated in a {@code PointerScope} when the scope ends. Programs that use
 * PyTorch's presets have one open round each step, so nothing that an optimizer keeps may belong to
 * it.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
class PointerScopeTest {
    private static final int STEPS = 3;

    @Test
    void everyCallMayHaveAScopeOfItsOwn() {
        float[] without = train(false);
        assertThat(train(true)).containsExactly(without);
        assertThat(without).isNotEqualTo(random(1, 4, 3).values());
    }

    private static float[] train(boolean scoped) {
        LngdOptions options = LngdOptions.recipe(STEPS).device(Device.CPU).build();
        List<LayerSpec> layers =
                List.of(LayerSpec.dense("only", 3, 4).bias(false).output(OutputModel.SOFTMAX));
        HostArray w = random(1, 4, 3);
        HostArray g = random(2, 4, 3);
        HostArray a = random(3, 8, 3);
        HostArray s = random(4, 8, 4);
        Scoped run = new Scoped(scoped);
        LngdOptimizer[] optimizer = new LngdOptimizer[1];
        StepPlan[] plan = new StepPlan[1];
        List<LayerTensors> tensors = List.of(new LayerTensors(0, w, null, g, null));
        run.call(() -> optimizer[0] = LngdOptimizer.create(options, layers));
        run.call(() -> plan[0] = optimizer[0].plan(tensors, UpdateMode.WEIGHTS));
        for (int step = 0; step < STEPS; step++) {
            run.call(() -> assertThat(optimizer[0].needsDeltas(0)).isFalse());
            run.call(() -> optimizer[0].observe(0, a, s, Signal.PRE_ACTIVATIONS));
            run.call(() -> plan[0].rebind(tensors));
            run.call(() -> plan[0].step(1));
        }
        run.call(plan[0]::close);
        run.call(optimizer[0]::close);
        return w.values();
    }

    private static HostArray random(long seed, int rows, int columns) {
        Random random = new Random(seed);
        float[] values = new float[rows * columns];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return new HostArray(values, rows, columns);
    }

    private record Scoped(boolean scoped) {
        void call(Runnable action) {
            if (!scoped) {
                action.run();
                return;
            }
            try (PointerScope scope = new PointerScope()) {
                action.run();
            }
        }
    }
}
