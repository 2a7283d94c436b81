// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.List;

/** One layer with its arrays. */
final class Net {
    final HostArray a = new Data(1).floats(4, 5);
    final HostArray s = new Data(2).floats(4, 3);
    final HostArray w;
    final HostArray b;
    final HostArray g;
    final HostArray gb;
    final LayerTensors tensors;
    final LngdOptimizer optimizer;
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
        w = data.floats(3, 5);
        b = data.vector(3);
        g = data.floats(3, 5);
        gb = data.vector(3);
        tensors = new LayerTensors(0, w, b, g, gb);
    }

    StepPlan plan(TensorView weights, TensorView bias) {
        return optimizer.plan(
                List.of(new LayerTensors(0, weights, bias, g, gb)), UpdateMode.WEIGHTS);
    }

    void observed() {
        optimizer.observe(0, a, s, Signal.PRE_ACTIVATIONS);
    }

    void stepped(int steps) {
        if (plan == null) {
            plan = plan(w, b);
        }
        for (int i = 0; i < steps; i++) {
            observed();
            plan.step(1);
        }
    }
}
