// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.model.Network;
import org.lngd4j.cli.train.Checkpoint.Position;

/**
 * Steps, evaluations and checkpoints of one run. The clock runs during batch, forward, backward,
 * update and averaging, and stands still during evaluations and checkpoints.
 */
final class TrainLoop {
    private final Job job;
    private final Task task;
    private final Network net;
    private final TrainingMethod method;
    private final int perEpoch;
    private final Progress progress;
    private final StopSignal stop;
    private final EvaluationPlan plan;
    private final List<MetricsRow> rows;

    private final long startStep;
    private final long startNanos;
    private long step;
    private long trainingNanos;
    private long batchNanos;
    private long evaluationNanos;
    private double lossSum;
    private long lossCount;

    /**
     * Where the time of this process went.
     *
     * @param lastStep steps done since the run began, resumptions included
     * @param steps steps of this process
     * @param training nanoseconds of the training clock
     * @param batches nanoseconds of it waiting for batches
     * @param evaluation nanoseconds for evaluations and checkpoints, which the training clock
     *     leaves out
     */
    record Spent(long lastStep, long steps, long training, long batches, long evaluation) {}

    TrainLoop(
            Job job,
            Progress progress,
            StopSignal stop,
            Position position,
            List<MetricsRow> rowsSoFar) {
        this.job = job;
        this.task = job.task();
        this.net = task.network();
        this.method = job.method();
        this.perEpoch = task.stepsPerEpoch();
        this.progress = progress;
        this.stop = stop;
        this.plan =
                new EvaluationPlan(perEpoch, job.settings().epochs(), job.settings().evalEvery());
        this.rows = new ArrayList<>(rowsSoFar);
        this.step = position.step();
        this.startStep = position.step();
        this.trainingNanos = position.trainingNanos();
        this.startNanos = position.trainingNanos();
        this.lossSum = position.lossSum();
        this.lossCount = position.lossCount();
    }

    /**
     * Trains to the end or to a stop signal.
     *
     * @return whether the run is complete
     */
    boolean run() throws IOException {
        job.folder().writeMetrics(rows);
        while (step < plan.totalSteps()) {
            int epoch = (int) (step / perEpoch);
            int first = (int) (step % perEpoch);
            net.setEpochCount(epoch);
            for (int batch = first; batch < perEpoch; batch++) {
                double loss = step();
                checkLoss(loss);
                progress.step(step, loss, samplesPerSecond());
                if (plan.isDue(step)) {
                    evaluate();
                }
                if (stop.requested() && step < plan.totalSteps()) {
                    writeCheckpoint();
                    return false;
                }
            }
        }
        net.setEpochCount(job.settings().epochs());
        return true;
    }

    /** The evaluations of the run, those before a resumption included. */
    List<MetricsRow> rows() {
        return rows;
    }

    Spent spent() {
        return new Spent(
                step, step - startStep, trainingNanos - startNanos, batchNanos, evaluationNanos);
    }

    double samplesPerSecond() {
        return (step - startStep)
                * (double) job.settings().batch()
                / Math.max(1e-9, (trainingNanos - startNanos) / 1e9);
    }

    private double step() {
        long begin = System.nanoTime();
        task.load();
        long loaded = System.nanoTime();
        task.fit();
        method.afterStep();
        long end = System.nanoTime();
        batchNanos += loaded - begin;
        trainingNanos += end - begin;
        step++;
        double loss = net.score();
        lossSum += loss;
        lossCount++;
        return loss;
    }

    private void checkLoss(double loss) {
        if (!Double.isFinite(loss)) {
            throw CliException.failure(
                    String.format(
                            Locale.ROOT,
                            "training diverged: the loss is %s at step %d (epoch %.2f); a smaller --learning-rate or"
                                    + " --trust-ratio may help. %s keeps what was written before",
                            loss,
                            step,
                            (double) step / perEpoch,
                            job.folder()));
        }
    }

    private void evaluate() throws IOException {
        long begin = System.nanoTime();
        Measurement result = method.withAveragedWeights(task::measure);
        checkLoss(result.loss());
        MetricsRow row =
                new MetricsRow(
                        step,
                        (double) step / perEpoch,
                        trainingNanos / 1e9,
                        lossSum / lossCount,
                        result.loss(),
                        result.accuracy(),
                        result.bleu(),
                        method.health());
        lossSum = 0;
        lossCount = 0;
        rows.add(row);
        // First the row, then the checkpoint: a resumed run drops rows after its checkpoint, it
        // cannot invent them.
        job.folder().writeMetrics(rows);
        writeCheckpoint();
        progress.evaluated(row, samplesPerSecond());
        evaluationNanos += System.nanoTime() - begin;
    }

    private void writeCheckpoint() throws IOException {
        Path file = Files.createTempFile("lngd-method", ".tmp");
        try {
            method.save(file);
            Position position = new Position(step, trainingNanos, lossSum, lossCount);
            new Checkpoint(
                            job.settings(),
                            task.spec().toString(),
                            position,
                            net.params(),
                            Files.readAllBytes(file))
                    .write(job.folder().file(Checkpoint.FILE));
        } finally {
            Files.deleteIfExists(file);
        }
    }
}
