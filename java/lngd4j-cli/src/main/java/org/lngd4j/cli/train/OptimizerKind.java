// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.lngd4j.cli.CliException;

/**
 * What {@code --optimizer} can be: the registry. A new optimizer is one constant here, and its
 * branch in {@link Methods} if it is of a new family; {@code lngd train}, {@code lngd compare}, the
 * help and the error messages follow.
 */
public enum OptimizerKind {
    /** The layer-wise natural gradient. */
    LNGD(
            Family.LNGD,
            "layer-wise natural gradient, preset by --preset",
            TuningAxis.trustRatio(),
            TuningAxis.relativeDamping()),
    /** LNGD exactly as printed. */
    PAPER(Family.LNGD, "LNGD as the paper prints it", TuningAxis.learningRate(0.1)),
    /** The paper's ablation without the layer-wise rate. */
    LNGD_SAMPLE(
            Family.LNGD,
            "the paper's ablation: LNGD without its layer-wise learning rate",
            TuningAxis.learningRate(0.003)),
    /** The paper's ablation with back-propagated gradients. */
    LNGD_LR(
            Family.LNGD,
            "the paper's ablation: LNGD with gradients back-propagated from sampled targets",
            TuningAxis.learningRate(0.1)),
    /** Kronecker-factored approximate curvature. */
    KFAC(
            Family.LNGD,
            "KFAC with factored damping",
            TuningAxis.learningRate(0.03),
            TuningAxis.factoredDamping()),
    /** KFAC with what LNGD's recipe has beside its factors. */
    KFAC_TRUST(
            Family.LNGD,
            "KFAC with the trust ratio and the relative damping of LNGD",
            TuningAxis.trustRatio(),
            TuningAxis.relativeDamping()),
    /** The same with weight decay in units of the trust ratio. */
    KFAC_TRUST_DECAY(
            Family.LNGD,
            "kfac-trust with weight decay in units of the trust ratio",
            TuningAxis.trustRatio(),
            TuningAxis.relativeDamping(),
            TuningAxis.decayOverTrustRatio()),
    /** Trace-restricted KFAC. */
    TKFAC(
            Family.LNGD,
            "KFAC with the trace of the exact block",
            TuningAxis.learningRate(0.03),
            TuningAxis.factoredDamping()),
    /** Eigenvalue-corrected KFAC. */
    EKFAC(
            Family.LNGD,
            "KFAC with a measured diagonal in its eigenbasis",
            TuningAxis.learningRate(0.03),
            TuningAxis.factoredDamping()),
    /** NG+. */
    NGPLUS(
            Family.LNGD,
            "NG+: the natural gradient with one factor, of whole per-sample gradients",
            TuningAxis.learningRate(0.03),
            TuningAxis.relativeDamping()),
    /** The engine's Adam. */
    ADAM(Family.FIRST_ORDER, "Adam of the engine", TuningAxis.learningRate(0.003)),
    /** Adam with decoupled weight decay. */
    ADAMW(
            Family.FIRST_ORDER,
            "Adam with decoupled weight decay",
            TuningAxis.learningRate(0.003),
            TuningAxis.weightDecay(0.01)),
    /** The engine's SGD with (Nesterov's) momentum: DL4J has no other. */
    SGD(
            Family.FIRST_ORDER,
            "SGD of the engine, with Nesterov momentum",
            TuningAxis.learningRate(0.1)),
    /** Layer-wise adaptive rate scaling. */
    LARS(
            Family.FIRST_ORDER,
            "SGD with momentum, each layer's step in proportion to its weights",
            TuningAxis.relativeStep(0.003)),
    /** Layer-wise adaptive moments. */
    LAMB(
            Family.FIRST_ORDER,
            "Adam, each layer's step in proportion to its weights",
            TuningAxis.relativeStep(0.01)),
    /** Orthogonalised momentum. */
    MUON(
            Family.FIRST_ORDER,
            "orthogonalised momentum for hidden matrices, AdamW for the rest",
            TuningAxis.learningRate(0.003)),
    /** The same with decay. */
    MUON_DECAY(
            Family.FIRST_ORDER,
            "muon with decoupled weight decay",
            TuningAxis.learningRate(0.003),
            TuningAxis.weightDecay(0.1)),
    /** Adam in Shampoo's eigenbasis. */
    SOAP(
            Family.FIRST_ORDER,
            "Adam in the eigenbasis of Shampoo's preconditioner",
            TuningAxis.learningRate(0.003),
            TuningAxis.weightDecay(0.01));

    /** Which code trains it. */
    enum Family {
        /** The native library, attached to the network. */
        LNGD,
        /** A DL4J updater, DL4J's own or ours. */
        FIRST_ORDER
    }

    private final Family family;
    private final String summary;
    private final List<TuningAxis> axes;

    OptimizerKind(Family family, String summary, TuningAxis... axes) {
        this.family = family;
        this.summary = summary;
        this.axes = List.of(axes);
    }

    /**
     * The optimizer of a name.
     *
     * @param option the option that names it, for the message that lists what there is
     */
    public static OptimizerKind parse(String option, String name) {
        return Arrays.stream(values())
                .filter(kind -> kind.toString().equalsIgnoreCase(name))
                .findFirst()
                .orElseThrow(
                        () ->
                                CliException.badInput(
                                        option
                                                + " "
                                                + name
                                                + ": there is no such optimizer; there are "
                                                + names()));
    }

    /** All names, for messages. */
    public static String names() {
        return Arrays.stream(values()).map(Object::toString).collect(Collectors.joining(", "));
    }

    Family family() {
        return family;
    }

    /** Whether LNGD's native library trains it, whatever the engine. */
    public boolean isOfLibrary() {
        return family == Family.LNGD;
    }

    /** What it is, in a few words. */
    public String summary() {
        return summary;
    }

    /** The settings that {@code lngd compare} tunes, each with its grid. */
    public List<TuningAxis> axes() {
        return axes;
    }

    /**
     * The same under a preset, which has defaults of its own.
     *
     * @param preset one of {@link TrainSettings#PRESETS}, or null
     */
    public List<TuningAxis> axes(String preset) {
        return switch (preset == null ? "" : preset) {
            // What is recommended is one of them in most cases; a start is left to the preset.
            case "block-kronecker", "recommended" ->
                    List.of(TuningAxis.trustRatio(), TuningAxis.signalDamping());
            case "block-kronecker-fit" ->
                    List.of(TuningAxis.fitTrustRatio(), TuningAxis.fitSignalDamping());
            default -> axes;
        };
    }

    /** Where the search over a setting begins; 0 where it is not tuned. */
    double start(String option) {
        return axes.stream()
                .filter(axis -> axis.option().equals(option))
                .findFirst()
                .map(TuningAxis::start)
                .orElse(0.0);
    }

    /** Whether {@code --weight-decay} may be said: not where a name of its own stands for it. */
    boolean takesWeightDecay() {
        return this != SGD && this != ADAM && this != MUON;
    }

    /** Whether it has no CUDA kernels. */
    boolean isCpuOnly() {
        return this == EKFAC;
    }

    /**
     * Whether {@code --preset} and single settings of LNGD may be said: not where the name fixes
     * them.
     */
    boolean takesPreset() {
        return this == LNGD;
    }

    /** The name on the command line. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
