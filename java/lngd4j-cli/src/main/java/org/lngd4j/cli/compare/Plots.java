// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.awt.Color;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;
import org.lngd4j.cli.train.MetricsRow;
import org.lngd4j.cli.train.Quality;

/** Means over the seeds against epochs and against seconds, as PNG. Needs no display. */
final class Plots {
    private static final int WIDTH = 720;
    private static final int HEIGHT = 460;

    private Plots() {}

    /** All pictures by file name. */
    static Map<String, byte[]> draw(List<ContenderResult> results, Quality quality)
            throws IOException {
        Map<String, byte[]> pictures = new LinkedHashMap<>();
        switch (quality) {
            case ACCURACY ->
                    both(pictures, results, "accuracy", "test accuracy (%)", quality::points);
            case BLEU -> both(pictures, results, "bleu", "test BLEU", quality::points);
            case NONE -> {}
        }
        both(pictures, results, "test-loss", "test loss (nats)", MetricsRow::testLoss);
        both(pictures, results, "train-loss", "training loss (nats)", MetricsRow::trainLoss);
        return pictures;
    }

    private static void both(
            Map<String, byte[]> pictures,
            List<ContenderResult> results,
            String name,
            String title,
            ToDoubleFunction<MetricsRow> y)
            throws IOException {
        boolean rising = !name.endsWith("loss");
        LegendPosition corner = rising ? LegendPosition.InsideSE : LegendPosition.InsideNE;
        pictures.put(
                name + "-epochs.png", draw(results, "epochs", title, MetricsRow::epoch, y, corner));
        pictures.put(
                name + "-seconds.png",
                draw(results, "seconds of training", title, MetricsRow::seconds, y, corner));
    }

    private static byte[] draw(
            List<ContenderResult> results,
            String xTitle,
            String yTitle,
            ToDoubleFunction<MetricsRow> x,
            ToDoubleFunction<MetricsRow> y,
            LegendPosition corner)
            throws IOException {
        XYChart chart =
                new XYChartBuilder()
                        .width(WIDTH)
                        .height(HEIGHT)
                        .xAxisTitle(xTitle)
                        .yAxisTitle(yTitle)
                        .build();
        chart.getStyler().setLegendPosition(corner).setChartBackgroundColor(Color.WHITE);
        for (ContenderResult result : results) {
            List<RunStore.Done> runs = result.complete();
            if (!runs.isEmpty()) {
                chart.addSeries(result.contender().name(), mean(runs, x), mean(runs, y))
                        .setMarker(SeriesMarkers.CIRCLE);
            }
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        BitmapEncoder.saveBitmap(List.of(chart), 1, 1, out, BitmapEncoder.BitmapFormat.PNG);
        return out.toByteArray();
    }

    // Whole runs are evaluated after the same steps, whatever the seed.
    private static double[] mean(List<RunStore.Done> runs, ToDoubleFunction<MetricsRow> value) {
        double[] sums = new double[runs.get(0).rows().size()];
        for (RunStore.Done run : runs) {
            for (int i = 0; i < sums.length; i++) {
                sums[i] += value.applyAsDouble(run.rows().get(i)) / runs.size();
            }
        }
        return sums;
    }
}
