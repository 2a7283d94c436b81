// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Jordan's quintic Newton-Schulz iteration, which moves the singular values of a matrix to between
 * about 0.7 and 1.2: {@code X = a X + (b A + c A A) X} with {@code A = X X^T}. It works on the
 * transpose of a matrix with more rows than columns, so that A has the smaller side twice. Single
 * precision: Jordan's bfloat16 is for a GPU's tensor cores.
 */
final class NewtonSchulz {
    private static final double A = 3.4445;
    private static final double B = -4.7750;
    private static final double C = 2.0315;
    private static final double LEAST_NORM = 1e-7;

    private NewtonSchulz() {}

    /** The result is a tensor of its own; zeros stay zeros. */
    static Tensor orthogonalise(Tensor matrix, int steps) {
        Scalar a = new Scalar(A);
        Scalar b = new Scalar(B);
        Scalar c = new Scalar(C);
        Scalar one = new Scalar(1.0);
        boolean tall = matrix.size(0) > matrix.size(1);
        Tensor x = matrix.div(torch.linalg_vector_norm(matrix).add_(new Scalar(LEAST_NORM)));
        x = tall ? x.t() : x;
        for (int step = 0; step < steps; step++) {
            Tensor gram = x.mm(x.t());
            Tensor polynomial = torch.addmm(gram, gram, gram, b, c);
            x = torch.addmm(x, polynomial, x, a, one);
        }
        return (tall ? x.t() : x).contiguous();
    }
}
