// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;

/** A line for each evaluation: for files, pipes and dumb terminals. */
final class PlainProgress implements Progress {
    private final PrintStream out;
    private final long totalSteps;
    private final long startStep;
    private final long startNanos = System.nanoTime();

    PlainProgress(PrintStream out, long startStep, long totalSteps) {
        this.out = out;
        this.startStep = startStep;
        this.totalSteps = totalSteps;
    }

    @Override
    public void step(long step, double loss, double samplesPerSecond) {
        // A line a step would be noise.
    }

    @Override
    public void evaluated(MetricsRow row, double samplesPerSecond) {
        double perStep =
                (System.nanoTime() - startNanos) / 1e9 / Math.max(1, row.step() - startStep);
        Duration left = Duration.ofSeconds(Math.round(perStep * (totalSteps - row.step())));
        out.printf(
                Locale.ROOT,
                "epoch %.2f  train loss %.4f  test loss %.4f  %s %s  %,.0f samples/s  %d:%02d left%n",
                row.epoch(),
                row.trainLoss(),
                row.testLoss(),
                row.quality() == Quality.BLEU ? "BLEU" : "accuracy",
                row.qualityText(),
                samplesPerSecond,
                left.toMinutes(),
                left.toSecondsPart());
    }

    @Override
    public void close() {
        out.flush();
    }
}
