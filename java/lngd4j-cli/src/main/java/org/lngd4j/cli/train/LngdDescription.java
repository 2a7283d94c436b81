// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.lngd4j.Approximation;
import org.lngd4j.Fisher;
import org.lngd4j.KernelTimes;
import org.lngd4j.LayerRate;
import org.lngd4j.LayerRegistration;
import org.lngd4j.LngdOptions;
import org.lngd4j.Preset;
import org.lngd4j.RegistrationReport;
import org.lngd4j.Treatment;
import org.lngd4j.TrustRatio;
import org.lngd4j.WeightDecay;

/**
 * What a run tells of LNGD, or of a KFAC of the same library, whichever engine it is attached to.
 *
 * @param options what it was attached with
 * @param report what is done with each layer
 */
public record LngdDescription(LngdOptions options, RegistrationReport report) {
    /** What the user should know before the first step, a line each. */
    public List<String> notices() {
        // A residual net has dozens of batch norms: a line for each reason, not for each layer.
        Map<String, List<String>> namesByReason = new LinkedHashMap<>();
        for (LayerRegistration layer : report.with(Treatment.FIRST_ORDER)) {
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

    /** One line about the method and its settings. */
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

    /** Every setting by name. */
    public Map<String, Object> details() {
        Map<String, Object> details = options.asMap();
        details.put("reason", options.reason());
        return details;
    }

    /** Seconds by group of kernels. */
    public static Map<String, Double> seconds(KernelTimes times) {
        Map<String, Double> seconds = new LinkedHashMap<>();
        seconds.put("statistics", times.statistics() / 1e9);
        seconds.put("inverse", times.inverse() / 1e9);
        seconds.put("precondition", times.precondition() / 1e9);
        seconds.put("rate", times.rate() / 1e9);
        seconds.put("update", times.update() / 1e9);
        return seconds;
    }
}
