// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The script {@code lngd} around a Maven and a Java that only tell that they ran. */
class LauncherTest {
    private static final String MAVEN =
            """
            #!/bin/bash
            echo "begin $*" >>"$TOLD"
            sleep 600 & # what Maven starts: cmake, compilers
            echo $! >>"$PIDS"
            echo $$ >>"$PIDS"
            if [ -e "$HANG" ]; then wait; fi
            sleep "${SLOW:-0}"
            kill %1
            mkdir -p java/lngd4j-cli/target
            : >java/lngd4j-cli/target/classpath.txt
            : >java/lngd4j-cli/target/lngd4j-cli-0.1.0-SNAPSHOT.jar
            for argument in "$@"; do
              case $argument in
                -DoutputDirectory=*)
                  mkdir -p "${argument#*=}"
                  echo half >"${argument#*=}/pytorch-9-linux-x86_64.jar"
                  sleep 1
                  echo whole >"${argument#*=}/pytorch-9-linux-x86_64.jar"
                  ;;
              esac
            done
            echo "end" >>"$TOLD"
            """;

    private static final String JAVA =
            """
            #!/bin/bash
            echo "java $(cat "$ROOT"/target/pytorch/*.jar 2>/dev/null)" >>"$TOLD"
            echo "$*" >"$TOLD.arguments"
            """;

    @TempDir Path folder;

    private final List<Process> processes = new ArrayList<>();
    private Path root;
    private Path told;

    @BeforeEach
    void makeTree() throws IOException {
        root = Files.createDirectory(folder.resolve("root"));
        told = Files.writeString(folder.resolve("told"), "");
        for (String sources :
                List.of("cmake", "native/include", "native/src", "java/a/src/main", "target")) {
            Files.createDirectories(root.resolve(sources));
        }
        for (String file : List.of("CMakeLists.txt", "native/CMakeLists.txt", "native/build.sh")) {
            Files.writeString(root.resolve(file), "");
        }
        Files.writeString(root.resolve("java/a/pom.xml"), "");
        Files.writeString(root.resolve("pom.xml"), "<pytorch.version>9</pytorch.version>\n");
        Path home = Path.of("").toAbsolutePath().getParent().getParent();
        executable(root.resolve("lngd"), Files.readString(home.resolve("lngd")));
        executable(folder.resolve("bin/mvn"), MAVEN);
        executable(folder.resolve("bin/g++"), "");
        executable(folder.resolve("jdk/bin/java"), JAVA);
        Files.writeString(folder.resolve("jdk/release"), "JAVA_VERSION=\"17.0.1\"\n");
        Files.writeString(folder.resolve("hang"), "");
    }

    @AfterEach
    void endWhatATestHasLeft() throws IOException {
        processes.forEach(Process::destroyForcibly);
        Path pids = folder.resolve("pids");
        if (Files.exists(pids)) {
            for (String pid : Files.readAllLines(pids)) {
                ProcessHandle.of(Long.parseLong(pid)).ifPresent(ProcessHandle::destroyForcibly);
            }
        }
    }

    @Test
    void aStoppedBuildLeavesNothingRunningAndIsDoneAgain() throws Exception {
        Process first = start("info");
        await("begin");
        first.destroy();

        assertThat(first.waitFor(20, TimeUnit.SECONDS)).isTrue();
        assertThat(first.exitValue()).isEqualTo(143);
        assertThat(err(0)).contains("the next start does that again");
        for (String pid : Files.readAllLines(folder.resolve("pids"))) {
            assertThat(ProcessHandle.of(Long.parseLong(pid)).filter(ProcessHandle::isAlive))
                    .as("process " + pid)
                    .isEmpty();
        }
    }

    /** Its files are there and new, and the jar may be half a jar. */
    @Test
    void whatABuildThatWasKilledLeftIsNotTakenForDone() throws Exception {
        Process first = start("info");
        await("begin");
        Path target = Files.createDirectories(root.resolve("java/lngd4j-cli/target"));
        Files.writeString(target.resolve("classpath.txt"), "");
        Files.writeString(target.resolve("lngd4j-cli-0.1.0-SNAPSHOT.jar"), "half");
        first.destroyForcibly().waitFor();
        endWhatATestHasLeft();
        Files.delete(folder.resolve("hang"));

        assertThat(start("info").waitFor(20, TimeUnit.SECONDS)).isTrue();
        assertThat(lines("begin")).hasSize(2);
        assertThat(Files.readAllLines(told)).endsWith("end", "java ");

        assertThat(start("info").waitFor(20, TimeUnit.SECONDS)).isTrue();
        assertThat(lines("begin")).hasSize(2);
    }

    /** What package.sh makes: jars in lib, those of one module alone beside them. */
    @Test
    void aPackageNeitherBuildsNorFetches() throws Exception {
        for (String file :
                List.of(
                        "lib/both.jar",
                        "lib/lngd4j-cli/own.jar",
                        "lib/lngd4j-cli-spark/other.jar",
                        "lib/pytorch/natives.jar")) {
            Files.createDirectories(root.resolve(file).getParent());
            Files.writeString(root.resolve(file), "");
        }
        Files.writeString(root.resolve("lib/commit"), "abc");
        Files.delete(folder.resolve("bin/mvn"));
        Path arguments = folder.resolve("told.arguments");

        assertThat(start("info").waitFor(20, TimeUnit.SECONDS)).isTrue();
        assertThat(Files.readString(arguments))
                .contains(" -cp " + root + "/lib/lngd4j-cli/own.jar:" + root + "/lib/both.jar org")
                .contains("-Dorg.lngd4j.commit=abc")
                .doesNotContain("-Dorg.lngd4j.root");

        assertThat(start("translate").waitFor(20, TimeUnit.SECONDS)).isTrue();
        assertThat(Files.readString(arguments))
                .contains(" -cp " + root + "/lib/pytorch/natives.jar:" + root + "/lib/lngd4j-cli/");
        assertThat(Files.exists(root.resolve("target/lngd.lock"))).isFalse();
    }

    /** Nothing can be done for it then but that the next start waits. */
    @Test
    void aStartAfterAKillWaitsForTheMavenThatRunsOn() throws Exception {
        Files.delete(folder.resolve("hang"));
        Process first = start("info", "SLOW=4");
        await("begin");
        first.destroyForcibly().waitFor();
        Process second = start("info");

        assertThat(second.waitFor(30, TimeUnit.SECONDS)).isTrue();
        assertThat(err(1)).contains("waiting for another build in " + root);
        assertThat(Files.readAllLines(told).stream().map(line -> line.split(" ")[0]))
                .containsExactly("begin", "end", "begin", "end", "java");
    }

    @Test
    void twoThatFetchAtOnceFetchOnceAndSeeTheWholeFile() throws Exception {
        Files.delete(folder.resolve("hang"));
        assertThat(start("info").waitFor(20, TimeUnit.SECONDS)).isTrue();
        Process first = start("train --engine pytorch");
        await("begin.*dependency:copy");
        Process second = start("train --engine pytorch");

        assertThat(first.waitFor(20, TimeUnit.SECONDS)).isTrue();
        assertThat(second.waitFor(20, TimeUnit.SECONDS)).isTrue();
        assertThat(lines("begin.*dependency:copy")).hasSize(1);
        assertThat(lines("java whole")).hasSize(2);
    }

    private Process start(String arguments, String... environment) throws IOException {
        List<String> command = new ArrayList<>(List.of(root.resolve("lngd").toString()));
        command.addAll(Arrays.asList(arguments.split(" ")));
        ProcessBuilder builder =
                new ProcessBuilder(command)
                        .directory(folder.toFile())
                        .redirectError(folder.resolve("err" + processes.size()).toFile());
        builder.environment().keySet().removeIf(name -> name.startsWith("LNGD_"));
        builder.environment().put("PATH", folder.resolve("bin") + ":/usr/bin:/bin");
        builder.environment().put("JAVA_HOME", folder.resolve("jdk").toString());
        builder.environment().put("ROOT", root.toString());
        builder.environment().put("TOLD", told.toString());
        builder.environment().put("PIDS", folder.resolve("pids").toString());
        builder.environment().put("HANG", folder.resolve("hang").toString());
        for (String entry : environment) {
            builder.environment().put(entry.split("=")[0], entry.split("=")[1]);
        }
        Process process = builder.start();
        processes.add(process);
        return process;
    }

    private void await(String line) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        while (lines(line).isEmpty()) {
            assertThat(System.nanoTime()).as(Files.readString(told)).isLessThan(deadline);
            Thread.sleep(20);
        }
    }

    private List<String> lines(String pattern) throws IOException {
        return Files.readAllLines(told).stream().filter(l -> l.matches(pattern + ".*")).toList();
    }

    private String err(int process) throws IOException {
        return Files.readString(folder.resolve("err" + process));
    }

    private static void executable(Path file, String text) throws IOException {
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
        assertThat(file.toFile().setExecutable(true)).isTrue();
    }
}
