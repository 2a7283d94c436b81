// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.lngd4j.cli.support.Json;
import org.lngd4j.cli.support.Versions;
import org.lngd4j.cli.train.TrainSettings;

/**
 * One run of a comparison.
 *
 * @param label for people, for example {@code sgd learning-rate=0.1 seed 2}
 * @param settings decide it
 */
record PlannedRun(String label, TrainSettings settings) {
    // Changed when the same options no longer mean the same run.
    private static final int FORMAT = 1;

    private static final List<String> LATER =
            List.of("engine", "warmup", "vocabulary", "dropout", "label-smoothing");

    /**
     * The name of its folder: the optimizer and a hash of everything that decides the run, so that
     * no run is done twice and none is taken for another. The commit is not part of it (a
     * comparison goes on after a change of the documentation); the report names it.
     */
    String folderName() {
        // The settings keep their order: the text is the same every time.
        Map<String, Object> options = settings.toMap();
        // Where they are not said, the names are those of runs from before there were such options.
        for (String later : LATER) {
            options.remove(later, null);
        }
        String text =
                FORMAT
                        + "|"
                        + Versions.lngd4j()
                        + "|"
                        + Versions.convolutions()
                        + "|"
                        + Json.write(options);
        try {
            byte[] digest =
                    MessageDigest.getInstance("SHA-256")
                            .digest(text.getBytes(StandardCharsets.UTF_8));
            return settings.optimizer() + "-" + HexFormat.of().formatHex(digest, 0, 8);
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every JDK has SHA-256", e);
        }
    }
}
