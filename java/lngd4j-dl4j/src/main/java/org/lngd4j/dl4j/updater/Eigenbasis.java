// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import java.util.Comparator;
import java.util.stream.IntStream;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.api.blas.impl.BaseLapack;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.INDArrayIndex;
import org.nd4j.linalg.indexing.NDArrayIndex;

/**
 * One side of a matrix in SOAP: the running average of its Gram matrices, and a basis that follows
 * the eigenvectors, by columns with falling eigenvalues. Both lie in the updater's state.
 *
 * <p>Eigenvectors and QR are LAPACK's, through ND4J. ({@code Nd4j}'s own {@code geqrf} wants R as
 * well, and clears half of it row by row.)
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class Eigenbasis {
    private final int size;
    private final String layer;
    private final INDArray factor;
    private final INDArray basis;
    // LAPACK gets the beginning of an array's memory, so it cannot work on a view of the state.
    private INDArray work;
    private INDArray products;

    Eigenbasis(INDArray state, long size, String layer) {
        this.size = Math.toIntExact(size);
        this.layer = layer;
        factor = square(state, 0, size);
        basis = square(state, size * size, size);
    }

    private static INDArray square(INDArray state, long from, long size) {
        INDArrayIndex range = NDArrayIndex.interval(from, from + size * size);
        return state.get(NDArrayIndex.all(), range).reshape('f', size, size);
    }

    static long stateSize(long size) {
        return 2 * size * size;
    }

    INDArray basis() {
        return basis;
    }

    /** factor = beta factor + (1 - beta) G G^T over the rows of G, or G^T G over its columns. */
    void average(INDArray g, boolean rows, double beta) {
        Blas.multiply(1 - beta, g, !rows, g, rows, beta, factor);
    }

    /** The eigenvectors themselves. */
    void decompose() {
        allocate();
        work.assign(factor);
        try (MemoryWorkspace outside = Nd4j.getMemoryManager().scopeOutOfWorkspaces()) {
            INDArray values = Nd4j.create(DataType.FLOAT, size);
            int info = lapack().ssyev('V', 'U', size, work, values);
            if (info != 0) {
                throw new LngdStateException(
                        "layer "
                                + layer
                                + ": LAPACK's syev gives "
                                + info
                                + ": the gradient may have infinite numbers or none");
            }
        }
        // LAPACK's eigenvalues rise.
        int[] falling = IntStream.range(0, size).map(j -> size - 1 - j).toArray();
        basis.assign(columns(work, falling));
    }

    /**
     * One step of orthogonal iteration: the next basis is Q of {@code factor basis = Q R}. Columns
     * whose estimated eigenvalues have changed order are sorted, and a matrix in the basis with
     * them.
     *
     * @param inBasis what has to keep its elements with their eigenvectors
     * @param dimension which of its two dimensions is this side
     */
    void turn(INDArray inBasis, int dimension) {
        allocate();
        Blas.multiply(factor, false, basis, false, work);
        int[] order = order();
        boolean moved = !IntStream.range(0, size).allMatch(j -> order[j] == j);
        if (moved) {
            work.assign(columns(work, order));
            inBasis.assign(dimension == 0 ? rows(inBasis, order) : columns(inBasis, order));
        }
        try (MemoryWorkspace outside = Nd4j.getMemoryManager().scopeOutOfWorkspaces()) {
            lapack().sgeqrf(size, size, work, null, Nd4j.create(DataType.INT32, 1));
        }
        basis.assign(work);
    }

    /** By falling q_j^T factor q_j; {@link #work} has factor times basis. */
    private int[] order() {
        products.assign(basis).muli(work);
        float[] values = products.sum(0).toFloatVector();
        return IntStream.range(0, size)
                .boxed()
                .sorted(Comparator.comparingDouble(j -> -values[j]))
                .mapToInt(j -> j)
                .toArray();
    }

    // A copy by one kernel: column by column through ND4J took twenty times as long.
    private static INDArray columns(INDArray x, int[] order) {
        return Nd4j.pullRows(x, 0, order, 'f');
    }

    private static INDArray rows(INDArray x, int[] order) {
        return Nd4j.pullRows(x, 1, order, 'f');
    }

    private static BaseLapack lapack() {
        return (BaseLapack) Nd4j.getBlasWrapper().lapack();
    }

    private void allocate() {
        if (work == null) {
            work = Blas.matrix(size, size);
            products = Blas.matrix(size, size);
        }
    }
}
