// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import java.nio.file.Path;
import org.apache.spark.SparkEnv;
import org.apache.spark.SparkFiles;

/**
 * Where JavaCPP unpacks natives, in processes that have those of ND4J and those of PyTorch. Both
 * bring a {@code libgomp.so.1}; JavaCPP makes one of them a link to the other, and the next process
 * writes through that link into a file that the first one has mapped: a SIGBUS was seen with two
 * executors on one machine. So each executor has a cache of its own, in the folder that Spark
 * removes at its end. That is 800 MB and some seconds at its start.
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
}
