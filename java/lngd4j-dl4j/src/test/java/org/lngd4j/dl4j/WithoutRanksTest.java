// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.LngdOptions;

/** Who trains in one process has neither lngd4j-gloo nor PyTorch's classes, and misses nothing. */
class WithoutRanksTest {
    private static final String CLASS_PATH =
            System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));

    @TempDir Path folder;

    /** What the process without them runs. */
    static final class Program {
        private Program() {}

        /** Arguments: the folder of the module's classes, a file for a state. */
        public static void main(String[] args) throws Exception {
            MultiLayerNetwork net = Nets.mlp();
            LngdOptions options = LngdOptions.recipe(4).build();
            Path state = Path.of(args[1]);
            try (LngdTraining lngd = Lngd.attach(net, options)) {
                net.fit(Nets.data(8, 1, 1));
                lngd.save(state);
            }
            try (LngdTraining lngd = Lngd.resume(state, options)) {
                System.out.println("trained " + lngd.steps());
            }
            // Reflection, as frameworks use it, resolves all signatures of a class.
            TreeSet<String> missing = new TreeSet<>();
            for (String name : classes(Path.of(args[0]))) {
                try {
                    Class.forName(name).getDeclaredMethods();
                } catch (NoClassDefFoundError e) {
                    missing.add(name.substring(name.lastIndexOf('.') + 1));
                }
            }
            System.out.println("not without ranks: " + missing);
        }
    }

    private static List<String> classes(Path root) throws IOException {
        try (Stream<Path> files = Files.walk(root)) {
            return files.map(f -> root.relativize(f).toString())
                    .filter(f -> f.endsWith(".class") && !f.endsWith("-info.class"))
                    .map(f -> f.substring(0, f.length() - 6).replace(File.separatorChar, '.'))
                    .toList();
        }
    }

    @Test
    void oneProcessTrainsWithoutTheirClasses() throws Exception {
        String without =
                Arrays.stream(CLASS_PATH.split(File.pathSeparator))
                        .filter(e -> !e.contains("lngd4j-gloo") && !e.contains("pytorch"))
                        .collect(Collectors.joining(File.pathSeparator));
        assertThat(without.length()).isLessThan(CLASS_PATH.length());
        Path log = folder.resolve("log");
        Process process =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                "-XX:TieredStopAtLevel=1",
                                "-cp",
                                without,
                                Program.class.getName(),
                                Path.of("target", "classes").toString(),
                                folder.resolve("state.zip").toString())
                        .redirectErrorStream(true)
                        .redirectOutput(log.toFile())
                        .start();
        try {
            assertThat(process.waitFor(120, TimeUnit.SECONDS)).isTrue();
        } finally {
            process.destroyForcibly();
        }
        assertThat(Files.readString(log).strip())
                .isEqualTo("trained 1\nnot without ranks: [DataParallel, GlooStep, ParallelStart]");
    }
}
