// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.Serializable;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Settings of LNGD and the KFACs beyond the usual ones, each as in {@link org.lngd4j.LngdOptions}.
 * A null stands for "not said": the preset's default.
 *
 * @param secondBlockSize largest diagonal block of a second factor that is a matrix, 0: full
 * @param dampingScope block, layer
 * @param secondDamping factor on the second factor's damping, above 0
 * @param softTrust shorter steps where a gradient all but vanishes
 * @param outputBound no growth of the output layer's steps with its weights
 * @param outputDecay factor on the decay of an output layer that has grown, 0 or more
 * @param decayMode decoupled, coupled, trust
 * @param orthogonalise whitened orthogonalisation of directions
 * @param gradientClipping largest norm of all gradients together, 0: not clipped
 */
public record LngdSettings(
        Integer secondBlockSize,
        String dampingScope,
        Double secondDamping,
        Boolean softTrust,
        Boolean outputBound,
        Double outputDecay,
        String decayMode,
        Boolean orthogonalise,
        Double gradientClipping)
        implements Serializable {
    /** Nothing said. */
    public static final LngdSettings NONE =
            new LngdSettings(null, null, null, null, null, null, null, null, null);

    private static final double LARGEST = 1000;

    /** Checks every range, as {@link TrainSettings} does. */
    public LngdSettings {
        TrainSettings.whole("--second-block-size", secondBlockSize, 0, Integer.MAX_VALUE);
        TrainSettings.oneOf("--damping-scope", dampingScope, "block", "layer");
        TrainSettings.real(
                "--second-damping",
                secondDamping,
                x -> x > 0 && x <= LARGEST,
                "above 0, at most 1000");
        TrainSettings.real("--output-decay", outputDecay, x -> x >= 0 && x <= LARGEST, "0 to 1000");
        TrainSettings.real(
                "--gradient-clipping",
                gradientClipping,
                x -> x >= 0 && x <= Double.MAX_VALUE,
                "0 (off) or more");
        TrainSettings.oneOf("--decay-mode", decayMode, "decoupled", "coupled", "trust");
    }

    /**
     * By option name without the dashes, in the order of the options; what was not said is null.
     */
    Map<String, Object> toMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("second-block-size", secondBlockSize);
        map.put("damping-scope", dampingScope);
        map.put("second-damping", secondDamping);
        map.put("soft-trust", softTrust);
        map.put("output-bound", outputBound);
        map.put("output-decay", outputDecay);
        map.put("decay-mode", decayMode);
        map.put("orthogonalise", orthogonalise);
        map.put("gradient-clipping", gradientClipping);
        return map;
    }
}
