// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.util.Locale;

/** What {@code --optimizer} can be. */
public enum OptimizerKind {
    /** The layer-wise natural gradient. */
    LNGD,
    /** DL4J's Adam. */
    ADAM,
    /** DL4J's SGD with (Nesterov's) momentum: it has no other. */
    SGD;

    /** The name on the command line. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
