// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.Fisher;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.LngdOptions;
import org.lngd4j.OutputModel;
import org.lngd4j.Signal;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * The forward passes since the last step, where the coming step takes statistics. What a pass has
 * shown goes into the statistics at the step, and only if a backward pass has come by: an
 * evaluation that forgot {@code NoGradGuard}, or a pass whose backward pass failed, leaves nothing
 * behind.
 *
 * <p>In such passes a layer hands a copy of its output on. An activation that works in place
 * ({@code relu_}) then leaves alone what is remembered, and the gradient that is asked for is that
 * of the pre-activations.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class Passes {
    /** Passes through one layer whose backward pass may still come. */
    private static final int MOST_WAITING = 16;

    private final LngdOptimizer optimizer;
    private final LngdOptions options;
    private final List<LayerCapture> captures;
    private final Map<LayerCapture, Integer> index = new IdentityHashMap<>();
    private final List<Sighting> sightings = new ArrayList<>();
    private final Runnable checkThread;
    private long step;
    private long first; // sample of this rank's share, numbered in the whole batch
    private int outputs; // of this step, so that each draws targets of its own

    Passes(
            LngdOptimizer optimizer,
            LngdOptions options,
            List<LayerCapture> captures,
            Runnable checkThread) {
        this.optimizer = optimizer;
        this.options = options;
        this.captures = captures;
        this.checkThread = checkThread;
        captures.forEach(capture -> index.put(capture, index.size()));
    }

    /**
     * Tells each layer whether the coming step wants to know what it sees.
     *
     * @return whether any does
     */
    boolean prepare(long comingStep) {
        step = comingStep;
        outputs = 0;
        boolean any = false;
        for (int i = 0; i < captures.size(); i++) {
            boolean due = optimizer.needsStatistics(i);
            captures.get(i).due(due ? this : null);
            any |= due;
        }
        return any;
    }

    /** Which sample of the whole batch is the first of this rank's share. */
    void first(long sample) {
        first = sample;
    }

    /**
     * A layer's forward pass. What it gives is what the model goes on with.
     *
     * @param rows which positions count; null: all
     */
    Tensor seen(LayerCapture capture, Tensor input, Tensor rows, Tensor output) {
        if (!capture.training() || !GradMode.is_enabled() || !output.requires_grad()) {
            return output;
        }
        checkThread.run();
        if (output.dim() < capture.form().axes()) {
            throw new LngdArgumentException(
                    "the output of layer "
                            + optimizer.spec(index.get(capture)).name()
                            + " has "
                            + output.dim()
                            + " axes, allowed are "
                            + capture.form().axes()
                            + " or more: the first counts the samples");
        }
        if (!makeRoom(capture)) {
            return output;
        }
        try (PointerScope scope = new PointerScope()) {
            Sighting sighting =
                    new Sighting(index.get(capture), capture, new Tensor(input), rows, output);
            sightings.add(sighting);
            if (options.fisher() == Fisher.PROVIDED) {
                if (capture.output() != OutputModel.HIDDEN) {
                    sample(sighting);
                }
            } else {
                long samples = samples(output, sighting.rowCount());
                sighting.observed(
                        samples, sighting.outputRows(output.detach().narrow(0, 0, samples)));
                output.retain_grad();
                sighting.witnessedBy(output);
            }
        }
        return output.clone();
    }

    /**
     * Whether another pass through a layer is worth keeping: not where the passes that a backward
     * pass has come by give all samples that the statistics want. Of those that none has come by
     * (evaluations that forgot {@code NoGradGuard}) the oldest makes room, so that they cannot pile
     * up.
     */
    private boolean makeRoom(LayerCapture capture) {
        long enough = options.statisticsSamples();
        long samples = 0;
        int waiting = 0;
        Sighting oldest = null;
        for (Sighting s : sightings) {
            if (s.capture() != capture) {
                continue;
            }
            if (s.passedBackward()) {
                samples += s.samples();
            } else {
                oldest = oldest == null ? s : oldest;
                waiting++;
            }
        }
        if (enough > 0 && samples >= enough) {
            return false;
        }
        if (waiting >= MOST_WAITING) {
            sightings.remove(oldest);
            oldest.close();
        }
        return true;
    }

    /** Samples of a batch that give at least as many rows as the statistics want. */
    private long samples(Tensor batch, long rows) {
        long all = batch.size(0);
        long wanted = options.statisticsSamples();
        if (wanted == 0 || rows <= wanted) {
            return all;
        }
        return Math.min(all, (wanted * all + rows - 1) / rows);
    }

    /**
     * {@code Fisher.PROVIDED}: g = d(-log p(y | x)) / d s of every layer below an output, with y
     * drawn from the model's own prediction, as KFAC has it. The graph of the pass is there, so
     * that one call of autograd gives them, without gradients of weights. It runs over the whole
     * batch: a second forward pass of the first samples alone would be cheaper, but would draw
     * another dropout and normalise by another batch.
     */
    private void sample(Sighting top) {
        Tensor logits = top.output();
        long samples = samples(logits, top.rowCount());
        Tensor some = top.outputRows(logits.detach().narrow(0, 0, samples));
        if (some.size(0) == 0) {
            return; // padding only
        }
        long rows = top.capture().form().outputs(logits.detach()).size(0);
        Tensor delta =
                SampledTargets.gradient(
                        top.capture().output(),
                        some,
                        options.seed(),
                        step,
                        outputs++,
                        first * (rows / logits.size(0)));
        List<Sighting> below = new ArrayList<>();
        TensorVector at = new TensorVector();
        for (Sighting s : sightings) {
            if (s != top && s.signal() == null && s.output() != null) {
                below.add(s);
                at.push_back(s.output());
            }
        }
        if (!below.isEmpty()) {
            // Contiguous, so that its rows are a view.
            Tensor whole = torch.zeros_like(logits).contiguous();
            top.putOutputRows(whole.narrow(0, 0, samples), delta);
            TensorVector gradients =
                    torch.grad(
                            new TensorVector(logits),
                            at,
                            new TensorVector(whole),
                            new BoolOptional(true), // the user's backward pass is still to come
                            false,
                            true);
            for (int i = 0; i < below.size(); i++) {
                Tensor g = gradients.get(i);
                if (g.defined()) {
                    Sighting s = below.get(i);
                    // The first axes differ where the model reshapes: N x T x d below N T x d. Then
                    // those samples that targets were drawn for at all positions.
                    long own = Math.max(1, samples * g.size(0) / logits.size(0));
                    s.observed(own, s.outputRows(g.narrow(0, 0, own)).clone());
                }
            }
        }
        top.observed(samples, delta);
        // After the call above, which would leave the sampled gradient in it.
        logits.retain_grad();
        for (Sighting s : below) {
            if (s.signal() != null) {
                s.witnessedBy(logits);
            }
        }
        top.witnessedBy(logits);
    }

    /** Hands what belongs to the gradients of this step to the optimizer. */
    void observe() {
        Signal kind =
                options.fisher() == Fisher.PROVIDED ? Signal.GRADIENTS : Signal.PRE_ACTIVATIONS;
        for (Sighting s : sightings) {
            if (s.signal() != null && s.passedBackward()) {
                optimizer.sampleOffset(first * s.positions());
                optimizer.observe(
                        s.layer(),
                        TorchTensor.of("inputs", s.inputs()),
                        TorchTensor.of("signal", s.signal()),
                        kind);
            }
        }
    }

    /** Forgets all passes since the last step. */
    void forget() {
        sightings.forEach(Sighting::close);
        sightings.clear();
    }
}
