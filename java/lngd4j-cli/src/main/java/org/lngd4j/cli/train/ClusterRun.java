// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.IOException;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.data.Dataset;
import org.lngd4j.cli.support.AtomicFile;
import org.lngd4j.cli.support.Json;
import org.lngd4j.cli.support.Natives;

/**
 * One run of {@code lngd train --spark} from its options to its files. This process reads the data
 * and measures what was trained; the ranks do the rest. Everything is checked before the folder is
 * made.
 */
public final class ClusterRun {
    private final TrainSettings settings;
    private final ClusterSettings cluster;
    private final RunFolder folder;
    private final PrintStream out;
    private final PrintStream err;
    private final Engine engine;

    /**
     * A run from the beginning, or from the checkpoint that its cluster has.
     *
     * @param outFolder the value of {@code --out}, or null
     * @param engine PyTorch's
     */
    public ClusterRun(
            TrainSettings settings,
            ClusterSettings cluster,
            String outFolder,
            PrintStream out,
            PrintStream err,
            Engine engine) {
        cluster.check(settings);
        this.settings = settings;
        this.cluster = cluster;
        this.folder = RunFolder.planned(outFolder);
        this.out = out;
        this.err = err;
        this.engine = engine;
    }

    /** Trains; returns the exit status 0. */
    public int execute() {
        Natives.checkedFolder();
        engine.check(settings);
        ClusterTraining training = ClusterTraining.find();
        int ranks = training.ranks(cluster, settings.threads());
        Natives.loadNd4j(); // before its arrays are made
        try (ImageTask task = ImageTask.open(settings, engine, err::println);
                RunFolder held = folder) {
            int perEpoch = task.stepsPerEpoch();
            int samples = task.dataset().training().count();
            // A batch is made smaller until all of an epoch are of one size.
            RunLength length =
                    new RunLength(
                            (long) settings.epochs() * perEpoch,
                            (samples + perEpoch - 1) / perEpoch);
            ClusterSummary.Method method = described(task, ranks, length);
            held.create();
            train(training, task, ranks, length, method);
            return 0;
        } catch (IOException e) {
            throw CliException.failure(folder + ": " + e, e);
        }
    }

    /** Tells what the ranks will do, by attaching LNGD here as well: it takes no step. */
    private ClusterSummary.Method described(ImageTask task, int ranks, RunLength length) {
        try (TrainingMethod method = engine.method(settings, task.network(), length)) {
            err.println(
                    "lngd: "
                            + task.spec()
                            + ", "
                            + method.describe()
                            + ", "
                            + ranks
                            + (ranks == 1 ? " rank of " : " ranks of ")
                            + cluster.master()
                            + ", "
                            + task.data()
                            + ", to "
                            + folder);
            method.notices().forEach(line -> err.println("lngd: " + line));
            return new ClusterSummary.Method(
                    task.spec().toString(), method.describe(), method.details(), method.averages());
        }
    }

    private void train(
            ClusterTraining training,
            ImageTask task,
            int ranks,
            RunLength length,
            ClusterSummary.Method method)
            throws IOException {
        Dataset data = task.dataset();
        ClusterTraining.Result result;
        try (ClusterProgress progress =
                new ClusterProgress(
                        err, cluster.checkpoint() != null, length.steps(), task.stepsPerEpoch())) {
            result =
                    training.train(
                            new ClusterTraining.Job(
                                    cluster,
                                    ranks,
                                    settings,
                                    data.training(),
                                    data.classes(),
                                    task.input()),
                            progress::told);
        }
        task.network().setParams(result.weights());
        Measurement measured = task.measure();
        if (!Double.isFinite(measured.loss())) {
            throw CliException.failure(
                    "training diverged: the test loss is "
                            + measured.loss()
                            + "; a smaller --learning-rate or --trust-ratio may help");
        }
        List<MetricsRow> rows = rows(result, task.stepsPerEpoch(), length.steps(), measured);
        folder.writeMetrics(rows);
        engine.write(folder.file(engine.modelFile()), settings, task.spec(), result.weights());
        ClusterSummary summary = new ClusterSummary(method, rows, result);
        AtomicFile.write(
                folder.file(RunFolder.SUMMARY),
                Json.write(summary.toMap(settings.toMap(), cluster.toMap(ranks))));
        Curves.draw(folder, task.spec() + ", " + settings.optimizer(), rows, err);
        out.print(summary.table());
        out.println("files in " + folder);
        out.flush();
    }

    /** A line an epoch. Measured is the last alone: the ranks have no test set. */
    private List<MetricsRow> rows(
            ClusterTraining.Result result, int perEpoch, long steps, Measurement measured) {
        List<MetricsRow> rows = new ArrayList<>();
        double seconds = 0;
        double loss = Double.NaN;
        for (ClusterTraining.Epoch epoch : result.epochs()) {
            seconds += epoch.seconds();
            loss = epoch.loss();
            int done = epoch.number() + 1;
            if (done < settings.epochs()) {
                rows.add(
                        new MetricsRow(
                                (long) done * perEpoch,
                                done,
                                seconds,
                                loss,
                                Double.NaN,
                                Double.NaN));
            }
        }
        rows.add(
                new MetricsRow(
                        steps,
                        settings.epochs(),
                        seconds,
                        loss,
                        measured.loss(),
                        measured.accuracy()));
        return rows;
    }
}
