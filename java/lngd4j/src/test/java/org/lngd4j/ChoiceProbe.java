// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.List;
import org.lngd4j.nativelib.LngdException;

/**
 * Main class of the JVMs of {@link DeviceChoiceTest}, whose environment has the emulator in the
 * place of the CUDA library: what AUTO and CUDA become, and what is said of it.
 */
final class ChoiceProbe {
    private ChoiceProbe() {}

    public static void main(String[] args) {
        LngdOptions auto = LngdOptions.recipe(10).build();
        DeviceChoice choice = DeviceChoice.of(auto);
        System.out.println("choice " + choice.device() + " reason " + choice.reason());
        for (int i = 0; i < 2; i++) {
            optimizer("auto", auto);
        }
        optimizer("cuda", LngdOptions.recipe(10).device(Device.CUDA).build());
        optimizer("cpu", LngdOptions.recipe(10).device(Device.CPU).build());
        System.out.println("info " + LngdInfo.current().toString().replace('\n', ' '));
    }

    private static void optimizer(String what, LngdOptions options) {
        List<LayerSpec> layers = List.of(LayerSpec.dense("only", 3, 2));
        try (LngdOptimizer optimizer = LngdOptimizer.create(options, layers)) {
            System.out.println(what + " runs on " + optimizer.device());
        } catch (LngdException e) {
            System.out.println(
                    what + " threw " + e.getClass().getSimpleName() + " " + e.getMessage());
        }
    }
}
