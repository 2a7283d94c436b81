// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.selftest;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.lngd4j.Device;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.golden.GoldenCheck;
import org.lngd4j.cli.golden.GoldenFile;
import org.lngd4j.cli.golden.GoldenFormatException;
import org.lngd4j.cli.golden.GoldenResult;
import org.lngd4j.nativelib.LngdDeviceException;
import org.lngd4j.nativelib.LngdDeviceLostException;
import org.lngd4j.nativelib.LngdException;
import org.lngd4j.nativelib.LngdOutOfMemoryException;

/** Checks golden files: those that travel with the command, and those a user names. */
final class GoldenRunner {
    private static final List<String> BUILT_IN =
            Stream.of("relu", "tanh", "identity", "softmax_categorical", "softmax_gaussian")
                    .flatMap(
                            name ->
                                    Stream.of(
                                            "lngd_" + name + "_expected.json",
                                            "lngd_" + name + "_sampled.json"))
                    .toList();

    private final Device device;

    GoldenRunner(Device device) {
        this.device = device;
    }

    /**
     * What came of one file.
     *
     * @param name the file
     * @param builtIn whether it travels with the command
     * @param result how it compares, or null where it cannot be used
     * @param problem why it cannot be used, or null
     */
    record Outcome(String name, boolean builtIn, GoldenResult result, String problem) {}

    List<Outcome> builtIn() {
        List<Outcome> outcomes = new ArrayList<>();
        for (String name : BUILT_IN) {
            try (InputStream in = GoldenFile.class.getResourceAsStream("vectors/" + name)) {
                outcomes.add(
                        new Outcome(
                                name,
                                true,
                                GoldenCheck.run(GoldenFile.parse(name, in.readAllBytes()), device),
                                null));
            } catch (IOException e) {
                throw CliException.failure(
                        "golden file " + name + " of this command cannot be read", e);
            }
        }
        return outcomes;
    }

    /** Checks a file, or every {@code .json} file of a folder in the order of their names. */
    List<Outcome> named(Path path) {
        List<Outcome> outcomes = new ArrayList<>();
        for (Path file : files(path)) {
            outcomes.add(check(file));
        }
        return outcomes;
    }

    private Outcome check(Path file) {
        String name = file.getFileName().toString();
        try {
            return new Outcome(name, false, GoldenCheck.run(GoldenFile.read(file), device), null);
        } catch (LngdDeviceException | LngdDeviceLostException | LngdOutOfMemoryException e) {
            throw e;
        } catch (LngdException e) {
            // Of the wrong format, or with settings that the library refuses: either way the file's
            // fault.
            return new Outcome(
                    name,
                    false,
                    null,
                    e instanceof GoldenFormatException
                            ? e.getMessage()
                            : name + ": " + e.getMessage());
        } catch (IOException e) {
            return new Outcome(name, false, null, name + ": cannot be read (" + e + ")");
        }
    }

    private static List<Path> files(Path path) {
        if (!Files.exists(path)) {
            throw CliException.badInput("--golden " + path + ": no such file or folder");
        }
        if (!Files.isDirectory(path)) {
            return List.of(path);
        }
        try (Stream<Path> all = Files.list(path)) {
            List<Path> files =
                    all.filter(file -> file.getFileName().toString().endsWith(".json"))
                            .sorted()
                            .toList();
            if (files.isEmpty()) {
                throw CliException.badInput("--golden " + path + ": no .json file in it");
            }
            return files;
        } catch (IOException e) {
            throw CliException.badInput("--golden " + path + ": cannot be read (" + e + ")", e);
        }
    }
}
