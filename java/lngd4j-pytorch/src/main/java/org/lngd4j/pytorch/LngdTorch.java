// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.Approximation;
import org.lngd4j.InversePlacement;
import org.lngd4j.KernelTimes;
import org.lngd4j.LayerHealth;
import org.lngd4j.LayerSpec;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.LngdOptions;
import org.lngd4j.ParameterRule;
import org.lngd4j.RegistrationReport;
import org.lngd4j.gloo.PlacementDecision;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.LngdStateException;

/**
 * LNGD attached to a PyTorch model, in the role of an optimizer: after each backward pass {@link
 * #step()} moves the parameters. The layers to be trained by LNGD are made as {@link LngdLinear},
 * {@link LngdConv1d}, {@link LngdConv2d} and {@link LngdEmbedding}.
 *
 * <pre>{@code
 * LngdLinear hidden = new LngdLinear(784, 256);
 * LngdLinear output = new LngdLinear(256, 10).output(OutputModel.SOFTMAX);
 * // register_module both in a Module with a forward of its own, called model here
 * LngdOptions options = LngdTorch.recommended(model, steps, batch);
 * try (LngdTorch lngd = LngdTorch.attach(model, options)) {
 *     for (Batch b : batches) {
 *         try (PointerScope scope = new PointerScope()) {
 *             torch.cross_entropy_loss(model.forward(b.images()), b.labels()).backward();
 *             lngd.step();
 *             lngd.zeroGrad();
 *         }
 *     }
 * }
 * }</pre>
 *
 * <p>Nothing is copied: weights and gradients are read and written where PyTorch has them, on the
 * host or on a device. The loss has to be the mean over the batch. Gradients of several backward
 * passes before one step add up, as PyTorch has it, and so does what the layers have seen. In
 * evaluation mode and under {@code NoGradGuard} nothing is looked at, and what a forward pass has
 * shown counts only if a backward pass came by.
 *
 * <p>Where the targets of the statistics are drawn from the model ({@code Fisher.PROVIDED}), the
 * forward pass of an output layer runs one more backward pass, without gradients of weights, before
 * a step that takes statistics. Hooks that were registered on tensors of the graph see that pass
 * too.
 *
 * <p>Not thread-safe: it belongs to the thread that attached it, which has to train the model.
 */
public final class LngdTorch implements AutoCloseable {
    /** Learning rate of the AdamW that moves what no layer covers, where no rule is given. */
    public static final double OTHERS_RATE = 0.01;

    private static final long LARGEST_ARRAY = Integer.MAX_VALUE - 1024; // with our header

    private final TorchAttachment attachment;
    private boolean closed;

    private LngdTorch(TorchAttachment attachment) {
        this.attachment = attachment;
    }

    /**
     * Attaches LNGD to a model; {@link ParameterRule#adamW()} with the learning rate 0.01 moves
     * what no layer covers. Norms take more well (0.03 was better for those of a Transformer, 0.003
     * far worse), a table of vectors that LNGD is not to train takes no more.
     *
     * @param model the model; see {@link #attach(Module, LngdOptions, ParameterRule)}
     * @param options what LNGD shall do
     * @return the attachment; close it
     */
    public static LngdTorch attach(Module model, LngdOptions options) {
        return attach(model, options, ParameterRule.adamW().learningRate(OTHERS_RATE));
    }

    /**
     * Attaches LNGD to a model.
     *
     * @param model the model, with float32 parameters on one device, registered under their names;
     *     it is not changed
     * @param options what LNGD shall do. {@code Device.AUTO} is the device of the parameters
     * @param others what moves the parameters that no layer of LNGD covers, such as those of norms,
     *     in the same step and times the same schedule; the report names them
     * @return the attachment; close it
     * @throws LngdArgumentException if the model cannot be trained by LNGD with these options; the
     *     message says what stands in the way
     * @throws LngdStateException if LNGD is attached to one of its layers already
     */
    public static LngdTorch attach(Module model, LngdOptions options, ParameterRule others) {
        notNull("model", model);
        notNull("options", options);
        notNull("others", others);
        return new LngdTorch(TorchAttachment.start(model, options, others));
    }

    /**
     * Attaches LNGD to a model that several processes train together, each with a copy of it and a
     * share of every batch. All ranks call this, with the same model and options, and get the
     * parameters and buffers of rank 0. The step of all ranks is then that of one process on the
     * whole batch, up to the order of additions, with the same bits on all of them:
     *
     * <pre>{@code
     * lngd.share(first, samples); // of the samples of the whole batch
     * if (samples > 0) {
     *     lngd.backward(torch.cross_entropy_loss(model.forward(x), y)); // the mean over the share
     * } else {
     *     lngd.backwardWithoutSamples();
     * }
     * lngd.step(); // of all ranks together
     * lngd.zeroGrad();
     * }</pre>
     *
     * <p>{@code options.statisticsSamples} counts the samples of all ranks: each feeds its part of
     * them, which {@link #options()} tells. Inverses are computed where {@link
     * InversePlacement#AUTO} decides; the report says where and why.
     *
     * @param model the model, in host memory
     * @param options what LNGD shall do
     * @param others what moves the parameters that no layer of LNGD covers
     * @param ranks the processes, which stay open for as long as the attachment steps
     * @return the attachment; close it
     * @throws LngdArgumentException on all ranks, where they differ in parameters, layers, options,
     *     threads, library or processor; or as without ranks
     * @throws LngdStateException if LNGD is attached to one of its layers already
     * @throws org.lngd4j.gloo.RanksException if a rank does not come
     */
    public static LngdTorch attach(
            Module model, LngdOptions options, ParameterRule others, Ranks ranks) {
        return attach(model, options, others, ranks, InversePlacement.AUTO);
    }

    /**
     * The same, with a say in where inverses are computed. The weights are the same bits wherever
     * that is; {@link #inverses()} tells what was decided.
     *
     * @param model the model, in host memory
     * @param options what LNGD shall do
     * @param others what moves the parameters that no layer of LNGD covers
     * @param ranks the processes, which stay open for as long as the attachment steps
     * @param inverses on all ranks, on one of them for each layer, or as is faster by counted costs
     *     and measured speeds
     * @return the attachment; close it
     * @throws LngdArgumentException on all ranks, where they differ in parameters, layers, options,
     *     threads, library, processor or {@code inverses}; or as without ranks
     * @throws LngdStateException if LNGD is attached to one of its layers already
     * @throws org.lngd4j.gloo.RanksException if a rank does not come
     */
    public static LngdTorch attach(
            Module model,
            LngdOptions options,
            ParameterRule others,
            Ranks ranks,
            InversePlacement inverses) {
        notNull("ranks", ranks);
        return new LngdTorch(ParallelStart.start(model, options, others, ranks, inverses));
    }

    /**
     * What is recommended for a model, by the rule of {@link LngdOptions#recommended} on the layers
     * that {@link #attach} would train. {@link LngdOptions#reason()} tells what was chosen and why.
     *
     * @param model the model
     * @param totalSteps length of the run in steps, at least 1
     * @param batch samples of a step, at least 1; of sequences the rows that dense layers see:
     *     tokens
     * @return the options
     * @throws LngdArgumentException if the model has no layer for LNGD, or a number is out of its
     *     range
     */
    public static LngdOptions recommended(Module model, long totalSteps, int batch) {
        notNull("model", model);
        List<LayerSpec> specs =
                Registration.of(model, ParameterRule.adamW(), Approximation.LNGD).trained().stream()
                        .map(Registration.Layer::spec)
                        .toList();
        return LngdOptions.recommended(specs, totalSteps, batch);
    }

    /**
     * Tells this rank's share of the coming batch, before the forward pass of each step. Gradients
     * are weighted by it: the loss has to be the mean over the share. Targets that are drawn from
     * the model ({@code Fisher.SAMPLED} and {@code PROVIDED}) are drawn by the numbers of the
     * samples, so that ranks draw what one process would have drawn.
     *
     * @param first number of the share's first sample in the whole batch, from 0; the shares of two
     *     ranks must not overlap
     * @param samples how many, along the first axis of the inputs; 0 for none, and then {@link
     *     #backwardWithoutSamples()}
     * @throws LngdArgumentException if one is negative
     * @throws LngdStateException if there are no ranks
     */
    public void share(long first, long samples) {
        checkOpen();
        if (first < 0 || samples < 0) {
            throw new LngdArgumentException(
                    (first < 0 ? "first is " + first : "samples is " + samples)
                            + ", allowed is 0 or more");
        }
        attachment.share(first, samples);
    }

    /**
     * The backward pass of a loss. Without ranks it is {@code loss.backward()}. With ranks it is a
     * collective: gradients are added while the pass goes on, the last layers' first (PyTorch's own
     * {@code Reducer}, in buckets), and {@link #step()} adds none then. When it returns, gradients
     * are those of the mean over the whole batch, the same bits on all ranks; who changes them has
     * to do it alike on all. Several calls before a step add up.
     *
     * @param loss one number: the mean over the share
     * @throws LngdArgumentException if it is not one number that asks for gradients
     * @throws LngdStateException where a step would be refused; with ranks on all of them, also
     *     where they do not all call it, or there is a gradient from before; nothing is changed
     * @throws org.lngd4j.gloo.RanksException if the pass fails with ranks, on this one or another;
     *     the attachment steps no more then
     */
    public void backward(Tensor loss) {
        checkOpen();
        attachment.backward(loss);
    }

    /**
     * What {@link #backward} is on a rank whose share has no samples, while others call that.
     *
     * @throws LngdStateException as there, and if there are no ranks
     * @throws org.lngd4j.gloo.RanksException as there
     */
    public void backwardWithoutSamples() {
        checkOpen();
        attachment.backwardWithoutSamples();
    }

    /**
     * Moves the parameters by one step of LNGD. Layers that the backward pass did not reach stay
     * where they are.
     *
     * <p>With ranks this is a collective: all of them call it, for each batch. Gradients hold the
     * mean over the whole batch afterwards: where {@link #backward} was not called, they are added
     * here, and a share without samples has no backward pass.
     *
     * @throws LngdStateException if no parameter has a gradient, if a parameter was moved since
     *     {@link #attach}, and while averaged weights are in the model; nothing is changed then.
     *     With ranks on all of them, where one refuses or is at another step. After {@link
     *     #backward}, in a step without statistics, on the one that refuses alone: it may step when
     *     that is mended, and gradients that differ are seen in the next step
     * @throws org.lngd4j.gloo.RanksException if a rank has died or hangs, or a parameter was moved
     *     on one of them; the attachment steps no more then
     * @throws org.lngd4j.nativelib.LngdDeviceException if a device fails
     */
    public void step() {
        checkOpen();
        attachment.step(LossScale.NONE);
    }

    /**
     * {@link #step()} after a loss that was multiplied by {@code scale}, so that small gradients
     * stay inside of float16: gradients are divided by it as they are read, and before they are
     * clipped. They are not changed.
     *
     * @param scale finite, above 0
     * @throws LngdArgumentException if it is not; nothing is changed then
     */
    public void step(double scale) {
        step(scale, null);
    }

    /**
     * The same with a flag that keeps the step out, as PyTorch's {@code GradScaler} skips {@code
     * optimizer.step()} where a gradient has overflowed. Where the flag is not 0 nothing moves,
     * momentum and averages of all kinds stay as they are, and what the layers have seen is
     * dropped; {@link #health()} counts a skipped step. A flag on a GPU is read there and nothing
     * waits for it, so the step counts in {@link #steps()} and in the schedule. With ranks a flag
     * that is set on one of them keeps the step out on all. After {@link #backward}, which leaves
     * the same gradients on all ranks, flags have to be the same on all, as those are that are made
     * of gradients.
     *
     * @param scale finite, above 0; with ranks the same on all of them
     * @param foundInf a float32 tensor of one element, on the host or the optimizer's device; null:
     *     no flag
     * @throws LngdArgumentException if one of them is not allowed; nothing is changed then
     */
    public void step(double scale, Tensor foundInf) {
        checkOpen();
        attachment.step(new LossScale(scale, null, foundInf));
    }

    /**
     * The same with the scale in a tensor, which on a GPU is read there.
     *
     * @param scale a float32 tensor of one element; where it is not finite, or not above 0, the
     *     step is kept out
     * @param foundInf a float32 tensor of one element, or null: no flag
     * @throws LngdArgumentException if one of them is not allowed; nothing is changed then
     */
    public void step(Tensor scale, Tensor foundInf) {
        checkOpen();
        notNull("scale", scale);
        attachment.step(new LossScale(1, scale, foundInf));
    }

    /**
     * The norm of all gradients in the last step, before they were clipped and divided by the scale
     * of the loss. On a GPU this waits.
     *
     * @return the norm; NaN or infinite where a gradient was, and nothing has moved then
     * @throws LngdStateException where {@link LngdOptions#gradientClipping()} is 0, and before the
     *     first step
     */
    public double gradientNorm() {
        checkOpen();
        return attachment.gradientNorm();
    }

    /** Frees the gradients of the model, as {@code zero_grad} with {@code set_to_none} does. */
    public void zeroGrad() {
        checkOpen();
        attachment.model().zero_grad(true);
    }

    /**
     * Tells the epoch, for schedules by epoch.
     *
     * @param epoch whole epochs done, from 0
     */
    public void epoch(int epoch) {
        checkOpen();
        attachment.epoch(epoch);
    }

    /**
     * What is done with every parameter of the model.
     *
     * @return the report; print it
     */
    public RegistrationReport report() {
        return attachment.report();
    }

    /**
     * Where the inverses are computed, of all ranks alike: the decision with the figures behind it.
     *
     * @return what was decided when LNGD was attached
     * @throws LngdStateException if there are no ranks
     */
    public PlacementDecision inverses() {
        return attachment.inverses();
    }

    /**
     * How each layer is doing: skipped steps, failed inverses, damping, norms. What is wrong is
     * also logged (System.Logger {@code org.lngd4j.pytorch}, WARNING) when it first happens, and
     * then rarely.
     *
     * @return by name of the layer, as in the report, in forward order
     */
    public Map<String, LayerHealth> health() {
        checkOpen();
        return attachment.health();
    }

    /**
     * Steps that were asked for after the schedule had ended: nothing has moved in them.
     *
     * @return how many
     */
    public long stepsPastEnd() {
        return attachment.stepsPastEnd();
    }

    /**
     * The optimizer behind it: memory, settings. Its layers are those of the report with {@code
     * Treatment.LNGD}, in that order, then those with {@code Treatment.FIRST_ORDER}.
     *
     * @return the optimizer; do not close it
     */
    public LngdOptimizer optimizer() {
        return attachment.optimizer();
    }

    /**
     * The options that LNGD was attached with, with the device that was chosen, or what {@link
     * #extend} has made of them.
     *
     * @return the options
     */
    public LngdOptions options() {
        return attachment.options();
    }

    /**
     * Makes the run longer than it was told, before its end or after it, between two steps. From
     * the next step on everything that depends on the length is what a run of the new length would
     * have at that step ({@link LngdOptions#extended} lists it): the learning rate goes on where
     * the longer schedule has it, for parameters that no layer covers too, and comes to 0 at the
     * new end; tau is that of the longer run, so that no step is longer than the first ones were. A
     * short extension makes small steps, a long one nearly starts anew. Averages, momentum and
     * statistics go on. {@link #options()} tells the new length, {@link #saveState()} keeps it.
     *
     * <p>Steps past the end before this call moved nothing and are not made up for.
     *
     * @param steps more steps, at least 1; several calls add up
     * @throws LngdArgumentException if {@code steps} is out of its range, or the schedule has no
     *     end; nothing is changed then
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

    /**
     * Where LNGD's time went.
     *
     * @return nanoseconds by kernel since the attachment
     */
    public KernelTimes times() {
        checkOpen();
        return attachment.optimizer().times();
    }

    /**
     * Puts the averaged weights into the model until the result is closed. Buffers, such as the
     * running mean of a batch normalisation, are not averaged.
     *
     * @return what to close
     * @throws LngdStateException if they are in the model already, or averaging is off in the
     *     options
     */
    public AveragedWeights averagedWeights() {
        checkOpen();
        return attachment.swapIn();
    }

    /**
     * Everything that the next steps depend on but the model's parameters and buffers, which {@code
     * Module.save} writes. With both restored, and the same data, training goes on with the bits
     * that it would have had.
     *
     * @return the state
     * @throws LngdStateException while averaged weights are in the model, and between a backward
     *     pass and its step
     */
    public byte[] saveState() {
        checkOpen();
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try {
            if (attachment.optimizer().stateSize() > LARGEST_ARRAY) {
                throw new LngdStateException(
                        "the state is larger than a Java array can be: write it to a stream");
            }
            attachment.saveState(bytes);
        } catch (IOException e) { // not to an array
            throw new UncheckedIOException(e);
        }
        return bytes.toByteArray();
    }

    /**
     * Writes what {@link #saveState()} gives, of any size.
     *
     * @param out where to; not closed
     * @throws IOException if it cannot be written
     * @throws LngdStateException as there; some bytes may have been written then
     */
    public void saveState(OutputStream out) throws IOException {
        checkOpen();
        notNull("out", out);
        attachment.saveState(out);
    }

    /**
     * Goes back to a saved state.
     *
     * @param state what {@link #saveState()} gave
     * @throws org.lngd4j.nativelib.LngdStateDataException if it is damaged, or belongs to other
     *     layers or options; nothing is changed then
     */
    public void restoreState(byte[] state) {
        notNull("state", state);
        try {
            restoreState(new ByteArrayInputStream(state));
        } catch (IOException e) { // not from an array
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Goes back to a saved state of any size.
     *
     * @param state what {@link #saveState(OutputStream)} wrote, and nothing behind it; read to its
     *     end, not closed
     * @throws IOException if it cannot be read; nothing is changed then
     * @throws org.lngd4j.nativelib.LngdStateDataException if it is damaged, or belongs to other
     *     layers or options; nothing is changed then
     */
    public void restoreState(InputStream state) throws IOException {
        checkOpen();
        notNull("state", state);
        attachment.restoreState(state);
    }

    /**
     * Whether {@link #close()} leaves the averaged weights in the model, where the options have
     * averaging on: true unless this says otherwise.
     *
     * @param leave false: the weights of the last step are left
     * @return this
     */
    public LngdTorch leaveAverages(boolean leave) {
        checkOpen();
        attachment.leaveAverages(leave);
        return this;
    }

    /**
     * Gives the model back. Where averaging is on, its parameters are then the averages, unless
     * {@link #leaveAverages} says otherwise. A second call does nothing.
     */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            attachment.close();
        }
    }

    static void notNull(String argument, Object value) {
        if (value == null) {
            throw new LngdArgumentException(argument + " is null");
        }
    }

    private void checkOpen() {
        if (closed) {
            throw new LngdHandleException("this LngdTorch was closed");
        }
    }

    @Override
    public String toString() {
        return "LngdTorch["
                + attachment.optimizer().layerCount()
                + " layers, "
                + steps()
                + " steps"
                + (closed ? ", closed]" : "]");
    }
}
