// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Samples of a layer with positions (an embedding of sequences, a convolution with a kernel of 1),
 * of which some positions do not count. The library takes samples of equally many positions at a
 * time and adds up what it is given, so those with as many that count go together.
 */
final class PositionGroups {
    /**
     * Samples with equally many positions.
     *
     * @param inputs as LNGD sees them
     * @param signal likewise
     */
    record Group(INDArray inputs, INDArray signal) {}

    private PositionGroups() {}

    /**
     * The groups, copies.
     *
     * @param inputs N x T, or N x 1 x T x C
     * @param signal N x m x T, or N x m x T x 1
     * @param rows the numbers n + N t of the positions that count, in ascending order
     * @param limit the first so many samples that have any; 0: all
     */
    static List<Group> of(INDArray inputs, INDArray signal, int[] rows, int limit) {
        int samples = (int) inputs.size(0);
        List<List<Integer>> bySample = new ArrayList<>();
        IntStream.range(0, samples).forEach(n -> bySample.add(new ArrayList<>()));
        for (int row : rows) {
            bySample.get(row % samples).add(row);
        }
        bySample.removeIf(List::isEmpty);
        TreeMap<Integer, List<Integer>> byLength = new TreeMap<>();
        int taken = limit == 0 ? bySample.size() : Math.min(limit, bySample.size());
        for (List<Integer> sample : bySample.subList(0, taken)) {
            byLength.computeIfAbsent(sample.size(), k -> new ArrayList<>()).addAll(sample);
        }
        INDArray a = flat(inputs, inputs.rank() == 2 ? 1 : 2);
        INDArray g = flat(signal, 2);
        List<Group> groups = new ArrayList<>();
        byLength.forEach(
                (length, numbers) -> {
                    int[] part = numbers.stream().mapToInt(Integer::intValue).toArray();
                    long n = part.length / length;
                    INDArray some = Nd4j.pullRows(a, 1, part, 'c');
                    INDArray theirs = Nd4j.pullRows(g, 1, part, 'c').reshape(n, length, g.size(1));
                    groups.add(
                            inputs.rank() == 2
                                    ? new Group(some.reshape(n, length), theirs.permute(0, 2, 1))
                                    : new Group(
                                            some.reshape(n, 1, length, a.size(1)),
                                            theirs.reshape(n, length, g.size(1), 1)
                                                    .permute(0, 2, 1, 3)));
                });
        return groups;
    }

    /** A row for each position and sample, those of one position together; a copy. */
    private static INDArray flat(INDArray x, int axis) {
        int[] order = new int[x.rank()];
        order[0] = axis;
        for (int i = 0, at = 1; i < order.length; i++) {
            if (i != axis) {
                order[at++] = i;
            }
        }
        long rows = x.size(axis) * x.size(0);
        return x.permute(order).dup('c').reshape('c', rows, x.length() / rows);
    }
}
