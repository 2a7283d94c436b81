// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.spark.SparkConf;
import org.lngd4j.nativelib.LngdArgumentException;

/** What Spark's configuration must not be, and what it does not reach. */
final class ClusterChecks {
    private static final System.Logger LOGGER = System.getLogger("org.lngd4j.spark");
    private static final Pattern LOCAL = Pattern.compile("local(?:\\[(\\d+|\\*)(?:,.*)?])?");
    private static final Pattern CLUSTER =
            Pattern.compile("local-cluster\\[\\s*(\\d+)\\s*,\\s*(\\d+)\\s*,.*]");
    private static final List<String> PROTECTION =
            List.of(
                    "spark.authenticate",
                    "spark.network.crypto.enabled",
                    "spark.authenticate.enableSaslEncryption",
                    "spark.ssl.enabled",
                    "spark.ssl.rpc.enabled");

    private ClusterChecks() {}

    /**
     * Refuses what cannot work.
     *
     * @throws LngdArgumentException if speculation is on, or the master has too few slots
     */
    static void check(SparkConf conf, String master, int ranks) {
        if (conf.getBoolean("spark.speculation", false)) {
            throw new LngdArgumentException(
                    "spark.speculation is true, allowed is false: a second copy of a rank would take"
                            + " its partners' messages");
        }
        int cpus = conf.getInt("spark.task.cpus", 1);
        long slots = slots(master, cpus);
        if (ranks > slots) {
            throw new LngdArgumentException(
                    "ranks is "
                            + ranks
                            + ", allowed with master "
                            + master
                            + " and spark.task.cpus "
                            + cpus
                            + " is 1 to "
                            + slots
                            + ": all ranks run at once");
        }
    }

    /** Of masters that tell their size; a cluster may grow, and Spark itself waits for it. */
    static long slots(String master, int cpus) {
        Matcher local = LOCAL.matcher(master);
        if (local.matches()) {
            String threads = local.group(1);
            return threads == null
                    ? 1 / cpus
                    : threads.equals("*")
                            ? Runtime.getRuntime().availableProcessors() / cpus
                            : Integer.parseInt(threads) / cpus;
        }
        Matcher cluster = CLUSTER.matcher(master);
        return cluster.matches()
                ? Long.parseLong(cluster.group(1)) * (Integer.parseInt(cluster.group(2)) / cpus)
                : Long.MAX_VALUE;
    }

    /** Says once a job what Spark's protection does not cover. */
    static void tellUnprotected(SparkConf conf, int ranks) {
        List<String> on = new ArrayList<>();
        for (String key : PROTECTION) {
            if (conf.getBoolean(key, false)) {
                on.add(key);
            }
        }
        if (!on.isEmpty() && ranks > 1) {
            LOGGER.log(
                    System.Logger.Level.WARNING,
                    "{0} protects Spark''s own connections and does not reach Gloo: gradients and"
                            + " weights travel between the executors in plain TCP, without"
                            + " authentication. Use a network of their own (SparkOptions.bind)",
                    String.join(", ", on));
        }
    }
}
