// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli;

import org.lngd4j.cli.pytorch.TorchEngine;
import org.lngd4j.cli.train.Dl4jEngine;
import org.lngd4j.cli.train.Engine;
import org.lngd4j.cli.train.TrainSettings;

/** The engines of {@code --engine}. */
public final class Engines {
    private Engines() {}

    /** The engine of a run; DL4J where nothing was said. */
    public static Engine of(TrainSettings settings) {
        return "pytorch".equals(settings.engine()) ? new TorchEngine() : new Dl4jEngine();
    }
}
