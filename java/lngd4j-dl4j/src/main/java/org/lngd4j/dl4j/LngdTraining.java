// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import org.deeplearning4j.earlystopping.EarlyStoppingModelSaver;
import org.deeplearning4j.earlystopping.scorecalc.ScoreCalculator;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.api.Trainable;
import org.deeplearning4j.nn.updater.BaseMultiLayerUpdater;
import org.deeplearning4j.optimize.api.TrainingListener;
import org.lngd4j.Fisher;
import org.lngd4j.KernelTimes;
import org.lngd4j.LayerSpec;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.LngdOptions;
import org.lngd4j.StepPlan;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.IUpdater;

/**
 * LNGD attached to a network, from {@link Lngd#attach} to {@link #close()}. The network goes on to
 * be trained by its own {@code fit}; each of its updates is one step of LNGD.
 *
 * <p>Schedules count from the attachment: step 0 is the first update after it, epoch 0 the epoch in
 * which it was made.
 *
 * <p>Not thread-safe: it belongs to the thread that trains the network.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
public final class LngdTraining implements AutoCloseable {
    private final Network net;
    private final LngdOptions options;
    private final AttachOptions attachOptions;
    private final LngdOptimizer optimizer;
    private final RegistrationReport report;
    private final Captures captures = new Captures();
    private final List<Decoration> decorations = new ArrayList<>();
    private final Set<Trainable> firstOrder = Collections.newSetFromMap(new IdentityHashMap<>());
    private final DenseChain denseChain; // null: every sampled target goes through a shadow
    private SampledFisher sampledFisher; // made at attach, or when the chain first leaves a batch
    private Network.AttachedUpdater updater;
    private AveragedWeights averaged;
    private long steps;
    private int startEpoch;
    private int lastIteration = -1;
    private boolean closed;

    private LngdTraining(
            Network net,
            LngdOptions options,
            AttachOptions attachOptions,
            List<LayerChoice> choices) {
        this.net = net;
        this.options = options;
        this.attachOptions = attachOptions;
        this.startEpoch = net.epochCount();
        this.report = Reports.of(net, options, attachOptions, choices);
        choices.stream()
                .filter(c -> c.treatment() == Treatment.FIRST_ORDER)
                .forEach(c -> firstOrder.add(c.unit().trainable()));
        List<LayerChoice> ours =
                choices.stream().filter(c -> c.treatment() == Treatment.LNGD).toList();
        List<LayerSpec> specs = ours.stream().map(LayerChoice::spec).toList();
        this.optimizer = LngdOptimizer.create(options, specs);
        for (LayerChoice choice : ours) {
            LayerCapture capture =
                    new LayerCapture(this, optimizer, captures.list().size(), choice);
            captures.add(capture);
            decorations.add(new Decoration(capture.layer, capture));
        }
        this.denseChain =
                options.fisher() == Fisher.PROVIDED
                        ? DenseChain.of(this, net, options, captures.list())
                        : null;
        captures.list().forEach(c -> c.chain(denseChain));
        if (options.fisher() == Fisher.PROVIDED && denseChain == null) {
            sampledFisher = sampledFisher();
        }
    }

    private SampledFisher sampledFisher() {
        try {
            return new SampledFisher(net, options, captures.list());
        } catch (RuntimeException | Error e) {
            optimizer.close();
            throw e;
        }
    }

    static LngdTraining start(
            Network net,
            LngdOptions options,
            AttachOptions attachOptions,
            List<LayerChoice> choices) {
        LngdTraining training = new LngdTraining(net, options, attachOptions, choices);
        try {
            training.install();
            training.decorations.forEach(Decoration::install);
            training.prepare();
            return training;
        } catch (RuntimeException | Error e) {
            training.undo();
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

    private void prepare() {
        optimizer.schedule(steps, epoch());
        captures.prepare();
    }

    void checkMayStep() {
        checkNotSwapped("training goes on");
    }

    private void checkNotSwapped(String what) {
        if (averaged != null) {
            throw new LngdStateException(
                    "the network holds averaged weights: close AveragedWeights before " + what);
        }
    }

    /**
     * Called by the updater before anything is changed and outside of its workspaces: statistics
     * from sampled targets, where that is the way they are taken.
     */
    void sampleFisher() {
        if (options.fisher() != Fisher.PROVIDED
                || !captures.wantStatistics()
                || denseChain != null && denseChain.observe()) {
            return;
        }
        if (sampledFisher == null) {
            sampledFisher = new SampledFisher(net, options, captures.list());
        }
        sampledFisher.observe(steps);
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

    /** Whether sampled targets have gone through a second network. */
    boolean shadowed() {
        return sampledFisher != null;
    }

    /** Called by the updater: gradients in, update out. */
    void step(StepPlan plan, int iteration, int epoch) {
        captures.step(plan, optimizer.schedule(steps, epoch - startEpoch));
        lastIteration = iteration;
    }

    void stepped() {
        steps++;
        prepare();
    }

    /**
     * What is done with every layer of the network.
     *
     * @return the report; print it
     */
    public RegistrationReport report() {
        return report;
    }

    /**
     * The network that LNGD is attached to.
     *
     * @return the {@code MultiLayerNetwork} or {@code ComputationGraph}
     */
    public Model network() {
        return net.model();
    }

    /**
     * The optimizer behind it: health of the layers, memory, settings. Its layers are those of the
     * report with {@link Treatment#LNGD}, in that order.
     *
     * @return the optimizer; do not close it
     */
    public LngdOptimizer optimizer() {
        return optimizer;
    }

    /**
     * The options that LNGD was attached with.
     *
     * @return the options
     */
    public LngdOptions options() {
        return options;
    }

    /** The updater that was chosen for a layer at attach; null if the layer keeps its own. */
    IUpdater chosenUpdater(Trainable trainable) {
        return firstOrder.contains(trainable) ? attachOptions.fallback() : null;
    }

    /**
     * Steps done since the attachment, or since the one that was restored.
     *
     * @return how many
     */
    public long steps() {
        return steps;
    }

    List<LayerCapture> captures() {
        return captures.list();
    }

    int epoch() {
        return net.epochCount() - startEpoch;
    }

    /**
     * Where LNGD's time went.
     *
     * @return nanoseconds by kernel since the attachment
     */
    public KernelTimes times() {
        return optimizer.times();
    }

    /**
     * Puts the averaged weights into the network until the result is closed. All trained parameters
     * are averaged, those of the fallback layers too. The running mean and variance of batch
     * normalisation are not: they are averages already, of activations under the weights of the
     * training.
     *
     * @return what to close
     * @throws LngdStateException if they are in the network already, or averaging is off in the
     *     options
     */
    public AveragedWeights averagedWeights() {
        checkOpen();
        if (!options.averaging()) {
            throw new LngdStateException(
                    "averaging is off: switch it on with LngdOptions.Builder.averaging(true)");
        }
        checkNotSwapped("asking for them again");
        boolean active = steps > 0 && updater.lngd().swapAverages();
        averaged = new AveragedWeights(this, active);
        return averaged;
    }

    void release(AveragedWeights weights) {
        if (averaged == weights) {
            averaged = null;
            if (weights.active()) {
                updater.lngd().swapAverages();
            }
        }
    }

    /**
     * Averaged weights to run something on; null where they are in the network anyway, and where
     * there are none: without averaging the weights of the training are the ones to look at.
     */
    AveragedWeights averagedIfPossible() {
        return closed || averaged != null || !options.averaging() ? null : averagedWeights();
    }

    /**
     * A listener that sees the averaged weights at the end of an iteration and at the start and end
     * of an epoch: for {@code EvaluativeListener}, {@code CheckpointListener} and the like. The
     * weights are exchanged for each of these calls, which costs two passes over them. Without
     * averaging in the options the listener sees the weights of the training; so it is with the
     * other {@code averaging} methods.
     *
     * @param listener the listener
     * @return a listener for {@code net.addListeners}
     */
    public TrainingListener averaging(TrainingListener listener) {
        return new AveragingListener(this, listener);
    }

    /**
     * A score calculator for early stopping that sees the averaged weights.
     *
     * @param <M> the class of the network
     * @param calculator the calculator
     * @return the calculator for {@code EarlyStoppingConfiguration}
     */
    public <M extends Model> ScoreCalculator<M> averaging(ScoreCalculator<? super M> calculator) {
        return new AveragingScore<>(this, calculator);
    }

    /**
     * A model saver for early stopping that saves the averaged weights as the best model. The
     * latest model is saved with the weights of the training.
     *
     * @param <M> the class of the network
     * @param saver the saver
     * @return the saver for {@code EarlyStoppingConfiguration}
     */
    public <M extends Model> EarlyStoppingModelSaver<M> averaging(
            EarlyStoppingModelSaver<M> saver) {
        return new AveragingSaver<>(this, saver);
    }

    /**
     * Writes everything that training goes on from: the network with its updater state and
     * counters, LNGD's state, averages. The file is a DL4J model (with the weights of the training,
     * not the averaged ones) that {@code ModelSerializer} loads, with more entries. It appears at
     * once or not at all. Not saved are the order of the data and ND4J's random state (dropout),
     * which are the user's.
     *
     * @param file the file; replaced if there is one
     * @throws IOException if it cannot be written
     * @throws LngdStateException while averaged weights are in the network, or between a gradient
     *     computation and its step
     */
    public void save(Path file) throws IOException {
        checkOpen();
        checkNotSwapped("saving");
        // A listener is called after the update, but before DL4J counts it.
        int iteration = Math.max(net.iterationCount(), lastIteration + 1);
        Checkpoint.Counters counters =
                new Checkpoint.Counters(steps, epoch(), iteration, net.epochCount());
        Checkpoint.write(
                file, net.model(), counters, optimizer.saveState(), updater.lngd().extraState());
    }

    /**
     * Goes back to what {@link #save} wrote, into this network. With the same options and data,
     * training goes on with the bits that it would have had without stopping.
     *
     * @param file the file
     * @throws IOException if it cannot be read or is not such a file
     * @throws org.lngd4j.nativelib.LngdStateDataException if it does not belong to this network and
     *     these options; nothing is changed then
     */
    public void restore(Path file) throws IOException {
        checkOpen();
        checkNotSwapped("restoring");
        keepUpdater();
        Checkpoint checkpoint = Checkpoint.read(file);
        checkpoint.check(net, updater.lngd().extraState());
        optimizer.restoreState(checkpoint.lngd());
        checkpoint.apply(net, updater.lngd().extraState());
        steps = checkpoint.counters().steps();
        startEpoch = net.epochCount() - checkpoint.counters().epoch();
        lastIteration = net.iterationCount() - 1;
        prepare();
    }

    /**
     * Gives the network back: its own configuration objects, activations, losses and updater. The
     * updater's state is the one from before the attachment for layers that LNGD trained, and goes
     * on where the layer kept its configured updater.
     *
     * <p>The averaged weights are left in the network, unless {@link AttachOptions#leaveAverages}
     * is false, averaging is off or there was no step. This also holds after an exception in {@code
     * fit}: each step is done fully or not at all, so the averages are those of the last full step.
     * A second call does nothing.
     */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        try {
            boolean leave = attachOptions.leaveAverages() && options.averaging();
            if (averaged != null && !leave) {
                averaged.close();
            } else if (averaged == null && leave && steps > 0) {
                updater.lngd().swapAverages();
            }
        } finally {
            averaged = null;
            closed = true;
            undo();
        }
    }

    private void undo() {
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

    private void checkOpen() {
        if (closed) {
            throw new LngdHandleException("this LngdTraining was closed");
        }
    }

    @Override
    public String toString() {
        return "LngdTraining["
                + captures.list().size()
                + " of "
                + report.layers().size()
                + " layers, "
                + steps
                + " steps"
                + (closed ? ", closed]" : "]");
    }
}
