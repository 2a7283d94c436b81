// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.lngd4j.cli.model.MlpSpec;

/** What is trained, by what, and where to: the parts of a run that its stages share. */
record Job(
        TrainSettings settings,
        MlpSpec spec,
        MultiLayerNetwork net,
        TrainingMethod method,
        RunFolder folder) {}
