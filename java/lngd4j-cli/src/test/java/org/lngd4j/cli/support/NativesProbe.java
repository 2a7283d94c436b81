// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.support;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.global.torch;
import org.nd4j.linalg.factory.Nd4j;

/** A process that loads natives in the order of its arguments, and uses them. */
final class NativesProbe {
    private NativesProbe() {}

    public static void main(String[] order) {
        for (String natives : order) {
            if (natives.equals("pytorch")) {
                Natives.load(torch::get_num_threads);
                // Classes that are initialised later have JavaCPP look at the folder again.
                new LinearImpl(3, 4).close();
            } else {
                Natives.loadNd4j();
                Nd4j.ones(8, 8).mmul(Nd4j.ones(8, 8));
            }
        }
        System.exit(0);
    }

    /** Starts a JVM with the class path of this one. */
    static Process start(File log, String mainClass, List<String> options, String... arguments)
            throws IOException {
        return start(log, List.of(), mainClass, options, arguments);
    }

    /** Starts a JVM by what stands before its command. */
    static Process start(
            File log,
            List<String> before,
            String mainClass,
            List<String> options,
            String... arguments)
            throws IOException {
        List<String> command = new ArrayList<>(before);
        command.add(System.getProperty("java.home") + "/bin/java");
        command.addAll(List.of("-XX:+UseSerialGC", "-XX:-CreateCoredumpOnCrash"));
        command.addAll(List.of("-Dorg.bytedeco.javacpp.logger=slf4j", "-XX:ErrorFile=/dev/null"));
        command.addAll(options);
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), mainClass));
        command.addAll(Arrays.asList(arguments));
        ProcessBuilder builder =
                new ProcessBuilder(command)
                        .directory(log.getParentFile())
                        .redirectErrorStream(true)
                        .redirectOutput(log);
        builder.environment().put("OMP_NUM_THREADS", "1");
        builder.environment().put("OPENBLAS_NUM_THREADS", "1");
        builder.environment().remove("JAVA_TOOL_OPTIONS");
        return builder.start();
    }
}
