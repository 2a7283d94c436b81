// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import org.lngd4j.cli.model.Dl4jNetwork;
import org.nd4j.linalg.learning.config.IUpdater;

/** Makes the {@link TrainingMethod} that the options ask for. */
public final class Methods {
    private Methods() {}

    /** Refuses a device that cannot be had, before anything is read or written. */
    static void checkDevice(TrainSettings settings) {
        if (settings.optimizer().family() == OptimizerKind.Family.LNGD) {
            LngdChoice.device(settings);
        }
    }

    /** The updater that the network is to be made with. */
    public static IUpdater updater(TrainSettings settings, long totalSteps) {
        return switch (settings.optimizer().family()) {
            case FIRST_ORDER -> FirstOrder.updater(settings, totalSteps);
            case LNGD -> LngdMethod.fallback(totalSteps);
        };
    }

    /** The stock updater that the delivered model carries. */
    static IUpdater plainUpdater(TrainSettings settings) {
        return switch (settings.optimizer().family()) {
            case FIRST_ORDER -> FirstOrder.plainUpdater(settings);
            case LNGD -> LngdMethod.plainUpdater();
        };
    }

    /**
     * The method that trains a network.
     *
     * @param net made with {@link #updater}
     */
    public static TrainingMethod attach(TrainSettings settings, Dl4jNetwork net, RunLength length) {
        return switch (settings.optimizer().family()) {
            case FIRST_ORDER -> new FirstOrder(net, settings, length.steps());
            case LNGD ->
                    new LngdMethod(
                            net,
                            LngdChoice.forDl4j(settings, net, length),
                            LngdChoice.device(settings));
        };
    }
}
