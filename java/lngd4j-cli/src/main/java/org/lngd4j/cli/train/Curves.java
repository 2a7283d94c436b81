// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.awt.Color;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToDoubleFunction;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;
import org.lngd4j.cli.support.AtomicFile;

/** Draws loss and accuracy over the epochs, side by side, as PNG. Needs no display. */
final class Curves {
    private static final int WIDTH = 640;
    private static final int HEIGHT = 420;

    private Curves() {}

    /** Draws them into a run's folder, or tells why that cannot be. */
    static void draw(RunFolder folder, String title, List<MetricsRow> rows, PrintStream err)
            throws IOException {
        ByteArrayOutputStream png = new ByteArrayOutputStream();
        try {
            write(rows, title, png);
        } catch (RuntimeException | LinkageError e) {
            // Java draws text with the system's fonts; a machine without any must not lose its run
            // for a picture.
            err.println(
                    "lngd: "
                            + RunFolder.CURVES
                            + " was not drawn ("
                            + e
                            + "); are fonts installed?"
                            + " (Debian: fontconfig, fonts-dejavu-core)");
            return;
        }
        AtomicFile.write(folder.file(RunFolder.CURVES), png::writeTo);
    }

    static void write(List<MetricsRow> rows, String title, OutputStream out) throws IOException {
        XYChart loss = chart(title, "loss (nats)", LegendPosition.InsideNE);
        add(loss, "train", rows, MetricsRow::trainLoss);
        add(loss, "test", rows, MetricsRow::testLoss);
        List<XYChart> charts = new ArrayList<>(List.of(loss));
        Quality quality = rows.get(rows.size() - 1).quality();
        if (quality != Quality.NONE) {
            String what = quality == Quality.BLEU ? "test BLEU" : "test accuracy (%)";
            XYChart chart = chart(title, what, LegendPosition.InsideSE);
            add(chart, "test", rows, quality::points);
            charts.add(chart);
        }
        BitmapEncoder.saveBitmap(charts, 1, charts.size(), out, BitmapEncoder.BitmapFormat.PNG);
    }

    private static XYChart chart(String title, String what, LegendPosition emptyCorner) {
        XYChart chart =
                new XYChartBuilder()
                        .width(WIDTH)
                        .height(HEIGHT)
                        .title(title)
                        .xAxisTitle("epoch")
                        .yAxisTitle(what)
                        .build();
        chart.getStyler().setLegendPosition(emptyCorner).setChartBackgroundColor(Color.WHITE);
        return chart;
    }

    private static void add(
            XYChart chart, String name, List<MetricsRow> rows, ToDoubleFunction<MetricsRow> value) {
        double[] x = rows.stream().mapToDouble(MetricsRow::epoch).toArray();
        double[] y = rows.stream().mapToDouble(value).toArray();
        chart.addSeries(name, x, y).setMarker(SeriesMarkers.CIRCLE);
    }
}
