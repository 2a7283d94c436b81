// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import org.bytedeco.pytorch.Tensor;

/**
 * SOAP for one matrix; the formulas are in {@link Soap}. State: M', V, then for each side that is
 * not left as it is the factor and the basis.
 */
final class SoapStep extends ParameterStep {
    private final SoapOptions options;
    private final AdamRule rule;
    private final Tensor means;
    private final Tensor squares;
    private final Eigenbasis left;
    private final Eigenbasis right;

    SoapStep(NamedParameter parameter, SoapOptions options) {
        super(parameter, 1, options.weightDecay());
        this.options = options;
        this.rule = options.rule();
        long outputs = parameter().size(0);
        long inputs = parameter().numel() / outputs;
        means = zeros(outputs, inputs);
        squares = zeros(outputs, inputs);
        left = side(outputs);
        right = side(inputs);
    }

    /** Null where the basis is the identity. */
    private Eigenbasis side(long size) {
        return size > options.maxPreconditionedSize()
                ? null
                : new Eigenbasis(zeros(size, size), zeros(size, size));
    }

    @Override
    String method() {
        return "Soap";
    }

    private Tensor matrix(Tensor gradient) {
        return gradient.reshape(means.size(0), means.size(1));
    }

    @Override
    void prepare(Tensor gradient) {
        if (count() == 0) {
            Tensor g = matrix(gradient);
            if (left != null) {
                left.begin(g, options.shampooBeta(), name());
            }
            if (right != null) {
                right.begin(g.t(), options.shampooBeta(), name());
            }
        }
    }

    @Override
    void move(Tensor gradient, double rate) {
        long done = count(); // steps of Adam, with this one
        if (done == 0) {
            return;
        }
        Tensor g = matrix(gradient);
        Tensor direction = rule.direction(into(g), means, squares, done);
        subtract(outOf(direction), rate);
        if (left != null) {
            left.average(g, options.shampooBeta());
        }
        if (right != null) {
            right.average(g.t(), options.shampooBeta());
        }
        if (done % options.preconditionFrequency() == 0) {
            turn();
        }
    }

    /** {@code Q_L^T X Q_R}. */
    private Tensor into(Tensor x) {
        Tensor half = left == null ? x : left.basis().t().mm(x);
        return right == null ? half : half.mm(right.basis());
    }

    /** {@code Q_L X Q_R^T}. */
    private Tensor outOf(Tensor x) {
        Tensor half = left == null ? x : left.basis().mm(x);
        return right == null ? half : half.mm(right.basis().t());
    }

    /** New bases; M' goes out of the old ones and into the new ones, V is sorted as they are. */
    private void turn() {
        Tensor mean = outOf(means);
        if (left != null) {
            left.turn(squares, 0);
        }
        if (right != null) {
            right.turn(squares, 1);
        }
        means.copy_(into(mean));
    }
}
