// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.util.List;
import java.util.Optional;
import org.lngd4j.cli.train.TextSettings;

/**
 * Everything that decides a comparison.
 *
 * @param data as for {@code lngd train}
 * @param model as for {@code lngd train}
 * @param engine as for {@code lngd train}, null for DL4J
 * @param contenders what is compared, in the order of the table
 * @param epochs of every run
 * @param batch samples of a step
 * @param evalEvery epochs between evaluations
 * @param threads of LNGD's kernels
 * @param trainSamples use only so many training images, or null
 * @param augment crop and mirror, or null for the default
 * @param warmup share of the steps in which the learning rate rises, or null for the default
 * @param text settings of networks that learn sentences
 * @param seeds runs of each contender: seeds 1, 2, ...
 * @param target what has to be reached, or null for what all reach
 * @param tuning how settings are found
 * @param jobs whole runs at a time
 */
record CompareSettings(
        String data,
        String model,
        String engine,
        List<Contender> contenders,
        int epochs,
        int batch,
        double evalEvery,
        int threads,
        Integer trainSamples,
        Boolean augment,
        Double warmup,
        TextSettings text,
        int seeds,
        Target target,
        Tuning tuning,
        int jobs) {
    /** The engine for people, where it is not DL4J. */
    Optional<String> engineName() {
        return Optional.ofNullable(engine).map(e -> "PyTorch");
    }

    /**
     * How settings are found.
     *
     * @param trials short runs of each contender; 0: none
     * @param epochs of a short run
     * @param file settings found before, or null
     * @param jobs short runs at a time; what is found does not depend on it
     */
    record Tuning(int trials, int epochs, String file, int jobs) {}
}
