// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import java.util.List;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * A parameter to be trained.
 *
 * @param name unique among those of an optimizer, as in {@code named_parameters()}
 * @param tensor float32; a matrix has two axes or more, the first of which counts outputs. One with
 *     {@code requires_grad} false is frozen: it is left alone
 * @param role what it is
 */
public record NamedParameter(String name, Tensor tensor, ParameterRole role) {
    /**
     * Checks that nothing is null.
     *
     * @param name unique among those of an optimizer
     * @param tensor the parameter
     * @param role what it is
     * @throws LngdArgumentException if something is null, or a matrix has less than two axes
     */
    public NamedParameter {
        Ranges.notNull("name", name);
        Ranges.notNull("tensor of " + name, tensor);
        Ranges.notNull("role of " + name, role);
        if (role.isMatrix() && tensor.defined() && tensor.dim() < 2) {
            throw Ranges.bad(
                    "role of " + name, role, "VECTOR for a tensor with less than two axes");
        }
    }

    /**
     * The parameters of a model, in the order of {@code named_parameters()}, with the roles that
     * {@link Muon#Muon(Module, MuonOptions)} and {@link Soap#Soap(Module, SoapOptions)} give them:
     *
     * <ul>
     *   <li>Weights of Linear, Conv1d and Conv2d without groups, their subclasses included, are
     *       matrices. A table of Embedding or EmbeddingBag is {@code EMBEDDING}.
     *   <li>Output layers are those that were told so ({@link
     *       org.lngd4j.pytorch.LngdLayer#output}), and where none was the last module that has
     *       parameters.
     *   <li>A convolution that is the first module with parameters is {@code FIRST_CONVOLUTION}.
     *   <li>Tensors with one axis, and those of layer normalisations, are {@code VECTOR}.
     *   <li>Everything else is {@code OTHER_WEIGHT}.
     * </ul>
     *
     * <p>First and last are meant in the order in which modules were registered: PyTorch's C++
     * frontend knows no other. A tensor that has several names is listed under the first.
     *
     * @param model the model
     * @return the parameters, frozen ones too; the tensors belong to the caller's PointerScope
     * @throws LngdArgumentException if the model is null
     */
    public static List<NamedParameter> of(Module model) {
        return Roles.of(Ranges.notNull("model", model));
    }

    /**
     * The same in another role.
     *
     * @param other the role
     * @return a parameter
     */
    public NamedParameter withRole(ParameterRole other) {
        return new NamedParameter(name, tensor, other);
    }
}
