// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.support.Json;
import org.lngd4j.cli.train.TuningAxis;

/**
 * Settings that a comparison has found, as JSON: for each contender the value of each of its axes,
 * in the units of the grid. {@code --tune FILE} reads what a comparison before wrote.
 *
 * @param values by contender and option
 */
record TunedFile(Map<String, Map<String, Double>> values) {
    /** What a comparison found. */
    static TunedFile of(List<ContenderResult> results) {
        Map<String, Map<String, Double>> values = new LinkedHashMap<>();
        for (ContenderResult result : results) {
            Map<String, Double> options = new LinkedHashMap<>();
            List<TuningAxis> axes = result.contender().axes();
            for (int i = 0; i < axes.size(); i++) {
                options.put(axes.get(i).option(), axes.get(i).grid().get(result.point().get(i)));
            }
            values.put(result.contender().name(), options);
        }
        return new TunedFile(values);
    }

    /** Reads a file; every contender must be in it, with values of its grids. */
    static TunedFile read(Path file, List<Contender> contenders) {
        try {
            Map<String, Map<String, Double>> values = new LinkedHashMap<>();
            Json.readObject(Files.readString(file))
                    .forEach((name, options) -> values.put(name, numbers(name, options)));
            TunedFile read = new TunedFile(values);
            contenders.forEach(read::point);
            return read;
        } catch (IOException | IllegalArgumentException e) {
            throw CliException.badInput("--tune " + file + ": " + e.getMessage(), e);
        }
    }

    private static Map<String, Double> numbers(String name, Object options) {
        if (!(options instanceof Map<?, ?> map)) {
            throw new IllegalArgumentException(name + ": not an object");
        }
        Map<String, Double> numbers = new LinkedHashMap<>();
        map.forEach(
                (option, value) -> {
                    if (!(value instanceof Number number)) {
                        throw new IllegalArgumentException(
                                name + ": " + option + " is " + value + ", not a number");
                    }
                    numbers.put(option.toString(), number.doubleValue());
                });
        return numbers;
    }

    /**
     * The point of a contender.
     *
     * @throws IllegalArgumentException where it is absent or off its grid
     */
    List<Integer> point(Contender contender) {
        Map<String, Double> options = values.get(contender.name());
        if (options == null) {
            throw new IllegalArgumentException("nothing about " + contender.name());
        }
        List<Integer> point = new ArrayList<>();
        for (TuningAxis axis : contender.axes()) {
            Double value = options.get(axis.option());
            int index = value == null ? -1 : axis.grid().indexOf(value);
            if (index < 0) {
                throw new IllegalArgumentException(
                        contender.name()
                                + ": "
                                + axis.option()
                                + " is "
                                + value
                                + ", not one of "
                                + axis.grid());
            }
            point.add(index);
        }
        return point;
    }

    String toJson() {
        return Json.write(values);
    }
}
