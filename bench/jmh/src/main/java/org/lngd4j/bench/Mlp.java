// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.bench;

import java.util.ArrayList;
import java.util.List;
import org.lngd4j.Activation;
import org.lngd4j.LayerSpec;
import org.lngd4j.LayerTensors;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;
import org.lngd4j.Signal;
import org.lngd4j.StepPlan;
import org.lngd4j.UpdateMode;
import org.lngd4j.nd4j.Nd4jOptimizer;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** The layers of a fully connected network with random data in them, and one optimizer over all. */
final class Mlp implements AutoCloseable {
    final LngdOptimizer optimizer;
    private final Nd4jOptimizer arrays;
    final StepPlan plan;
    private final INDArray[] inputs;
    private final INDArray[] signals;

    /**
     * widths: the input's, then the output's of each layer; weights as DL4J keeps them ([nIn,
     * nOut], 'f').
     */
    Mlp(LngdOptions options, int batch, int... widths) {
        Nd4j.getRandom().setSeed(1);
        int count = widths.length - 1;
        List<LayerSpec> specs = new ArrayList<>();
        List<INDArray[]> tensors = new ArrayList<>();
        inputs = new INDArray[count];
        signals = new INDArray[count];
        for (int i = 0; i < count; i++) {
            int in = widths[i];
            int out = widths[i + 1];
            boolean last = i == count - 1;
            LayerSpec spec =
                    LayerSpec.dense("layer" + i, in, out)
                            .activation(last ? Activation.IDENTITY : Activation.RELU);
            specs.add(last ? spec.output(OutputModel.SOFTMAX) : spec);
            tensors.add(
                    new INDArray[] {
                        Nd4j.randn('f', in, out).muli(0.05).transpose(),
                        Nd4j.zeros(out),
                        Nd4j.randn('f', in, out).muli(0.01).transpose(),
                        Nd4j.randn(new long[] {out}).muli(0.01)
                    });
            inputs[i] = Nd4j.randn('c', batch, in);
            signals[i] = Nd4j.randn('c', batch, out);
        }
        arrays = Nd4jOptimizer.create(options, specs);
        optimizer = arrays.core();
        List<LayerTensors> bound = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            INDArray[] t = tensors.get(i);
            bound.add(arrays.tensors(i, t[0], t[1], t[2], t[3]));
        }
        plan = optimizer.plan(bound, UpdateMode.WEIGHTS);
    }

    /**
     * What a training loop calls for one step: observe where the library asks, then step. The
     * gradient stays the same, so the schedule's factor is tiny: at 1, thousands of steps one way
     * would let the weights overflow.
     */
    void step() {
        for (int i = 0; i < inputs.length; i++) {
            if (optimizer.needsStatistics(i)) {
                arrays.observe(i, inputs[i], signals[i], Signal.PRE_ACTIVATIONS);
            }
        }
        plan.step(1e-6);
    }

    @Override
    public void close() {
        optimizer.close();
    }
}
