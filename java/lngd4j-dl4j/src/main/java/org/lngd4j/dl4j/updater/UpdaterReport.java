// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * What is done with every layer that has parameters. {@link #toString()} is a table for people.
 *
 * @param lines one for each layer, in the order of the network
 */
public record UpdaterReport(List<Line> lines) {
    /**
     * What is done with one layer.
     *
     * @param layer its name
     * @param type the class of its configuration, as users wrote it
     * @param parameters how many it has
     * @param trainedBy what trains its weights: Muon, Soap, AdamW or (frozen); biases, gains and
     *     shifts are always AdamW's
     * @param detail the matrix that its weights are taken as, or why they are AdamW's
     */
    public record Line(
            String layer, String type, long parameters, String trainedBy, String detail) {}

    /**
     * Copies the list.
     *
     * @param lines one for each layer
     */
    public UpdaterReport {
        lines = List.copyOf(lines);
    }

    /**
     * Names of the layers whose weights are trained by an optimizer.
     *
     * @param trainedBy as {@link Line#trainedBy} has it
     * @return the names, in the order of the network; may be empty
     */
    public List<String> layers(String trainedBy) {
        return lines.stream()
                .filter(l -> l.trainedBy().equals(trainedBy))
                .map(Line::layer)
                .toList();
    }

    @Override
    public String toString() {
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {"layer", "type", "parameters", "weights by", "how, or why AdamW"});
        for (Line l : lines) {
            String count = String.format(Locale.ROOT, "%,d", l.parameters());
            rows.add(new String[] {l.layer(), l.type(), count, l.trainedBy(), l.detail()});
        }
        int[] width = new int[4];
        for (String[] row : rows) {
            for (int i = 0; i < width.length; i++) {
                width[i] = Math.max(width[i], row[i].length());
            }
        }
        StringBuilder text = new StringBuilder();
        for (String[] row : rows) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < width.length; i++) {
                String format = (i == 2 ? "%" : "%-") + width[i] + "s  ";
                line.append(String.format(Locale.ROOT, format, row[i]));
            }
            text.append(text.isEmpty() ? "" : "\n");
            text.append(line.append(row[width.length]).toString().stripTrailing());
        }
        return text.toString();
    }
}
