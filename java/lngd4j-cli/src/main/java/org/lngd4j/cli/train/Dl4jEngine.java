// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.IOException;
import java.nio.file.Path;
import org.lngd4j.cli.model.Dl4jNetwork;
import org.lngd4j.cli.model.ModelSpec;
import org.lngd4j.cli.model.Network;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Deeplearning4j. */
public final class Dl4jEngine implements Engine {
    @Override
    public void check(TrainSettings settings) {
        Methods.checkDevice(settings);
    }

    @Override
    public Network network(TrainSettings settings, ModelSpec spec, long totalSteps) {
        return spec.build(weightSeed(settings), Methods.updater(settings, totalSteps));
    }

    // ND4J takes the seed 0 as "none" and draws other weights every time.
    private static long weightSeed(TrainSettings settings) {
        return settings.seed() == 0 ? Long.MAX_VALUE : settings.seed();
    }

    @Override
    public TrainingMethod method(TrainSettings settings, Network net, long totalSteps) {
        return Methods.attach(settings, (Dl4jNetwork) net, totalSteps);
    }

    @Override
    public String modelFile() {
        return "model.zip";
    }

    @Override
    public void write(Path file, TrainSettings settings, ModelSpec spec, INDArray weights)
            throws IOException {
        ModelFile.write(file, spec, settings.seed(), Methods.plainUpdater(settings), weights);
    }
}
