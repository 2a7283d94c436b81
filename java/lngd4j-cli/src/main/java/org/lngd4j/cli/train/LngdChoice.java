// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.util.Locale;
import java.util.function.Supplier;
import org.lngd4j.Damping;
import org.lngd4j.DampingScope;
import org.lngd4j.Device;
import org.lngd4j.DeviceChoice;
import org.lngd4j.Fisher;
import org.lngd4j.LayerRate;
import org.lngd4j.LngdOptions;
import org.lngd4j.Precision;
import org.lngd4j.Preset;
import org.lngd4j.Schedule;
import org.lngd4j.TrustRatio;
import org.lngd4j.WeightDecay;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.model.Dl4jNetwork;
import org.lngd4j.cli.support.Devices;
import org.lngd4j.dl4j.Lngd;
import org.lngd4j.nativelib.LngdArgumentException;

/** LNGD's options from those of the command: the preset, then what was said beside it. */
public final class LngdChoice {
    private LngdChoice() {}

    /**
     * The options.
     *
     * @param recommended asked only where the preset is what is recommended for the network
     */
    public static LngdOptions options(
            TrainSettings settings, Supplier<LngdOptions> recommended, long totalSteps) {
        try {
            LngdOptions.Builder start =
                    "recommended".equals(settings.preset())
                            ? recommended.get().toBuilder()
                            : LngdOptions.preset(preset(settings), totalSteps);
            LngdOptions options = direct(settings, start, totalSteps);
            options = withTrustRatio(settings, withDamping(settings, options));
            long warmup = settings.warmupSteps(totalSteps);
            if (warmup > 0) {
                Schedule risen = options.schedule().warmup(warmup);
                options = options.toBuilder().schedule(risen).build();
            }
            DeviceChoice.of(options); // refuses what does not go together
            return options;
        } catch (LngdArgumentException e) {
            throw CliException.badInput(e.getMessage(), e);
        }
    }

    /** The same for a network of DL4J. */
    static LngdOptions forDl4j(TrainSettings settings, Dl4jNetwork net, RunLength length) {
        long steps = length.steps();
        return options(
                settings,
                () ->
                        net instanceof Dl4jNetwork.Graph graph
                                ? Lngd.recommended(graph.model(), steps, length.rows())
                                : Lngd.recommended(
                                        ((Dl4jNetwork.Chain) net).model(), steps, length.rows()),
                steps);
    }

    private static LngdOptions direct(
            TrainSettings settings, LngdOptions.Builder builder, long totalSteps) {
        builder.device(wanted(settings)).threads(settings.threads()).seed(settings.seed());
        kind(settings.optimizer(), builder, totalSteps);
        if (settings.averagedWeights() != null) {
            builder.averaging(settings.averagedWeights());
        }
        if (settings.learningRate() != null) {
            builder.learningRate(settings.learningRate());
        }
        if (settings.momentum() != null) {
            builder.momentum(settings.momentum());
        }
        if (settings.statisticsInterval() != null) {
            builder.statisticsInterval(settings.statisticsInterval());
        }
        if (settings.statisticsSamples() != null) {
            builder.statisticsSamples(settings.statisticsSamples());
        }
        if (settings.inverseInterval() != null) {
            builder.inverseInterval(settings.inverseInterval());
        }
        if (settings.fisher() != null) {
            builder.fisher(Fisher.valueOf(upper(settings.fisher())));
        }
        if (settings.layerRate() != null) {
            builder.layerRate(LayerRate.valueOf(upper(settings.layerRate())));
        }
        if (settings.directionPrecision() != null) {
            builder.directionPrecision(Precision.valueOf(upper(settings.directionPrecision())));
        }
        rest(settings.lngd(), builder);
        return withDecay(settings, builder.build());
    }

    private static void rest(LngdSettings settings, LngdOptions.Builder builder) {
        if (settings.secondBlockSize() != null) {
            builder.secondBlockSize(settings.secondBlockSize());
        }
        if (settings.dampingScope() != null) {
            builder.dampingScope(DampingScope.valueOf(upper(settings.dampingScope())));
        }
        if (settings.secondDamping() != null) {
            builder.secondDamping(settings.secondDamping());
        }
        if (settings.softTrust() != null) {
            builder.softTrust(settings.softTrust());
        }
        if (settings.outputBound() != null) {
            builder.outputBound(settings.outputBound());
        }
        if (settings.outputDecay() != null) {
            builder.outputDecay(settings.outputDecay());
        }
        if (settings.orthogonalise() != null) {
            builder.orthogonalise(settings.orthogonalise());
        }
        if (settings.gradientClipping() != null) {
            builder.gradientClipping(settings.gradientClipping());
        }
    }

    // What is not said of the two is the preset's.
    private static LngdOptions withDecay(TrainSettings settings, LngdOptions options) {
        String mode = settings.lngd().decayMode();
        Double decay = settings.weightDecay();
        return options.toBuilder()
                .weightDecay(
                        decay == null ? options.weightDecay() : decay,
                        mode == null ? options.decayMode() : WeightDecay.valueOf(upper(mode)))
                .build();
    }

    /** What a name means beside its preset. */
    private static void kind(OptimizerKind kind, LngdOptions.Builder builder, long totalSteps) {
        switch (kind) {
            case LNGD_SAMPLE ->
                    // Without the layer rate the paper's own learning rate is far too large.
                    builder.layerRate(LayerRate.NONE).learningRate(kind.axes().get(0).start());
            case LNGD_LR -> builder.fisher(Fisher.PROVIDED);
            case KFAC, TKFAC, EKFAC, NGPLUS ->
                    // The schedule and the averaged weights that the other rivals have.
                    builder.schedule(Schedule.cosine(totalSteps)).averaging(true);
            case KFAC_TRUST -> trusted(kind, builder, totalSteps);
            case KFAC_TRUST_DECAY ->
                    trusted(kind, builder, totalSteps)
                            .weightDecay(kind.axes().get(2).start(), WeightDecay.TRUST);
            default -> {}
        }
    }

    private static LngdOptions.Builder trusted(
            OptimizerKind kind, LngdOptions.Builder builder, long totalSteps) {
        return builder.schedule(Schedule.cosine(totalSteps))
                .averaging(true)
                .learningRate(1)
                .trustRatio(TrustRatio.ALWAYS, kind.axes().get(0).startValue(totalSteps))
                .relativeDamping(kind.axes().get(1).start());
    }

    /**
     * Where it will run: {@code cpu} or {@code cuda}. A device that is asked for and cannot be had
     * is bad input, with the reason.
     */
    public static String device(TrainSettings settings) {
        return Devices.word(usable(settings));
    }

    /** AUTO stays what it is where the library decides: it then says why it took the CPU. */
    private static Device wanted(TrainSettings settings) {
        return settings.optimizer().isCpuOnly()
                ? Devices.of(settings.device())
                : Devices.usable(settings.device());
    }

    private static Device usable(TrainSettings settings) {
        return settings.optimizer().isCpuOnly() ? Device.CPU : Devices.usable(settings.device());
    }

    private static Preset preset(TrainSettings settings) {
        return switch (settings.optimizer()) {
            case LNGD ->
                    settings.preset() == null
                            ? Preset.RECIPE
                            : Preset.valueOf(upper(settings.preset()).replace('-', '_'));
            case KFAC, KFAC_TRUST, KFAC_TRUST_DECAY -> Preset.KFAC;
            case TKFAC -> Preset.TKFAC;
            case EKFAC -> Preset.EKFAC;
            case NGPLUS -> Preset.NGPLUS;
            default -> Preset.PAPER;
        };
    }

    // The one number is gamma under relative damping, lambda under KFAC's, g under SIGNAL, and the
    // upper bound nu2 under the paper's clip.
    private static LngdOptions withDamping(TrainSettings settings, LngdOptions options) {
        Double damping = settings.damping();
        if (damping == null) {
            return options;
        }
        if (options.damping() == Damping.RELATIVE) {
            return options.toBuilder().relativeDamping(damping).build();
        }
        if (options.damping() == Damping.FACTORED) {
            return options.toBuilder().factoredDamping(damping).build();
        }
        if (options.damping() == Damping.SIGNAL) {
            return options.toBuilder()
                    .signalDamping(damping, options.dampingMin(), options.dampingMax())
                    .build();
        }
        double least = Math.min(options.dampingMin(), damping);
        return options.toBuilder().absoluteDamping(least, damping).build();
    }

    // A preset without a trust ratio gets it as a cap: its own rates stay in force below it.
    private static LngdOptions withTrustRatio(TrainSettings settings, LngdOptions options) {
        Double ratio = settings.trustRatio();
        if (ratio == null) {
            return options;
        }
        TrustRatio mode =
                options.trustMode() == TrustRatio.OFF ? TrustRatio.CAP : options.trustMode();
        return options.toBuilder().trustRatio(ratio == 0 ? TrustRatio.OFF : mode, ratio).build();
    }

    private static String upper(String word) {
        return word.toUpperCase(Locale.ROOT);
    }
}
