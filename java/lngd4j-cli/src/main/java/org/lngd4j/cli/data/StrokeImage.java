// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.data;

import java.util.Arrays;

/**
 * A square grey image of strokes with soft edges. A pixel whose centre (column + 1/2, row + 1/2)
 * lies at distance r from the nearest stroke has the intensity {@code floor(255 min(1, max(0, reach
 * - r)) + 1/2)}. Only +, -, *, /, comparisons and the square root are used, which IEEE 754 and Java
 * 17 round alike everywhere.
 */
final class StrokeImage {
    private final int side;
    private final double[] nearest;
    private final double reach;

    /**
     * @param side pixels of a side
     * @param nearest workspace of side * side numbers, which it overwrites
     * @param reach half the width of a stroke, soft edge included, in pixels
     */
    StrokeImage(int side, double[] nearest, double reach) {
        this.side = side;
        this.nearest = nearest;
        this.reach = reach;
        Arrays.fill(nearest, reach * reach);
    }

    /** A quadratic Bezier curve, as so many straight pieces of equal parameter. */
    void quadratic(double ax, double ay, double bx, double by, double cx, double cy, int pieces) {
        double x0 = ax;
        double y0 = ay;
        for (int k = 1; k <= pieces; k++) {
            double t = (double) k / pieces;
            double s = 1 - t;
            double x1 = s * s * ax + 2 * s * t * bx + t * t * cx;
            double y1 = s * s * ay + 2 * s * t * by + t * t * cy;
            line(x0, y0, x1, y1);
            x0 = x1;
            y0 = y1;
        }
    }

    // Lowers the squared distances of the pixels around a line. No pixel further than the reach
    // from its bounding box can be touched.
    private void line(double x0, double y0, double x1, double y1) {
        int left = Math.max(0, (int) (Math.min(x0, x1) - reach - 0.5));
        int right = Math.min(side - 1, (int) (Math.max(x0, x1) + reach));
        int top = Math.max(0, (int) (Math.min(y0, y1) - reach - 0.5));
        int bottom = Math.min(side - 1, (int) (Math.max(y0, y1) + reach));
        double dx = x1 - x0;
        double dy = y1 - y0;
        double length = dx * dx + dy * dy;
        for (int row = top; row <= bottom; row++) {
            for (int column = left; column <= right; column++) {
                double px = column + 0.5 - x0;
                double py = row + 0.5 - y0;
                double along = length > 0 ? (px * dx + py * dy) / length : 0;
                along = Math.min(1, Math.max(0, along));
                double ex = px - along * dx;
                double ey = py - along * dy;
                double squared = ex * ex + ey * ey;
                int k = row * side + column;
                nearest[k] = Math.min(nearest[k], squared);
            }
        }
    }

    /** The intensities, row by row. */
    void write(byte[] pixels, int start) {
        for (int k = 0; k < nearest.length; k++) {
            double ink = Math.min(1, Math.max(0, reach - Math.sqrt(nearest[k])));
            pixels[start + k] = (byte) (int) (255 * ink + 0.5);
        }
    }
}
