// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.lngd4j.LngdOptions;
import org.lngd4j.cli.model.Dl4jNetwork;
import org.lngd4j.cli.optimizer.CosineSchedule;
import org.lngd4j.dl4j.AveragedWeights;
import org.lngd4j.dl4j.Lngd;
import org.lngd4j.dl4j.LngdTraining;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.learning.config.Nesterovs;

/** LNGD or a KFAC of the same library, attached to DL4J's network by one line, as a user would. */
final class LngdMethod implements TrainingMethod {
    // Batch norm learns well at this rate; it is not tuned, since it is not what is compared.
    private static final double FALLBACK_RATE = 0.03;
    private static final double FALLBACK_MOMENTUM = 0.9;

    private final LngdOptions options;
    private final String device;
    private final LngdTraining training;
    private final LngdDescription told;

    LngdMethod(Dl4jNetwork net, LngdOptions options, String device) {
        this.options = options;
        this.device = device;
        this.training =
                net instanceof Dl4jNetwork.Graph graph
                        ? Lngd.attach(graph.model(), options)
                        : Lngd.attach(((Dl4jNetwork.Chain) net).model(), options);
        this.told = new LngdDescription(options, training.report());
    }

    /**
     * What trains the layers that LNGD has no block for, such as batch norm: the report at the
     * start names them.
     */
    static IUpdater fallback(long totalSteps) {
        return Nesterovs.builder()
                .learningRateSchedule(new CosineSchedule(FALLBACK_RATE, totalSteps))
                .momentum(FALLBACK_MOMENTUM)
                .build();
    }

    /** The updater that the delivered model carries. */
    static IUpdater plainUpdater() {
        return new Nesterovs(FALLBACK_RATE, FALLBACK_MOMENTUM);
    }

    @Override
    public List<String> notices() {
        return told.notices();
    }

    @Override
    public String describe() {
        return told.describe();
    }

    @Override
    public Map<String, Object> details() {
        Map<String, Object> details = told.details();
        details.put(
                "otherLayers",
                "Nesterov momentum " + FALLBACK_MOMENTUM + ", learning rate " + FALLBACK_RATE);
        return details;
    }

    @Override
    public Map<String, Double> kernelSeconds() {
        return LngdDescription.seconds(training.times());
    }

    @Override
    public String device() {
        return device;
    }

    @Override
    public void afterStep() {
        // The update and the average are the native library's, inside the network's own fit.
    }

    @Override
    public boolean averages() {
        return options.averaging();
    }

    @Override
    public <T> T withAveragedWeights(Supplier<T> action) {
        if (!averages()) {
            return action.get();
        }
        AveragedWeights swapped = training.averagedWeights();
        try {
            return action.get();
        } finally {
            swapped.close();
        }
    }

    @Override
    public void save(Path file) throws IOException {
        training.save(file);
    }

    @Override
    public void restore(Path file) throws IOException {
        training.restore(file);
    }

    @Override
    public HealthCounts health() {
        return HealthCounts.of(training.health().values());
    }

    @Override
    public void close() {
        training.close();
    }
}
