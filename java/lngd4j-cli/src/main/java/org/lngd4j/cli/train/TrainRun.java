// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import java.util.function.Supplier;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.model.Network;
import org.lngd4j.cli.support.AtomicFile;
import org.lngd4j.cli.support.Json;
import org.lngd4j.cli.support.Natives;
import org.lngd4j.cli.support.Terminal;
import org.lngd4j.cli.train.Checkpoint.Position;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.nativeblas.NativeOpsHolder;

/**
 * One run of {@code lngd train} from its options to its files. Everything is checked before the
 * folder is made.
 */
public final class TrainRun {
    private final TrainSettings settings;
    private final RunFolder folder;
    private final Checkpoint checkpoint;
    private final PrintStream out;
    private final PrintStream err;
    private final Supplier<StopSignal> signals;
    private final Engine engine;

    private TrainRun(
            TrainSettings settings,
            RunFolder folder,
            Checkpoint checkpoint,
            PrintStream out,
            PrintStream err,
            Supplier<StopSignal> signals,
            Engine engine) {
        this.engine = engine;
        this.settings = settings;
        this.folder = folder;
        this.checkpoint = checkpoint;
        this.out = out;
        this.err = err;
        this.signals = signals;
    }

    /**
     * A run from the beginning.
     *
     * @param outFolder the value of {@code --out}, or null
     * @param engines the engine that settings ask for
     */
    public static TrainRun fresh(
            TrainSettings settings,
            String outFolder,
            PrintStream out,
            PrintStream err,
            Supplier<StopSignal> signals,
            Function<TrainSettings, Engine> engines) {
        RunFolder folder = RunFolder.planned(outFolder);
        return new TrainRun(settings, folder, null, out, err, signals, engines.apply(settings));
    }

    /**
     * A run that goes on from its checkpoint with the options it was begun with.
     *
     * @param runFolder the value of {@code --resume}
     * @param threads other than the checkpoint's, or null
     * @param data where the data are now, or null
     */
    public static TrainRun resumed(
            String runFolder,
            Integer threads,
            String data,
            PrintStream out,
            PrintStream err,
            Supplier<StopSignal> signals,
            Function<TrainSettings, Engine> engines) {
        RunFolder folder = RunFolder.existing(runFolder);
        Checkpoint checkpoint = Checkpoint.read(folder.file(Checkpoint.FILE));
        TrainSettings settings = checkpoint.settings();
        settings = threads == null ? settings : settings.withThreads(threads);
        settings = data == null ? settings : settings.withData(data);
        return new TrainRun(
                settings, folder, checkpoint, out, err, signals, engines.apply(settings));
    }

    /**
     * Trains; returns the exit status: 0, or {@link StopSignal#EXIT_STATUS} where a signal stopped
     * it.
     */
    public int execute() {
        Natives.checkedFolder();
        engine.check(settings);
        // ND4J must be up before its native operations are asked for.
        Natives.loadNd4j();
        NativeOpsHolder.getInstance().getDeviceNativeOps().setOmpNumThreads(settings.threads());
        try (Task task = Tasks.open(settings, engine, err::println)) {
            String network = task.spec().toString();
            if (checkpoint != null && !checkpoint.network().equals(network)) {
                throw CliException.badInput(
                        "--resume "
                                + folder
                                + ": its network is "
                                + checkpoint.network()
                                + ", but these data make it "
                                + network);
            }
            long steps = (long) settings.epochs() * task.stepsPerEpoch();
            return execute(task, new RunLength(steps, task.rowsPerStep()));
        }
    }

    private int execute(Task task, RunLength length) {
        Network net = task.network();
        try (TrainingMethod method = engine.method(settings, net, length);
                RunFolder held = folder) {
            Position position = checkpoint == null ? Position.START : restore(net, method);
            List<MetricsRow> rows =
                    checkpoint == null ? List.of() : folder.readMetrics(position.step());
            held.create();
            task.writeFiles(folder);
            err.println(
                    "lngd: "
                            + task.spec()
                            + ", "
                            + method.describe()
                            + ", "
                            + method.device()
                            + ", "
                            + task.data()
                            + ", to "
                            + folder);
            method.notices().forEach(line -> err.println("lngd: " + line));
            return train(new Job(settings, task, method, folder), position, rows, length.steps());
        } catch (IOException e) {
            throw CliException.failure(folder + ": " + e, e);
        }
    }

    private int train(Job job, Position position, List<MetricsRow> rows, long totalSteps)
            throws IOException {
        // Signals are listened to from here on: before the first step Ctrl-C just ends the process.
        try (StopSignal stop = signals.get()) {
            TrainLoop loop;
            boolean complete;
            try (Progress progress = progress(position, totalSteps)) {
                job.task().start(position.step());
                loop = new TrainLoop(job, progress, stop, position, rows);
                complete = loop.run();
            }
            if (complete) {
                deliver(job, loop);
                return 0;
            }
            err.println(
                    "lngd: stopped at step "
                            + loop.spent().lastStep()
                            + " of "
                            + totalSteps
                            + "; go on with: lngd train --resume "
                            + folder);
            return StopSignal.EXIT_STATUS;
        }
    }

    private Progress progress(Position position, long totalSteps) {
        return Terminal.errorIsInteractive()
                ? new BarProgress(position.step(), totalSteps)
                : new PlainProgress(err, position.step(), totalSteps);
    }

    private void deliver(Job job, TrainLoop loop) throws IOException {
        Network net = job.task().network();
        INDArray weights = job.method().withAveragedWeights(() -> net.params().dup());
        engine.write(folder.file(engine.modelFile()), settings, job.task().spec(), weights);
        Summary summary = new Summary(job, loop.rows(), loop.spent());
        AtomicFile.write(folder.file(RunFolder.SUMMARY), Json.write(summary.toMap()));
        Curves.draw(folder, job.task().spec() + ", " + settings.optimizer(), loop.rows(), err);
        out.print(summary.table());
        out.println("files in " + folder);
        out.flush();
    }

    private Position restore(Network net, TrainingMethod method) throws IOException {
        Position position = checkpoint.position();
        INDArray weights = checkpoint.weights();
        if (weights.length() != net.params().length()) {
            throw CliException.badInput(
                    "--resume "
                            + folder
                            + ": its checkpoint has "
                            + weights.length()
                            + " weights, the network "
                            + net.params().length());
        }
        net.setParams(weights);
        net.setIterationCount(Math.toIntExact(position.step()));
        Path file = Files.createTempFile("lngd-method", ".tmp");
        try {
            Files.write(file, checkpoint.method());
            method.restore(file);
        } finally {
            Files.deleteIfExists(file);
        }
        return position;
    }
}
