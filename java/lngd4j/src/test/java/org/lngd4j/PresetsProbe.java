// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.List;
import org.bytedeco.cuda.cudart.CUstream_st;

/** Main class of the JVMs of {@link CudaPresetsTest}, with and without the presets' classes. */
final class PresetsProbe {
    private PresetsProbe() {}

    public static void main(String[] args) {
        System.out.println("presets " + CudaPresets.look());
        System.out.println(LngdInfo.current());
        try (LngdOptimizer optimizer =
                        LngdOptimizer.create(
                                LngdOptions.recipe(10).build(),
                                List.of(LayerSpec.dense("layer", 2, 2).bias(false)));
                DeviceBuffer w = optimizer.allocate(4);
                DeviceBuffer g = optimizer.allocate(4)) {
            optimizer.stream(0);
            w.write(1, 2, 3, 4);
            g.write(4, 3, 2, 1);
            NativeTensor tensor = w.tensor(2, 2);
            try (StepPlan plan =
                    optimizer.plan(
                            List.of(new LayerTensors(0, tensor, null, g.tensor(2, 2), null)),
                            UpdateMode.WEIGHTS)) {
                optimizer.observe(0, tensor, tensor, Signal.PRE_ACTIVATIONS);
                plan.refresh();
                plan.step(1);
                optimizer.synchronize();
            }
            System.out.println("moved " + (w.read(4)[0] != 1));
        }
        try {
            System.out.println("interop linked " + (CudaInterop.address(new CUstream_st()) == 0));
        } catch (NoClassDefFoundError e) {
            System.out.println("interop needs " + e.getMessage());
        }
    }
}
