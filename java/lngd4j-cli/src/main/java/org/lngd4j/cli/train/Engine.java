// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.IOException;
import java.nio.file.Path;
import org.lngd4j.cli.model.ImageModelSpec;
import org.lngd4j.cli.model.ImageNetwork;
import org.lngd4j.cli.model.ModelSpec;
import org.lngd4j.cli.model.Network;
import org.lngd4j.cli.model.TransformerSpec;
import org.lngd4j.cli.model.TranslationNetwork;
import org.nd4j.linalg.api.ndarray.INDArray;

/** What computes forward and backward passes: Deeplearning4j or PyTorch. */
public interface Engine {
    /** Refuses what this engine has not got, before anything is read or written. */
    void check(TrainSettings settings);

    /** A network for images with fresh weights. */
    ImageNetwork network(TrainSettings settings, ImageModelSpec spec, long totalSteps);

    /** A network for sentences with fresh weights. */
    TranslationNetwork translation(TrainSettings settings, TransformerSpec spec);

    /** The method that trains a network of this engine. */
    TrainingMethod method(TrainSettings settings, Network net, RunLength length);

    /** The file of the trained model in the run's folder. */
    String modelFile();

    /**
     * Writes the trained model, for users of the engine who have nothing of this project.
     *
     * @param weights what {@link Network#params} gave
     */
    void write(Path file, TrainSettings settings, ModelSpec spec, INDArray weights)
            throws IOException;
}
