// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli;

import java.util.List;
import java.util.Map;
import org.lngd4j.cli.train.ClusterSettings;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;

/** The options of {@code lngd train} that are {@link ClusterSettings}. */
final class ClusterArguments {
    private static final List<String> NAMES =
            List.of("--ranks", "--checkpoint", "--checkpoint-minutes", "--checkpoint-go-on");

    // What is given with --spark and would have no meaning there.
    private static final Map<String, String> REFUSED =
            Map.of("--eval-every", "the test set is measured once, at the end");

    @Option(
            names = "--spark",
            paramLabel = "MASTER",
            description =
                    "Train on Spark, ranks that take each step together: local[N], local-cluster[N,CORES,MB],"
                            + " spark://HOST:PORT, yarn, k8s://URL. Images, --engine pytorch, --optimizer lngd;"
                            + " --threads is cores of a rank. Fetches Spark's jars (210 MB) the first time.")
    private String master;

    @Option(
            names = "--ranks",
            paramLabel = "N",
            description =
                    "With --spark: how many train together (default: as many as MASTER tells that it has room for).")
    private Integer ranks;

    @Option(
            names = "--checkpoint",
            paramLabel = "FOLDER",
            description =
                    "With --spark: write checkpoints to a folder that all executors reach, by any file system of"
                            + " Hadoop's; after a failure training goes on from the last.")
    private String checkpoint;

    @Option(
            names = "--checkpoint-minutes",
            paramLabel = "X",
            defaultValue = "5",
            description = "With --checkpoint: minutes between two (default: 5).")
    private double checkpointMinutes;

    @Option(
            names = "--checkpoint-go-on",
            description =
                    "With --checkpoint: go on from what an earlier run left there, which is refused otherwise.")
    private boolean goesOn;

    /**
     * What was said; null without {@code --spark}.
     *
     * @param given all options of the command line
     */
    ClusterSettings settings(List<OptionSpec> given) {
        for (OptionSpec option : given) {
            String name = option.longestName();
            if (master == null && NAMES.contains(name)) {
                throw CliException.badInput(name + " is for --spark, which is not given");
            }
            if (master != null && REFUSED.containsKey(name)) {
                throw CliException.badInput(
                        name + " is not there with --spark: " + REFUSED.get(name));
            }
            if (checkpoint == null && name.equals("--checkpoint-minutes")) {
                throw CliException.badInput(name + " is for --checkpoint, which is not given");
            }
        }
        return master == null
                ? null
                : new ClusterSettings(master, ranks, checkpoint, checkpointMinutes, goesOn);
    }
}
