// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch.optim;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdHandleException;
import org.lngd4j.nativelib.LngdStateDataException;
import org.lngd4j.nativelib.LngdStateException;

/**
 * An optimizer for a training loop: after each backward pass {@link #step()}, then {@link
 * #zeroGrad()}. Gradients of several passes before one step add up, as PyTorch has it.
 *
 * <p>Not thread-safe: it belongs to the thread that trains the model.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
public abstract sealed class TorchOptimizer implements AutoCloseable permits Muon, Soap {
    private final List<ParameterStep> steps = new ArrayList<>();
    private final OptimizerReport report;
    private double learningRate;
    private boolean closed;

    /**
     * Checks everything, then makes the state.
     *
     * @param parameters called in a PointerScope of its own
     * @param choice what trains a parameter that is not frozen
     */
    TorchOptimizer(
            Supplier<List<NamedParameter>> parameters,
            double learningRate,
            Function<NamedParameter, ParameterStep> choice) {
        this.learningRate = learningRate;
        List<OptimizerReport.Line> lines = new ArrayList<>();
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            List<NamedParameter> all = parameters.get();
            check(all);
            for (NamedParameter p : all) {
                ParameterStep step = p.tensor().requires_grad() ? choice.apply(p) : null;
                if (step != null) {
                    steps.add(step);
                }
                String method = step == null ? "(frozen)" : step.method();
                String detail = method.equals("AdamW") ? p.role().words() : "";
                lines.add(new OptimizerReport.Line(p.name(), shape(p.tensor()), method, detail));
            }
        } catch (RuntimeException | Error e) { // no memory for the next one
            steps.forEach(ParameterStep::close);
            throw e;
        }
        report = new OptimizerReport(lines);
    }

    private static void check(List<NamedParameter> parameters) {
        Map<Long, String> seen = new HashMap<>();
        Map<String, NamedParameter> names = new HashMap<>();
        for (NamedParameter p : Ranges.notNull("parameters", parameters)) {
            String name = Ranges.notNull("an element of parameters", p).name();
            if (!p.tensor().defined()) {
                throw Ranges.bad("parameter " + name, "not defined", "a tensor");
            }
            ScalarType type = p.tensor().scalar_type().intern();
            if (type != ScalarType.Float) {
                throw Ranges.bad("the type of parameter " + name, type, "Float (float32)");
            }
            if (!p.tensor().is_leaf()) {
                throw Ranges.bad(
                        "parameter " + name, "the result of an operation", "a leaf of the graph");
            }
            if (names.put(name, p) != null) {
                throw Ranges.bad(
                        "parameters", "a list with two of the name " + name, "one of each");
            }
            String other = seen.put(p.tensor().unsafeGetTensorImpl().address(), name);
            if (other != null) {
                throw Ranges.bad("parameter " + name, "the tensor of " + other, "one of its own");
            }
        }
        if (parameters.stream().noneMatch(p -> p.tensor().requires_grad())) {
            throw new LngdArgumentException(
                    "parameters has none that requires a gradient; allowed is a list with one or more");
        }
    }

    private static String shape(Tensor tensor) {
        return LongStream.range(0, tensor.dim())
                .mapToObj(i -> Long.toString(tensor.size(i)))
                .collect(Collectors.joining(" x "));
    }

    /**
     * Moves every parameter that has a gradient by one step; the others stay as they are, with
     * their state.
     *
     * @throws LngdStateException if none has a gradient, one is sparse, a parameter was moved or
     *     converted after this was made, or (SOAP) the first gradient of a matrix has infinite
     *     numbers or none; nothing is changed then
     */
    public final void step() {
        checkOpen();
        try (PointerScope scope = new PointerScope();
                NoGradGuard guard = new NoGradGuard()) {
            List<ParameterStep> due = new ArrayList<>();
            List<Tensor> gradients = new ArrayList<>();
            for (ParameterStep step : steps) {
                Tensor gradient = step.gradient();
                if (gradient.defined()) {
                    due.add(step);
                    gradients.add(gradient);
                }
            }
            if (due.isEmpty()) {
                throw new LngdStateException(
                        "no parameter has a gradient (the first is "
                                + steps.get(0).name()
                                + "): call backward() of the loss before step()");
            }
            for (int i = 0; i < due.size(); i++) {
                due.get(i).prepare(gradients.get(i));
            }
            for (int i = 0; i < due.size(); i++) {
                stepInScope(due.get(i), gradients.get(i));
            }
        }
    }

    /** What a large matrix needs in between is freed before the next one. */
    private void stepInScope(ParameterStep step, Tensor gradient) {
        try (PointerScope scope = new PointerScope()) {
            step.step(gradient, learningRate);
        }
    }

    /**
     * Frees the gradients of the parameters, as {@code zero_grad} with {@code set_to_none} does.
     */
    public final void zeroGrad() {
        checkOpen();
        try (PointerScope scope = new PointerScope()) {
            steps.forEach(ParameterStep::clearGradient);
        }
    }

    /**
     * Sets the learning rate of the next steps: what a schedule calls.
     *
     * @param value 0 or more; with 0 the running averages go on and nothing moves
     * @throws LngdArgumentException if it is negative or not finite
     */
    public final void setLearningRate(double value) {
        checkOpen();
        learningRate = Ranges.notNegative("learningRate", value);
    }

    /**
     * The learning rate of the next step.
     *
     * @return the rate
     */
    public final double learningRate() {
        return learningRate;
    }

    /**
     * What is done with every parameter.
     *
     * @return the report; print it
     */
    public final OptimizerReport report() {
        return report;
    }

    /**
     * Everything that the next steps depend on but the parameters, which {@code Module.save}
     * writes, and the options: running averages, bases, counters, learning rate. With all of them
     * restored, and the same data, training goes on with the bits that it would have had.
     *
     * @return the state, 4 bytes a number and a few for names
     * @throws LngdStateException if it has more than 2^31 - 1 bytes
     */
    public final byte[] saveState() {
        checkOpen();
        return OptimizerState.write(getClass().getSimpleName(), learningRate, steps);
    }

    /**
     * Goes back to a saved state.
     *
     * @param state what {@link #saveState()} gave
     * @throws LngdArgumentException if it is null
     * @throws LngdStateDataException if it is damaged, or belongs to another optimizer or to other
     *     parameters; nothing is changed then
     */
    public final void restoreState(byte[] state) {
        checkOpen();
        learningRate =
                OptimizerState.read(
                        Ranges.notNull("state", state), getClass().getSimpleName(), steps);
    }

    /** Frees the state. The parameters stay as they are. A second call does nothing. */
    @Override
    public final void close() {
        if (!closed) {
            closed = true;
            steps.forEach(ParameterStep::close);
        }
    }

    private void checkOpen() {
        if (closed) {
            throw new LngdHandleException("this " + getClass().getSimpleName() + " was closed");
        }
    }
}
