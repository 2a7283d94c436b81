// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * A cluster of executors that are processes of their own on this machine, one for all tests. Spark
 * starts them from the jars of {@code SPARK_HOME}, which the build names.
 */
final class TestCluster implements BeforeAllCallback, AutoCloseable {
    private static final int EXECUTORS = Integer.getInteger("lngd.test.executors", 4);
    private static JavaSparkContext context;

    static JavaSparkContext get() {
        return context;
    }

    /** Of the first class; JUnit closes what it keeps after the last. */
    @Override
    public void beforeAll(ExtensionContext tests) {
        if (context == null) {
            torch.get_num_threads(); // unpacks PyTorch where the executors find it
            context = new JavaSparkContext(configuration(EXECUTORS));
            tests.getRoot().getStore(ExtensionContext.Namespace.GLOBAL).put("cluster", this);
        }
    }

    @Override
    public void close() {
        context.stop();
    }

    static SparkConf configuration(int executors) {
        return new SparkConf()
                .setAppName("lngd4j-spark tests")
                .setMaster("local-cluster[" + executors + ",1,512]")
                .set("spark.executor.memory", "512m")
                .set("spark.driver.host", "127.0.0.1")
                .set("spark.driver.bindAddress", "127.0.0.1")
                .set("spark.ui.enabled", "false")
                .set("spark.executor.heartbeatInterval", "1s")
                // The stage waits for the executors; Spark looks every 15 s otherwise.
                .set("spark.scheduler.barrier.maxConcurrentTasksCheck.interval", "1s")
                .set("spark.network.timeout", "10s") // a stopped process is lost after this
                .set("spark.network.timeoutInterval", "2s")
                .set("spark.storage.blockManagerHeartbeatTimeoutMs", "10s")
                .set("spark.stage.maxConsecutiveAttempts", "3")
                // Executors are killed on purpose here.
                .set("spark.deploy.maxExecutorRetries", "-1")
                .set("spark.executor.extraClassPath", folders(Path.of(System.getenv("SPARK_HOME"))))
                .set(
                        "spark.executor.extraJavaOptions",
                        "-XX:TieredStopAtLevel=1 "
                                + System.getProperty("lngd.executor.options", ""))
                .set("spark.executorEnv.OMP_NUM_THREADS", "1")
                .set("spark.executorEnv.OPENBLAS_NUM_THREADS", "1");
    }

    /** Links jars into Spark's home; gives the folders of classes, which it does not take. */
    private static String folders(Path home) {
        List<String> folders = new ArrayList<>();
        try {
            Path jars = emptied(home.resolve("jars"));
            String classPath =
                    System.getProperty(
                            "surefire.test.class.path", System.getProperty("java.class.path"));
            for (String entry : classPath.split(File.pathSeparator)) {
                Path path = Path.of(entry);
                if (Files.isDirectory(path)) {
                    folders.add(entry);
                } else {
                    Files.createSymbolicLink(jars.resolve(path.getFileName()), path);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return String.join(File.pathSeparator, folders);
    }

    /** Jars of an earlier build, perhaps of another Spark. */
    private static Path emptied(Path jars) throws IOException {
        Files.createDirectories(jars);
        try (Stream<Path> old = Files.list(jars)) {
            for (Path link : old.toList()) {
                Files.delete(link);
            }
        }
        return jars;
    }
}
