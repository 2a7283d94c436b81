// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.IOException;
import java.nio.file.Path;
import org.deeplearning4j.util.ModelSerializer;
import org.lngd4j.cli.model.Dl4jNetwork;
import org.lngd4j.cli.model.ImageModelSpec;
import org.lngd4j.cli.support.AtomicFile;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.learning.config.IUpdater;

/**
 * The delivered model: a DL4J zip that plain DL4J loads with {@code
 * ModelSerializer.restoreMultiLayerNetwork} (or {@code restoreComputationGraph}), without any class
 * of this project. So it is written from a fresh network with a stock updater, not from the trained
 * one.
 */
final class ModelFile {
    private ModelFile() {}

    static void write(Path file, ImageModelSpec spec, long seed, IUpdater updater, INDArray weights)
            throws IOException {
        Dl4jNetwork plain = spec.build(seed, updater);
        plain.params().assign(weights);
        AtomicFile.write(file, out -> ModelSerializer.writeModel(plain.model(), out, false));
    }
}
