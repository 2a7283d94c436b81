// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import org.lngd4j.cli.model.Network;
import org.lngd4j.cli.optimizer.CosineSchedule;
import org.lngd4j.cli.optimizer.LayerwiseConfig;
import org.lngd4j.cli.optimizer.LayerwiseConfig.Rule;
import org.lngd4j.cli.optimizer.LayerwiseUpdater;
import org.lngd4j.cli.optimizer.WeightAverage;
import org.lngd4j.cli.support.FloatVectors;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.learning.config.Nesterovs;

/**
 * An updater of DL4J's kind (its own Adam or SGD with momentum, our LARS or LAMB), with a cosine
 * schedule to 0 and, where wanted, averaged weights.
 */
final class FirstOrder implements TrainingMethod {
    private static final double MOMENTUM = 0.9;

    private final Network net;
    private final TrainSettings settings;
    private final WeightAverage average;

    /**
     * @param net made with {@link #updater}
     */
    FirstOrder(Network net, TrainSettings settings) {
        LayerwiseUpdater.bind(net);
        this.net = net;
        this.settings = settings;
        this.average =
                settings.averagedWeights() == Boolean.FALSE
                        ? null
                        : new WeightAverage(net.params());
    }

    /** The updater that the network is to be made with. */
    static IUpdater updater(TrainSettings settings, long totalSteps) {
        CosineSchedule rate = new CosineSchedule(learningRate(settings), totalSteps);
        return switch (settings.optimizer()) {
            case ADAM -> Adam.builder().learningRateSchedule(rate).build();
            case SGD ->
                    Nesterovs.builder()
                            .learningRateSchedule(rate)
                            .momentum(momentum(settings))
                            .build();
            case LARS -> layerwise(Rule.LARS, rate, settings);
            case LAMB -> layerwise(Rule.LAMB, rate, settings);
            default -> throw new IllegalArgumentException(settings.optimizer().toString());
        };
    }

    private static IUpdater layerwise(Rule rule, CosineSchedule rate, TrainSettings settings) {
        double decay = settings.weightDecay() == null ? 0 : settings.weightDecay();
        return new LayerwiseConfig(rule, rate, momentum(settings), decay);
    }

    /**
     * The updater that the delivered model carries, which plain DL4J must know: the same without
     * this project's schedule, or the nearest of DL4J's.
     */
    static IUpdater plainUpdater(TrainSettings settings) {
        return switch (settings.optimizer()) {
            case ADAM, LAMB -> new Adam(learningRate(settings));
            default -> new Nesterovs(learningRate(settings), momentum(settings));
        };
    }

    // Defaults from the reference runs: where the tuning begins.
    private static double learningRate(TrainSettings settings) {
        return settings.learningRate() != null
                ? settings.learningRate()
                : settings.optimizer().axes().get(0).start();
    }

    private static double momentum(TrainSettings settings) {
        return settings.momentum() == null ? MOMENTUM : settings.momentum();
    }

    @Override
    public String describe() {
        String rate =
                String.format(Locale.ROOT, "learning rate %s, cosine to 0", learningRate(settings));
        return switch (settings.optimizer()) {
            case ADAM -> "DL4J Adam, " + rate;
            case SGD -> "DL4J SGD with Nesterov momentum " + momentum(settings) + ", " + rate;
            default -> settings.optimizer().name() + ", " + rate;
        };
    }

    @Override
    public Map<String, Object> details() {
        Map<String, Object> details = new LinkedHashMap<>();
        details.put("learningRate", learningRate(settings));
        details.put("schedule", "cosine to 0");
        switch (settings.optimizer()) {
            case SGD -> details.put("nesterovMomentum", momentum(settings));
            case LARS -> details.put("momentum", momentum(settings));
            case LAMB -> details.put("beta1", momentum(settings));
            default -> {}
        }
        if (settings.weightDecay() != null) {
            details.put("weightDecay", settings.weightDecay());
        }
        return details;
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
