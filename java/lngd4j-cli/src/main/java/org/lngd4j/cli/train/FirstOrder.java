// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.lngd4j.cli.model.Dl4jNetwork;
import org.lngd4j.cli.optimizer.CosineSchedule;
import org.lngd4j.cli.optimizer.LayerwiseConfig;
import org.lngd4j.cli.optimizer.LayerwiseConfig.Rule;
import org.lngd4j.cli.optimizer.LayerwiseUpdater;
import org.lngd4j.cli.optimizer.WeightAverage;
import org.lngd4j.cli.support.FloatVectors;
import org.lngd4j.dl4j.updater.UpdaterReport;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.learning.config.Nesterovs;
import org.nd4j.linalg.learning.config.NoOp;

/**
 * An updater of DL4J's kind (its own Adam or SGD with momentum, our LARS or LAMB, or one of the
 * library's {@link LibraryUpdaters}), with a cosine schedule to 0 and, where wanted, averaged
 * weights.
 */
final class FirstOrder implements TrainingMethod {
    private final Dl4jNetwork net;
    private final TrainSettings settings;
    private final FirstOrderSettings told;
    private final WeightAverage average;
    private final List<String> notices;

    /**
     * @param net made with {@link #updater}
     */
    FirstOrder(Dl4jNetwork net, TrainSettings settings, long totalSteps) {
        LayerwiseUpdater.bind(net);
        this.notices = install(net, settings, totalSteps);
        this.net = net;
        this.settings = settings;
        this.told = numbers(settings);
        this.average =
                settings.averagedWeights() == Boolean.FALSE
                        ? null
                        : new WeightAverage(net.params());
    }

    private static FirstOrderSettings numbers(TrainSettings settings) {
        return new FirstOrderSettings(settings);
    }

    private static List<String> install(Dl4jNetwork net, TrainSettings settings, long totalSteps) {
        OptimizerKind kind = settings.optimizer();
        if (!LibraryUpdaters.has(kind)) {
            return List.of();
        }
        CosineSchedule rate = numbers(settings).schedule(totalSteps);
        UpdaterReport report =
                LibraryUpdaters.install(
                        kind,
                        rate,
                        numbers(settings).momentum(),
                        numbers(settings).weightDecay(),
                        net);
        return LibraryUpdaters.notices(kind, report);
    }

    /** The updater that the network is to be made with. */
    static IUpdater updater(TrainSettings settings, long totalSteps) {
        if (LibraryUpdaters.has(settings.optimizer())) {
            return new NoOp(); // until the shapes of the layers are known: the constructor
        }
        CosineSchedule rate = numbers(settings).schedule(totalSteps);
        return switch (settings.optimizer()) {
            case ADAM -> Adam.builder().learningRateSchedule(rate).build();
            case SGD ->
                    Nesterovs.builder()
                            .learningRateSchedule(rate)
                            .momentum(numbers(settings).momentum())
                            .build();
            case LARS -> layerwise(Rule.LARS, rate, settings);
            case LAMB -> layerwise(Rule.LAMB, rate, settings);
            default -> throw new IllegalArgumentException(settings.optimizer().toString());
        };
    }

    private static IUpdater layerwise(Rule rule, CosineSchedule rate, TrainSettings settings) {
        return new LayerwiseConfig(
                rule, rate, numbers(settings).momentum(), numbers(settings).weightDecay());
    }

    /**
     * The updater that the delivered model carries, which plain DL4J must know: the same without
     * this project's schedule, or the nearest of DL4J's.
     */
    static IUpdater plainUpdater(TrainSettings settings) {
        return switch (settings.optimizer()) {
            case ADAM, ADAMW, LAMB, MUON, MUON_DECAY, SOAP ->
                    new Adam(numbers(settings).learningRate());
            default ->
                    new Nesterovs(numbers(settings).learningRate(), numbers(settings).momentum());
        };
    }

    @Override
    public List<String> notices() {
        return notices;
    }

    @Override
    public String describe() {
        return switch (settings.optimizer()) {
            case ADAM, SGD -> "DL4J " + told.describe();
            default -> told.describe();
        };
    }

    @Override
    public Map<String, Object> details() {
        return told.details();
    }

    @Override
    public String device() {
        return "cpu";
    }

    @Override
    public void afterStep() {
        if (average != null) {
            average.afterStep();
        }
    }

    @Override
    public boolean averages() {
        return average != null;
    }

    @Override
    public <T> T withAveragedWeights(Supplier<T> action) {
        return average == null ? action.get() : average.callWithAverage(action);
    }

    @Override
    public void save(Path file) throws IOException {
        try (DataOutputStream out =
                new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(file)))) {
            INDArray state = net.updater().getStateViewArray();
            out.writeBoolean(state != null);
            if (state != null) {
                FloatVectors.write(state, out);
            }
            out.writeBoolean(average != null);
            if (average != null) {
                out.writeLong(average.steps());
                FloatVectors.write(average.average(), out);
            }
        }
    }

    @Override
    public void restore(Path file) throws IOException {
        try (DataInputStream in =
                new DataInputStream(new BufferedInputStream(Files.newInputStream(file)))) {
            if (in.readBoolean()) {
                net.updater().getStateViewArray().assign(FloatVectors.read(in));
            }
            if (in.readBoolean() != (average != null)) {
                throw new IOException(
                        "the checkpoint and the options disagree about averaged weights");
            }
            if (average != null) {
                long steps = in.readLong();
                average.restore(FloatVectors.read(in), steps);
            }
        }
    }

    @Override
    public Map<String, Double> kernelSeconds() {
        return Map.of();
    }

    @Override
    public void close() {
        // DL4J's updater belongs to the network: nothing to give back.
    }
}
