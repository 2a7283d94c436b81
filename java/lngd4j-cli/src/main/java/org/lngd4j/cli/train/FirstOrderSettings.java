// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.lngd4j.cli.optimizer.CosineSchedule;

/**
 * The numbers of a first-order optimizer: what was said, else defaults from the reference runs,
 * where the tuning begins. The same for every engine.
 *
 * @param settings the settings of the run
 */
public record FirstOrderSettings(TrainSettings settings) {
    private static final double MOMENTUM = 0.9;
    // Of Muon, and beta1 of SOAP: their authors'.
    private static final double LONG_MOMENTUM = 0.95;

    /** The peak of the cosine schedule. */
    public double learningRate() {
        return settings.learningRate() != null
                ? settings.learningRate()
                : settings.optimizer().axes().get(0).start();
    }

    /** The schedule of a whole run. */
    public CosineSchedule schedule(long totalSteps) {
        return new CosineSchedule(learningRate(), totalSteps, settings.warmupSteps(totalSteps));
    }

    private String rise() {
        long percent = settings.warmupSteps(100);
        return percent == 0 ? "" : ", after a rise in " + percent + " % of the steps";
    }

    /** Momentum, or beta1. */
    public double momentum() {
        if (settings.momentum() != null) {
            return settings.momentum();
        }
        return switch (settings.optimizer()) {
            case MUON, MUON_DECAY, SOAP -> LONG_MOMENTUM;
            default -> MOMENTUM;
        };
    }

    /** Weight decay; 0 where the optimizer has none. */
    public double weightDecay() {
        return settings.weightDecay() == null
                ? settings.optimizer().start("weight-decay")
                : settings.weightDecay();
    }

    /** One line about the optimizer and its settings. */
    public String describe() {
        String rate =
                String.format(
                        Locale.ROOT, "learning rate %s, cosine to 0%s", learningRate(), rise());
        return switch (settings.optimizer()) {
            case ADAM -> "Adam, " + rate;
            case SGD -> "SGD with Nesterov momentum " + momentum() + ", " + rate;
            case LARS, LAMB -> settings.optimizer().name() + ", " + rate;
            default -> {
                double decay = weightDecay();
                yield settings.optimizer()
                        + ", "
                        + rate
                        + (decay > 0 ? ", weight decay " + decay : "");
            }
        };
    }

    /** Every setting by name. */
    public Map<String, Object> details() {
        Map<String, Object> details = new LinkedHashMap<>();
        details.put("learningRate", learningRate());
        details.put("schedule", "cosine to 0" + rise());
        switch (settings.optimizer()) {
            case SGD -> details.put("nesterovMomentum", momentum());
            case LARS, MUON, MUON_DECAY -> details.put("momentum", momentum());
            case LAMB, ADAMW, SOAP -> details.put("beta1", momentum());
            default -> {}
        }
        if (settings.optimizer().takesWeightDecay()) {
            details.put("weightDecay", weightDecay());
        }
        return details;
    }
}
