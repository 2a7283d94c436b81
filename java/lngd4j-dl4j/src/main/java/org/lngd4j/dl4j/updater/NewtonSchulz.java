// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j.updater;

import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Jordan's quintic Newton-Schulz iteration, which moves the singular values of a matrix to between
 * about 0.7 and 1.2: {@code X = a X + (b A + c A A) X} with {@code A = X X^T}. Where the first side
 * is the larger one it is {@code X (b A + c A A)} with {@code A = X^T X}, the same matrix; so the
 * products have the smaller side twice, and nothing is transposed in memory. Single precision:
 * Jordan's bfloat16 is for a GPU's tensor cores.
 */
final class NewtonSchulz {
    private static final double A = 3.4445;
    private static final double B = -4.7750;
    private static final double C = 2.0315;
    private static final double LEAST_NORM = 1e-7;

    private final MatrixShape shape;
    private final boolean wide;
    private INDArray gram;
    private INDArray polynomial;
    private INDArray other;

    NewtonSchulz(MatrixShape shape) {
        this.shape = shape;
        this.wide = shape.inputs() <= shape.outputs();
    }

    /** Replaces a matrix, given as DL4J's flat vector. Zeros stay zeros. */
    void orthogonalise(INDArray flat, int steps) {
        allocate();
        flat.divi(flat.norm2Number().doubleValue() + LEAST_NORM);
        INDArray given = shape.transposed(flat);
        INDArray x = given;
        INDArray next = other;
        for (int step = 0; step < steps; step++) {
            Blas.multiply(x, !wide, x, wide, gram); // A
            polynomial.assign(gram);
            Blas.multiply(C, gram, false, gram, false, B, polynomial); // b A + c A A
            next.assign(x);
            if (wide) {
                Blas.multiply(1, polynomial, false, x, false, A, next);
            } else {
                Blas.multiply(1, x, false, polynomial, false, A, next);
            }
            INDArray swap = x;
            x = next;
            next = swap;
        }
        if (x != given) {
            given.assign(x);
        }
    }

    // At the first step: a network that is only loaded and used takes no memory for it.
    private void allocate() {
        if (gram == null) {
            long side = Math.min(shape.inputs(), shape.outputs());
            gram = Blas.matrix(side, side);
            polynomial = Blas.matrix(side, side);
            other = Blas.matrix(shape.inputs(), shape.outputs());
        }
    }
}
