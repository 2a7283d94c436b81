// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoublePredicate;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.data.DataCatalog;
import org.lngd4j.cli.model.ModelCatalog;
import org.lngd4j.cli.model.TransformerSpec;

/**
 * Everything that decides a run, checked. A null stands for "not said": the optimizer's or the
 * preset's default.
 *
 * @param data see {@link DataCatalog#read}
 * @param model see {@link ModelCatalog#parse}
 * @param engine what computes it: dl4j, pytorch; null: dl4j
 * @param optimizer what trains the network
 * @param preset LNGD's preset: one of {@link #PRESETS}
 * @param epochs 1 to 100000
 * @param batch samples of a step, at least 1
 * @param seed decides the weights, the order of the samples and LNGD's sampling
 * @param device auto, cpu, cuda
 * @param threads 1 to 1024
 * @param evalEvery epochs between evaluations, above 0
 * @param averagedWeights evaluate and deliver averaged weights; null: the preset's default, on for
 *     the first-order optimizers and the KFACs
 * @param learningRate above 0, at most 1000
 * @param momentum 0 to below 1
 * @param damping above 0
 * @param trustRatio 0 (off) or more
 * @param weightDecay 0 or more
 * @param statisticsInterval steps between statistics, at least 1
 * @param statisticsSamples samples of a batch that they are taken from, 0: all
 * @param inverseInterval steps between inverses, at least 1
 * @param fisher expected, sampled, provided (back-propagated from targets that the network draws)
 * @param layerRate none, empirical, kronecker
 * @param directionPrecision tf32x3, tf32: of the product D = Psi^-1 G Phi^-1 on CUDA
 * @param trainSamples use only so many of the training images, at least 1
 * @param validation hold the last so many of them out and measure on these, at least 1
 * @param augment crop and mirror at random; null: for photographs (CIFAR-10) in convolutional
 *     networks
 * @param warmup share of the steps in which the learning rate rises, 0 to 1; null: 0.1 for
 *     sentences, otherwise 0
 * @param lngd the rest of LNGD's and the KFACs' settings
 * @param text settings of networks that learn sentences
 */
public record TrainSettings(
        String data,
        String model,
        String engine,
        OptimizerKind optimizer,
        String preset,
        int epochs,
        int batch,
        long seed,
        String device,
        int threads,
        double evalEvery,
        Boolean averagedWeights,
        Double learningRate,
        Double momentum,
        Double damping,
        Double trustRatio,
        Double weightDecay,
        Integer statisticsInterval,
        Integer statisticsSamples,
        Integer inverseInterval,
        String fisher,
        String layerRate,
        String directionPrecision,
        Integer trainSamples,
        Integer validation,
        Boolean augment,
        Double warmup,
        LngdSettings lngd,
        TextSettings text)
        implements Serializable {
    /** The presets of LNGD by name, and what is recommended for the network. */
    public static final List<String> PRESETS =
            List.of(
                    "recipe",
                    "recipe-fit",
                    "recipe-empirical",
                    "paper",
                    "block-kronecker",
                    "block-kronecker-fit",
                    "recommended");

    private static final double LARGEST_RATE = 1000;
    private static final int MOST_EPOCHS = 100_000;
    private static final int MOST_THREADS = 1024;
    private static final double TEXT_WARMUP = 0.1;

    /** Checks every range; the first value out of its range is a {@link CliException}. */
    public TrainSettings {
        ModelCatalog.validate(model);
        oneOf("--engine", engine, "dl4j", "pytorch");
        oneOf("--preset", preset, PRESETS.toArray(new String[0]));
        oneOf("--device", device, "auto", "cpu", "cuda");
        oneOf("--fisher", fisher, "expected", "sampled", "provided");
        oneOf("--layer-rate", layerRate, "none", "empirical", "kronecker");
        oneOf("--direction-precision", directionPrecision, "tf32x3", "tf32");
        whole("--epochs", epochs, 1, MOST_EPOCHS);
        whole("--batch", batch, 1, Integer.MAX_VALUE);
        whole("--threads", threads, 1, MOST_THREADS);
        real("--eval-every", evalEvery, x -> x > 0 && x <= MOST_EPOCHS, "above 0, in epochs");
        real(
                "--learning-rate",
                learningRate,
                x -> x > 0 && x <= LARGEST_RATE,
                "above 0, at most 1000");
        real("--momentum", momentum, x -> x >= 0 && x < 1, "0 or more, below 1");
        real("--damping", damping, x -> x > 0 && x <= 1e6, "above 0, at most 1000000");
        real("--trust-ratio", trustRatio, x -> x >= 0 && x <= LARGEST_RATE, "0 (off) to 1000");
        real("--weight-decay", weightDecay, x -> x >= 0 && x <= LARGEST_RATE, "0 to 1000");
        whole("--statistics-interval", statisticsInterval, 1, Integer.MAX_VALUE);
        whole("--statistics-samples", statisticsSamples, 0, Integer.MAX_VALUE);
        whole("--inverse-interval", inverseInterval, 1, Integer.MAX_VALUE);
        whole("--train-samples", trainSamples, 1, Integer.MAX_VALUE);
        whole("--validation", validation, 1, Integer.MAX_VALUE);
        real("--warmup", warmup, x -> x >= 0 && x <= 1, "0 to 1, a share of the steps");
        if (!TransformerSpec.isName(model)) {
            text.toMap()
                    .forEach(
                            (option, value) -> {
                                if (value != null) {
                                    throw CliException.badInput(
                                            "--"
                                                    + option
                                                    + " is for --model transformer, not "
                                                    + model);
                                }
                            });
        }
        if (!optimizer.takesPreset()) {
            forLngdOnly(optimizer, "--preset", preset);
            forLngdOnly(optimizer, "--fisher", fisher);
            forLngdOnly(optimizer, "--layer-rate", layerRate);
            forLngdOnly(optimizer, "--direction-precision", directionPrecision);
        }
        if (optimizer.isCpuOnly() && device.equals("cuda")) {
            throw CliException.badInput(
                    "--device cuda: --optimizer "
                            + optimizer
                            + " has no CUDA kernels, use --device cpu or auto");
        }
        if (optimizer.family() != OptimizerKind.Family.LNGD) {
            forLngdOnly(optimizer, "--damping", damping);
            forLngdOnly(optimizer, "--trust-ratio", trustRatio);
            forLngdOnly(optimizer, "--statistics-interval", statisticsInterval);
            forLngdOnly(optimizer, "--statistics-samples", statisticsSamples);
            forLngdOnly(optimizer, "--inverse-interval", inverseInterval);
            lngd.toMap().forEach((option, value) -> forLngdOnly(optimizer, "--" + option, value));
            if (!optimizer.takesWeightDecay() && weightDecay != null) {
                throw CliException.badInput(
                        "--weight-decay is for --optimizer lngd, adamw, lars, lamb, muon-decay and"
                                + " soap, not "
                                + optimizer);
            }
            if (optimizer == OptimizerKind.ADAM && momentum != null) {
                throw CliException.badInput("--momentum is for --optimizer lngd and sgd, not adam");
            }
            if (device.equals("cuda")) {
                throw CliException.badInput(
                        "--device cuda is for --optimizer lngd, not " + optimizer);
            }
        }
    }

    /** Steps in which the learning rate rises. */
    public long warmupSteps(long totalSteps) {
        double share = warmup != null ? warmup : TransformerSpec.isName(model) ? TEXT_WARMUP : 0;
        return Math.round(share * totalSteps);
    }

    /** The same with another number of threads, which changes no result but its rounding. */
    public TrainSettings withThreads(int count) {
        return with("threads", count);
    }

    /** The same with the data at another place. */
    public TrainSettings withData(String place) {
        return with("data", place);
    }

    /**
     * Settings from what {@link #toMap} gives; what is absent is null.
     *
     * @throws IllegalArgumentException where a value has the wrong type
     */
    public static TrainSettings of(Map<String, Object> map) {
        return SettingsMap.read(map);
    }

    /** The arguments of {@code lngd train} that give these settings. */
    public List<String> toArguments() {
        List<String> arguments = new ArrayList<>();
        toMap().forEach(
                        (option, value) -> {
                            if (value instanceof Boolean flag) {
                                arguments.add((flag ? "--" : "--no-") + option);
                            } else if (value != null) {
                                arguments.addAll(List.of("--" + option, value.toString()));
                            }
                        });
        return arguments;
    }

    private TrainSettings with(String option, Object value) {
        Map<String, Object> map = toMap();
        map.put(option, value);
        return SettingsMap.read(map);
    }

    /** By option name without the dashes; what was not said is null. */
    public Map<String, Object> toMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("data", data);
        map.put("model", model);
        map.put("engine", engine);
        map.put("optimizer", optimizer.toString());
        map.put("preset", preset);
        map.put("epochs", epochs);
        map.put("batch", batch);
        map.put("seed", seed);
        map.put("device", device);
        map.put("threads", threads);
        map.put("eval-every", evalEvery);
        map.put("averaged-weights", averagedWeights);
        map.put("learning-rate", learningRate);
        map.put("momentum", momentum);
        map.put("damping", damping);
        map.put("trust-ratio", trustRatio);
        map.put("weight-decay", weightDecay);
        map.put("statistics-interval", statisticsInterval);
        map.put("statistics-samples", statisticsSamples);
        map.put("inverse-interval", inverseInterval);
        map.put("fisher", fisher);
        map.put("layer-rate", layerRate);
        map.put("direction-precision", directionPrecision);
        map.putAll(lngd.toMap());
        map.put("train-samples", trainSamples);
        map.put("validation", validation);
        map.put("augment", augment);
        map.put("warmup", warmup);
        map.putAll(text.toMap());
        return map;
    }

    static void oneOf(String option, String value, String... allowed) {
        if (value != null && !List.of(allowed).contains(value)) {
            throw CliException.badInput(
                    option + " " + value + ": must be " + String.join(", ", allowed));
        }
    }

    static void whole(String option, Integer value, int least, int most) {
        if (value != null && (value < least || value > most)) {
            String allowed = most == Integer.MAX_VALUE ? least + " or more" : least + " to " + most;
            throw CliException.badInput(option + " " + value + ": must be " + allowed);
        }
    }

    static void real(String option, Double value, DoublePredicate allowed, String range) {
        // A NaN fails every comparison, so it is refused too.
        if (value != null && !allowed.test(value)) {
            throw CliException.badInput(option + " " + value + ": must be " + range);
        }
    }

    private static void forLngdOnly(OptimizerKind optimizer, String option, Object value) {
        if (value != null) {
            throw CliException.badInput(option + " is for --optimizer lngd, not " + optimizer);
        }
    }
}
