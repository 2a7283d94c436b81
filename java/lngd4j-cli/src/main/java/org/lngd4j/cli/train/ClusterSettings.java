// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.util.LinkedHashMap;
import java.util.Map;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.model.TransformerSpec;

/**
 * Where and how the ranks of a run train together.
 *
 * @param master Spark's master, such as {@code local-cluster[2,1,2048]}
 * @param ranks processes or threads that train together, 1 to 65536; null: as many as the master
 *     tells that it runs at once
 * @param checkpoint a folder in a file system of Hadoop's; null: no checkpoints
 * @param checkpointMinutes between two of them, above 0
 * @param goesOn whether a checkpoint of an earlier run there is gone on from; otherwise it is
 *     refused
 */
public record ClusterSettings(
        String master, Integer ranks, String checkpoint, double checkpointMinutes, boolean goesOn) {
    private static final int MOST_RANKS = 1 << 16;
    private static final double MOST_MINUTES = 60 * 24 * 366;

    /** Checks every range. */
    public ClusterSettings {
        notBlank("--spark", master, "Spark's master, such as local-cluster[2,1,2048]");
        TrainSettings.whole("--ranks", ranks, 1, MOST_RANKS);
        if (checkpoint != null) {
            notBlank("--checkpoint", checkpoint, "a folder, such as hdfs:///runs/1");
        } else if (goesOn) {
            throw CliException.badInput("--checkpoint-go-on: --checkpoint has to name the folder");
        }
        TrainSettings.real(
                "--checkpoint-minutes",
                checkpointMinutes,
                x -> x > 0 && x <= MOST_MINUTES,
                "above 0");
    }

    private static void notBlank(String option, String value, String allowed) {
        if (value.isBlank()) {
            throw CliException.badInput(option + " is empty, allowed is " + allowed);
        }
    }

    /** Refuses what ranks cannot train. */
    void check(TrainSettings settings) {
        if (settings.optimizer() != OptimizerKind.LNGD) {
            throw CliException.badInput(
                    "--optimizer "
                            + settings.optimizer()
                            + " is not there with --spark, only lngd");
        }
        if (!"pytorch".equals(settings.engine())) {
            throw CliException.badInput(
                    "--engine "
                            + settings.engine()
                            + " is not there with --spark, only pytorch, its default");
        }
        if (TransformerSpec.isName(settings.model())) {
            throw CliException.badInput(
                    "--model "
                            + settings.model()
                            + " is not there with --spark: ranks learn images only");
        }
        if (!settings.device().equals("cpu")) {
            throw CliException.badInput(
                    "--device "
                            + settings.device()
                            + " is not there with --spark: ranks train on processors");
        }
    }

    /** By option name without the dashes, with the number of ranks that there were. */
    Map<String, Object> toMap(int ranksUsed) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("spark", master);
        map.put("ranks", ranksUsed);
        map.put("checkpoint", checkpoint);
        map.put("checkpoint-minutes", checkpoint == null ? null : checkpointMinutes);
        map.put("checkpoint-go-on", goesOn);
        return map;
    }
}
