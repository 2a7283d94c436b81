// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import org.lngd4j.Approximation;
import org.lngd4j.Fisher;
import org.lngd4j.KernelTimes;
import org.lngd4j.LayerRate;
import org.lngd4j.LngdOptions;
import org.lngd4j.Preset;
import org.lngd4j.TrustRatio;
import org.lngd4j.WeightDecay;
import org.lngd4j.cli.model.Network;
import org.lngd4j.cli.optimizer.CosineSchedule;
import org.lngd4j.dl4j.AveragedWeights;
import org.lngd4j.dl4j.LayerRegistration;
import org.lngd4j.dl4j.Lngd;
import org.lngd4j.dl4j.LngdTraining;
import org.lngd4j.dl4j.Treatment;
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

    LngdMethod(Network net, LngdOptions options, String device) {
        this.options = options;
        this.device = device;
        this.training =
                net instanceof Network.Graph graph
                        ? Lngd.attach(graph.model(), options)
                        : Lngd.attach(((Network.Chain) net).model(), options);
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
        // A residual net has dozens of batch norms: a line for each reason, not for each layer.
        Map<String, List<String>> namesByReason = new LinkedHashMap<>();
        for (LayerRegistration layer : training.report().with(Treatment.FIRST_ORDER)) {
            namesByReason.computeIfAbsent(layer.detail(), d -> new ArrayList<>()).add(layer.name());
        }
        List<String> notices = new ArrayList<>();
        if (!options.reason().isEmpty()) {
            notices.add("recommended: " + options.reason());
        }
        namesByReason.entrySet().stream()
                .map(
                        e ->
                                "not trained by "
                                        + name()
                                        + ": "
                                        + listed(e.getValue())
                                        + ": "
                                        + e.getKey())
                .forEach(notices::add);
        return notices;
    }

    private static String listed(List<String> names) {
        return names.size() == 1
                ? names.get(0)
                : names.get(0) + " and " + (names.size() - 1) + " more";
    }

    @Override
    public String describe() {
        String preset = options.preset().name().toLowerCase(Locale.ROOT).replace('_', '-');
        if (options.preset() == Preset.PAPER && options.layerRate() == LayerRate.NONE) {
            preset += " without layer rate";
        }
        if (options.preset() == Preset.PAPER && options.fisher() == Fisher.PROVIDED) {
            preset += " with back-propagated gradients";
        }
        String size =
                options.trustMode() == TrustRatio.OFF
                        ? String.format(Locale.ROOT, "learning rate %.3g", options.learningRate())
                        : String.format(Locale.ROOT, "trust ratio %.3g", options.trustRatio());
        // KFAC's result hangs on its damping as much as on its rate.
        String damping =
                String.format(
                        Locale.ROOT,
                        ", %s damping %.3g",
                        options.damping().name().toLowerCase(Locale.ROOT),
                        options.dampingFactor());
        if (isRival()) {
            return name() + ", " + size + damping + decay();
        }
        boolean kfac = options.approximation() != Approximation.LNGD;
        return "LNGD " + preset + ", " + size + (kfac ? damping : "");
    }

    private String decay() {
        return options.decayMode() == WeightDecay.TRUST
                ? String.format(Locale.ROOT, ", weight decay %.3g of it", options.weightDecay())
                : "";
    }

    private boolean isRival() {
        return switch (options.preset()) {
            case KFAC, TKFAC, EKFAC, NGPLUS -> true;
            default -> false;
        };
    }

    private String name() {
        return isRival() ? options.preset().name() : "LNGD";
    }

    @Override
    public Map<String, Object> details() {
        Map<String, Object> details = options.asMap();
        details.put("reason", options.reason());
        return details;
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
    public Map<String, Double> kernelSeconds() {
        KernelTimes times = training.times();
        Map<String, Double> seconds = new LinkedHashMap<>();
        seconds.put("statistics", times.statistics() / 1e9);
        seconds.put("inverse", times.inverse() / 1e9);
        seconds.put("precondition", times.precondition() / 1e9);
        seconds.put("rate", times.rate() / 1e9);
        seconds.put("update", times.update() / 1e9);
        return seconds;
    }

    @Override
    public void close() {
        training.close();
    }
}
