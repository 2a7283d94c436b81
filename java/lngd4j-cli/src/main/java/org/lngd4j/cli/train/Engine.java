// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.IOException;
import java.nio.file.Path;
import org.lngd4j.cli.model.ModelSpec;
import org.lngd4j.cli.model.Network;
import org.nd4j.linalg.api.ndarray.INDArray;

/** What computes forward and backward passes: Deeplearning4j or PyTorch. */
public interface Engine {
    /** Refuses what this engine has not got, before anything is read or written. */
    void check(TrainSettings settings);

    /** A network with fresh weights. */
    Network network(TrainSettings settings, ModelSpec spec, long totalSteps);

    /** The method that trains a network of this engine. */
    TrainingMethod method(TrainSettings settings, Network net, long totalSteps);

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
