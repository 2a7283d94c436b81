// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.gloo;

import java.util.Locale;
import org.lngd4j.InverseOwners;
import org.lngd4j.InversePlacement;

/**
 * Where inverses are computed, and why: the same on all ranks.
 *
 * @param placement REPLICATED or OWNED
 * @param asked what was asked for
 * @param ranks how many ranks there are
 * @param operations of one inversion of all layers, counted
 * @param largest of them, those of the owner that has most
 * @param floats of all inverses
 * @param broadcasts that they take: one for each rank that owns a layer
 * @param interval steps from one inversion to the next
 * @param speeds that were measured; {@code null} where AUTO was not asked for
 */
public record PlacementDecision(
        InversePlacement placement,
        InversePlacement asked,
        int ranks,
        double operations,
        double largest,
        long floats,
        int broadcasts,
        int interval,
        InverseSpeeds speeds) {
    /** Of one rank there is nothing to share. */
    static PlacementDecision of(
            InversePlacement asked,
            double[] costs,
            long floats,
            int ranks,
            int interval,
            InverseSpeeds speeds) {
        int[] owners = InverseOwners.longestFirst(costs, ranks);
        double sum = 0;
        boolean[] busy = new boolean[ranks];
        int broadcasts = 0;
        for (int i = 0; i < costs.length; i++) {
            sum += costs[i];
            if (costs[i] > 0 && !busy[owners[i]]) {
                busy[owners[i]] = true;
                broadcasts++;
            }
        }
        double largest = InverseOwners.largestLoad(costs, owners);
        PlacementDecision open =
                new PlacementDecision(
                        asked, asked, ranks, sum, largest, floats, broadcasts, interval, speeds);
        InversePlacement taken = asked;
        if (asked == InversePlacement.AUTO) {
            taken =
                    ranks > 1 && open.ownedSeconds() < open.replicatedSeconds()
                            ? InversePlacement.OWNED
                            : InversePlacement.REPLICATED;
        }
        return new PlacementDecision(
                taken, asked, ranks, sum, largest, floats, broadcasts, interval, speeds);
    }

    /**
     * What all ranks take where each computes all inverses: operations / speed.
     *
     * @return seconds once every {@link #interval()} steps; NaN where nothing was measured
     */
    public double replicatedSeconds() {
        return speeds == null ? Double.NaN : operations / speeds.operations();
    }

    /**
     * What they take where each computes its own: those of the busiest owner, and the broadcasts,
     * one after the other.
     *
     * @return seconds once every {@link #interval()} steps; NaN where nothing was measured
     */
    public double ownedSeconds() {
        return speeds == null
                ? Double.NaN
                : largest / speeds.operations()
                        + Float.BYTES * (double) floats / speeds.bytes()
                        + broadcasts * speeds.latency();
    }

    /** One line for people: what was chosen, and the figures. */
    @Override
    public String toString() {
        String counted =
                String.format(
                        Locale.ROOT,
                        "inverses %s, %s: %.3g operations, of which an owner has at most %.3g, and"
                                + " %.3g bytes, every %d steps on %d ranks",
                        placement,
                        asked == InversePlacement.AUTO ? "by AUTO" : "as asked for",
                        operations,
                        largest,
                        Float.BYTES * (double) floats,
                        interval,
                        ranks);
        return speeds == null
                ? counted
                : counted
                        + String.format(
                                Locale.ROOT,
                                "; at %.3g operations/s, %.3g bytes/s and %.3g s a broadcast (%d):"
                                        + " %.3g s REPLICATED, %.3g s OWNED",
                                speeds.operations(),
                                speeds.bytes(),
                                speeds.latency(),
                                broadcasts,
                                replicatedSeconds(),
                                ownedSeconds());
    }
}
