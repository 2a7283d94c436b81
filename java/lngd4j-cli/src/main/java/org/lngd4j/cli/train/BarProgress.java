// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.time.Duration;
import java.util.Locale;
import me.tongfei.progressbar.ProgressBar;
import org.lngd4j.cli.support.Bars;

/**
 * A progress bar on the terminal's standard error, with loss, accuracy, samples per second and the
 * time left.
 */
final class BarProgress implements Progress {
    private static final long REFRESH_NANOS = 200_000_000L;

    private final ProgressBar bar;
    private String quality = "acc -";
    private long nextRefresh;

    BarProgress(long startStep, long totalSteps) {
        bar =
                Bars.on("training", totalSteps)
                        .setUpdateIntervalMillis((int) (REFRESH_NANOS / 1_000_000))
                        .startsFrom(startStep, Duration.ZERO)
                        .build();
    }

    @Override
    public void step(long step, double loss, double samplesPerSecond) {
        bar.stepTo(step);
        long now = System.nanoTime();
        if (now - nextRefresh >= 0) {
            nextRefresh = now + REFRESH_NANOS;
            bar.setExtraMessage(
                    String.format(
                            Locale.ROOT, " loss %.3f %s %,.0f/s", loss, quality, samplesPerSecond));
        }
    }

    @Override
    public void evaluated(MetricsRow row, double samplesPerSecond) {
        quality = (row.quality() == Quality.BLEU ? "BLEU " : "acc ") + row.qualityText();
        nextRefresh = System.nanoTime();
        step(row.step(), row.trainLoss(), samplesPerSecond);
    }

    @Override
    public void close() {
        bar.close();
    }
}
