// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.support;

import java.util.ArrayList;
import java.util.List;

/** A table in Markdown: some columns of words on the left, the others of numbers. */
public final class MarkdownTable {
    private final int words;
    private final List<String> titles;
    private final List<List<String>> lines = new ArrayList<>();

    /**
     * An empty table.
     *
     * @param words so many columns are aligned to the left, the rest to the right
     */
    public MarkdownTable(int words, String... titles) {
        this.words = words;
        this.titles = List.of(titles);
    }

    /** Adds a line with a cell for each title. */
    public void add(String... cells) {
        if (cells.length != titles.size()) {
            throw new IllegalArgumentException(
                    cells.length + " cells, allowed is " + titles.size());
        }
        lines.add(List.of(cells));
    }

    @Override
    public String toString() {
        List<String> rules = new ArrayList<>();
        for (int i = 0; i < titles.size(); i++) {
            rules.add(i < words ? "---" : "---:");
        }
        StringBuilder text = new StringBuilder();
        line(text, titles);
        line(text, rules);
        lines.forEach(cells -> line(text, cells));
        return text.toString();
    }

    // A bar or a line feed in a text would be a column or a line of its own.
    private static void line(StringBuilder text, List<String> cells) {
        text.append('|');
        for (String cell : cells) {
            text.append(' ').append(cell.replace("|", "\\|").replaceAll("\\R", " ")).append(" |");
        }
        text.append('\n');
    }
}
