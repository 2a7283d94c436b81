// SPDX-License-Identifier: Apache-2.0
package org.lngd4j;

import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * The owners of the layers' inverses, balanced by cost. What follows from the costs alone is the
 * same on all ranks.
 */
public final class InverseOwners {
    private InverseOwners() {}

    /**
     * Longest first: layers by falling cost, each to the rank that has least so far (R. L. Graham,
     * "Bounds on multiprocessing timing anomalies", 1969: at most 4/3 - 1/(3 R) times the best
     * there is). Of equals the first layer and the first rank.
     *
     * @param costs of each layer, in operations or any other unit; finite, 0 or more
     * @param ranks how many ranks there are, at least 1
     * @return the owner of each layer, 0 to {@code ranks} - 1; of layers without cost 0
     * @throws org.lngd4j.nativelib.LngdArgumentException if a number is out of its range
     */
    public static int[] longestFirst(double[] costs, int ranks) {
        Check.notNull("costs", costs);
        Check.atLeast("ranks", ranks, 1);
        for (int i = 0; i < costs.length; i++) {
            Check.notNegative("costs[" + i + "]", costs[i]);
        }
        int[] owners = new int[costs.length];
        double[] load = new double[ranks];
        IntStream.range(0, costs.length)
                .filter(i -> costs[i] > 0)
                .boxed()
                .sorted(Comparator.comparingDouble(i -> -costs[i])) // stable
                .forEach(
                        i -> {
                            owners[i] = least(load);
                            load[owners[i]] += costs[i];
                        });
        return owners;
    }

    private static int least(double[] load) {
        int at = 0;
        for (int rank = 1; rank < load.length; rank++) {
            if (load[rank] < load[at]) {
                at = rank;
            }
        }
        return at;
    }

    /**
     * The cost of the rank that has most, which all others wait for.
     *
     * @param costs of each layer
     * @param owners of each layer, 0 or more
     * @return the largest sum of the costs of one owner; 0 without layers
     * @throws org.lngd4j.nativelib.LngdArgumentException if there is not an owner for each cost, or
     *     one is negative
     */
    public static double largestLoad(double[] costs, int[] owners) {
        Check.notNull("costs", costs);
        Check.notNull("owners", owners);
        if (owners.length != costs.length) {
            throw Check.bad("owners.length", owners.length, costs.length + ", one for each cost");
        }
        Map<Integer, Double> load = new HashMap<>();
        for (int i = 0; i < costs.length; i++) {
            Check.atLeast("owners[" + i + "]", owners[i], 0);
            load.merge(owners[i], costs[i], Double::sum);
        }
        return load.isEmpty() ? 0 : Collections.max(load.values());
    }
}
