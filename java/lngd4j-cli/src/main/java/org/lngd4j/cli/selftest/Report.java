// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.selftest;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.golden.GoldenField;

/** The outcome of a self-test: a line for each check, or one JSON object, and the exit status. */
final class Report {
    private final List<Section> sections;

    /**
     * What one device made of it.
     *
     * @param device its word
     * @param quick whole steps
     * @param golden golden vectors
     */
    record Section(
            String device, List<QuickCheck.Result> quick, List<GoldenRunner.Outcome> golden) {
        boolean passed() {
            return quick.stream().allMatch(QuickCheck.Result::passed)
                    && golden.stream().allMatch(outcome -> outcome.result().passed());
        }

        /** In front of each line; nothing for the CPU, which always runs. */
        String prefix() {
            return device.equals("cpu") ? "" : device + ": ";
        }
    }

    Report(List<Section> sections) {
        this.sections = sections;
    }

    /** 0 if all is well, 2 where a file cannot be used, else 1 where a tolerance is broken. */
    int exitStatus() {
        if (!problems().isEmpty()) {
            return CliException.BAD_INPUT;
        }
        return sections.stream().allMatch(Section::passed) ? 0 : CliException.FAILURE;
    }

    /** Lines for standard output. */
    List<String> lines() {
        List<String> lines = new ArrayList<>();
        for (Section section : sections) {
            for (QuickCheck.Result result : section.quick()) {
                lines.add(
                        String.format(
                                Locale.ROOT,
                                "%s %s%s: weights %.1e (allowed %.1e)%s",
                                word(result.passed()),
                                section.prefix(),
                                result.name(),
                                result.error(),
                                QuickCheck.TOLERANCE,
                                result.repeatable() ? "" : ", a second run differs"));
            }
            for (GoldenRunner.Outcome outcome : section.golden()) {
                if (outcome.problem() == null) {
                    lines.add(
                            outcome.builtIn() && outcome.result().passed()
                                    ? shortLine(section, outcome)
                                    : line(section, outcome));
                }
            }
        }
        return lines;
    }

    /** Lines for standard error: the files that cannot be used, each once. */
    List<String> problems() {
        return sections.stream()
                .flatMap(section -> section.golden().stream())
                .filter(outcome -> outcome.problem() != null)
                .map(outcome -> "lngd: " + outcome.problem().replaceAll("\\s*\\R\\s*", " "))
                .distinct()
                .toList();
    }

    /** A file of our own that passes is of interest only by its largest error. */
    private static String shortLine(Section section, GoldenRunner.Outcome outcome) {
        GoldenField worst =
                Collections.max(
                        outcome.result().fields(), Comparator.comparingDouble(GoldenField::error));
        return String.format(
                Locale.ROOT,
                "%s %sbuilt-in %s: %d fields, largest error %.1e in %s",
                word(true),
                section.prefix(),
                outcome.name(),
                outcome.result().fields().size(),
                worst.error(),
                worst.path());
    }

    private static String line(Section section, GoldenRunner.Outcome outcome) {
        StringBuilder line = new StringBuilder(word(outcome.result().passed()));
        line.append(' ').append(section.prefix()).append(outcome.name()).append(':');
        if (outcome.result().fields().isEmpty()) {
            line.append(" no expected field in it: nothing was checked");
        }
        for (GoldenField field : outcome.result().fields()) {
            line.append(String.format(Locale.ROOT, " %s %.1e", field.path(), field.error()));
            if (!(field.error() <= field.tolerance())) {
                line.append(
                        String.format(
                                Locale.ROOT, " (TOO LARGE: allowed %.1e)", field.tolerance()));
            }
            if (!(field.twinError() <= field.twinTolerance())) {
                line.append(
                        String.format(
                                Locale.ROOT,
                                " (THE FILE DISAGREES WITH THE FORMULAS: %.1e in double precision, allowed %.1e)",
                                field.twinError(),
                                field.twinTolerance()));
            }
        }
        return line.toString();
    }

    Map<String, Object> toMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("passed", exitStatus() == 0);
        List<Object> quick = new ArrayList<>();
        List<Object> golden = new ArrayList<>();
        for (Section section : sections) {
            section.quick().forEach(result -> quick.add(quickMap(section, result)));
            section.golden().forEach(outcome -> golden.add(goldenMap(section, outcome)));
        }
        map.put("quick", quick);
        map.put("golden", golden);
        return map;
    }

    private static Map<String, Object> quickMap(Section section, QuickCheck.Result result) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("device", section.device());
        map.put("name", result.name());
        map.put("passed", result.passed());
        map.put("error", finite(result.error()));
        map.put("tolerance", QuickCheck.TOLERANCE);
        map.put("repeatable", result.repeatable());
        return map;
    }

    private static Map<String, Object> goldenMap(Section section, GoldenRunner.Outcome outcome) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("device", section.device());
        map.put("file", outcome.name());
        map.put("builtIn", outcome.builtIn());
        map.put("passed", outcome.problem() == null && outcome.result().passed());
        map.put("problem", outcome.problem());
        Map<String, Object> fields = new LinkedHashMap<>();
        if (outcome.result() != null) {
            for (GoldenField field : outcome.result().fields()) {
                Map<String, Object> one = new LinkedHashMap<>();
                one.put("error", finite(field.error()));
                one.put("tolerance", field.tolerance());
                one.put("doubleError", finite(field.twinError()));
                one.put("doubleTolerance", field.twinTolerance());
                one.put("passed", field.passed());
                fields.put(field.path(), one);
            }
        }
        map.put("fields", fields);
        return map;
    }

    /** JSON has no NaN: it becomes null. */
    private static Double finite(double value) {
        return Double.isFinite(value) ? value : null;
    }

    private static String word(boolean passed) {
        return passed ? "ok  " : "FAIL";
    }
}
