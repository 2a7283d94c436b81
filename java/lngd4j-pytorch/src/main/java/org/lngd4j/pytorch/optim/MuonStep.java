// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/** Muon for one matrix; the formulas are in {@link Muon}. State: M. */
final class MuonStep extends ParameterStep {
    private final MuonOptions options;
    private final Tensor momentum;
    private final double scale;

    MuonStep(NamedParameter parameter, MuonOptions options) {
        super(parameter, 1, options.weightDecay());
        this.options = options;
        long outputs = parameter().size(0);
        long inputs = parameter().numel() / outputs;
        momentum = zeros(outputs, inputs);
        scale = options.scale().of(outputs, inputs);
    }

    @Override
    String method() {
        return "Muon";
    }

    @Override
    void move(Tensor gradient, double rate) {
        Scalar beta = new Scalar(options.momentum());
        Tensor g = gradient.reshape(momentum.size(0), momentum.size(1));
        momentum.mul_(beta).add_(g); // M = momentum M + G
        Tensor update = options.nesterov() ? g.add(momentum, beta) : momentum;
        subtract(NewtonSchulz.orthogonalise(update, options.newtonSchulzSteps()), rate * scale);
    }
}
