// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.deeplearning4j.nn.api.Trainable;
import org.deeplearning4j.nn.updater.BaseMultiLayerUpdater;
import org.lngd4j.Fisher;
import org.lngd4j.LayerHealth;
import org.lngd4j.LayerSpec;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.LngdOptions;
import org.lngd4j.StepPlan;
import org.lngd4j.Treatment;
import org.lngd4j.TrustRatio;
import org.lngd4j.adapter.HealthWatch;
import org.lngd4j.nativelib.LngdException;
import org.lngd4j.nativelib.LngdStateException;
import org.lngd4j.nd4j.Nd4jOptimizer;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.IUpdater;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What stands between a network and the optimizer while LNGD is attached: the network's updater is
 * replaced, its layers are watched, steps are counted. {@link LngdTraining} is what the user holds.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class Attachment {
    private static final Logger LOGGER = LoggerFactory.getLogger(LngdTraining.class);

    private final Network net;
    private final AttachOptions attachOptions;
    private final long told; // the end of the schedule before any extension
    private final LngdOptimizer optimizer;
    private final Nd4jOptimizer arrays;
    private final Captures captures = new Captures();
    private final List<Decoration> decorations = new ArrayList<>();
    private final Set<Trainable> firstOrder = Collections.newSetFromMap(new IdentityHashMap<>());
    private final DenseChain denseChain; // null: every sampled target goes through a shadow
    private final Thread owner = Thread.currentThread();
    private final HealthWatch watch = new HealthWatch(this::health, LOGGER::warn);
    private SampledFisher sampledFisher; // made at attach, or when the chain first leaves a batch
    private final Averages averages = new Averages(this);
    private final RunEnd end = new RunEnd();
    private final ShownRates rates;
    private RankStep ranks; // null: one process
    private Network.AttachedUpdater updater;
    private long steps;
    private int startEpoch;
    private int lastIteration = -1;

    /** Makes the optimizer; the network is not changed yet. */
    Attachment(
            Network net,
            LngdOptions options,
            AttachOptions attachOptions,
            List<LayerChoice> choices) {
        this.net = net;
        this.attachOptions = attachOptions;
        this.told = options.schedule().end();
        this.startEpoch = net.epochCount();
        choices.stream()
                .filter(c -> c.treatment() == Treatment.FIRST_ORDER)
                .forEach(c -> firstOrder.add(c.unit().trainable()));
        List<LayerChoice> ours =
                choices.stream().filter(c -> c.treatment() == Treatment.LNGD).toList();
        List<LayerSpec> specs = ours.stream().map(LayerChoice::spec).toList();
        this.arrays = Nd4jOptimizer.create(options, specs);
        this.optimizer = arrays.core();
        CountedRows counted = new CountedRows(net, net.units(), net.outputs());
        for (LayerChoice choice : ours) {
            LayerCapture capture =
                    new LayerCapture(this, arrays, counted, captures.list().size(), choice);
            captures.add(capture);
            decorations.add(new Decoration(capture.layer, capture));
        }
        this.denseChain =
                options.fisher() == Fisher.PROVIDED
                        ? DenseChain.of(this, net, options, captures.list())
                        : null;
        captures.list().forEach(c -> c.chain(denseChain));
        this.rates = new ShownRates(choices, attachOptions.fallback());
        if (options.fisher() == Fisher.PROVIDED && denseChain == null) {
            sampledFisher = sampledFisher();
        }
    }

    private SampledFisher sampledFisher() {
        try {
            return new SampledFisher(net, options(), captures.list());
        } catch (RuntimeException | Error e) {
            optimizer.close();
            throw e;
        }
    }

    /** Changes the network, or leaves it as it was where that fails. */
    void start() {
        try {
            install();
            decorations.forEach(Decoration::install);
            prepare();
        } catch (RuntimeException | Error e) {
            undo();
            throw e;
        }
    }

    private void install() {
        updater = net.attachedUpdater(net.updater(), this, captures.list());
        net.setUpdater(updater.updater());
    }

    /**
     * Takes the network's updater back where DL4J has dropped or rebuilt it: {@code net.clear()}
     * and {@code setLearningRate} do that. Called in each backward pass, so that no update goes by
     * LNGD unseen.
     */
    void keepUpdater() {
        BaseMultiLayerUpdater<?> now = net.updaterIfAny();
        if (now == updater && updater.lngd().fits()) {
            return;
        }
        // What is made here must outlive the backward pass that this is called from.
        try (MemoryWorkspace outside = Nd4j.getMemoryManager().scopeOutOfWorkspaces()) {
            List<INDArray> extra = updater.lngd().extraState();
            BaseMultiLayerUpdater<?> old = updater.lngd().dismiss();
            if (now == updater) {
                net.setUpdater(net.plainUpdater(old.getStateViewArray()));
            }
            install();
            List<INDArray> fresh = updater.lngd().extraState();
            for (int i = 0; i < fresh.size(); i++) {
                fresh.get(i).assign(extra.get(i));
            }
        }
    }

    /** From now on steps are those of all ranks; see {@link DataParallel}. */
    void connect(RankStep with) {
        optimizer.waitForSums(true);
        ranks = with;
    }

    private void prepare() {
        optimizer.schedule(steps, epoch());
        captures.prepare();
    }

    // ---- a step ----

    void checkMayStep() {
        averages.checkNotSwapped("training goes on");
        // ParallelWrapper trains copies in threads of its own, and the network itself in one of
        // them: LNGD would see a part of the batches, and be averaged with what plain DL4J makes of
        // the rest.
        if (Thread.currentThread() != owner) {
            throw new LngdStateException(
                    "thread "
                            + Thread.currentThread().getName()
                            + " trains the network, allowed is the one that attached LNGD, "
                            + owner.getName()
                            + ": training in parallel (ParallelWrapper) is not supported;"
                            + " otherwise attach in the thread that calls fit");
        }
    }

    /** Whether the schedule has ended: nothing moves any more. */
    boolean ended() {
        return steps >= options().schedule().end();
    }

    /** Called by the updater instead of {@link #step} where the schedule has ended. */
    void passEnd() {
        end.pass(options().schedule(), steps);
        rates.ended();
    }

    /** The run goes on for longer; see {@link LngdTraining#extend}. */
    void extend(long more) {
        optimizer.extend(more);
        end.moved();
        prepare();
    }

    /**
     * Called by the updater before anything is changed and outside of its workspaces: statistics
     * from sampled targets, where that is the way they are taken.
     */
    void sampleFisher() {
        if (options().fisher() != Fisher.PROVIDED
                || !captures.wantStatistics()
                || ranks != null && ranks.samples() == 0
                || denseChain != null && denseChain.observe()) {
            return;
        }
        if (sampledFisher == null) {
            sampledFisher = new SampledFisher(net, options(), captures.list());
        }
        sampledFisher.observe(steps, firstSample());
    }

    /**
     * A layer is seen again before any update: the backward pass that it was seen in has failed, or
     * nobody has stepped its gradients (a gradient check, {@code computeGradientAndScore}). Only
     * what belongs to the gradients that are stepped counts.
     */
    void discardObserved() {
        optimizer.discard();
        captures.forget();
    }

    /** Number, in the whole batch, of the first sample that this process sees of it. */
    long firstSample() {
        return ranks == null ? 0 : ranks.first();
    }

    /**
     * Tells the optimizer which samples of the whole batch a layer sees.
     *
     * @param rows of the layer, as many as samples or as samples and times
     */
    void numberRows(long rows) {
        if (ranks != null && ranks.samples() > 0) {
            optimizer.sampleOffset(ranks.first() * Math.max(1, rows / ranks.samples()));
        }
    }

    /** Called by the updater: gradients in, update out. */
    void step(StepPlan plan, int iteration, int epoch) {
        rates.stepping(decayRate(epoch));
        if (ranks != null && captures.wantStatistics()) {
            ranks.sumStatistics(optimizer);
        }
        double factor = optimizer.schedule(steps, epoch - startEpoch);
        if (ranks != null) {
            ranks.exchangeInverses(plan);
        }
        captures.step(plan, factor);
        lastIteration = iteration;
    }

    /**
     * By what DL4J's {@code WeightDecay} is multiplied in the coming step: a learning rate is the
     * length of a step, and LNGD's are tau ||W|| long where the trust ratio acts.
     */
    double decayRate(int epoch) {
        double tau = options().trustMode() == TrustRatio.OFF ? 1 : options().trustRatio();
        return options().learningRate() * tau * options().schedule().at(steps, epoch - startEpoch);
    }

    void stepped() {
        steps++;
        averages.stale();
        rates.warn(net.listeners(), LOGGER::warn);
        watch.stepped(steps);
        prepare();
    }

    // ---- saving, the end ----

    /**
     * @param epochDone whether an epoch was done that DL4J has not counted yet
     */
    Checkpoint.Counters counters(boolean epochDone) {
        // A listener is called after the update, but before DL4J counts it.
        int iteration = Math.max(net.iterationCount(), lastIteration + 1);
        int more = epochDone ? 1 : 0;
        return new Checkpoint.Counters(
                steps,
                epoch() + more,
                iteration,
                net.epochCount() + more,
                told,
                optimizer.extension());
    }

    /** Averages of the parameters that LNGD does not train, foreign updater state. */
    List<INDArray> extraState() {
        return updater.lngd().extraState();
    }

    /** Nothing is changed where the checkpoint does not fit. */
    void restore(Checkpoint checkpoint) throws IOException {
        if (ranks != null) {
            ranks.restored();
        }
        checkpoint.check(net, extraState(), told);
        checkpoint.restore(optimizer);
        checkpoint.apply(net, extraState());
        steps = checkpoint.counters().steps();
        averages.stale();
        end.restored();
        startEpoch = net.epochCount() - checkpoint.counters().epoch();
        lastIteration = net.iterationCount() - 1;
        watch.restored(steps);
        prepare();
    }

    void close() {
        try {
            tellAtClose();
            averages.close(attachOptions.leaveAverages() && options().averaging());
        } finally {
            averages.forget();
            undo();
        }
    }

    private void tellAtClose() {
        try {
            watch.tell();
        } catch (LngdException e) { // a device that is lost: closing goes on
            LOGGER.warn("the health of the layers cannot be read: {}", e.getMessage());
        }
        if (steps == 0) {
            LOGGER.warn(
                    "LNGD was attached and has taken no step: was the network trained at all, or a"
                            + " copy of it?");
        }
        end.tellAtClose(options().schedule());
    }

    /** Gives the network back with the weights that it has. */
    void undo() {
        decorations.forEach(Decoration::remove);
        try {
            if (updater != null) {
                boolean installed = net.updaterIfAny() == updater;
                BaseMultiLayerUpdater<?> replaced = updater.lngd().dismiss();
                if (installed) {
                    net.setUpdater(replaced);
                }
            }
        } finally {
            optimizer.close();
        }
    }

    // ---- what it knows ----

    Network net() {
        return net;
    }

    LngdOptions options() {
        return optimizer.options();
    }

    LngdOptimizer optimizer() {
        return optimizer;
    }

    /** The optimizer, as it takes arrays. */
    Nd4jOptimizer arrays() {
        return arrays;
    }

    /** The other ranks; null: one process. */
    RankStep ranks() {
        return ranks;
    }

    /** The updater of layers that LNGD does not train; null: each its own. */
    IUpdater fallback() {
        return attachOptions.fallback();
    }

    long steps() {
        return steps;
    }

    long stepsPastEnd() {
        return end.past();
    }

    Averages averages() {
        return averages;
    }

    /** What takes the steps now. */
    LngdUpdate lngdUpdate() {
        return updater.lngd();
    }

    /** Learning rates, as listeners ask for them. */
    ShownRates rates() {
        return rates;
    }

    int epoch() {
        return net.epochCount() - startEpoch;
    }

    Map<String, LayerHealth> health() {
        Map<String, LayerHealth> health = new LinkedHashMap<>();
        captures.list().forEach(c -> health.put(c.name, optimizer.health(c.lngdIndex)));
        return health;
    }

    List<LayerCapture> captures() {
        return captures.list();
    }

    /** Whether sampled targets have gone through a second network. */
    boolean shadowed() {
        return sampledFisher != null;
    }

    /** The updater that was chosen for a layer at attach; null if the layer keeps its own. */
    IUpdater chosenUpdater(Trainable trainable) {
        return firstOrder.contains(trainable) ? attachOptions.fallback() : null;
    }
}
