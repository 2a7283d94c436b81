// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.support;

import java.util.List;

/** A table for a terminal, its columns as wide as their widest cell. */
public final class PaddedTable {
    private PaddedTable() {}

    /**
     * Its text, with a line feed after each line.
     *
     * @param words so many columns are aligned to the left, the rest to the right
     * @param lines all of the same number of cells
     */
    public static String text(int words, List<List<String>> lines) {
        StringBuilder text = new StringBuilder();
        for (List<String> cells : lines) {
            for (int column = 0; column < cells.size(); column++) {
                int width = 0;
                for (List<String> other : lines) {
                    width = Math.max(width, other.get(column).length());
                }
                String pad = " ".repeat(width - cells.get(column).length());
                text.append(column < words ? cells.get(column) + pad : pad + cells.get(column));
                text.append(column + 1 < cells.size() ? "  " : "");
            }
            // No blanks at the end of a line.
            text.setLength(text.toString().stripTrailing().length());
            text.append('\n');
        }
        return text.toString();
    }
}
