// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.learning.config.Sgd;

/** Makes the {@link TrainingMethod} that the options ask for. */
final class Methods {
    private Methods() {}

    /** Refuses a device that cannot be had, before anything is read or written. */
    static void checkDevice(TrainSettings settings) {
        if (settings.optimizer() == OptimizerKind.LNGD) {
            LngdChoice.device(settings);
        }
    }

    /** The updater that the network is to be made with. */
    static IUpdater updater(TrainSettings settings, long totalSteps) {
        return settings.optimizer() == OptimizerKind.LNGD
                ? new Sgd()
                : FirstOrder.updater(settings, totalSteps);
    }

    /** The stock updater that the delivered model carries. */
    static IUpdater plainUpdater(TrainSettings settings) {
        return settings.optimizer() == OptimizerKind.LNGD
                ? new Sgd()
                : FirstOrder.plainUpdater(settings);
    }

    /**
     * @param net made with {@link #updater}
     */
    static TrainingMethod attach(TrainSettings settings, MultiLayerNetwork net, long totalSteps) {
        return switch (settings.optimizer()) {
            case ADAM, SGD -> new FirstOrder(net, settings);
            case LNGD ->
                    new LngdMethod(
                            net,
                            LngdChoice.options(settings, totalSteps),
                            LngdChoice.device(settings));
        };
    }
}
