// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import java.util.List;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Module;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * SOAP (N. Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", arXiv:2409.11321,
 * algorithm 3): Adam in the eigenbasis of Shampoo's preconditioner. For a weight matrix W of m
 * outputs and n inputs with gradient G:
 *
 * <pre>
 *   G' = Q_L^T G Q_R                               (m x m)(m x n)(n x n)
 *   N' = Adam's direction for G'                   M', V: running averages of G', G'^2
 *   W  = W - rate (Q_L N' Q_R^T + decay W)
 *   L  = beta L + (1 - beta) G G^T,   R = beta R + (1 - beta) G^T G
 *   every preconditionFrequency steps:  Q = QR(L Q), the same for R
 * </pre>
 *
 * <p>As in the authors' code: the first step only forms L, R and their eigenvectors and moves no
 * weights (but the decay); Adam's bias correction counts from the second; before a QR factorisation
 * the columns are sorted by falling estimates of their eigenvalues, and V with them. M' is kept in
 * the basis and turned with it, which is the same as the paper's M in the weights' own and saves
 * two products a step.
 *
 * <p>It trains every weight matrix: linear and output layers, embeddings, and 1-D and 2-D
 * convolutions as outputs x (channels times kernel). (The authors' code takes each of the four
 * sides of a convolution for itself unless told to merge them; the paper has matrices only.) A side
 * longer than {@code maxPreconditionedSize} is left as it is: its Q is the identity. AdamW ({@link
 * RestOptions}) with the same rate, betas and epsilon trains biases, gains and shifts, without
 * decay, and weights that are not one matrix, those with the decay. {@link #report()} says which,
 * {@link NamedParameter#of} how that is found out.
 *
 * <p>State: 2 m n + 2 m^2 + 2 n^2 numbers. A step costs 6 m n (m + n) operations, and every {@code
 * preconditionFrequency}-th about 14/3 (m^3 + n^3) + 4 m n (m + n) more.
 */
public final class Soap extends TorchOptimizer {
    /**
     * For all parameters of a model.
     *
     * @param model with float32 parameters
     * @param options the settings
     * @throws LngdArgumentException if something is null, a parameter is no float32, or none
     *     requires a gradient
     */
    public Soap(Module model, SoapOptions options) {
        this(() -> NamedParameter.of(model), Ranges.notNull("options", options));
    }

    /**
     * For parameters whose roles the caller knows. SOAP trains those of every role that is a
     * matrix.
     *
     * @param parameters in any order, names and tensors unique
     * @param options the settings
     * @throws LngdArgumentException if something is null, a parameter is no float32, or none
     *     requires a gradient
     */
    public Soap(List<NamedParameter> parameters, SoapOptions options) {
        this(() -> parameters, Ranges.notNull("options", options));
    }

    private Soap(Supplier<List<NamedParameter>> parameters, SoapOptions options) {
        super(parameters, options.learningRate(), parameter -> step(parameter, options));
    }

    private static ParameterStep step(NamedParameter parameter, SoapOptions options) {
        if (parameter.role().isMatrix()) {
            return new SoapStep(parameter, options);
        }
        double decay = parameter.role() == ParameterRole.VECTOR ? 0 : options.weightDecay();
        return new AdamWStep(parameter, options.rule(), 1, decay);
    }
}
