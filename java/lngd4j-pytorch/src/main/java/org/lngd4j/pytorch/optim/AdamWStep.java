// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import org.bytedeco.pytorch.Tensor;

/** AdamW for one parameter; the formulas are in {@link RestOptions}. State: m, v. */
final class AdamWStep extends ParameterStep {
    private final AdamRule rule;
    private final Tensor means;
    private final Tensor squares;

    AdamWStep(NamedParameter parameter, AdamRule rule, double rateShare, double decay) {
        super(parameter, rateShare, decay);
        this.rule = rule;
        long count = parameter().numel();
        means = zeros(count);
        squares = zeros(count);
    }

    @Override
    String method() {
        return "AdamW";
    }

    @Override
    void move(Tensor gradient, double rate) {
        subtract(rule.direction(gradient.reshape(-1), means, squares, count() + 1), rate);
    }
}
