// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.nio.file.Path;
import org.apache.spark.SparkEnv;
import org.apache.spark.SparkFiles;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.Device;
import org.lngd4j.LngdInfo;
import org.lngd4j.nativelib.LngdStateException;

/**
 * Where JavaCPP unpacks natives. Processes that share its cache may write a library that another
 * one has mapped: while several unpack for the first time, and always where one has natives of ND4J
 * and of PyTorch, whose {@code libgomp.so.1} it links to each other. Executors on one machine died
 * of SIGBUS so. Hence each has a cache of its own, in the folder that Spark removes at its end: 0.4
 * to 0.8 GB, and some seconds at its start.
 */
final class NativeCache {
    private static final String PROPERTY = "org.bytedeco.javacpp.cachedir";

    private NativeCache() {}

    /** Before anything of JavaCPP; what a user has set stays. */
    static void ofThisExecutor() {
        SparkEnv spark = SparkEnv.get();
        if (spark != null
                && !"driver".equals(spark.executorId())
                && System.getProperty(PROPERTY) == null) {
            System.setProperty(
                    PROPERTY, Path.of(SparkFiles.getRootDirectory(), "javacpp").toString());
        }
    }

    /**
     * Loads natives of PyTorch and LNGD. Not later, where the thread may be interrupted: a class
     * whose initialisation was interrupted is of no use to any later task.
     *
     * @return why they cannot be loaded; null: they are
     */
    static RuntimeException load() {
        ofThisExecutor();
        try {
            torch.get_num_threads();
            LngdInfo.backend(Device.CPU);
            return null;
        } catch (LinkageError e) {
            return new LngdStateException(
                    "natives cannot be loaded: "
                            + e
                            + "; executors need org.bytedeco:pytorch, org.bytedeco:openblas and"
                            + " org.lngd4j:lngd4j-native with the classifier of their platform");
        } catch (RuntimeException e) {
            return e;
        }
    }
}
