// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYSeries;

class BenchPlotTest {
    private final BenchResults results = BenchResults.parse(Sample.json());

    @Test
    void aPointForEveryRowWithAPeer() {
        XYChart chart = BenchPlot.chart(results);

        assertThat(chart.getSeriesCollection())
                .extracting(XYSeries::getName)
                .containsExactly(
                        BenchPlot.EVEN,
                        "layer_statistics, 1 thread",
                        "layer_statistics, 2 threads",
                        "factor_inverse, 1 thread",
                        "precondition, 1 thread");
        XYSeries one = chart.getSeries("layer_statistics, 1 thread");
        XYSeries two = chart.getSeries("layer_statistics, 2 threads");
        assertThat(one.getXData()).containsExactly(8000, 30000, 20);
        assertThat(one.getYData()).containsExactly(0.8, 1.25, 0.5);
        assertThat(two.getYData()).containsExactly(0.5, 1.25, 0.8);
        assertThat(one.getMarkerColor()).isEqualTo(two.getMarkerColor());
        assertThat(one.getMarker()).isNotEqualTo(two.getMarker());
        assertThat(chart.getSeries(BenchPlot.EVEN).getYData()).containsOnly(1);
    }

    @Test
    void theAxesAreLogarithmicNamedAndHoldAllPoints() {
        XYChart chart = BenchPlot.chart(results);
        assertThat(chart.getStyler().isXAxisLogarithmic()).isTrue();
        assertThat(chart.getStyler().isYAxisLogarithmic()).isTrue();
        assertThat(chart.getXAxisTitle()).isEqualTo("our time (us)");
        assertThat(chart.getYAxisTitle()).isEqualTo("our time / the peer's");
        assertThat(chart.getStyler().getYAxisMin()).isLessThan(0.25);
        assertThat(chart.getStyler().getYAxisMax()).isGreaterThan(1.25);
        assertThat(chart.getTitle()).contains("2026-11-23T02:10Z", "0123456789abcdef");
        assertThat(chart.getTitle()).doesNotContain("PARTIAL");
        String partial = Sample.json("\"complete\":true", "\"complete\":false");
        assertThat(BenchPlot.chart(BenchResults.parse(partial)).getTitle()).endsWith("PARTIAL");
    }

    @Test
    void thePictureHasTheColoursWhereTheyBelong() throws IOException {
        BufferedImage picture = ImageIO.read(new ByteArrayInputStream(BenchPlot.png(results)));
        assertThat(picture.getWidth()).isEqualTo(960);
        assertThat(picture.getRGB(1, 1)).isEqualTo(Color.WHITE.getRGB());
        // 0.25 of the peer is drawn below 1.25 of it, that is further down.
        double inverse = meanHeight(picture, BenchPlot.COLOURS.get(1));
        double precondition = meanHeight(picture, BenchPlot.COLOURS.get(2));
        assertThat(inverse).isGreaterThan(precondition + 100);
        assertThat(meanHeight(picture, BenchPlot.COLOURS.get(0))).isBetween(precondition, inverse);
    }

    // Left of the legend. Fails where the colour is nowhere.
    private static double meanHeight(BufferedImage picture, Color colour) {
        long sum = 0;
        int count = 0;
        for (int y = 0; y < picture.getHeight(); y++) {
            for (int x = 0; x < picture.getWidth() * 2 / 3; x++) {
                if (picture.getRGB(x, y) == colour.getRGB()) {
                    sum += y;
                    count++;
                }
            }
        }
        // A marker is some 8 pixels wide; its rim is mixed with white.
        assertThat(count).isGreaterThan(20);
        return (double) sum / count;
    }

    @Test
    void withoutAPeerThereIsNothingToDraw() {
        BenchResults none = BenchResults.parse(BenchTableTest.oneRow());
        assertThatThrownBy(() -> BenchPlot.png(none))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("no row has a peer");
    }
}
