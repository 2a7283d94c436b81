// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.deeplearning4j.earlystopping.EarlyStoppingModelSaver;
import org.deeplearning4j.earlystopping.scorecalc.ScoreCalculator;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.optimize.api.TrainingListener;
import org.lngd4j.KernelTimes;
import org.lngd4j.LayerHealth;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.LngdOptions;
import org.lngd4j.RegistrationReport;
import org.lngd4j.Treatment;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.dataset.adapter.MultiDataSetIteratorAdapter;
import org.nd4j.linalg.dataset.api.iterator.DataSetIterator;
import org.nd4j.linalg.dataset.api.iterator.MultiDataSetIterator;

/**
 * LNGD attached to a network, from {@link Lngd#attach} to {@link #close()}. The network goes on to
 * be trained by its own {@code fit}; each of its updates is one step of LNGD.
 *
 * <p>Schedules count from the attachment: step 0 is the first update after it, epoch 0 the epoch in
 * which it was made. An update of the network is a step: with truncated back-propagation through
 * time each segment is one. Where the schedule has ended (as many steps as {@code
 * LngdOptions.recipe} was told), nothing in the network is trained any more; it is told by SLF4J.
 * {@link #extend} makes the run longer.
 *
 * <p>Not thread-safe: it belongs to the thread that attached it, and that thread has to train the
 * network.
 */
public final class LngdTraining implements AutoCloseable {
    private final Attachment attachment;
    private RegistrationReport report;
    private boolean closed;

    private LngdTraining(Attachment attachment, RegistrationReport report) {
        this.attachment = attachment;
        this.report = report;
    }

    static LngdTraining start(
            Network net,
            LngdOptions options,
            AttachOptions attachOptions,
            List<LayerChoice> choices) {
        RegistrationReport report = Reports.of(net, options, attachOptions, choices);
        Attachment attachment = new Attachment(net, options, attachOptions, choices);
        attachment.start();
        return new LngdTraining(attachment, report);
    }

    /**
     * What is done with every layer of the network.
     *
     * @return the report; print it
     */
    public RegistrationReport report() {
        return report;
    }

    /** What else is worth knowing, at the end of the report. */
    void note(String line) {
        List<String> notes = new ArrayList<>(report.notes());
        notes.add(line);
        report = new RegistrationReport(report.layers(), notes);
    }

    /**
     * The network that LNGD is attached to.
     *
     * @return the {@code MultiLayerNetwork} or {@code ComputationGraph}
     */
    public Model network() {
        return attachment.net().model();
    }

    /**
     * How each layer that LNGD trains is doing: skipped steps, failed inverses, damping, norms.
     * What is wrong is also told by SLF4J, at level WARN, when it first happens and then rarely.
     *
     * @return by name of the layer, as in the report, in forward order
     */
    public Map<String, LayerHealth> health() {
        checkOpen();
        return attachment.health();
    }

    /**
     * Updates that the network was asked for after the schedule had ended ({@code
     * LngdOptions.recipe(steps)} was given fewer steps than were trained): nothing has moved in
     * them.
     *
     * @return how many
     */
    public long stepsPastEnd() {
        return attachment.stepsPastEnd();
    }

    /**
     * The optimizer behind it: health of the layers, memory, settings. Its layers are those of the
     * report with {@link Treatment#LNGD}, in that order.
     *
     * @return the optimizer; do not close it
     */
    public LngdOptimizer optimizer() {
        return attachment.optimizer();
    }

    /**
     * The options that LNGD was attached with, or what {@link #extend} has made of them.
     *
     * @return the options
     */
    public LngdOptions options() {
        return attachment.options();
    }

    /**
     * Makes the run longer than it was told, before its end or after it, between two updates. From
     * the next step on everything that depends on the length is what a run of the new length would
     * have at that step ({@link LngdOptions#extended} lists it): the learning rate goes on where
     * the longer schedule has it, and comes to 0 at the new end; tau is that of the longer run, so
     * that no step is longer than the first ones were. A short extension makes small steps, a long
     * one nearly starts anew. Averages, momentum and statistics go on. {@link #options()} tells the
     * new length, {@link #save} keeps it.
     *
     * <p>Updates past the end before this call moved nothing and are not made up for.
     *
     * @param steps more steps, at least 1; several calls add up
     * @throws org.lngd4j.nativelib.LngdArgumentException if {@code steps} is out of its range, or
     *     the schedule has no end; nothing is changed then
     */
    public void extend(long steps) {
        checkOpen();
        attachment.extend(steps);
    }

    /**
     * Steps done since the attachment, or since the one that was restored.
     *
     * @return how many
     */
    public long steps() {
        return attachment.steps();
    }

    Attachment attachment() {
        return attachment;
    }

    List<LayerCapture> captures() {
        return attachment.captures();
    }

    /** Whether sampled targets have gone through a second network. */
    boolean shadowed() {
        return attachment.shadowed();
    }

    /**
     * Where LNGD's time went.
     *
     * @return nanoseconds by kernel since the attachment
     */
    public KernelTimes times() {
        return attachment.optimizer().times();
    }

    /**
     * Puts the averaged weights into the network until the result is closed. All trained parameters
     * are averaged, those of the fallback layers too. The running mean and variance of batch
     * normalisation are not: they are averages already, of activations under the weights of the
     * training. {@link #reestimateBatchNorm} takes them anew.
     *
     * @return what to close
     * @throws LngdStateException if they are in the network already, or averaging is off in the
     *     options
     */
    public AveragedWeights averagedWeights() {
        checkOpen();
        checkAveraging();
        attachment.averages().checkNotSwapped("asking for them again");
        return attachment.averages().swapIn(this);
    }

    private void checkAveraging() {
        if (!options().averaging()) {
            throw new LngdStateException(
                    "averaging is off: switch it on with LngdOptions.Builder.averaging(true)");
        }
    }

    /**
     * Takes the running mean and variance of batch normalisation anew, under the averaged weights:
     * those in the network belong to the weights of the training. From now on they come and go with
     * the averaged weights: {@link #averagedWeights()} and the {@code averaging} listeners evaluate
     * with them, {@link #close()} leaves them in the network. The next step makes them stale and
     * drops them. So it is called at the end, or before an evaluation; the training itself does not
     * notice.
     *
     * <pre>{@code
     * net.fit(iterator, epochs);
     * lngd.reestimateBatchNorm(iterator, 50);
     * lngd.close();
     * }</pre>
     *
     * <p>One forward pass over the batches, in which each layer normalises by its batch, as in
     * training, without dropout and weight noise. The variance is that over the rows of all
     * batches. Batches should be as large as in training, and of training data. Frozen layers are
     * left alone. It takes the memory of a second array of parameters.
     *
     * @param data batches; reset before and after, where it supports that
     * @param batches how many are taken at most, at least 1
     * @return how many layers of batch normalisation there are; 0: nothing was done
     * @throws org.lngd4j.nativelib.LngdArgumentException if there is no batch
     * @throws LngdStateException if averaging is off in the options, no step was taken yet, or the
     *     activations are not finite; nothing is changed then
     */
    public int reestimateBatchNorm(DataSetIterator data, int batches) {
        if (data == null) {
            throw new LngdArgumentException("data is null");
        }
        return reestimateBatchNorm(new MultiDataSetIteratorAdapter(data), batches);
    }

    /**
     * {@link #reestimateBatchNorm(DataSetIterator, int)} for a graph of several inputs.
     *
     * @param data batches; reset before and after, where it supports that
     * @param batches how many are taken at most, at least 1
     * @return how many layers of batch normalisation there are; 0: nothing was done
     */
    public int reestimateBatchNorm(MultiDataSetIterator data, int batches) {
        checkOpen();
        checkAveraging();
        return attachment.averages().reestimate(data, batches);
    }

    void release(AveragedWeights weights) {
        attachment.averages().release(weights);
    }

    /**
     * Averaged weights to run something on; null where they are in the network anyway, and where
     * there are none: without averaging the weights of the training are the ones to look at.
     */
    AveragedWeights averagedIfPossible() {
        return closed || attachment.averages().swapped() || !options().averaging()
                ? null
                : averagedWeights();
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
     * A listener that finds the learning rates in use where it asks the configurations of layers
     * for them, as DL4J's {@code StatsListener} does at the end of an iteration. Without this it
     * shows those of the updaters that LNGD has replaced, for DL4J has no way to tell it others; a
     * line at level WARN says so. For a layer that LNGD trains the rate is that of the step just
     * done: learning rate times schedule, times tau where the trust ratio is on, which is then the
     * length of the step over that of the weights. For another layer it is that of its updater, 0
     * past the end of the schedule.
     *
     * <pre>{@code
     * net.addListeners(lngd.withLearningRates(new StatsListener(storage)));
     * }</pre>
     *
     * @param listener the listener
     * @return a listener for {@code net.addListeners}
     */
    public TrainingListener withLearningRates(TrainingListener listener) {
        return new RatesListener(this, listener);
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
     * which are the user's. {@link LngdCheckpointListener} calls it regularly, {@link Lngd#resume}
     * makes a network and an attachment of the file.
     *
     * <p>Nothing limits the size of the state; only, {@code ModelSerializer} reads every entry of a
     * file into an array, and so refuses one whose state has more than 2 GiB.
     *
     * @param file the file; replaced if there is one
     * @throws IOException if it cannot be written
     * @throws LngdStateException while averaged weights are in the network, or between a gradient
     *     computation and its step
     */
    public void save(Path file) throws IOException {
        save(file, false);
    }

    /**
     * {@link #save(Path)} where DL4J has not counted an epoch that is done, as in {@code
     * onEpochEnd}.
     */
    void save(Path file, boolean epochDone) throws IOException {
        checkOpen();
        attachment.averages().checkNotSwapped("saving");
        Checkpoint.write(
                file,
                network(),
                attachment.counters(epochDone),
                optimizer(),
                attachment.extraState());
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
        attachment.averages().checkNotSwapped("restoring");
        attachment.keepUpdater();
        attachment.restore(Checkpoint.read(file));
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
        closed = true;
        attachment.close();
    }

    /** Closes without a word about the training that there was none. */
    void abandon() {
        closed = true;
        attachment.undo();
    }

    /** Epochs that DL4J has counted since the attachment, or since the one that was restored. */
    int epochs() {
        return attachment.epoch();
    }

    ShownRates rates() {
        return attachment.rates();
    }

    boolean isClosed() {
        return closed;
    }

    private void checkOpen() {
        if (closed) {
            throw new LngdHandleException("this LngdTraining was closed");
        }
    }

    @Override
    public String toString() {
        return "LngdTraining["
                + captures().size()
                + " of "
                + report.layers().size()
                + " layers, "
                + steps()
                + " steps"
                + (closed ? ", closed]" : "]");
    }
}
