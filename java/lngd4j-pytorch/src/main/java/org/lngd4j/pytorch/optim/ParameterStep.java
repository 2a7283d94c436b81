// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.lngd4j.nativelib.LngdStateException;

/** One parameter with the state and the formula that train it. */
abstract class ParameterStep {
    private final String name;
    private final Tensor parameter;
    private final double rateShare;
    private final double decay;
    private final List<Tensor> state = new ArrayList<>();
    private final byte deviceType;
    private final byte deviceIndex;
    private long count;

    /**
     * @param rateShare its learning rate, in units of the optimizer's
     * @param decay decoupled weight decay
     */
    ParameterStep(NamedParameter parameter, double rateShare, double decay) {
        this.name = parameter.name();
        // A handle that outlives the caller's PointerScope.
        this.parameter = new Tensor(parameter.tensor()).retainReference();
        this.rateShare = rateShare;
        this.decay = decay;
        Device device = this.parameter.device();
        this.deviceType = device.type().value;
        this.deviceIndex = device.index();
    }

    /** A tensor of zeros that belongs to the state, on the parameter's device. */
    final Tensor zeros(long... shape) {
        Tensor made = torch.zeros(shape, parameter.options());
        state.add(made.retainReference());
        return made;
    }

    final String name() {
        return name;
    }

    final Tensor parameter() {
        return parameter;
    }

    /** Steps done. */
    final long count() {
        return count;
    }

    final void count(long value) {
        count = value;
    }

    /** What it needs to go on, beside {@link #count()}. */
    final List<Tensor> state() {
        return state;
    }

    /** What trains it, as the report has it. */
    abstract String method();

    /**
     * The gradient; not defined where the last backward pass did not come here.
     *
     * @throws LngdStateException if parameter or gradient are no longer what the state is for
     */
    final Tensor gradient() {
        Tensor gradient = parameter.grad();
        if (!gradient.defined()) {
            return gradient;
        }
        Device device = parameter.device();
        if (device.type().value != deviceType
                || device.index() != deviceIndex
                || parameter.scalar_type().intern() != ScalarType.Float) {
            throw new LngdStateException(
                    "parameter "
                            + name
                            + " was moved or converted after the optimizer was made (to(...)): make a"
                            + " new one");
        }
        if (gradient.is_sparse()) {
            throw new LngdStateException(
                    "the gradient of parameter " + name + " is sparse; allowed is a dense one");
        }
        return gradient;
    }

    /** What can fail, done before anything is changed. */
    void prepare(Tensor gradient) {}

    final void step(Tensor gradient, double learningRate) {
        double rate = learningRate * rateShare;
        if (decay != 0) { // w - rate decay w, before the direction is subtracted
            parameter.mul_(new Scalar(1 - rate * decay));
        }
        move(gradient, rate);
        count++;
    }

    /** Subtracts the direction times the rate from the parameter. */
    abstract void move(Tensor gradient, double rate);

    /** {@code w = w - factor direction}, whatever the memory order of w. */
    final void subtract(Tensor direction, double factor) {
        parameter.add_(direction.view(parameter.sizes()), new Scalar(-factor));
    }

    final void clearGradient() {
        parameter.mutable_grad().put(new Tensor());
    }

    final void close() {
        state.forEach(Tensor::close);
        parameter.close();
    }
}
