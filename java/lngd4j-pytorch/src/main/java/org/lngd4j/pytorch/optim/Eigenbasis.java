// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.nativelib.LngdStateException;

/**
 * One side of a matrix in SOAP: the running average of its Gram matrices, and a basis that follows
 * the eigenvectors, by columns with falling eigenvalues. Both lie in the state.
 */
final class Eigenbasis {
    private final Tensor factor;
    private final Tensor basis;

    Eigenbasis(Tensor factor, Tensor basis) {
        this.factor = factor;
        this.basis = basis;
    }

    Tensor basis() {
        return basis;
    }

    /** {@code factor = beta factor + (1 - beta) G G^T}; for the columns' side G is transposed. */
    void average(Tensor g, double beta) {
        factor.addmm_(g, g.t(), new Scalar(beta), new Scalar(1 - beta));
    }

    /**
     * Begins with the first gradient: the factor, and its eigenvectors themselves.
     *
     * @throws LngdStateException if there are none; a later call begins anew
     */
    void begin(Tensor g, double beta, String name) {
        factor.zero_();
        average(g, beta);
        try {
            // Its eigenvalues rise.
            basis.copy_(torch.linalg_eigh(factor).get1().flip(1));
        } catch (RuntimeException e) {
            throw new LngdStateException(
                    "parameter "
                            + name
                            + ": no eigenvectors of the first Gram matrix (is the gradient finite?): "
                            + e.getMessage().lines().findFirst().orElse(""));
        }
    }

    /**
     * One step of orthogonal iteration: the next basis is Q of {@code factor basis = Q R}. Columns
     * are sorted by falling estimates {@code q_j^T factor q_j} of their eigenvalues, and a matrix
     * in the basis with them.
     *
     * @param inBasis what has to keep its elements with their eigenvectors
     * @param dimension which of its two dimensions is this side
     */
    void turn(Tensor inBasis, int dimension) {
        Tensor product = factor.mm(basis);
        Tensor order = torch.argsort(basis.mul(product).sum(0), true, 0, true);
        T_TensorTensor_T qr = torch.linalg_qr(product.index_select(1, order));
        basis.copy_(qr.get0());
        inBasis.copy_(inBasis.index_select(dimension, order));
    }
}
