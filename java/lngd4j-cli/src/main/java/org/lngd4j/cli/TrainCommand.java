// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli;

import java.io.PrintStream;
import java.util.List;
import java.util.concurrent.Callable;
import org.lngd4j.cli.model.ModelCatalog;
import org.lngd4j.cli.train.ClusterRun;
import org.lngd4j.cli.train.ClusterSettings;
import org.lngd4j.cli.train.OptimizerKind;
import org.lngd4j.cli.train.StopSignal;
import org.lngd4j.cli.train.TrainRun;
import org.lngd4j.cli.train.TrainSettings;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code lngd train}. */
@Command(
        name = "train",
        description =
                "Trains a network on images or sentences and writes metrics, curves and the model.",
        sortOptions = false,
        mixinStandardHelpOptions = true)
final class TrainCommand implements Callable<Integer> {
    private static final List<String> WITH_RESUME = List.of("--resume", "--threads", "--data");

    @Spec private CommandSpec spec;

    @Option(
            names = "--data",
            paramLabel = "fashion-mnist|cifar10|curves|glyphs|multi30k|DIR",
            description =
                    "Fashion-MNIST (default) or CIFAR-10, found or fetched; CURVES or GLYPHS, generated; multi30k, a folder"
                            + " here or in the cache; or a folder with the files of an IDX data set, of CIFAR-10 or of"
                            + " Multi30k.")
    private String data;

    @Option(
            names = "--model",
            paramLabel = "MODEL",
            description =
                    "mlp:W-W-..., dense, with the widths of the hidden or of all layers (default: mlp:256-128); ae:W-W-...,"
                            + " autoencoder, with the widths of the encoder (default for curves); lenet; resnet8,"
                            + " resnet20, resnet18-cifar; transformer:LAYERS-WIDTH-HEADS-FF (default for sentences:"
                            + " transformer:4-128-4-256).")
    private String model;

    @Option(
            names = "--engine",
            paramLabel = "dl4j|pytorch",
            description =
                    "What computes the network: Deeplearning4j (default) or PyTorch (default for transformers).")
    private String engine;

    @Option(
            names = "--optimizer",
            paramLabel = "NAME",
            defaultValue = "lngd",
            description =
                    "What trains it: lngd (default), paper, lngd-sample, lngd-lr, kfac, kfac-trust,"
                            + " kfac-trust-decay, tkfac, ekfac, ngplus, adam, adamw, sgd, lars, lamb, muon,"
                            + " muon-decay, soap.")
    private String optimizer;

    @Option(
            names = "--preset",
            paramLabel = "PRESET",
            description =
                    "LNGD's settings: recipe (default), recipe-fit, recipe-empirical, paper, block-kronecker,"
                            + " block-kronecker-fit, or recommended (default for ae and transformer), by the network,"
                            + " the steps and the batch. Options below change single ones.")
    private String preset;

    @Option(
            names = "--epochs",
            paramLabel = "N",
            defaultValue = "6",
            description = "Passes over the data (default: 6).")
    private int epochs;

    @Option(
            names = "--batch",
            paramLabel = "N",
            defaultValue = "256",
            description = "Samples of a step (default: 256).")
    private int batch;

    @Option(
            names = "--seed",
            paramLabel = "N",
            defaultValue = "1",
            description = "Of weights, order, sampling (default: 1).")
    private long seed;

    @Option(
            names = "--device",
            paramLabel = "auto|cpu|cuda",
            defaultValue = "auto",
            description = "Default: auto.")
    private String device;

    @Option(
            names = "--threads",
            paramLabel = "N",
            description = "Threads of LNGD's kernels (default: 1).")
    private Integer threads;

    @Option(
            names = "--out",
            paramLabel = "DIR",
            description = "Folder of the results (default: runs/<time>).")
    private String out;

    @Option(
            names = "--eval-every",
            paramLabel = "X",
            defaultValue = "0.5",
            description = "Epochs between evaluations (default: 0.5).")
    private double evalEvery;

    @Option(
            names = "--averaged-weights",
            negatable = true,
            description =
                    "Evaluate and deliver averaged weights (default: as the preset has it; on for the rivals).")
    private Boolean averagedWeights;

    @Option(
            names = "--learning-rate",
            paramLabel = "X",
            description =
                    "Peak of the schedule (default: the preset's; sgd 0.1, kfac 0.03, adam, adamw, muon, soap 0.003).")
    private Double learningRate;

    @Option(
            names = "--warmup",
            paramLabel = "X",
            description =
                    "Share of the steps in which the learning rate rises (default: 0; transformers 0.1).")
    private Double warmup;

    @Option(
            names = "--momentum",
            paramLabel = "X",
            description =
                    "Of all but adam; beta1 of adamw, lamb, soap (default: 0.9; muon, soap 0.95).")
    private Double momentum;

    @Option(
            names = "--damping",
            paramLabel = "X",
            description =
                    "LNGD, kfac-trust, ngplus: gamma, in units of the mean eigenvalue; kfac, tkfac, ekfac: lambda.")
    private Double damping;

    @Option(
            names = "--trust-ratio",
            paramLabel = "X",
            description = "LNGD, KFAC: step length over weight norm; 0 turns it off.")
    private Double trustRatio;

    @Option(
            names = "--weight-decay",
            paramLabel = "X",
            description =
                    "Weight decay of LNGD and KFAC, decoupled or by --decay-mode; decoupled of lamb, adamw, soap (default of"
                            + " both: 0.01) and muon-decay (0.1); lars: added to the gradient.")
    private Double weightDecay;

    @Option(
            names = "--statistics-interval",
            paramLabel = "N",
            description = "LNGD, KFAC: steps between statistics.")
    private Integer statisticsInterval;

    @Option(
            names = "--statistics-samples",
            paramLabel = "N",
            description = "LNGD, KFAC: samples of a batch for statistics; 0: all.")
    private Integer statisticsSamples;

    @Option(
            names = "--inverse-interval",
            paramLabel = "N",
            description = "LNGD, KFAC: steps between inverses.")
    private Integer inverseInterval;

    @Option(
            names = "--fisher",
            paramLabel = "expected|sampled|provided",
            description =
                    "LNGD: how the Fisher matrix is formed; provided: from gradients back-propagated from targets that the"
                            + " network draws itself.")
    private String fisher;

    @Option(
            names = "--layer-rate",
            paramLabel = "none|empirical|kronecker",
            description = "LNGD: the layer-wise learning rate.")
    private String layerRate;

    @Option(
            names = "--direction-precision",
            paramLabel = "tf32x3|tf32",
            description =
                    "LNGD on CUDA: of the product of gradient and inverses; tf32 is a third of the work (default: tf32x3).")
    private String directionPrecision;

    @Mixin private LngdArguments lngd;
    @Mixin private TextArguments text;
    @Mixin private ClusterArguments cluster;

    @Option(
            names = "--train-samples",
            paramLabel = "N",
            description = "Use only the first N training images or sentences.")
    private Integer trainSamples;

    @Option(
            names = "--validation",
            paramLabel = "N",
            description =
                    "Hold the last N training images out and measure on them, not on the test set; of sentences"
                            + " measure on the first N of the validation set.")
    private Integer validation;

    @Option(
            names = "--augment",
            negatable = true,
            description =
                    "Crop and mirror at random (default: CIFAR-10 in convolutional networks).")
    private Boolean augment;

    @Option(
            names = "--resume",
            paramLabel = "DIR",
            description =
                    "Go on with a stopped run; only --threads and --data may be given beside it.")
    private String resume;

    @Override
    public Integer call() {
        PrintStream standard = System.out;
        PrintStream error = System.err;
        if (resume != null) {
            refuseOthers();
            return TrainRun.resumed(
                            resume,
                            threads,
                            data,
                            standard,
                            error,
                            StopSignal::ofProcess,
                            Engines::of)
                    .execute();
        }
        ClusterSettings where = cluster.settings(given());
        if (where != null) {
            // The defaults of a cluster: the one engine and device that there is.
            engine = engine == null ? "pytorch" : engine;
            device = device.equals("auto") ? "cpu" : device;
            TrainSettings settings = settings();
            return new ClusterRun(settings, where, out, standard, error, Engines.of(settings))
                    .execute();
        }
        return TrainRun.fresh(settings(), out, standard, error, StopSignal::ofProcess, Engines::of)
                .execute();
    }

    private TrainSettings settings() {
        OptimizerKind kind = OptimizerKind.parse("--optimizer", optimizer);
        String network = model == null ? ModelCatalog.fitting(data) : model;
        return new TrainSettings(
                data,
                network,
                Engines.fitting(engine, network),
                kind,
                preset == null && kind == OptimizerKind.LNGD
                        ? ModelCatalog.fittingPreset(data, model)
                        : preset,
                epochs,
                batch,
                seed,
                device,
                threads == null ? 1 : threads,
                evalEvery,
                averagedWeights,
                learningRate,
                momentum,
                damping,
                trustRatio,
                weightDecay,
                statisticsInterval,
                statisticsSamples,
                inverseInterval,
                fisher,
                layerRate,
                directionPrecision,
                trainSamples,
                validation,
                augment,
                warmup,
                lngd.settings(),
                text.settings());
    }

    private List<OptionSpec> given() {
        return spec.commandLine().getParseResult().matchedOptions();
    }

    private void refuseOthers() {
        for (OptionSpec option : given()) {
            if (!WITH_RESUME.contains(option.longestName())) {
                throw CliException.badInput(
                        option.longestName()
                                + ": a resumed run keeps the options it was begun with; only --threads and"
                                + " --data may be given");
            }
        }
    }
}
