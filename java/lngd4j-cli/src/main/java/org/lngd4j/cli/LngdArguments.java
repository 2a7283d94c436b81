// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli;

import org.lngd4j.cli.train.LngdSettings;
import picocli.CommandLine.Option;

/** The options of {@code lngd train} that are {@link LngdSettings}. */
final class LngdArguments {
    @Option(
            names = "--second-block-size",
            paramLabel = "N",
            description = "KFAC: largest diagonal block of the second factor; 0: full.")
    private Integer secondBlockSize;

    @Option(
            names = "--damping-scope",
            paramLabel = "block|layer",
            description = "Relative damping by the mean of a block (default) or of the layer.")
    private String dampingScope;

    @Option(
            names = "--second-damping",
            paramLabel = "X",
            description = "Factor on the damping of the second factor (default: the preset's).")
    private Double secondDamping;

    @Option(
            names = "--soft-trust",
            negatable = true,
            description = "Shorter steps where a gradient all but vanishes.")
    private Boolean softTrust;

    @Option(
            names = "--output-bound",
            negatable = true,
            description = "No growth of the output layer's steps with its weights.")
    private Boolean outputBound;

    @Option(
            names = "--output-decay",
            paramLabel = "X",
            description = "Factor on the decay of an output layer that has grown.")
    private Double outputDecay;

    @Option(
            names = "--decay-mode",
            paramLabel = "decoupled|coupled|trust",
            description =
                    "Where weight decay enters; trust: in units of the trust ratio (default: the preset's).")
    private String decayMode;

    @Option(
            names = "--orthogonalise",
            negatable = true,
            description = "Whitened orthogonalisation of directions, for large batches.")
    private Boolean orthogonalise;

    @Option(
            names = "--gradient-clipping",
            paramLabel = "X",
            description = "Largest norm of all gradients together; 0: not clipped (default).")
    private Double gradientClipping;

    LngdSettings settings() {
        return new LngdSettings(
                secondBlockSize,
                dampingScope,
                secondDamping,
                softTrust,
                outputBound,
                outputDecay,
                decayMode,
                orthogonalise,
                gradientClipping);
    }
}
