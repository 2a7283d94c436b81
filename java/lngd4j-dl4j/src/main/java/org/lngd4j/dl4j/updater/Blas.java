// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.impl.transforms.pairwise.arithmetic.Axpy;
import org.nd4j.linalg.factory.Nd4j;

/** ND4J's products, and arrays that outlive the workspace of a step. */
@SuppressWarnings("try") // scopes that are only opened and closed
final class Blas {
    private Blas() {}

    /** y += factor x. */
    static void addScaled(double factor, INDArray x, INDArray y) {
        Nd4j.exec(new Axpy(x, y, y, factor));
    }

    /** c = a b, either factor transposed, all in 'f' order. */
    static void multiply(INDArray a, boolean aT, INDArray b, boolean bT, INDArray c) {
        multiply(1, a, aT, b, bT, 0, c);
    }

    /** c = alpha a b + beta c, either factor transposed, all in 'f' order. */
    static void multiply(
            double alpha, INDArray a, boolean aT, INDArray b, boolean bT, double beta, INDArray c) {
        Nd4j.gemm(a, b, c, aT, bT, alpha, beta);
    }

    /** An array in 'f' order, at the beginning of its memory, in no workspace. */
    static INDArray matrix(long rows, long columns) {
        try (MemoryWorkspace outside = Nd4j.getMemoryManager().scopeOutOfWorkspaces()) {
            return Nd4j.createUninitialized(DataType.FLOAT, new long[] {rows, columns}, 'f');
        }
    }
}
