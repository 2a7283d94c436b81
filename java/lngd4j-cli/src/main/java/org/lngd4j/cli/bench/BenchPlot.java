// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.bench;

import java.awt.Color;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries.XYSeriesRenderStyle;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.Marker;
import org.knowm.xchart.style.markers.SeriesMarkers;
import org.lngd4j.cli.bench.BenchResults.Peer;
import org.lngd4j.cli.bench.BenchResults.Row;

/**
 * Our time over the peer's against our time, a point for each row and peer, as PNG: below the line
 * we are faster. A colour for each kernel, a marker for each number of threads. Needs no display.
 */
final class BenchPlot {
    /** Name of the line at 1 in the legend. */
    static final String EVEN = "as fast as the peer";

    /** Okabe and Ito's colours without black and yellow: told apart by the colour-blind too. */
    static final List<Color> COLOURS =
            List.of(
                    new Color(0x0072B2),
                    new Color(0xD55E00),
                    new Color(0x009E73),
                    new Color(0xCC79A7),
                    new Color(0xE69F00),
                    new Color(0x56B4E9));

    private static final Marker[] MARKERS = {
        SeriesMarkers.CIRCLE,
        SeriesMarkers.TRIANGLE_UP,
        SeriesMarkers.SQUARE,
        SeriesMarkers.DIAMOND,
        SeriesMarkers.TRIANGLE_DOWN
    };
    private static final int WIDTH = 960;
    private static final int HEIGHT = 560;
    // Room between the outermost points and the frame.
    private static final double MARGIN = 1.15;
    // Up to this range of ratios 0.9 and 1.0 are a line of text apart.
    private static final double ALL_LABELS = 12;

    private BenchPlot() {}

    private record Key(String kernel, int threads) {
        String label() {
            return kernel + ", " + threads + (threads == 1 ? " thread" : " threads");
        }
    }

    private record Point(double us, double ratio) {}

    /**
     * The picture's bytes.
     *
     * @throws IllegalArgumentException where no row has a peer
     */
    static byte[] png(BenchResults results) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        BitmapEncoder.saveBitmap(
                List.of(chart(results)), 1, 1, out, BitmapEncoder.BitmapFormat.PNG);
        return out.toByteArray();
    }

    static XYChart chart(BenchResults results) {
        Map<Key, List<Point>> series = new LinkedHashMap<>();
        for (Row row : results.rows()) {
            Key key = new Key(row.what().kernel(), row.what().threads());
            for (Peer peer : row.compared()) {
                series.computeIfAbsent(key, k -> new ArrayList<>())
                        .add(new Point(row.us(), peer.ratio()));
            }
        }
        if (series.isEmpty()) {
            throw new IllegalArgumentException("no row has a peer, there is nothing to draw");
        }
        XYChart chart =
                new XYChartBuilder()
                        .width(WIDTH)
                        .height(HEIGHT)
                        .title(title(results))
                        .xAxisTitle("our time (us)")
                        .yAxisTitle("our time / the peer's")
                        .build();
        List<Point> all = series.values().stream().flatMap(List::stream).toList();
        double left = all.stream().mapToDouble(Point::us).min().orElseThrow() / MARGIN;
        double right = all.stream().mapToDouble(Point::us).max().orElseThrow() * MARGIN;
        style(chart, all, left, right);
        chart.addSeries(EVEN, new double[] {left, right}, new double[] {1, 1})
                .setXYSeriesRenderStyle(XYSeriesRenderStyle.Line)
                .setMarker(SeriesMarkers.NONE)
                .setLineColor(Color.BLACK)
                .setLineWidth(1.5f);
        addPoints(chart, series);
        return chart;
    }

    private static String title(BenchResults results) {
        return "lngd bench, "
                + results.machine().date()
                + ", commit "
                + results.machine().commit()
                + (results.machine().quick() ? ", quick" : "")
                + (results.complete() ? "" : ", PARTIAL");
    }

    private static void style(XYChart chart, List<Point> all, double left, double right) {
        double least = all.stream().mapToDouble(Point::ratio).min().orElseThrow();
        double most = all.stream().mapToDouble(Point::ratio).max().orElseThrow();
        chart.getStyler()
                .setXAxisLogarithmic(true)
                .setYAxisLogarithmic(true)
                // Powers of ten alone would often be one label; over more, others would overlap.
                .setYAxisLogarithmicDecadeOnly(Math.max(most, 1) / Math.min(least, 1) > ALL_LABELS)
                .setYAxisDecimalPattern("0.0##")
                .setXAxisDecimalPattern("0.##")
                .setXAxisMin(left)
                .setXAxisMax(right)
                .setYAxisMin(Math.min(least, 1) / MARGIN)
                .setYAxisMax(Math.max(most, 1) * MARGIN)
                .setLegendPosition(LegendPosition.OutsideE)
                .setChartBackgroundColor(Color.WHITE);
    }

    private static void addPoints(XYChart chart, Map<Key, List<Point>> series) {
        List<String> kernels = series.keySet().stream().map(Key::kernel).distinct().toList();
        List<Integer> threads = series.keySet().stream().map(Key::threads).distinct().toList();
        // The file has all kernels on one thread before the first on two.
        List<Key> keys =
                series.keySet().stream()
                        .sorted(
                                Comparator.comparingInt((Key key) -> kernels.indexOf(key.kernel()))
                                        .thenComparingInt(Key::threads))
                        .toList();
        for (Key key : keys) {
            List<Point> points = series.get(key);
            Color colour = COLOURS.get(kernels.indexOf(key.kernel()) % COLOURS.size());
            chart.addSeries(
                            key.label(),
                            points.stream().mapToDouble(Point::us).toArray(),
                            points.stream().mapToDouble(Point::ratio).toArray())
                    .setXYSeriesRenderStyle(XYSeriesRenderStyle.Scatter)
                    .setMarkerColor(colour)
                    .setMarker(MARKERS[threads.indexOf(key.threads()) % MARKERS.length]);
        }
    }
}
