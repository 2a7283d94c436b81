// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Module;
import org.lngd4j.nativelib.LngdArgumentException;

/**
 * Muon (K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024):
 * momentum whose update is brought near to the closest orthogonal matrix. For a weight matrix W of
 * m outputs and n inputs with gradient G:
 *
 * <pre>
 *   M = momentum M + G
 *   U = G + momentum M  (Nesterov), or M
 *   X = U / (||U|| + 1e-7)
 *   five times:  A = X X^T,  X = 3.4445 X + (-4.7750 A + 2.0315 A A) X
 *   W = W - rate (scale X + decay W)
 * </pre>
 *
 * <p>{@link MuonOptions#builder} has Jordan's settings, {@link MuonOptions#matchingAdamW} those of
 * J. Liu et al., "Muon is scalable for LLM training", arXiv:2502.16982.
 *
 * <p>It trains the matrices of hidden layers ({@link ParameterRole#HIDDEN}); a convolution's
 * weights are outputs x (channels times kernel). AdamW ({@link RestOptions}) trains the rest, as
 * Jordan recommends: biases, gains and shifts, embeddings, output layers, a convolution that is the
 * model's first layer, layers that are named with {@link MuonOptions.Builder#adamW(String...)}, and
 * weights that are not one matrix. {@link #report()} says which, {@link NamedParameter#of} how that
 * is found out.
 *
 * <p>State: one number for each weight of a matrix; two for what AdamW trains. A step costs 20 k^2
 * l + 10 k^3 operations, k and l the smaller and the larger of m and n.
 *
 * <p>{@link #setLearningRate} sets the rate of the matrices; AdamW's keeps its ratio to it, so that
 * one schedule has both.
 */
public final class Muon extends TorchOptimizer {
    /**
     * For all parameters of a model.
     *
     * @param model with float32 parameters
     * @param options the settings
     * @throws LngdArgumentException if something is null, a parameter is no float32, none requires
     *     a gradient, or a layer named for AdamW is not there
     */
    public Muon(Module model, MuonOptions options) {
        this(() -> NamedParameter.of(model), Ranges.notNull("options", options));
    }

    /**
     * For parameters whose roles the caller knows.
     *
     * @param parameters in any order, names and tensors unique
     * @param options the settings
     * @throws LngdArgumentException if something is null, a parameter is no float32, none requires
     *     a gradient, or a layer named for AdamW is not there
     */
    public Muon(List<NamedParameter> parameters, MuonOptions options) {
        this(() -> parameters, Ranges.notNull("options", options));
    }

    private Muon(Supplier<List<NamedParameter>> parameters, MuonOptions options) {
        super(
                () -> named(parameters.get(), options.adamW()),
                options.learningRate(),
                parameter -> step(parameter, options));
    }

    private static ParameterStep step(NamedParameter parameter, MuonOptions options) {
        if (parameter.role() == ParameterRole.HIDDEN) {
            return new MuonStep(parameter, options);
        }
        RestOptions rest = options.rest();
        return new AdamWStep(
                parameter,
                new AdamRule(rest.beta1(), rest.beta2(), rest.epsilon()),
                rest.learningRate() / options.learningRate(),
                parameter.role() == ParameterRole.VECTOR ? 0 : rest.weightDecay());
    }

    /** Gives the matrices of the layers that are named for AdamW their role. */
    private static List<NamedParameter> named(List<NamedParameter> parameters, Set<String> layers) {
        Ranges.notNull("parameters", parameters);
        Set<String> known = new LinkedHashSet<>();
        parameters.forEach(p -> known.add(Roles.owner(Ranges.notNull("a parameter", p).name())));
        for (String layer : layers) {
            if (!known.contains(layer)) {
                throw Ranges.bad(
                        "adamW",
                        layer,
                        "the name of a layer with parameters: " + String.join(", ", known));
            }
        }
        return parameters.stream()
                .map(
                        p ->
                                layers.contains(Roles.owner(p.name())) && p.role().isMatrix()
                                        ? p.withRole(ParameterRole.NAMED)
                                        : p)
                .toList();
    }
}
