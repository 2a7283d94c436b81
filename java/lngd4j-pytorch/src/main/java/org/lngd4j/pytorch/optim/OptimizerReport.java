// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import java.util.List;
import java.util.Locale;

/**
 * What is done with every parameter. {@link #toString()} is a table for people.
 *
 * @param lines one for each parameter, in the order of the model
 */
public record OptimizerReport(List<Line> lines) {
    /**
     * What is done with one parameter.
     *
     * @param parameter its name
     * @param shape its sizes, such as {@code 64 x 3 x 5 x 5}
     * @param trainedBy Muon, Soap, AdamW or (frozen)
     * @param detail of weights that are AdamW's the reason; else empty
     */
    public record Line(String parameter, String shape, String trainedBy, String detail) {}

    /**
     * Copies the list.
     *
     * @param lines one for each parameter
     */
    public OptimizerReport {
        lines = List.copyOf(lines);
    }

    /**
     * Names of the parameters that are trained by an optimizer.
     *
     * @param trainedBy as {@link Line#trainedBy} has it
     * @return the names, in the order of the model; may be empty
     */
    public List<String> parameters(String trainedBy) {
        return lines.stream()
                .filter(l -> l.trainedBy().equals(trainedBy))
                .map(Line::parameter)
                .toList();
    }

    @Override
    public String toString() {
        int name = 0;
        int shape = 0;
        for (Line l : lines) {
            name = Math.max(name, l.parameter().length());
            shape = Math.max(shape, l.shape().length());
        }
        String format = "%-" + name + "s  %" + shape + "s  %-8s  %s";
        StringBuilder text = new StringBuilder();
        for (Line l : lines) {
            String line =
                    String.format(
                            Locale.ROOT,
                            format,
                            l.parameter(),
                            l.shape(),
                            l.trainedBy(),
                            l.detail());
            text.append(text.isEmpty() ? "" : "\n").append(line.stripTrailing());
        }
        return text.toString();
    }
}
