// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli;

import org.lngd4j.cli.model.TransformerSpec;
import org.lngd4j.cli.pytorch.TorchEngine;
import org.lngd4j.cli.train.Dl4jEngine;
import org.lngd4j.cli.train.Engine;
import org.lngd4j.cli.train.TrainSettings;

/** The engines of {@code --engine}. */
public final class Engines {
    private Engines() {}

    /**
     * The engine where none is named: PyTorch for what Deeplearning4j has not got, otherwise
     * Deeplearning4j, whose natives are there.
     *
     * @param named the value of {@code --engine}, or null
     * @param model the value of {@code --model}
     * @return null for Deeplearning4j where it was not named
     */
    public static String fitting(String named, String model) {
        if (!TransformerSpec.isName(model)) {
            return named;
        }
        if ("dl4j".equals(named)) {
            throw CliException.badInput(
                    "--model "
                            + model
                            + " is not there with --engine dl4j, only with pytorch, its default");
        }
        return named == null ? "pytorch" : named;
    }

    /** The engine of a run; DL4J where nothing was said. */
    public static Engine of(TrainSettings settings) {
        return "pytorch".equals(settings.engine()) ? new TorchEngine() : new Dl4jEngine();
    }
}
