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
import org.lngd4j.gloo.Ranks;
import org.lngd4j.gloo.StepBarrier;
import org.lngd4j.nativelib.LngdStateException;

/**
 * The collectives of a step. First all ranks tell each other where they are, in one short
 * all-reduce: what is wrong on one of them is then an exception on all, and nothing is changed.
 * Then the gradients are added, each rank's times its share of the samples, and at last, where they
 * are due, the sums of the statistics.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class ParallelStep {
    private final Ranks ranks;
    private final StepBarrier barrier;
    private final List<Parameter> parameters = new ArrayList<>();
    private final Tensor flat; // the gradients of all parameters, in their order
    private final boolean[] reached; // by the backward pass of any rank

    ParallelStep(Ranks ranks, List<BoundLayer> layers) {
        this.ranks = ranks;
        this.barrier =
                new StepBarrier(
                        ranks, List.of("steps done", "the epoch", "the end of the schedule"));
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

    void share(long first, long samples) {
        barrier.share(first, samples);
    }

    void stepped() {
        barrier.stepped();
    }

    void restored() {
        barrier.restored();
    }

    /**
     * All ranks meet before anything is changed.
     *
     * @param check what may refuse the step on this rank
     */
    void meet(Runnable check, long step, int epoch, long end) {
        long[] gradients = new long[parameters.size()];
        for (int i = 0; i < gradients.length; i++) {
            gradients[i] = parameters.get(i).hasGradient() ? 1 : 0;
        }
        barrier.meet(
                () -> {
                    check.run();
                    checkEmpty();
                },
                new long[] {step, epoch, end},
                this::checksum,
                gradients);
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

    /** A share without samples has no gradient. */
    private void checkEmpty() {
        if (barrier.samples() == 0) {
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
        flat.releaseReference();
    }
}
