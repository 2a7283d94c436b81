// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.lngd4j.cli.train.TuningAxis;

/**
 * Looks for the best point of a grid in a given number of trials, the same for every optimizer
 * however many settings it has: beginning at the defaults it tries the neighbours of the best point
 * so far, one setting at a time, and where all of these are known the nearest points that are not.
 * So it climbs, and never stands still as long as trials are left.
 *
 * <p>Which point comes next follows from the scores alone: an interrupted search that finds its old
 * results again takes the same way. (A full grid was rejected for its price, random points because
 * good defaults are known.)
 */
final class GridSearch {
    private final List<TuningAxis> axes;
    private final int trials;
    private final Map<List<Integer>, Double> scores = new LinkedHashMap<>();

    GridSearch(List<TuningAxis> axes, int trials) {
        this.axes = axes;
        this.trials = trials;
    }

    /** The point to try next, as indices into the grids; empty when the trials are used up. */
    Optional<List<Integer>> next() {
        if (scores.size() >= trials) {
            return Optional.empty();
        }
        if (scores.isEmpty()) {
            return Optional.of(start());
        }
        List<Integer> centre = best();
        return grid().stream()
                .filter(point -> !scores.containsKey(point))
                .min(
                        Comparator.<List<Integer>>comparingInt(point -> distance(point, centre))
                                .thenComparingInt(point -> firstMoved(point, centre)));
    }

    /**
     * Takes up a result.
     *
     * @param score more is better; negative infinity for a run that failed
     */
    void report(List<Integer> point, double score) {
        scores.put(point, score);
    }

    /** The best point so far; of equals the one tried first. */
    List<Integer> best() {
        List<Integer> best = start();
        for (Map.Entry<List<Integer>, Double> entry : scores.entrySet()) {
            if (entry.getValue() > scores.getOrDefault(best, Double.NEGATIVE_INFINITY)) {
                best = entry.getKey();
            }
        }
        return best;
    }

    /** The defaults. */
    List<Integer> start() {
        return axes.stream().map(axis -> axis.grid().indexOf(axis.start())).toList();
    }

    /** Every trial and its score, in order. */
    Map<List<Integer>, Double> scores() {
        return scores;
    }

    // Ascending, so that of two equally near points the smaller is tried first.
    private List<List<Integer>> grid() {
        List<List<Integer>> points = List.of(List.of());
        for (int axis = axes.size() - 1; axis >= 0; axis--) {
            List<List<Integer>> longer = new ArrayList<>();
            for (List<Integer> rest : points) {
                for (int index = 0; index < axes.get(axis).grid().size(); index++) {
                    List<Integer> point = new ArrayList<>();
                    point.add(index);
                    point.addAll(rest);
                    longer.add(List.copyOf(point));
                }
            }
            points = longer;
        }
        return points;
    }

    // With equal distances the first axis is tried first: the one that matters most.
    private static int firstMoved(List<Integer> point, List<Integer> centre) {
        int axis = 0;
        while (axis < point.size() && point.get(axis).equals(centre.get(axis))) {
            axis++;
        }
        return axis;
    }

    // Steps along the axes; a diagonal neighbour comes after all straight ones.
    private static int distance(List<Integer> a, List<Integer> b) {
        int sum = 0;
        for (int axis = 0; axis < a.size(); axis++) {
            sum += Math.abs(a.get(axis) - b.get(axis));
        }
        return sum;
    }
}
