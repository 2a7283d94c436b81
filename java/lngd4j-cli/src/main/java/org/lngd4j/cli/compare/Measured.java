// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.lngd4j.Device;
import org.lngd4j.LngdInfo;
import org.lngd4j.cli.support.Versions;
import org.lngd4j.nativelib.LngdException;

/**
 * What a run was measured under, beyond its settings: what changes its times, and what may change
 * the meaning of settings and of the defaults of all that was not set. It is no part of a run's
 * name, so that a comparison goes on after a change of the documentation; instead the report tells
 * where runs differ in it.
 *
 * @param facts by name, in the order in which they are told; {@value #UNKNOWN} where a run is of a
 *     version that did not write it
 */
record Measured(Map<String, String> facts) {
    static final String UNKNOWN = "unknown";
    static final String AT_A_TIME = "runs at a time";
    static final String THREADS = "threads";
    static final String MACHINE = "machine";
    static final String JAVA = "java";
    static final String ENGINE = "engine";
    static final String LIBRARY = "library";
    static final String COMMIT = "commit";

    private static final List<String> NAMES =
            List.of(AT_A_TIME, THREADS, MACHINE, JAVA, ENGINE, LIBRARY, COMMIT);

    /** Those that decide what a run reaches; the others decide its times alone. */
    static final List<String> OF_RESULTS = List.of(ENGINE, LIBRARY, COMMIT);

    Measured {
        Map<String, String> all = new LinkedHashMap<>();
        for (String name : NAMES) {
            all.put(name, facts.getOrDefault(name, UNKNOWN));
        }
        facts = all;
    }

    /** This process and those that it starts. */
    static Measured now(CompareSettings settings, int jobs) {
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put(AT_A_TIME, String.valueOf(jobs));
        facts.put(
                THREADS,
                settings.threads()
                        + " of LNGD's kernels, OMP_NUM_THREADS "
                        + Objects.requireNonNullElse(System.getenv("OMP_NUM_THREADS"), "not set"));
        facts.put(MACHINE, machine());
        facts.put(
                JAVA,
                Stream.concat(
                                Stream.of(Versions.java()),
                                ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
                                        .filter(option -> option.startsWith("-X")))
                        .collect(Collectors.joining(" ")));
        facts.put(
                ENGINE,
                settings.engine() == null
                        ? "Deeplearning4j "
                                + Versions.all().get("deeplearning4j")
                                + ", convolutions by "
                                + Versions.convolutions()
                        : "PyTorch " + Versions.pytorch());
        facts.put(LIBRARY, Versions.lngd4j());
        facts.put(COMMIT, Objects.requireNonNullElse(Versions.gitCommit(), UNKNOWN));
        return new Measured(facts);
    }

    private static String machine() {
        String processors = Runtime.getRuntime().availableProcessors() + " processors";
        try {
            LngdInfo.Backend cpu = LngdInfo.backend(Device.CPU);
            return String.join(
                    ", ",
                    Objects.requireNonNullElse(cpu.cpuModel(), "model " + UNKNOWN),
                    processors,
                    "BLAS core type " + Objects.requireNonNullElse(cpu.blasCore(), UNKNOWN));
        } catch (LngdException | LinkageError e) {
            // Optimizers that are not LNGD's do without its natives.
            return "model " + UNKNOWN + ", " + processors;
        }
    }

    /**
     * Of a run that was stopped and went on, once or more.
     *
     * @param starts what each of its processes ran under; at least one
     */
    static Measured of(List<Measured> starts) {
        Map<String, String> facts = new LinkedHashMap<>();
        for (String name : NAMES) {
            facts.put(
                    name,
                    starts.stream()
                            .map(start -> start.facts().get(name))
                            .distinct()
                            .collect(Collectors.joining(", then ")));
        }
        return new Measured(facts);
    }

    /** What the summary of a run tells that is of a version without this record. */
    static Measured ofSummary(Map<String, Object> summary) {
        Map<String, String> facts = new LinkedHashMap<>();
        if (summary.get("gitCommit") != null) {
            facts.put(COMMIT, summary.get("gitCommit").toString());
        }
        if (summary.get("versions") instanceof Map<?, ?> versions
                && versions.get("lngd4j") != null) {
            facts.put(LIBRARY, versions.get("lngd4j").toString());
        }
        return new Measured(facts);
    }

    String get(String name) {
        return facts.get(name);
    }

    /** In what it differs from another, for example {@code runs at a time 2}. */
    List<String> differencesFrom(Measured other) {
        List<String> differences = new ArrayList<>();
        facts.forEach(
                (name, value) -> {
                    if (!value.equals(other.get(name))) {
                        differences.add(name + " " + shown(name, value));
                    }
                });
        return differences;
    }

    /** For people: 12 digits of a commit are enough. */
    static String shown(String name, String value) {
        return name.equals(COMMIT) ? value.replaceAll("\\b([0-9a-f]{12})[0-9a-f]+", "$1") : value;
    }
}
