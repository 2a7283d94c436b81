// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import org.lngd4j.cli.compare.RunStore.Done;

/** In what the runs of a table differ that should be the same in all of them. */
final class Mixture {
    private Mixture() {}

    /**
     * A line for each difference; none where all is alike.
     *
     * @param results of all contenders
     */
    static List<String> of(List<ContenderResult> results) {
        List<String> lines = new ArrayList<>();
        List<Measured> whole =
                results.stream().flatMap(r -> r.runs().stream()).map(Done::measured).toList();
        for (Map.Entry<String, String> first : new Measured(Map.of()).facts().entrySet()) {
            add(lines, "not measured alike: ", first.getKey(), whole);
        }
        List<Measured> tuning = results.stream().flatMap(r -> r.tuning().stream()).toList();
        for (String name : Measured.OF_RESULTS) {
            add(lines, "not tuned alike: ", name, tuning);
        }
        results.forEach(result -> addSettings(lines, result));
        return lines;
    }

    /** The value of a fact, or all that there are, each with its number of runs. */
    static String shared(List<Measured> runs, String name) {
        List<String> values =
                runs.stream().map(run -> Measured.shown(name, run.get(name))).toList();
        return values.stream().distinct().count() == 1 ? values.get(0) : counted(values);
    }

    private static void add(List<String> lines, String begin, String name, List<Measured> runs) {
        if (runs.stream().map(run -> run.get(name)).distinct().count() > 1) {
            lines.add(begin + name + " " + shared(runs, name));
        }
    }

    // The same options can mean other settings in another version.
    private static void addSettings(List<String> lines, ContenderResult result) {
        List<Map<String, Object>> all =
                result.runs().stream().map(Done::details).filter(Objects::nonNull).toList();
        Set<String> names = new LinkedHashSet<>();
        all.forEach(details -> names.addAll(details.keySet()));
        for (String name : names) {
            List<String> values =
                    all.stream()
                            .map(details -> String.valueOf(details.getOrDefault(name, "unknown")))
                            .toList();
            if (values.stream().distinct().count() > 1) {
                lines.add(
                        "not the same settings: "
                                + result.contender().name()
                                + " "
                                + name
                                + " "
                                + counted(values));
            }
        }
    }

    private static String counted(List<String> values) {
        Map<String, Long> counts =
                values.stream()
                        .collect(
                                Collectors.groupingBy(
                                        value -> value, LinkedHashMap::new, Collectors.counting()));
        return counts.entrySet().stream()
                .map(
                        e ->
                                e.getKey()
                                        + " ("
                                        + e.getValue()
                                        + (e.getValue() == 1 ? " run)" : " runs)"))
                .collect(Collectors.joining(", "));
    }
}
