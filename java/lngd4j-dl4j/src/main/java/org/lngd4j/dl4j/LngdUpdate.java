// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.deeplearning4j.nn.api.Trainable;
import org.deeplearning4j.nn.conf.GradientNormalization;
import org.deeplearning4j.nn.gradient.DefaultGradient;
import org.deeplearning4j.nn.gradient.Gradient;
import org.deeplearning4j.nn.graph.vertex.GraphVertex;
import org.deeplearning4j.nn.layers.FrozenLayer;
import org.deeplearning4j.nn.layers.FrozenLayerWithBackprop;
import org.deeplearning4j.nn.params.DefaultParamInitializer;
import org.deeplearning4j.nn.updater.BaseMultiLayerUpdater;
import org.deeplearning4j.nn.updater.UpdaterBlock;
import org.deeplearning4j.nn.updater.UpdaterBlock.ParamState;
import org.deeplearning4j.nn.workspace.ArrayType;
import org.deeplearning4j.nn.workspace.LayerWorkspaceMgr;
import org.lngd4j.LayerTensors;
import org.lngd4j.StepPlan;
import org.lngd4j.UpdateMode;
import org.lngd4j.nativelib.LngdException;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.learning.regularization.Regularization.ApplyStep;

/**
 * What takes the place of a network's updater: turns the gradient view into the update, by LNGD in
 * one native call for all its layers, and by first-order updaters for the rest. It stands on the
 * state array of the updater that it replaces. The configured {@code IUpdater}s stay as they are:
 * replacing those, layer by layer, was the other way to do this; it gives a native call for each
 * run of layers, and every saved or cloned network would carry our class.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class LngdUpdate {
    /** DL4J's division of the gradient by the batch size, which only subclasses can call. */
    interface Division {
        void divide(Gradient gradient, int batchSize);
    }

    private final BaseMultiLayerUpdater<?> updater;
    private final Division division;
    private final BaseMultiLayerUpdater<?> replaced;
    private final Attachment attachment;
    private final List<LayerCapture> captures;
    private final List<INDArray> weights = new ArrayList<>();
    private final List<FirstOrderRun> runs = new ArrayList<>();
    private final List<AveragedParameter> averages = new ArrayList<>();
    private final List<Regularised> before = new ArrayList<>();
    private final List<Regularised> after = new ArrayList<>();
    private StepPlan plan;
    private final INDArray gradients;
    private final INDArray firstGradients;
    private final boolean normalised;
    private GradientReduction reduction; // made when there are other ranks

    LngdUpdate(
            BaseMultiLayerUpdater<?> updater,
            Division division,
            BaseMultiLayerUpdater<?> replaced,
            Attachment attachment,
            List<LayerCapture> captures) {
        this.updater = updater;
        this.division = division;
        this.replaced = replaced;
        this.attachment = attachment;
        this.captures = captures;
        this.gradients = updater.getFlattenedGradientsView();
        this.firstGradients = captures.get(0).layer.getGradientsViewArray();
        for (UpdaterBlock block : updater.getUpdaterBlocks()) {
            split(block);
        }
        boolean any = false;
        for (Trainable layer : updater.getLayersByName().values()) {
            GradientNormalization mode =
                    layer.getConfig() == null ? null : layer.getConfig().getGradientNormalization();
            any |= layer.numParams() > 0 && mode != null && mode != GradientNormalization.None;
        }
        this.normalised = any;
        captures.forEach(c -> weights.add(c.layer.getParam(DefaultParamInitializer.WEIGHT_KEY)));
        makePlan();
    }

    /**
     * Cuts one of DL4J's blocks into the parameters of LNGD and runs of the others, each with one
     * updater.
     */
    private void split(UpdaterBlock block) {
        List<ParamState> run = new ArrayList<>();
        IUpdater chosen = null;
        for (ParamState param : block.getLayersAndVariablesInBlock()) {
            IUpdater next = attachment.chosenUpdater(param.getLayer());
            if (next != chosen || isOurs(param.getLayer())) {
                finish(block, run, chosen);
                chosen = next;
            }
            if (isOurs(param.getLayer())) {
                before.addAll(Regularised.of(param, ApplyStep.BEFORE_UPDATER));
                after.addAll(Regularised.of(param, ApplyStep.POST_UPDATER));
                continue;
            }
            run.add(param);
            // What is not divided by the batch size is no gradient, but a running statistic that is
            // replaced.
            boolean trained =
                    param.getLayer().updaterDivideByMinibatch(param.getParamName())
                            && !isFrozen(param);
            if (trained && attachment.options().averaging() && param.getParamView() != null) {
                averages.add(new AveragedParameter(param.getParamView(), param.getGradView()));
            }
        }
        finish(block, run, chosen);
    }

    private void finish(UpdaterBlock block, List<ParamState> run, IUpdater chosen) {
        if (!run.isEmpty()) {
            INDArray flat = gradients.reshape(gradients.length());
            runs.add(new FirstOrderRun(block, new ArrayList<>(run), flat, chosen));
            run.clear();
        }
    }

    private static boolean isFrozen(ParamState param) {
        Trainable layer = liveLayer(param.getLayer());
        return layer instanceof FrozenLayer || layer instanceof FrozenLayerWithBackprop;
    }

    /** In a graph DL4J's updater sees the vertex around a layer. */
    private static Trainable liveLayer(Trainable trainable) {
        return trainable instanceof GraphVertex vertex && vertex.hasLayer()
                ? vertex.getLayer()
                : trainable;
    }

    private boolean isOurs(Trainable trainable) {
        Trainable layer = liveLayer(trainable);
        return captures.stream().anyMatch(c -> c.layer == layer);
    }

    /** Frees the plan, for as long as something needs an optimizer that has none. */
    void closePlan() {
        plan.close();
    }

    /** Makes the plan, at first or after {@link #closePlan}. */
    void makePlan() {
        List<LayerTensors> tensors = new ArrayList<>();
        for (LayerCapture c : captures) {
            Map<String, INDArray> slopes =
                    c.layer
                            .conf()
                            .getLayer()
                            .initializer()
                            .getGradientsFromFlattened(
                                    c.layer.conf(), c.layer.getGradientsViewArray());
            INDArray w = c.layer.getParam(DefaultParamInitializer.WEIGHT_KEY);
            tensors.add(
                    attachment
                            .arrays()
                            .tensors(
                                    c.lngdIndex,
                                    c.weights(w),
                                    c.layer.getParam(DefaultParamInitializer.BIAS_KEY),
                                    c.weights(slopes.get(DefaultParamInitializer.WEIGHT_KEY)),
                                    slopes.get(DefaultParamInitializer.BIAS_KEY)));
        }
        plan = attachment.optimizer().plan(tensors, UpdateMode.GRADIENTS);
    }

    /** Whether the network still computes its gradients where this updater looks for them. */
    boolean fits() {
        return captures.get(0).layer.getGradientsViewArray() == firstGradients;
    }

    void update(
            Gradient gradient,
            int iteration,
            int epoch,
            int batchSize,
            LayerWorkspaceMgr workspaceMgr) {
        RankStep ranks = attachment.ranks();
        if (ranks == null) {
            attachment.checkMayStep();
            checkArrays(gradient);
            move(gradient, iteration, epoch, batchSize, workspaceMgr);
            return;
        }
        meet(ranks, gradient, batchSize);
        try {
            move(gradient, iteration, epoch, ranks.total(), workspaceMgr);
        } catch (RuntimeException | Error e) {
            ranks.abandon(e);
            drop(e);
            throw e;
        }
        ranks.stepped();
    }

    /** What was seen for a step that is not taken. */
    private void drop(Throwable why) {
        try {
            attachment.discardObserved();
        } catch (LngdException e) {
            why.addSuppressed(e);
        }
    }

    /** Where one rank refuses, all do, and what was seen for this step is dropped. */
    private void meet(RankStep ranks, Gradient gradient, int batchSize) {
        try {
            ranks.meet(
                    () -> {
                        attachment.checkMayStep();
                        checkArrays(gradient);
                        if (ranks.samples() >= 0 && ranks.samples() != batchSize) {
                            throw new LngdStateException(
                                    "the batch has "
                                            + batchSize
                                            + " samples, allowed is what share was told, "
                                            + ranks.samples());
                        }
                    });
        } catch (RuntimeException e) {
            drop(e);
            throw e;
        }
    }

    /** {@code samples} are those of the whole batch, of all ranks. */
    private void move(
            Gradient gradient,
            int iteration,
            int epoch,
            int samples,
            LayerWorkspaceMgr workspaceMgr) {
        if (attachment.ended()) {
            // The update is what the gradient array holds: nothing, for the fallback layers and the
            // running statistics of batch normalisation too, which else would go on alone.
            gradients.assign(0);
            attachment.passEnd();
            return;
        }
        attachment.sampleFisher();
        reduce();
        division.divide(gradient, samples);
        if (normalised && reduction != null) {
            reduction.normalise(iteration);
        } else if (normalised) {
            normalise(gradient, iteration);
        }
        workspaceMgr.assertNotOpen(ArrayType.UPDATER_WORKING_MEM, "Updater working memory");
        try (MemoryWorkspace scope =
                workspaceMgr.notifyScopeEntered(ArrayType.UPDATER_WORKING_MEM)) {
            double rate = attachment.decayRate(epoch);
            for (Regularised r : before) {
                r.apply(rate, iteration, epoch);
            }
            // First LNGD: if it refuses, nothing has been changed yet.
            attachment.step(plan, iteration, epoch);
            for (Regularised r : after) {
                r.apply(rate, iteration, epoch);
            }
            for (FirstOrderRun run : runs) {
                run.update(iteration, epoch);
            }
            for (AveragedParameter average : averages) {
                average.add(attachment.options().averagingWindow(), attachment.steps());
            }
        }
        attachment.stepped();
    }

    private void reduce() {
        if (attachment.ranks() != null) {
            reduction = reduction == null ? new GradientReduction(updater) : reduction;
            reduction.reduce(attachment.ranks(), gradients);
        }
    }

    /** The network's gradient array. */
    INDArray gradients() {
        return gradients;
    }

    private void checkArrays(Gradient gradient) {
        // Not by identity: the network makes a new view for each call.
        INDArray given = gradient.gradient();
        if (given.data().address() != gradients.data().address()
                || given.length() != gradients.length()) {
            throw new LngdStateException(
                    "the network's gradient array is not the one that LNGD was attached to:"
                            + " gradients that were computed elsewhere cannot be used");
        }
        for (int i = 0; i < weights.size(); i++) {
            if (captures.get(i).layer.getParam(DefaultParamInitializer.WEIGHT_KEY)
                    != weights.get(i)) {
                throw new LngdStateException(
                        "the weight array of layer "
                                + captures.get(i).name
                                + " was replaced since LNGD was attached; close the attachment first, then"
                                + " attach again");
            }
        }
    }

    /** Gradient clipping and normalisation, by DL4J's own code, layer by layer. */
    private void normalise(Gradient gradient, int iteration) {
        Map<String, Gradient> byLayer = new HashMap<>();
        gradient.gradientForVariable()
                .forEach(
                        (key, value) -> {
                            int cut = key.lastIndexOf('_');
                            byLayer.computeIfAbsent(
                                            key.substring(0, cut), k -> new DefaultGradient())
                                    .setGradientFor(key.substring(cut + 1), value);
                        });
        byLayer.forEach(
                (name, part) ->
                        updater.preApply(updater.getLayersByName().get(name), part, iteration));
    }

    /** Own state of the fallback layers into the network's state array. */
    void scatterState() {
        runs.forEach(FirstOrderRun::scatter);
    }

    /** And back, after the array was set from outside. */
    void gatherState() {
        runs.forEach(FirstOrderRun::gather);
    }

    /**
     * Averages of the parameters that LNGD does not train, then foreign updater state: what no DL4J
     * file holds.
     */
    List<INDArray> extraState() {
        List<INDArray> extra = new ArrayList<>();
        averages.forEach(a -> extra.add(a.average));
        for (FirstOrderRun run : runs) {
            if (run.foreignState() != null) {
                extra.add(run.foreignState());
            }
        }
        return extra;
    }

    /**
     * Exchanges all weights with their averages; tells whether the averages are in the network now.
     */
    boolean swapAverages() {
        boolean swapped = plan.swapAverages();
        averages.forEach(AveragedParameter::swap);
        return swapped;
    }

    /**
     * Frees the plan and brings the updater state home; gives the updater that was there before.
     */
    BaseMultiLayerUpdater<?> dismiss() {
        try {
            scatterState();
        } finally {
            plan.close();
        }
        return replaced;
    }
}
