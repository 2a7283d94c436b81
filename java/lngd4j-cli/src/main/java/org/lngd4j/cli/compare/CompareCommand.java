// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.Engines;
import org.lngd4j.cli.TextArguments;
import org.lngd4j.cli.model.ModelCatalog;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code lngd compare}. */
@Command(
        name = "compare",
        description =
                "Tunes optimizers alike, trains with each of them over several seeds, and writes the table, the curves and"
                        + " a report. Stopped or repeated, it goes on with what is missing.",
        sortOptions = false,
        mixinStandardHelpOptions = true)
public final class CompareCommand implements Callable<Integer> {
    private static final int MOST = 1000;

    @Option(
            names = "--data",
            paramLabel = "DATA",
            defaultValue = "fashion-mnist",
            description = "As for lngd train (default: fashion-mnist).")
    private String data;

    @Option(
            names = "--model",
            paramLabel = "MODEL",
            description = "As for lngd train (default: what fits the data).")
    private String model;

    @Option(
            names = "--engine",
            paramLabel = "dl4j|pytorch",
            description = "As for lngd train (default: dl4j; transformers pytorch).")
    private String engine;

    @Option(
            names = "--optimizers",
            paramLabel = "A,B,...",
            defaultValue = "sgd,adam,kfac,tkfac,ekfac,lngd,lngd-lr,lngd-sample",
            description =
                    "Names as for lngd train, each with /avg or /raw (averaged weights or none), lngd also with /PRESET"
                            + " (default: sgd,adam,kfac,tkfac,ekfac,lngd,lngd-lr,lngd-sample).")
    private String optimizers;

    @Option(
            names = "--tune",
            paramLabel = "short|none|FILE",
            defaultValue = "short",
            description =
                    "The same number of short runs for each, defaults, or the tuned.json of a comparison (default: short).")
    private String tune;

    @Option(
            names = "--tune-runs",
            paramLabel = "N",
            defaultValue = "6",
            description = "Short runs for each (default: 6).")
    private int tuneRuns;

    @Option(
            names = "--tune-epochs",
            paramLabel = "N",
            description = "Epochs of a short run (default: a third of --epochs).")
    private Integer tuneEpochs;

    @Option(
            names = "--tune-jobs",
            paramLabel = "N",
            description =
                    "Short runs at a time: they are judged by what they reach, not by time (default: as --jobs).")
    private Integer tuneJobs;

    @Option(
            names = "--jobs",
            paramLabel = "N",
            defaultValue = "1",
            description =
                    "Whole runs at a time; above 1 they share the machine, and their times say so (default: 1).")
    private int jobs;

    @Option(
            names = "--seeds",
            paramLabel = "N",
            defaultValue = "3",
            description = "Whole runs for each (default: 3).")
    private int seeds;

    @Option(
            names = "--target",
            paramLabel = "acc=X|bleu=X|loss=X|train-loss=X",
            description = "What has to be reached (default: the best level that all reach).")
    private String target;

    @Option(
            names = "--epochs",
            paramLabel = "N",
            defaultValue = "6",
            description = "Epochs of a whole run (default: 6).")
    private int epochs;

    @Option(
            names = "--batch",
            paramLabel = "N",
            defaultValue = "256",
            description = "Samples of a step (default: 256).")
    private int batch;

    @Option(
            names = "--eval-every",
            paramLabel = "X",
            defaultValue = "0.5",
            description = "Epochs between evaluations (default: 0.5).")
    private double evalEvery;

    @Option(
            names = "--threads",
            paramLabel = "N",
            defaultValue = "1",
            description = "Threads of LNGD's kernels (default: 1).")
    private int threads;

    @Option(
            names = "--train-samples",
            paramLabel = "N",
            description = "Use only the first N training images or sentences.")
    private Integer trainSamples;

    @Option(names = "--augment", negatable = true, description = "As for lngd train.")
    private Boolean augment;

    @Option(names = "--warmup", paramLabel = "X", description = "As for lngd train.")
    private Double warmup;

    @Mixin private TextArguments text;

    @Option(
            names = "--out",
            paramLabel = "DIR",
            defaultValue = "runs/compare",
            description = "Folder of runs and results (default: runs/compare).")
    private String out;

    @Override
    public Integer call() {
        List<Contender> contenders =
                Arrays.stream(optimizers.split(","))
                        .map(Contender::parse)
                        .map(contender -> contender.fitting(data, model))
                        .toList();
        if (contenders.stream().distinct().count() < contenders.size()) {
            throw CliException.badInput("--optimizers " + optimizers + ": one is there twice");
        }
        range("--seeds", seeds);
        range("--tune-runs", tuneRuns);
        if (tuneEpochs != null) {
            range("--tune-epochs", tuneEpochs);
        }
        range("--jobs", jobs);
        if (tuneJobs != null) {
            range("--tune-jobs", tuneJobs);
        }
        String network = model == null ? ModelCatalog.fitting(data) : model;
        String fitting = Engines.fitting(engine, network);
        CompareSettings settings =
                new CompareSettings(
                        data,
                        network,
                        // Said or not, DL4J is the same: so are the folders of its runs.
                        "dl4j".equals(fitting) ? null : fitting,
                        contenders,
                        epochs,
                        batch,
                        evalEvery,
                        threads,
                        trainSamples,
                        augment,
                        warmup,
                        text.settings(),
                        seeds,
                        target == null ? null : Target.parse(target),
                        tuning(),
                        jobs);
        return new CompareRun(settings, Path.of(out), System.out, System.err).execute();
    }

    private CompareSettings.Tuning tuning() {
        int length = tuneEpochs == null ? Math.max(1, epochs / 3) : tuneEpochs;
        int atATime = tuneJobs == null ? jobs : tuneJobs;
        return switch (tune) {
            case "short" -> new CompareSettings.Tuning(tuneRuns, length, null, atATime);
            case "none" -> new CompareSettings.Tuning(0, length, null, atATime);
            default -> new CompareSettings.Tuning(0, length, tune, atATime);
        };
    }

    private static void range(String option, int value) {
        if (value < 1 || value > MOST) {
            throw CliException.badInput(option + " " + value + ": must be 1 to " + MOST);
        }
    }
}
