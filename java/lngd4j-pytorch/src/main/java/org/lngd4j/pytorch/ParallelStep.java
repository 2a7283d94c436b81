// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.zip.CRC32C;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.nativelib.LngdStateException;

/**
 * The collectives of a step. First all ranks tell each other where they are, in one short
 * all-reduce: what is wrong on one of them is then an exception on all, and nothing is changed.
 * Then the gradients are added, each rank's times its share of the samples, and at last, where they
 * are due, the sums of the statistics.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class ParallelStep {
    private static final long UNTOLD = -1;

    /** What each rank tells, one number a slot of its own; the others add zero to it. */
    private enum Slot {
        STEP,
        EPOCH,
        END,
        WEIGHTS,
        REFUSED,
        FIRST,
        SAMPLES
    }

    private final Ranks ranks;
    private final List<Parameter> parameters = new ArrayList<>();
    private final Tensor flat; // the gradients of all parameters, in their order
    private final boolean[] reached; // by the backward pass of any rank
    private long first;
    private long samples = UNTOLD;
    private long total;
    private boolean fresh = true; // the weights have not been compared since attach or restore

    ParallelStep(Ranks ranks, List<BoundLayer> layers) {
        this.ranks = ranks;
        long count = 0;
        for (BoundLayer layer : layers) {
            parameters.add(layer.weight());
            if (layer.bias() != null) {
                parameters.add(layer.bias());
            }
        }
        for (Parameter p : parameters) {
            count += p.count();
        }
        reached = new boolean[parameters.size()];
        flat = torch.zeros(count);
        flat.retainReference();
    }

    void share(long firstSample, long count) {
        first = firstSample;
        samples = count;
    }

    /** The step is done: the next one has a share of its own. */
    void stepped() {
        samples = UNTOLD;
        fresh = false;
    }

    /** Other weights may have been loaded. */
    void restored() {
        samples = UNTOLD;
        fresh = true;
    }

    /**
     * All ranks meet before anything is changed.
     *
     * @param check what may refuse the step on this rank
     */
    void meet(Runnable check, long step, int epoch, long end) {
        RuntimeException refused = null;
        try {
            check.run();
            checkShare();
        } catch (RuntimeException e) {
            refused = e;
        }
        long[] told;
        try {
            told = exchange(step, epoch, end, refused != null);
        } catch (RuntimeException e) {
            if (refused != null) {
                refused.addSuppressed(e);
                throw refused;
            }
            throw e;
        }
        if (refused != null) {
            throw refused;
        }
        compare(told);
    }

    private void checkShare() {
        if (samples == UNTOLD) {
            throw new LngdStateException(
                    "this rank's share of the batch is not known: call share(first, samples) before"
                            + " the forward pass of each step");
        }
        if (samples == 0) {
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

    private long[] exchange(long step, int epoch, long end, boolean refused) {
        int slots = Slot.values().length;
        int own = ranks.rank() * slots;
        long[] told = new long[ranks.size() * slots + parameters.size()];
        told[own + Slot.STEP.ordinal()] = step;
        told[own + Slot.EPOCH.ordinal()] = epoch;
        told[own + Slot.END.ordinal()] = end;
        told[own + Slot.WEIGHTS.ordinal()] = fresh && !refused ? checksum() : 0;
        told[own + Slot.REFUSED.ordinal()] = refused ? 1 : 0;
        told[own + Slot.FIRST.ordinal()] = first;
        told[own + Slot.SAMPLES.ordinal()] = samples;
        for (int i = 0; i < parameters.size(); i++) {
            told[ranks.size() * slots + i] = parameters.get(i).hasGradient() ? 1 : 0;
        }
        try (PointerScope scope = new PointerScope()) {
            Tensor all = Tensor.create(told);
            ranks.sum(all);
            new LongPointer(all.data_ptr()).get(told);
        }
        return told;
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

    private static long of(long[] told, int rank, Slot slot) {
        return told[rank * Slot.values().length + slot.ordinal()];
    }

    /** All ranks see the same numbers, so all throw or none. */
    private void compare(long[] told) {
        List<Integer> busy = new ArrayList<>();
        long sum = 0;
        for (int r = 0; r < ranks.size(); r++) {
            if (of(told, r, Slot.REFUSED) != 0) {
                throw new LngdStateException(
                        "rank " + r + " has refused the step, and tells the reason there");
            }
        }
        for (int r = 0; r < ranks.size(); r++) {
            for (Slot slot : List.of(Slot.STEP, Slot.EPOCH, Slot.END, Slot.WEIGHTS)) {
                if (of(told, r, slot) != of(told, 0, slot)) {
                    throw new LngdStateException(differs(told, r, slot));
                }
            }
            sum += of(told, r, Slot.SAMPLES);
            if (of(told, r, Slot.SAMPLES) > 0) {
                busy.add(r);
            }
        }
        checkApart(told, busy);
        boolean any = false;
        for (int i = 0; i < reached.length; i++) {
            reached[i] = told[ranks.size() * Slot.values().length + i] > 0;
            any |= reached[i];
        }
        if (!any) {
            throw new LngdStateException(
                    "no parameter has a gradient on any rank: call backward() before step()");
        }
        total = sum;
    }

    private static String differs(long[] told, int rank, Slot slot) {
        String what =
                switch (slot) {
                    case STEP -> "steps done";
                    case EPOCH -> "the epoch";
                    case END -> "the end of the schedule";
                    default -> "a checksum of the weights";
                };
        return "rank "
                + rank
                + " has "
                + what
                + " "
                + of(told, rank, slot)
                + ", rank 0 "
                + of(told, 0, slot)
                + "; allowed is the same on all ranks";
    }

    /** The same sample twice would have its targets drawn by the same numbers. */
    private static void checkApart(long[] told, List<Integer> busy) {
        busy.sort(Comparator.comparingLong(r -> of(told, r, Slot.FIRST)));
        for (int i = 1; i < busy.size(); i++) {
            int r = busy.get(i);
            int before = busy.get(i - 1);
            long end = of(told, before, Slot.FIRST) + of(told, before, Slot.SAMPLES);
            if (of(told, r, Slot.FIRST) < end) {
                throw new LngdStateException(
                        "the share of rank "
                                + r
                                + " begins at sample "
                                + of(told, r, Slot.FIRST)
                                + ", and that of rank "
                                + before
                                + " ends before sample "
                                + end
                                + "; allowed are shares that do not overlap");
            }
        }
    }

    /**
     * The gradient of the mean over the whole batch, on all ranks: G = sum_r (n_r / n) G_r, n_r
     * samples of rank r, n of all. Each rank scales its own before the sum, which then cannot
     * overflow where the mean does not.
     */
    void reduceGradients() {
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
            if (samples > 0) {
                flat.mul_(new Scalar((double) samples / total));
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
        flat.releaseReference();
    }
}
