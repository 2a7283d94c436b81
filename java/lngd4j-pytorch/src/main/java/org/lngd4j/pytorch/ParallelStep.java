// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.gloo.BucketReducer;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.gloo.StepBarrier;
import org.lngd4j.nativelib.LngdStateException;

/**
 * The collectives of a step. First all ranks tell each other where they are, in one short
 * all-reduce: what is wrong on one of them is then an exception on all, and nothing is changed.
 * Then the gradients are added, each rank's times its share of the samples, and at last, where they
 * are due, the sums of the statistics. Or the gradients are added during the backward pass, before
 * which the ranks meet then too: without that, a rank that steps while another goes through its
 * backward pass would answer one collective with another, which ends the process in Gloo.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class ParallelStep {
    private final Ranks ranks;
    private final StepBarrier barrier;
    private final List<Parameter> parameters = new ArrayList<>();
    private final boolean[] reached; // by the backward pass of any rank
    private Tensor flat; // the gradients of all parameters, in their order; null: not needed yet
    private BucketReducer reducer; // null: not needed yet
    private int passes; // of backward(...), since the last step
    private long untold; // sample of the gradients in the last step, if there was no meeting in it
    private boolean found; // the flag of any rank

    ParallelStep(Ranks ranks, List<BoundLayer> layers) {
        this.ranks = ranks;
        this.barrier =
                new StepBarrier(
                        ranks,
                        List.of(
                                "steps done",
                                "the epoch",
                                "the end of the schedule",
                                "calls of LngdTorch.backward in this step:",
                                "a checksum of some numbers of the gradients:",
                                "the scale of the loss (its bits):"));
        for (BoundLayer layer : layers) {
            parameters.add(layer.weight());
            if (layer.bias() != null) {
                parameters.add(layer.bias());
            }
        }
        reached = new boolean[parameters.size()];
    }

    void share(long first, long samples) {
        barrier.share(first, samples);
        passes = 0;
    }

    void stepped() {
        barrier.stepped();
        passes = 0;
    }

    void restored() {
        barrier.restored();
        passes = 0;
        untold = 0;
    }

    /**
     * The backward pass of this rank's loss, and the gradients of the mean over the whole batch, on
     * all ranks: G = sum_r (n_r / n) G_r, n_r samples of rank r, n of all.
     *
     * @param check what may refuse it on this rank
     * @param loss the mean over the share
     */
    void backward(Runnable check, Tensor loss, long step, int epoch, long end) {
        meetBefore(
                () -> {
                    check.run();
                    LossCheck.check(loss);
                    checkShare(barrier.samples() != 0, "backwardWithoutSamples()");
                },
                step,
                epoch,
                end);
        reducer.backward(loss, (double) barrier.samples() / barrier.total());
        passes++;
    }

    /** The same of a rank whose share is empty. */
    void backwardWithoutSamples(Runnable check, long step, int epoch, long end) {
        meetBefore(
                () -> {
                    check.run();
                    checkShare(barrier.samples() <= 0, "backward(loss)");
                },
                step,
                epoch,
                end);
        reducer.backward(null, 0);
        passes++;
    }

    private void meetBefore(Runnable check, long step, int epoch, long end) {
        meet(
                () -> {
                    check.run();
                    checkFresh();
                },
                new long[] {step, epoch, end, passes + 1, 31 * untold, 0},
                counts()); // as many as in a step, which another may be at
        if (barrier.total() == 0) {
            throw new LngdStateException("the shares of all ranks have 0 samples, allowed is 1");
        }
        if (reducer == null) {
            reducer =
                    BucketReducer.create(ranks, parameters.stream().map(Parameter::leaf).toList());
        }
    }

    private void checkShare(boolean right, String other) {
        if (!right) {
            throw new LngdStateException(
                    "the share was told to have "
                            + barrier.samples()
                            + " samples, allowed is "
                            + other
                            + " then");
        }
    }

    /**
     * What PyTorch's own backward pass has left is of this rank alone, and must not be added to.
     */
    private void checkFresh() {
        if (passes > 0) {
            return;
        }
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            for (Parameter p : parameters) {
                if (p.hasGradient() && p.gradientTensor().any().item_bool()) {
                    throw new LngdStateException(
                            "parameter "
                                    + p
                                    + " has a gradient from before this step's first"
                                    + " LngdTorch.backward; allowed is none: call zeroGrad() after"
                                    + " each step, and no backward() of PyTorch's in between");
                }
            }
        }
    }

    /**
     * All ranks meet before anything is changed. Not where they met before the backward pass and
     * this step has no collective: a rank that refuses it does so alone then, and is as far as the
     * others when it has stepped after all.
     *
     * @param check what may refuse the step on this rank
     * @param collective whether there is any in this step: the same on all ranks
     */
    void meet(Runnable check, boolean collective, long step, int epoch, long end, LossScale scale) {
        long[] gradients = counts();
        for (int i = 0; i < parameters.size(); i++) {
            gradients[i] = parameters.get(i).hasGradient() ? 1 : 0;
        }
        long bits = 0;
        found = false;
        try {
            bits = Double.doubleToLongBits(scale.value());
            found = scale.found();
        } catch (RuntimeException e) {
            // What is no scale is refused by `check`, on all ranks: the others must not wait.
        }
        long scaleBits = bits;
        gradients[parameters.size()] = found ? 1 : 0;
        long sample = passes > 0 ? sample(step) : 0;
        if (passes > 0 && !collective) {
            check.run();
            // The flag is of gradients that all ranks have alike.
            untold = 31 * (31 * sample + scaleBits) + (found ? 1 : 0);
        } else {
            meet(
                    () -> {
                        check.run();
                        checkEmpty();
                    },
                    new long[] {step, epoch, end, passes, 31 * untold + sample, scaleBits},
                    gradients);
            found = gradients[parameters.size()] > 0;
        }
        boolean any = false;
        for (int i = 0; i < reached.length; i++) {
            reached[i] = gradients[i] > 0;
            any |= reached[i];
        }
        if (!any) {
            throw new LngdStateException(
                    "no parameter has a gradient on any rank: call backward() before step()");
        }
    }

    private void meet(Runnable check, long[] values, long[] counts) {
        barrier.meet(check, values, this::checksum, counts);
        untold = 0; // not where they differ: the weights do now, and all that follows is refused
    }

    /** Of each parameter whether it has a gradient, and of the step whether its flag is set. */
    private long[] counts() {
        return new long[parameters.size() + 1];
    }

    /** Whether the flag of any rank was set. */
    boolean found() {
        return found;
    }

    /** A share without samples has no gradient. */
    private void checkEmpty() {
        if (barrier.samples() == 0 && passes == 0) {
            for (Parameter p : parameters) {
                if (p.hasGradient()) {
                    throw new LngdStateException(
                            "parameter "
                                    + p
                                    + " has a gradient, but the share was told to have 0 samples;"
                                    + " allowed is no backward pass then");
                }
            }
        }
    }

    /**
     * One number of each gradient, another in each step. After {@link #backward} all ranks have the
     * same; where one has let PyTorch's own backward pass add to them, they differ. A checksum of
     * all numbers would cost a pass over memory.
     */
    private long sample(long step) {
        long sum = 0;
        try (PointerScope scope = new PointerScope()) {
            for (Parameter p : parameters) {
                sum = 31 * sum + (p.hasGradient() ? p.gradientBits(step % p.count()) : 0);
            }
        }
        return sum;
    }

    private long checksum() {
        CRC32C crc = new CRC32C();
        try (PointerScope scope = new PointerScope()) {
            for (Parameter p : parameters) {
                Tensor t = p.value().tensor().contiguous();
                crc.update(
                        new BytePointer(t.data_ptr())
                                .capacity(t.numel() * Float.BYTES)
                                .asByteBuffer());
            }
        }
        return crc.getValue();
    }

    /**
     * The gradient of the mean over the whole batch, as {@link #backward} has it, where it was not
     * called. Each rank scales its own before the sum, which then cannot overflow where the mean
     * does not.
     */
    void reduceGradients() {
        if (passes > 0) {
            return;
        }
        if (flat == null) {
            flat = torch.zeros(parameters.stream().mapToLong(Parameter::count).sum());
            flat.retainReference();
        }
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            long at = 0;
            for (int i = 0; i < reached.length; i++) {
                Parameter p = parameters.get(i);
                Tensor range = flat.narrow(0, at, p.count());
                if (p.hasGradient()) {
                    range.view_as(p.gradientTensor()).copy_(p.gradientTensor());
                } else {
                    range.zero_();
                }
                at += p.count();
            }
            if (barrier.samples() > 0) {
                flat.mul_(new Scalar((double) barrier.samples() / barrier.total()));
            }
            ranks.sum(flat);
            at = 0;
            for (int i = 0; i < reached.length; i++) {
                Parameter p = parameters.get(i);
                if (reached[i]) {
                    p.fillGradient(flat.narrow(0, at, p.count()));
                }
                at += p.count();
            }
        }
    }

    /** The sums of all ranks, where statistics are due: the same answer on all of them. */
    void reduceStatistics(LngdOptimizer optimizer) {
        optimizer.closeSums();
        ranks.sum(optimizer.sums());
        optimizer.sumsReduced();
    }

    /** This rank alone cannot go on, so that the others must not wait for it. */
    void abandon(Throwable why) {
        ranks.abandon("a step failed: " + why.getMessage());
    }

    void close() {
        if (reducer != null) {
            reducer.close();
        }
        if (flat != null) {
            flat.releaseReference();
        }
    }
}
