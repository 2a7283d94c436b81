// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.ArrayList;
import java.util.List;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.conf.BackpropType;
import org.deeplearning4j.nn.conf.layers.BaseLayer;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.lngd4j.Fisher;
import org.lngd4j.LayerRegistration;
import org.lngd4j.LngdOptions;
import org.lngd4j.RegistrationReport;
import org.lngd4j.Treatment;
import org.nd4j.linalg.learning.config.IUpdater;

/** Makes the registration report of an attachment. */
final class Reports {
    private Reports() {}

    static RegistrationReport of(
            Network net,
            LngdOptions options,
            AttachOptions attachOptions,
            List<LayerChoice> choices) {
        List<LayerRegistration> layers = new ArrayList<>();
        int lngdIndex = 0;
        for (LayerChoice c : choices) {
            boolean ours = c.treatment() == Treatment.LNGD;
            String detail = c.detail();
            if (c.treatment() == Treatment.FIRST_ORDER) {
                detail += "; " + updater(c.unit(), attachOptions);
            }
            layers.add(
                    new LayerRegistration(
                            c.unit().index(),
                            c.name(),
                            c.unit().type(),
                            c.unit().trainable().numParams(),
                            c.treatment(),
                            ours ? lngdIndex++ : -1,
                            c.spec(),
                            detail));
        }
        return new RegistrationReport(layers, notes(net, options, choices));
    }

    private static String updater(Unit unit, AttachOptions attachOptions) {
        Layer layer = unit.layer();
        IUpdater updater = attachOptions.fallback();
        String origin = "chosen at attach";
        if (updater == null) {
            origin = "its own";
            updater =
                    layer != null && layer.conf().getLayer() instanceof BaseLayer conf
                            ? conf.getIUpdater()
                            : null;
        }
        if (updater == null) {
            return "its own updaters";
        }
        String rate = updater.hasLearningRate() ? " " + updater.getLearningRate(0, 0) : "";
        return updater.getClass().getSimpleName() + rate + " (" + origin + ")";
    }

    private static List<String> notes(Network net, LngdOptions options, List<LayerChoice> choices) {
        List<String> notes = new ArrayList<>();
        boolean regularised = false;
        boolean constrained = false;
        boolean normalised = false;
        boolean batchNormalised = false;
        for (LayerChoice c : choices) {
            if (c.layer() == null) {
                continue;
            }
            batchNormalised |= c.layer().conf().getLayer() instanceof BatchNormalization;
            if (c.treatment() == Treatment.LNGD
                    && c.layer().conf().getLayer() instanceof BaseLayer conf) {
                regularised |=
                        notEmpty(conf.getRegularization())
                                || notEmpty(conf.getRegularizationBias());
                constrained |= notEmpty(conf.getConstraints());
                normalised |=
                        conf.getGradientNormalization() != null
                                && conf.getGradientNormalization()
                                        != org.deeplearning4j.nn.conf.GradientNormalization.None;
            }
        }
        if (options.fisher() == Fisher.PROVIDED) {
            notes.add(
                    "Fisher information from targets that the network draws itself: a second forward and"
                            + " backward pass wherever statistics are due, without dropout and weight noise"
                            + (batchNormalised
                                    ? ", batch normalisation by the samples of that pass."
                                    : "."));
        }
        if (regularised) {
            notes.add(
                    "regularisation of the configuration goes on: L1 and L2 enter the gradient before LNGD"
                            + " preconditions it, WeightDecay acts after it with LNGD's own rate: learning rate"
                            + " times schedule times trust ratio.");
        }
        if (normalised) {
            notes.add(
                    "gradient normalisation of the configuration acts on the gradient before LNGD.");
        }
        if (constrained) {
            notes.add(
                    "constraints act after each step; averaged weights are averages of weights before them.");
        }
        if (batchNormalised && options.averaging()) {
            notes.add(
                    "the running mean and variance of batch normalisation are not averaged;"
                            + " reestimateBatchNorm takes them anew under the averaged weights.");
        }
        if (net.backpropType() == BackpropType.TruncatedBPTT) {
            notes.add("truncated backpropagation through time: each segment is one step.");
        }
        return notes;
    }

    private static boolean notEmpty(List<?> list) {
        return list != null && !list.isEmpty();
    }
}
