// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Two machines, as far as the network goes: namespaces of Linux, each with addresses and a loopback
 * interface of its own, and a cable between them. Needs root and {@code ip}.
 */
final class Machines implements AutoCloseable {
    private static final String[] ADDRESSES = {"10.203.77.1", "10.203.77.2"};

    private final String[] names = new String[2];

    private Machines() {
        for (int i = 0; i < names.length; i++) {
            names[i] = "lngd" + ProcessHandle.current().pid() + "m" + i;
        }
    }

    /** Whether this user may make them here. */
    static boolean allowed() {
        try (Machines machines = start()) {
            return machines != null;
        } catch (IOException | IllegalStateException e) {
            return false;
        }
    }

    static Machines start() throws IOException {
        Machines made = new Machines();
        try {
            for (String name : made.names) {
                run("ip", "netns", "add", name);
            }
            run(
                    "ip",
                    "-n",
                    made.names[0],
                    "link",
                    "add",
                    "cable",
                    "type",
                    "veth",
                    "peer",
                    "name",
                    "cable",
                    "netns",
                    made.names[1]);
            for (int i = 0; i < 2; i++) {
                String name = made.names[i];
                run("ip", "-n", name, "addr", "add", ADDRESSES[i] + "/24", "dev", "cable");
                run("ip", "-n", name, "link", "set", "lo", "up");
                run("ip", "-n", name, "link", "set", "cable", "up");
            }
            return made;
        } catch (IOException | IllegalStateException e) {
            made.close();
            throw e;
        }
    }

    static String address(int machine) {
        return ADDRESSES[machine];
    }

    /** Both directions; a token bucket, of which what waits longest waits 50 ms. */
    void megabitsPerSecond(int rate) throws IOException {
        for (String name : names) {
            String[] bucket = {
                "root", "tbf", "rate", rate + "mbit", "burst", "256kb", "latency", "50ms"
            };
            List<String> command =
                    new ArrayList<>(List.of("ip", "netns", "exec", name, "tc", "qdisc", "replace"));
            command.addAll(List.of("dev", "cable"));
            command.addAll(List.of(bucket));
            run(command.toArray(new String[0]));
        }
    }

    /** Pulls the cable: packets get lost from now on, and nobody is told. */
    void cut() throws IOException {
        run("ip", "-n", names[0], "link", "set", "cable", "down");
    }

    /** Starts a class of the tests on a machine. */
    Process java(int machine, Path log, Class<?> program, String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of("ip", "netns", "exec", names[machine]));
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of("-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp"));
        command.add(
                System.getProperty(
                        "surefire.test.class.path", System.getProperty("java.class.path")));
        command.add(program.getName());
        command.addAll(List.of(arguments));
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
    }

    private static void run(String... command) throws IOException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        try {
            String said = new String(process.getInputStream().readAllBytes());
            if (!process.waitFor(10, TimeUnit.SECONDS) || process.exitValue() != 0) {
                throw new IllegalStateException(String.join(" ", command) + ": " + said);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        for (String name : names) {
            try {
                run("ip", "netns", "delete", name);
            } catch (IOException | IllegalStateException e) {
                System.getLogger("org.lngd4j.pytorch").log(System.Logger.Level.DEBUG, "gone", e);
            }
        }
    }
}
