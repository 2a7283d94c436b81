// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.LongSupplier;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.nativelib.LngdStateException;

/**
 * Where all ranks meet before a step: in one short all-reduce they tell each other their shares of
 * the batch and where they are. What is wrong on one of them is then an exception on all, before
 * anything is changed. For adapters of frameworks.
 *
 * <p>Not thread-safe.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
public final class StepBarrier {
    private static final long UNTOLD = -1;

    /** What each rank tells, one number a slot of its own; the others add zero to it. */
    private enum Slot {
        REFUSED,
        FIRST,
        SAMPLES,
        WEIGHTS
    }

    private final Ranks ranks;
    private final List<String> names;
    private long first;
    private long samples = UNTOLD;
    private long total;
    private boolean fresh = true; // the weights have not been compared since attach or restore

    /**
     * A barrier for one attachment.
     *
     * @param ranks the processes
     * @param names of numbers that all ranks must have alike in each step, as messages call them,
     *     such as {@code "the epoch"}; the same on all ranks
     */
    public StepBarrier(Ranks ranks, List<String> names) {
        this.ranks = ranks;
        this.names = List.copyOf(names);
    }

    /**
     * Tells this rank's share of the coming batch.
     *
     * @param firstSample number of the first sample in the whole batch, from 0
     * @param count how many; 0: none. The adapter has checked both
     */
    public void share(long firstSample, long count) {
        first = firstSample;
        samples = count;
    }

    /** {@return the number of the share's first sample in the whole batch} */
    public long first() {
        return first;
    }

    /** {@return the samples of this rank's share; negative where none was told yet} */
    public long samples() {
        return samples;
    }

    /** {@return the samples of the whole batch, of all ranks; known after {@link #meet}} */
    public long total() {
        return total;
    }

    /** The step is done: the next one has a share of its own. */
    public void stepped() {
        samples = UNTOLD;
        fresh = false;
    }

    /** Other weights may have been loaded: the next step compares them. */
    public void restored() {
        samples = UNTOLD;
        fresh = true;
    }

    /**
     * All ranks meet. Returns on all or throws on all.
     *
     * @param check what may refuse the step on this rank, by an exception
     * @param values this rank's numbers for the names, in their order
     * @param weights a checksum of the weights, asked for in the first step after the attachment
     *     and after {@link #restored()}
     * @param counts numbers that are added up over all ranks, in place; as many on all ranks
     * @throws LngdStateException if a rank refuses, no share was told, shares overlap, or ranks
     *     differ in a number or in the weights
     * @throws RanksException if a rank has died or hangs
     */
    public void meet(Runnable check, long[] values, LongSupplier weights, long[] counts) {
        RuntimeException refused = null;
        try {
            check.run();
            checkShare();
        } catch (RuntimeException e) {
            refused = e;
        }
        long[] told;
        try {
            told = exchange(refused != null, values, weights, counts);
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
        System.arraycopy(told, ranks.size() * slots(), counts, 0, counts.length);
    }

    private void checkShare() {
        if (samples == UNTOLD) {
            throw new LngdStateException(
                    "this rank's share of the batch is not known: call share(first, samples) before"
                            + " the forward pass of each step");
        }
    }

    private int slots() {
        return Slot.values().length + names.size();
    }

    private long[] exchange(boolean refused, long[] values, LongSupplier weights, long[] counts) {
        int own = ranks.rank() * slots();
        long[] told = new long[ranks.size() * slots() + counts.length];
        told[own + Slot.REFUSED.ordinal()] = refused ? 1 : 0;
        told[own + Slot.FIRST.ordinal()] = first;
        told[own + Slot.SAMPLES.ordinal()] = samples;
        told[own + Slot.WEIGHTS.ordinal()] = fresh && !refused ? weights.getAsLong() : 0;
        System.arraycopy(values, 0, told, own + Slot.values().length, names.size());
        System.arraycopy(counts, 0, told, ranks.size() * slots(), counts.length);
        try (PointerScope scope = new PointerScope()) {
            Tensor all = Tensor.create(told);
            ranks.sum(all);
            new LongPointer(all.data_ptr()).get(told);
        }
        return told;
    }

    private long of(long[] told, int rank, Slot slot) {
        return told[rank * slots() + slot.ordinal()];
    }

    /** All ranks see the same numbers, so all throw or none. */
    private void compare(long[] told) {
        for (int r = 0; r < ranks.size(); r++) {
            if (of(told, r, Slot.REFUSED) != 0) {
                throw new LngdStateException(
                        "rank " + r + " has refused the step, and tells the reason there");
            }
        }
        List<Integer> busy = new ArrayList<>();
        long sum = 0;
        for (int r = 0; r < ranks.size(); r++) {
            for (int i = 0; i < names.size(); i++) {
                int at = Slot.values().length + i;
                checkSame(names.get(i), r, told[r * slots() + at], told[at]);
            }
            checkSame(
                    "a checksum of the weights",
                    r,
                    of(told, r, Slot.WEIGHTS),
                    of(told, 0, Slot.WEIGHTS));
            sum += of(told, r, Slot.SAMPLES);
            if (of(told, r, Slot.SAMPLES) > 0) {
                busy.add(r);
            }
        }
        checkApart(told, busy);
        total = sum;
    }

    private static void checkSame(String name, int rank, long here, long first) {
        if (here != first) {
            throw new LngdStateException(
                    "rank "
                            + rank
                            + " has "
                            + name
                            + " "
                            + here
                            + ", rank 0 "
                            + first
                            + "; allowed is the same on all ranks");
        }
    }

    /** The same sample twice would have its targets drawn by the same numbers. */
    private void checkApart(long[] told, List<Integer> busy) {
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
}
