// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.List;
import java.util.zip.CRC32C;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.InversePlacement;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.StepPlan;
import org.lngd4j.gloo.InverseSharing;
import org.lngd4j.gloo.PlacementDecision;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.gloo.Refusal;
import org.lngd4j.gloo.StepBarrier;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.api.ndarray.INDArray;

/** {@link RankStep} by Gloo. ND4J's arrays are added where they are: PyTorch sees their memory. */
@SuppressWarnings("try") // scopes that are only opened and closed
final class GlooStep implements RankStep {
    private static final long[] NONE = {};

    /** Of a buffer of Java, whose size is an int. */
    private static final long MOST_BYTES = 1 << 30;

    private final Ranks ranks;
    private final StepBarrier barrier;
    private final Attachment attachment;
    private InverseSharing inverses; // from the start on, before any step

    GlooStep(Ranks ranks, Attachment attachment) {
        this.ranks = ranks;
        this.attachment = attachment;
        this.barrier =
                new StepBarrier(
                        ranks,
                        List.of(
                                "steps done",
                                "the epoch",
                                "the iteration",
                                "the end of the schedule"));
    }

    @Override
    public void share(long first, long samples) {
        barrier.share(first, samples);
    }

    @Override
    public long first() {
        return barrier.first();
    }

    @Override
    public long samples() {
        return barrier.samples();
    }

    @Override
    public int total() {
        return Math.toIntExact(barrier.total());
    }

    @Override
    public void meet(Runnable check) {
        long[] values = {
            attachment.steps(),
            attachment.net().epochCount(),
            attachment.net().iterationCount(),
            attachment.options().schedule().end()
        };
        barrier.meet(check, values, this::checksum, NONE);
        if (barrier.total() == 0) { // the same on all
            throw new LngdStateException(
                    "no rank has samples; allowed is a batch of which one rank has some at least");
        }
    }

    /** Of the parameters, and of the state of the updaters that are DL4J's. */
    private long checksum() {
        CRC32C crc = new CRC32C();
        add(crc, attachment.net().model().params());
        INDArray state = attachment.net().updater().getStateViewArray();
        if (state != null) {
            add(crc, state);
        }
        return crc.getValue();
    }

    private static void add(CRC32C crc, INDArray flat) {
        BytePointer bytes = new BytePointer(address(flat));
        long size = flat.length() * Float.BYTES;
        for (long at = 0; at < size; at += MOST_BYTES) {
            bytes.limit(Math.min(size, at + MOST_BYTES)).position(at);
            crc.update(bytes.asByteBuffer());
        }
    }

    /** Of a contiguous array; ND4J's pointer knows the offset of a view. */
    private static Pointer address(INDArray flat) {
        return flat.data().addressPointer();
    }

    private static Tensor tensor(INDArray flat) {
        return torch.from_blob(
                address(flat),
                new long[] {flat.length()},
                new TensorOptions(torch.ScalarType.Float));
    }

    @Override
    public void sum(INDArray flat) {
        try (PointerScope scope = new PointerScope()) {
            ranks.sum(tensor(flat));
        }
    }

    @Override
    public void sumStatistics(LngdOptimizer optimizer) {
        optimizer.closeSums();
        ranks.sum(optimizer.sums());
        optimizer.sumsReduced();
    }

    /** Decides where inverses are computed. A collective, before the first step. */
    void shareInverses(InversePlacement placement) {
        LngdUpdate update = attachment.lngdUpdate();
        update.closePlan(); // it knows where the inverses lie, which may move
        inverses = InverseSharing.start(attachment.optimizer(), ranks, placement);
        Refusal.together(ranks, update::makePlan);
    }

    PlacementDecision inverses() {
        return inverses.decision();
    }

    @Override
    public void exchangeInverses(StepPlan plan) {
        inverses.exchange(plan);
    }

    /** Gives all ranks the parameters of rank 0, and the state of the updaters that are DL4J's. */
    void broadcast() {
        broadcast(attachment.net().model().params());
        INDArray state = attachment.net().updater().getStateViewArray();
        if (state != null) {
            broadcast(state);
            attachment.lngdUpdate().gatherState();
        }
    }

    // Scopes are around PyTorch's calls alone: ND4J's own pointers, which it keeps, must not be
    // made in one.
    private void broadcast(INDArray flat) {
        try (PointerScope scope = new PointerScope()) {
            ranks.broadcast(tensor(flat), 0);
        }
    }

    @Override
    public void stepped() {
        barrier.stepped();
    }

    @Override
    public void restored() {
        barrier.restored();
    }

    @Override
    public void abandon(Throwable why) {
        ranks.abandon("a step failed: " + why.getMessage());
    }
}
