// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.List;
import org.lngd4j.nativelib.global.lngd;
import org.lngd4j.nativelib.global.lngd_inverses;
import org.lngd4j.nativelib.global.lngd_optimizer;

/**
 * Data-parallel training: the inverses of an {@link LngdOptimizer}, shared among ranks; apart from
 * observe and step for the sake of short files.
 */
abstract class OptimizerInverses extends OptimizerSums {
    OptimizerInverses(LngdOptions options, List<LayerSpec> layers, lngd_optimizer pointer) {
        super(options, layers, pointer);
    }

    /**
     * Shares the inversions among ranks: each layer has an owner, a rank that computes its inverses
     * for all. The results are the bits of ranks that compute all of them. On all ranks, for each
     * step,
     *
     * <pre>{@code
     * // statistics are complete: where they were due, after optimizer.sumsReduced()
     * plan.refresh(); // running averages of all layers, inverses of the owned ones
     * // for each owner of a layer with optimizer.needsInverses(layer): a broadcast from it of
     * // optimizer.inverses() in optimizer.inverseRange(owner), in place
     * optimizer.inversesReceived(); // where there was any
     * plan.step(factor);
     * }</pre>
     *
     * <p>Not part of the state, which is that of an optimizer that does not share.
     *
     * @param owners the rank that computes the inverses of each layer, 0 or more, the same on all
     *     ranks ({@link InverseOwners} balances them); of a parameter it does not matter
     * @param rank this one, 0 or more
     * @throws org.lngd4j.nativelib.LngdArgumentException if a number is out of its range, or there
     *     is not one for each layer
     * @throws org.lngd4j.nativelib.LngdStateException while there are plans, which know where the
     *     inverses lie, and while a layer needs inverses of others
     */
    public void shareInverses(int[] owners, int rank) {
        Check.notNull("owners", owners);
        call(optimizer -> lngd.lngd_share_inverses(optimizer, owners, owners.length, rank));
    }

    /**
     * Ends the sharing: this optimizer computes all inverses, as at first.
     *
     * @throws org.lngd4j.nativelib.LngdStateException as {@link #shareInverses}
     */
    public void replicateInverses() {
        call(optimizer -> lngd.lngd_share_inverses(optimizer, (int[]) null, 0, -1));
    }

    /**
     * The inverses of all layers.
     *
     * @return the buffer, at the same address until {@link #shareInverses} moves it
     */
    public InverseBuffer inverses() {
        try (lngd_inverses view = new lngd_inverses()) {
            view.struct_size(view.sizeof());
            call(optimizer -> lngd.lngd_get_inverses(optimizer, view));
            return new InverseBuffer(
                    view.device_type() == 1 ? MemoryKind.HOST : MemoryKind.CUDA,
                    view.device_id(),
                    view.floats() == null ? 0 : view.floats().address(),
                    view.float_count());
        }
    }

    /**
     * Where the inverses of an owner's layers lie.
     *
     * @param owner a rank
     * @return its range, the same on all ranks; empty for a rank that owns nothing. Without sharing
     *     all layers are those of owner 0
     * @throws org.lngd4j.nativelib.LngdArgumentException if it is negative
     */
    public InverseRange inverseRange(int owner) {
        long[] offset = new long[1];
        long[] count = new long[1];
        call(optimizer -> lngd.lngd_inverse_range(optimizer, owner, offset, count));
        return new InverseRange(offset[0], count[0]);
    }

    /**
     * What the inverses of a layer cost.
     *
     * @param layer index of the layer, from 0
     * @return operations and floats, counted; of a parameter zeros
     */
    public InverseCost inverseCost(int layer) {
        spec(layer);
        double[] operations = new double[1];
        long[] floats = new long[1];
        call(optimizer -> lngd.lngd_inverse_cost(optimizer, layer, operations, floats));
        return new InverseCost(operations[0], floats[0]);
    }

    /**
     * Tells that the inverses of all layers that need them are in the buffer now. Reads what their
     * owners say of them, such as a factorisation that failed, which has then failed here too.
     *
     * @throws org.lngd4j.nativelib.LngdStateException if no layer needs any, or the range of an
     *     owner does not hold those of this step: it was not broadcast, or the owner is at another
     *     step. The layers still need them then
     * @throws org.lngd4j.nativelib.LngdArgumentException if an owner says what cannot be, as after
     *     another history; the layers still need them then
     */
    public void inversesReceived() {
        call(lngd::lngd_inverses_received);
    }
}
