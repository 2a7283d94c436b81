// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.fisher;

import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.awt.image.IndexColorModel;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import javax.imageio.ImageIO;

/**
 * Heat maps in rows, one colour scale for each row: log10 of |value| over the largest value of the
 * row's first map, four decades. A chart library draws such a map cell by cell with axes of
 * thousands of names; here a matrix element is a square of pixels.
 */
final class FisherPicture {
    private static final int DECADES = 4;
    private static final int LEVELS = 96;
    private static final int LEAST_SIDE = 300; // the titles need it
    private static final int MARGIN = 14;
    private static final int TITLE = 40;
    private static final int LEGEND = 46;

    // Anchors of a perceptually even scale from dark violet to yellow.
    private static final int[][] ANCHORS = {
        {68, 1, 84}, {72, 40, 120}, {62, 74, 137}, {49, 104, 142}, {38, 130, 142},
        {31, 158, 137}, {53, 183, 121}, {110, 206, 88}, {181, 222, 43}, {253, 231, 37}
    };

    private FisherPicture() {}

    /**
     * One heat map.
     *
     * @param title first line above it
     * @param note second line
     */
    record Panel(String title, String note, double[][] values) {}

    static byte[] draw(List<List<Panel>> rows) throws IOException {
        int n = rows.get(0).get(0).values().length;
        int cell = (LEAST_SIDE + n - 1) / n;
        int side = cell * n;
        int columns = rows.stream().mapToInt(List::size).max().orElseThrow();
        int width = MARGIN + columns * (side + MARGIN);
        int height = rows.size() * (TITLE + side + MARGIN) + LEGEND;
        BufferedImage image =
                new BufferedImage(width, height, BufferedImage.TYPE_BYTE_INDEXED, colours());
        Graphics2D g = image.createGraphics();
        // Blended letters would need colours that the palette has not got.
        g.setRenderingHint(
                RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_OFF);
        g.setColor(Color.WHITE);
        g.fillRect(0, 0, width, height);
        g.setFont(new Font(Font.SANS_SERIF, Font.PLAIN, 13));
        int top = 0;
        for (List<Panel> row : rows) {
            double largest = largest(row.get(0).values());
            int left = MARGIN;
            for (Panel panel : row) {
                g.setColor(Color.BLACK);
                g.drawString(panel.title(), left, top + 17);
                g.drawString(panel.note(), left, top + 34);
                for (int i = 0; i < n; i++) {
                    for (int j = 0; j < n; j++) {
                        g.setColor(colour(level(panel.values()[i][j], largest)));
                        g.fillRect(left + j * cell, top + TITLE + i * cell, cell, cell);
                    }
                }
                left += side + MARGIN;
            }
            top += TITLE + side + MARGIN;
        }
        legend(g, top, Math.min(side, width - 2 * MARGIN));
        g.dispose();
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        ImageIO.write(image, "png", bytes);
        return bytes.toByteArray();
    }

    private static void legend(Graphics2D g, int top, int length) {
        for (int x = 0; x < length; x++) {
            g.setColor(colour(x * LEVELS / length));
            g.fillRect(MARGIN + x, top, 1, 12);
        }
        g.setColor(Color.BLACK);
        g.drawString(String.format(Locale.ROOT, "1e-%d or less", DECADES), MARGIN, top + 28);
        g.drawString("1", MARGIN + length - 8, top + 28);
        g.drawString(
                "|value| over the largest of the row's first map",
                MARGIN + length + MARGIN,
                top + 11);
    }

    /** 0 to LEVELS - 1; zero and everything below the scale is 0. */
    static int level(double value, double largest) {
        double decades = Math.log10(Math.abs(value) / largest);
        double position = Double.isNaN(decades) ? 0 : 1 + decades / DECADES;
        return (int) Math.max(0, Math.min(LEVELS - 1, Math.floor(position * LEVELS)));
    }

    private static double largest(double[][] values) {
        double largest = Double.MIN_NORMAL;
        for (double[] row : values) {
            for (double value : row) {
                largest = Math.max(largest, Math.abs(value));
            }
        }
        return largest;
    }

    private static Color colour(int level) {
        double at = (ANCHORS.length - 1.0) * level / (LEVELS - 1);
        int low = Math.min((int) at, ANCHORS.length - 2);
        int[] rgb = new int[3];
        for (int c = 0; c < 3; c++) {
            rgb[c] =
                    (int)
                            Math.round(
                                    ANCHORS[low][c]
                                            + (at - low) * (ANCHORS[low + 1][c] - ANCHORS[low][c]));
        }
        return new Color(rgb[0], rgb[1], rgb[2]);
    }

    // A palette makes the file a quarter as large as full colours would.
    private static IndexColorModel colours() {
        byte[][] rgb = new byte[3][LEVELS + 2];
        for (int level = 0; level < LEVELS; level++) {
            Color c = colour(level);
            rgb[0][level] = (byte) c.getRed();
            rgb[1][level] = (byte) c.getGreen();
            rgb[2][level] = (byte) c.getBlue();
        }
        for (byte[] channel : rgb) {
            channel[LEVELS] = (byte) 255; // white; the last stays black
        }
        return new IndexColorModel(8, LEVELS + 2, rgb[0], rgb[1], rgb[2]);
    }
}
