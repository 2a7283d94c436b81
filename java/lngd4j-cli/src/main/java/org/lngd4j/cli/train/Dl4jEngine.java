// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.IOException;
import java.nio.file.Path;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.model.Dl4jNetwork;
import org.lngd4j.cli.model.ImageModelSpec;
import org.lngd4j.cli.model.ImageNetwork;
import org.lngd4j.cli.model.ModelSpec;
import org.lngd4j.cli.model.Network;
import org.lngd4j.cli.model.TransformerSpec;
import org.lngd4j.cli.model.TranslationNetwork;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Deeplearning4j. */
public final class Dl4jEngine implements Engine {
    @Override
    public void check(TrainSettings settings) {
        Methods.checkDevice(settings);
    }

    @Override
    public ImageNetwork network(TrainSettings settings, ImageModelSpec spec, long totalSteps) {
        return spec.build(weightSeed(settings), Methods.updater(settings, totalSteps));
    }

    @Override
    public TranslationNetwork translation(TrainSettings settings, TransformerSpec spec) {
        throw CliException.badInput(
                "--model "
                        + settings.model()
                        + " is not there with --engine dl4j, only with pytorch, its default");
    }

    // ND4J takes the seed 0 as "none" and draws other weights every time.
    private static long weightSeed(TrainSettings settings) {
        return settings.seed() == 0 ? Long.MAX_VALUE : settings.seed();
    }

    @Override
    public TrainingMethod method(TrainSettings settings, Network net, RunLength length) {
        return Methods.attach(settings, (Dl4jNetwork) net, length);
    }

    @Override
    public String modelFile() {
        return "model.zip";
    }

    @Override
    public void write(Path file, TrainSettings settings, ModelSpec spec, INDArray weights)
            throws IOException {
        ModelFile.write(
                file,
                (ImageModelSpec) spec,
                settings.seed(),
                Methods.plainUpdater(settings),
                weights);
    }
}
