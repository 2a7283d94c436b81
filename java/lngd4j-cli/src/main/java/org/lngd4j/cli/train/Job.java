// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import org.lngd4j.cli.model.ModelSpec;
import org.lngd4j.cli.model.Network;

/** What is trained, by what, and where to: the parts of a run that its stages share. */
record Job(
        TrainSettings settings,
        ModelSpec spec,
        Network net,
        TrainingMethod method,
        RunFolder folder) {}
