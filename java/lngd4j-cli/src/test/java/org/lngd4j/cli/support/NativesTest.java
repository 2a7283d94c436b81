// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.support;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.cli.data.IdxWriter;

/** Processes that load natives of ND4J and PyTorch out of one folder. */
class NativesTest {
    private static final String[] PYTORCH = {"pytorch"};
    private static final String[] ND4J = {"nd4j"};
    private static final String[] PYTORCH_FIRST = {"pytorch", "nd4j"};
    private static final String[] ND4J_FIRST = {"nd4j", "pytorch"};

    @TempDir Path folder;

    /**
     * Without the lock this failed in ten of eleven tries, by SIGBUS in the dynamic linker; with
     * JavaCPP's links it fails at the links.
     */
    @Test
    void severalUnpackAtOnceAndNoneWritesAgain() throws Exception {
        Path natives = folder.resolve("natives");
        load(natives, PYTORCH_FIRST, ND4J_FIRST, PYTORCH, ND4J);

        Map<String, String> files = files(natives);
        assertThat(files).hasSizeGreaterThan(10);
        assertThat(files.keySet()).anyMatch(f -> f.endsWith("/libnd4jcpu.so"));
        assertThat(files.keySet()).anyMatch(f -> f.endsWith("/libtorch_cpu.so"));
        assertThat(files.keySet()).filteredOn(f -> f.endsWith("/libgomp.so.1")).hasSize(2);
        assertThat(files.values()).allMatch(state -> state.startsWith("file"));

        load(natives, ND4J_FIRST);
        load(natives, PYTORCH);
        load(natives, PYTORCH_FIRST, ND4J);
        assertThat(files(natives)).isEqualTo(files);
    }

    /**
     * Each command that computes waits for its turn before anything of ND4J or PyTorch is there.
     */
    @Test
    void nothingIsUnpackedWhileAnotherProcessLoads() throws Exception {
        Path data = folder.resolve("data");
        IdxWriter.dataset(data, 64, 32, 8, 4);
        List<List<String>> commands =
                List.of(
                        List.of("train", "--data", data.toString(), "--model", "mlp:4"),
                        List.of("train", "--data", data.toString(), "--engine", "pytorch"),
                        List.of("compare", "--data", data.toString(), "--engine", "pytorch"),
                        List.of("fisher", "--data", data.toString(), "--shrink", "4"),
                        List.of("toys", "--seeds", "1"),
                        List.of("selftest"));
        List<Process> processes = new ArrayList<>();
        try (FileChannel channel = lockable(folder.resolve("natives"))) {
            channel.lock();
            for (List<String> command : commands) {
                processes.add(
                        NativesProbe.start(
                                log(processes.size()),
                                "org.lngd4j.cli.Main",
                                List.of(cache(folder.resolve("natives"))),
                                command.toArray(String[]::new)));
            }
            for (int i = 0; i < commands.size(); i++) {
                awaitWaiting(processes.get(i), log(i).toPath(), commands.get(i));
            }
            assertThat(files(folder.resolve("natives")).keySet())
                    .isNotEmpty()
                    .noneMatch(f -> f.matches(".*/lib(nd4jcpu|torch_cpu|gomp|openblas)\\..*"));
        } finally {
            processes.forEach(Process::destroyForcibly);
            for (Process process : processes) {
                process.waitFor();
            }
        }
    }

    private static FileChannel lockable(Path natives) throws IOException {
        Files.createDirectories(natives);
        return FileChannel.open(
                natives.resolve("lngd.lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    }

    private static void awaitWaiting(Process process, Path log, List<String> command)
            throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(90);
        while (!Files.readString(log).contains("waiting for another process that loads natives")) {
            assertThat(process.isAlive()).as(command + ": " + Files.readString(log)).isTrue();
            assertThat(System.nanoTime()).as(command.toString()).isLessThan(deadline);
            Thread.sleep(100);
        }
    }

    private void load(Path natives, String[]... orders) throws Exception {
        List<Process> processes = new ArrayList<>();
        for (String[] order : orders) {
            processes.add(
                    NativesProbe.start(
                            log(processes.size()),
                            NativesProbe.class.getName(),
                            List.of(cache(natives)),
                            order));
        }
        for (int i = 0; i < orders.length; i++) {
            assertThat(processes.get(i).waitFor(120, TimeUnit.SECONDS)).isTrue();
            assertThat(processes.get(i).exitValue())
                    .as(String.join(", ", orders[i]) + ": " + Files.readString(log(i).toPath()))
                    .isZero();
        }
    }

    private File log(int process) {
        return folder.resolve("log" + process).toFile();
    }

    private static String cache(Path natives) {
        return "-D" + NativesFolder.PROPERTY + "=" + natives;
    }

    /** Every library with what changes where it is written again. */
    private static Map<String, String> files(Path root) throws IOException {
        Map<String, String> files = new TreeMap<>();
        try (Stream<Path> walk = Files.walk(root)) {
            for (Path file : walk.filter(f -> f.toString().contains(".so")).toList()) {
                files.put(
                        "/" + root.relativize(file),
                        (Files.isSymbolicLink(file) ? "link" : "file")
                                + " "
                                + Files.getAttribute(file, "unix:ino", LinkOption.NOFOLLOW_LINKS)
                                + " "
                                + Files.getLastModifiedTime(file, LinkOption.NOFOLLOW_LINKS)
                                + " "
                                + Files.getAttribute(
                                        file, "unix:ctime", LinkOption.NOFOLLOW_LINKS));
            }
        }
        return files;
    }
}
