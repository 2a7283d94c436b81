// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.List;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_optimizer;
import org.lngd4j.nativelib.global.lngd_sums;

/**
 * Data-parallel training: the sums of the coming update of an {@link LngdOptimizer}, out and in;
 * apart from observe and step for the sake of short files.
 */
abstract class OptimizerSums extends OptimizerReadOuts {
    OptimizerSums(LngdOptions options, List<LayerSpec> layers, lngd_optimizer pointer) {
        super(options, layers, pointer);
    }

    /**
     * The sums of all layers.
     *
     * @return the two buffers, at the same addresses for as long as this optimizer is open
     */
    public SumBuffers sums() {
        try (lngd_sums s = new lngd_sums()) {
            s.struct_size(s.sizeof());
            call(optimizer -> lngd.lngd_get_sums(optimizer, s));
            return new SumBuffers(
                    s.device_type() == 1 ? MemoryKind.HOST : MemoryKind.CUDA,
                    s.device_id(),
                    s.floats() == null ? 0 : s.floats().address(),
                    s.float_count(),
                    s.doubles().address(),
                    s.double_count());
        }
    }

    /**
     * Where a sum of a layer lies.
     *
     * @param layer index of the layer, from 0
     * @param sum which sum
     * @return its range, the same for all optimizers of the same layers, block sizes and
     *     approximation
     */
    public SumRange sumRange(int layer, Sum sum) {
        spec(layer);
        Check.notNull("sum", sum);
        long[] offset = new long[1];
        long[] count = new long[1];
        call(optimizer -> lngd.lngd_sum_range(optimizer, layer, sum.code(), offset, count));
        return new SumRange(offset[0], count[0]);
    }

    /**
     * Ends the observations of the coming update of all layers, so that the sums can be added to
     * those of other ranks: for each update of the statistics, on all ranks,
     *
     * <pre>{@code
     * // forward: optimizer.observe(...) of this rank's samples; none is allowed too
     * optimizer.closeSums();
     * SumBuffers sums = optimizer.sums();
     * // an all-reduce (SUM) over sums.floats() and sums.doubles(), in place
     * optimizer.sumsReduced();
     * plan.step(factor); // with the gradients of the mean loss over the whole batch
     * }</pre>
     *
     * <p>Until a step has taken them no layer asks for statistics, and observing does nothing. On a
     * GPU nothing waits: what the caller's stream does next comes after the sums.
     *
     * @throws org.lngd4j.nativelib.LngdStateException where they are closed already or hold a
     *     total, with {@link LayerRate#EMPIRICAL}, while the stream is being captured, and where a
     *     call that failed left the sums of a layer half-done: {@link LngdOptimizer#discard(int)}
     *     it then. Nothing is changed
     */
    public void closeSums() {
        call(lngd::lngd_sums_close);
    }

    /**
     * Tells that the sums are the total of all ranks now. Reads the counts, for which it waits for
     * the caller's stream.
     *
     * @throws org.lngd4j.nativelib.LngdArgumentException if a count is no whole number, or below
     *     what this optimizer observed; the sums are still closed then
     * @throws org.lngd4j.nativelib.LngdStateException if they are not closed, or hold samples of a
     *     layer for which no statistics are due here, as the ranks are not at the same step; {@link
     *     LngdOptimizer#discard()} drops what a failed all-reduce left
     */
    public void sumsReduced() {
        call(lngd::lngd_sums_reduced);
    }

    /**
     * Whether a step waits for {@link #sumsReduced()}: with {@code true} it throws {@link
     * org.lngd4j.nativelib.LngdStateException}, with nothing changed, where statistics are due and
     * that was not called, whether this rank has observed anything or not. {@code false} at first.
     * Not part of the state.
     *
     * @param needed whether to wait
     * @throws org.lngd4j.nativelib.LngdStateException with {@link LayerRate#EMPIRICAL}, which takes
     *     a mean over the samples of one rank in the step itself
     */
    public void waitForSums(boolean needed) {
        call(optimizer -> lngd.lngd_set_reduction(optimizer, needed ? 1 : 0));
    }

    /**
     * Adds to the numbers of the samples observed from now on, which key the targets that {@link
     * Fisher#SAMPLED} draws. With the number of its first sample in the whole batch each rank draws
     * what one optimizer would have drawn; ranks with the same would draw the same targets for
     * other samples. 0 at first; not part of the state.
     *
     * @param offset 0 to 2^31 - 1
     * @throws org.lngd4j.nativelib.LngdArgumentException for any other
     */
    public void sampleOffset(long offset) {
        call(optimizer -> lngd.lngd_set_sample_offset(optimizer, offset));
    }
}
