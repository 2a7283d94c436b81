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
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.lngd4j.cli.support.FloatVectors;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.learning.config.Nesterovs;

/**
 * DL4J's own Adam or SGD with momentum, with a cosine schedule to 0 and, where wanted, averaged
 * weights.
 */
final class FirstOrder implements TrainingMethod {
    private static final double ADAM_RATE = 0.003;
    private static final double SGD_RATE = 0.1;
    private static final double MOMENTUM = 0.9;

    private final MultiLayerNetwork net;
    private final TrainSettings settings;
    private final WeightAverage average;

    /**
     * @param net made with {@link #updater}
     */
    FirstOrder(MultiLayerNetwork net, TrainSettings settings) {
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
        return settings.optimizer() == OptimizerKind.ADAM
                ? Adam.builder().learningRateSchedule(rate).build()
                : Nesterovs.builder()
                        .learningRateSchedule(rate)
                        .momentum(momentum(settings))
                        .build();
    }

    /** The updater that the delivered model carries: the same without this project's schedule. */
    static IUpdater plainUpdater(TrainSettings settings) {
        return settings.optimizer() == OptimizerKind.ADAM
                ? new Adam(learningRate(settings))
                : new Nesterovs(learningRate(settings), momentum(settings));
    }

    // Defaults from the reference runs (the best of their sweeps on this task).
    private static double learningRate(TrainSettings settings) {
        if (settings.learningRate() != null) {
            return settings.learningRate();
        }
        return settings.optimizer() == OptimizerKind.ADAM ? ADAM_RATE : SGD_RATE;
    }

    private static double momentum(TrainSettings settings) {
        return settings.momentum() == null ? MOMENTUM : settings.momentum();
    }

    @Override
    public String describe() {
        String rate =
                String.format(Locale.ROOT, "learning rate %s, cosine to 0", learningRate(settings));
        return settings.optimizer() == OptimizerKind.ADAM
                ? "DL4J Adam, " + rate
                : "DL4J SGD with Nesterov momentum " + momentum(settings) + ", " + rate;
    }

    @Override
    public Map<String, Object> details() {
        Map<String, Object> details = new LinkedHashMap<>();
        details.put("learningRate", learningRate(settings));
        details.put("schedule", "cosine to 0");
        if (settings.optimizer() == OptimizerKind.SGD) {
            details.put("nesterovMomentum", momentum(settings));
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
            INDArray state = net.getUpdater().getStateViewArray();
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
                net.getUpdater().getStateViewArray().assign(FloatVectors.read(in));
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
