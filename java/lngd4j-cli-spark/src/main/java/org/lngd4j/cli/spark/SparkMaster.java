// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.spark;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.spark.SparkConf;
import org.lngd4j.cli.CliException;

/** The master of {@code --spark}, and Spark's configuration for it. */
final class SparkMaster {
    /** What executors need of the command; the rest of the class path is Spark's own. */
    private static final String JARS = "org.lngd4j.jars";

    // Natives of ND4J: no rank uses them, and they are the largest of all.
    private static final Pattern UNUSED = Pattern.compile("nd4j-native-.*-linux-.*\\.jar");

    private static final Pattern LOCAL = Pattern.compile("local(\\[(\\d{1,6}|\\*)])?");
    private static final Pattern CLUSTER =
            Pattern.compile("local-cluster\\[\\d{1,6},\\d{1,6},(\\d{1,9})]");
    private static final Pattern REMOTE = Pattern.compile("spark://.+|yarn|k8s://.+");

    /** Environment variables that ranks are to have as this process has them. */
    private static final List<String> MEMORY =
            List.of(
                    "MALLOC_MMAP_THRESHOLD_",
                    "MALLOC_TRIM_THRESHOLD_",
                    "MALLOC_TOP_PAD_",
                    "OMP_WAIT_POLICY");

    /** Beginnings of masters, and what a Spark has that can talk to them. */
    private static final Map<String, String> CLIENTS =
            Map.of(
                    "yarn", "org.apache.spark.scheduler.cluster.YarnClusterManager",
                    "k8s:", "org.apache.spark.scheduler.cluster.k8s.KubernetesClusterManager");

    private SparkMaster() {}

    /** Refuses what is no master, or one that this Spark cannot talk to. */
    static void check(String master) {
        for (Map.Entry<String, String> client : CLIENTS.entrySet()) {
            if (master.startsWith(client.getKey()) && !isThere(client.getValue())) {
                throw CliException.badInput(
                        "--spark "
                                + master
                                + ": the Spark that the command fetches has no client for it;"
                                + " SPARK_HOME has to name one that has");
            }
        }
        for (Pattern pattern : List.of(LOCAL, CLUSTER, REMOTE)) {
            if (pattern.matcher(master).matches()) {
                return;
            }
        }
        throw CliException.badInput(
                "--spark "
                        + master
                        + ": must be local[N], local-cluster[N,CORES,MB], spark://HOST:PORT, yarn or"
                        + " k8s://URL");
    }

    /**
     * The configuration: system properties {@code spark.*} come first.
     *
     * @param threads cores of a rank
     */
    static SparkConf configuration(String master, int ranks, int threads) {
        SparkConf conf = new SparkConf();
        String cpus = Integer.toString(threads);
        if (!conf.get("spark.task.cpus", cpus).equals(cpus)) {
            throw CliException.badInput(
                    "spark.task.cpus is "
                            + conf.get("spark.task.cpus")
                            + ", --threads "
                            + cpus
                            + ": both are the cores of a rank");
        }
        conf.setMaster(master)
                .setIfMissing("spark.app.name", "lngd train")
                .set("spark.task.cpus", cpus)
                // As many cores as there is work for, and the job begins when all are there.
                .setIfMissing("spark.cores.max", Long.toString((long) ranks * threads))
                .setIfMissing("spark.scheduler.minRegisteredResourcesRatio", "1.0")
                .setIfMissing("spark.scheduler.maxRegisteredResourcesWaitingTime", "120s")
                .setIfMissing("spark.executorEnv.OMP_NUM_THREADS", cpus)
                .setIfMissing("spark.executorEnv.OPENBLAS_NUM_THREADS", cpus)
                .setIfMissing("spark.ui.enabled", "false"); // listens on a port of its own
        for (String name : MEMORY) {
            if (System.getenv(name) != null) {
                conf.setIfMissing("spark.executorEnv." + name, System.getenv(name));
            }
        }
        if (REMOTE.matcher(master).matches()) {
            // An executor for each rank: what one of them loses is the rank alone.
            return conf.setIfMissing("spark.executor.instances", Integer.toString(ranks))
                    .setIfMissing("spark.executor.cores", cpus)
                    .setIfMissing("spark.jars", shipped());
        }
        // On this machine: nothing listens beyond it, and news come as often as a bar moves.
        conf.setIfMissing("spark.driver.host", "127.0.0.1")
                .setIfMissing("spark.driver.bindAddress", "127.0.0.1")
                .setIfMissing("spark.executor.heartbeatInterval", "1s");
        Matcher cluster = CLUSTER.matcher(master);
        if (cluster.matches()) {
            conf.setIfMissing("spark.executor.memory", cluster.group(1) + "m")
                    .setIfMissing(
                            "spark.executor.extraClassPath", System.getProperty("java.class.path"));
            makeHome();
        }
        return conf;
    }

    /** Spark starts executors from a home, and only if there is a folder of jars in it. */
    private static void makeHome() {
        String home = System.getenv("SPARK_HOME");
        if (home == null || System.getenv("SPARK_SCALA_VERSION") == null) {
            throw CliException.failure(
                    "--spark local-cluster: SPARK_HOME and SPARK_SCALA_VERSION are not set; the"
                            + " command lngd sets them");
        }
        try {
            Files.createDirectories(Path.of(home, "jars"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static boolean isThere(String name) {
        try {
            Class.forName(name, false, SparkMaster.class.getClassLoader());
            return true;
        } catch (ClassNotFoundException e) {
            return false;
        }
    }

    private static String shipped() {
        String jars = System.getProperty(JARS, System.getProperty("java.class.path"));
        return Arrays.stream(jars.split(File.pathSeparator))
                .filter(jar -> !UNUSED.matcher(Path.of(jar).getFileName().toString()).matches())
                .collect(Collectors.joining(","));
    }
}
