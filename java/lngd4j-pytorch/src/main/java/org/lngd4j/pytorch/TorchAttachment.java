// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.pytorch;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.Tensor;
import org.lngd4j.Device;
import org.lngd4j.InversePlacement;
import org.lngd4j.LayerHealth;
import org.lngd4j.LngdOptimizer;
import org.lngd4j.LngdOptions;
import org.lngd4j.MemoryKind;
import org.lngd4j.ParameterRule;
import org.lngd4j.RegistrationReport;
import org.lngd4j.adapter.HealthWatch;
import org.lngd4j.gloo.InverseSharing;
import org.lngd4j.gloo.PlacementDecision;
import org.lngd4j.gloo.Ranks;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdException;
import org.lngd4j.nativelib.LngdStateException;

/** What stands between a model and the optimizer; {@link LngdTorch} is what the user holds. */
@SuppressWarnings("try") // scopes that are only opened and closed
final class TorchAttachment {
    private static final System.Logger LOGGER = System.getLogger("org.lngd4j.pytorch");

    private final Module model;
    private final long told; // the end of the schedule before any extension
    private final LngdOptimizer optimizer;
    private final List<LayerCapture> captures = new ArrayList<>();
    private final List<BoundLayer> layers = new ArrayList<>();
    private final Plans plans;
    private final Passes passes;
    private final Thread owner = Thread.currentThread();
    private final HealthWatch watch =
            new HealthWatch(this::health, line -> LOGGER.log(System.Logger.Level.WARNING, line));
    private RegistrationReport report;
    private ParallelStep parallel; // null: one process
    private InverseSharing inverses; // with ranks
    private AveragedWeights averaged; // while they are in the model
    private boolean leaveAverages = true;
    private long stream = -1; // none set yet
    private long steps;
    private long stepsPastEnd;
    private boolean endTold;
    private boolean scaled; // the optimizer was told of a scale that is still in force
    private boolean due; // statistics, of any layer, in the coming step
    private int epoch;

    private TorchAttachment(Module model, LngdOptions options, Registration registration) {
        this.model = model;
        List<Registration.Layer> trained = registration.trained();
        for (Registration.Layer layer : trained) {
            Parameter weight =
                    new Parameter(
                            layer.weight().name(), layer.weight().tensor(), layer.capture().form());
            Parameter bias =
                    layer.bias() == null
                            ? null
                            : new Parameter(layer.bias().name(), layer.bias().tensor(), null);
            captures.add(layer.capture());
            layers.add(new BoundLayer(layers.size(), weight, bias));
        }
        for (Registration.Named other : registration.others()) {
            Parameter parameter = new Parameter(other.name(), other.tensor(), null);
            layers.add(new BoundLayer(layers.size(), parameter, null));
        }
        this.told = options.schedule().end();
        this.report = new RegistrationReport(registration.entries(), List.of());
        this.optimizer = LngdOptimizer.create(onDevice(options, layers), registration.specs());
        this.plans = new Plans(optimizer, layers);
        this.passes = new Passes(optimizer, options(), captures, this::checkThread);
    }

    /**
     * Checks everything first: the model's layers are only touched when nothing can fail any more.
     */
    static TorchAttachment start(Module model, LngdOptions options, ParameterRule rule) {
        try (PointerScope scope = new PointerScope()) {
            Registration registration = Registration.of(model, rule, options.approximation());
            Requirements.check(registration, options);
            TorchAttachment made = new TorchAttachment(model, options, registration);
            made.captures.forEach(LayerCapture::attach);
            made.prepare();
            return made;
        }
    }

    /** From now on steps are those of all ranks; see {@link ParallelStart}. */
    void connect(Ranks with) {
        if (optimizer.sums().kind() != MemoryKind.HOST) {
            throw new LngdArgumentException(
                    "options.device is "
                            + options().device()
                            + ", allowed with ranks is CPU: Gloo adds in host memory");
        }
        optimizer.waitForSums(true);
        parallel = new ParallelStep(with, layers);
    }

    /** A collective, before the first plan is made. */
    void shareInverses(Ranks with, InversePlacement placement) {
        inverses = InverseSharing.start(optimizer, with, placement);
        report = new RegistrationReport(report.layers(), List.of(inverses.decision().toString()));
    }

    /** AUTO is where the parameters are: copying them to another device would only cost. */
    private static LngdOptions onDevice(LngdOptions options, List<BoundLayer> layers) {
        TorchTensor first = layers.get(0).weight().value();
        if (options.device() != Device.AUTO) {
            return options;
        }
        return first.kind() == MemoryKind.CUDA
                ? options.toBuilder().device(Device.CUDA, first.deviceIndex()).build()
                : options.toBuilder().device(Device.CPU).build();
    }

    private void prepare() {
        optimizer.schedule(steps, epoch);
        due = passes.prepare(steps);
    }

    // ---- a step ----

    /** The backward pass; with ranks gradients are added meanwhile. */
    void backward(Tensor loss) {
        if (parallel == null) {
            checkMayStep();
            LossCheck.check(loss);
            loss.backward();
        } else {
            parallel.backward(this::checkMayStep, loss, steps, epoch, options().schedule().end());
        }
    }

    void backwardWithoutSamples() {
        if (parallel == null) {
            throw new LngdStateException(
                    "a share without samples is one of several, but LNGD was attached without"
                            + " ranks");
        }
        parallel.backwardWithoutSamples(
                this::checkMayStep, steps, epoch, options().schedule().end());
    }

    void step(LossScale scale) {
        if (parallel == null) {
            scale.check();
            checkMayStep();
        } else {
            Runnable check =
                    () -> {
                        scale.check();
                        checkMayStep();
                    };
            parallel.meet(
                    check,
                    due || inverses.decision().placement() == InversePlacement.OWNED,
                    steps,
                    epoch,
                    options().schedule().end(),
                    scale);
        }
        if (steps >= options().schedule().end()) {
            passEnd();
            return;
        }
        try {
            move(scale);
        } catch (RuntimeException | Error e) {
            if (parallel != null) {
                parallel.abandon(e);
            }
            throw e;
        }
        steps++;
        watch.stepped(steps);
        prepare();
    }

    private void checkMayStep() {
        checkThread();
        checkNotSwapped("the next step");
    }

    private void move(LossScale scale) {
        if (parallel != null) {
            parallel.reduceGradients();
        }
        plans.look();
        takeStream();
        try {
            tellScale(scale);
            passes.observe();
            if (parallel != null && due) {
                parallel.reduceStatistics(optimizer);
            }
            double factor = optimizer.schedule(steps, epoch);
            if (inverses != null) {
                plans.exchange(inverses);
            }
            plans.step(factor);
            if (parallel != null && due) {
                plans.discardUnreached();
            }
        } catch (RuntimeException | Error e) {
            discard();
            throw e;
        } finally {
            // Not before the step: on a GPU what was observed is read until then, and PyTorch would
            // hand its memory to the next tensor.
            passes.forget();
        }
        if (parallel != null) {
            parallel.stepped();
        }
    }

    private void tellScale(LossScale scale) {
        if (scale.isNone() && !scaled) {
            return;
        }
        scaled = true; // also where the next line fails
        if (parallel != null) {
            LossScale.tell(optimizer, scale.value(), parallel.found());
        } else {
            scale.tell(optimizer);
        }
        scaled = !scale.isNone();
    }

    /** On a GPU everything is done in the order of the stream that PyTorch works on now. */
    private void takeStream() {
        if (optimizer.device() != Device.CUDA) {
            return;
        }
        long now = CudaStream.current(optimizer.deviceIndex());
        if (now != stream) {
            optimizer.stream(now);
            stream = now;
        }
    }

    /** What was observed belongs to gradients that nobody steps any more. */
    private void discard() {
        try {
            optimizer.discard();
        } catch (LngdException e) { // a device that is lost has said so already
            LOGGER.log(System.Logger.Level.DEBUG, "nothing to discard", e);
        }
    }

    private void passEnd() {
        passes.forget();
        if (parallel != null) {
            parallel.stepped();
        }
        stepsPastEnd++;
        if (!endTold) {
            endTold = true;
            LOGGER.log(
                    System.Logger.Level.WARNING,
                    "the schedule {0} has ended: from step {1} on nothing is trained any more. Tell"
                            + " LngdOptions the length of the whole run, or call LngdTorch.extend",
                    options().schedule(),
                    Long.toString(steps));
        }
    }

    /** This rank's share of the coming batch; see {@link LngdTorch#share}. */
    void share(long first, long samples) {
        checkThread();
        if (parallel == null) {
            throw new LngdStateException(
                    "share tells which samples this rank has, but LNGD was attached without ranks");
        }
        passes.first(first);
        parallel.share(first, samples);
    }

    /** The run goes on for longer; see {@link LngdTorch#extend}. */
    void extend(long more) {
        checkThread();
        optimizer.extend(more);
        endTold = false;
        prepare();
    }

    private void checkThread() {
        if (Thread.currentThread() != owner) {
            throw new LngdStateException(
                    "thread "
                            + Thread.currentThread().getName()
                            + " trains the model, allowed is the one that attached LNGD, "
                            + owner.getName());
        }
    }

    // ---- averaged weights ----

    private void checkNotSwapped(String what) {
        if (averaged != null) {
            throw new LngdStateException(
                    "the model holds averaged weights: close AveragedWeights before " + what);
        }
    }

    AveragedWeights swapIn() {
        checkThread();
        if (!options().averaging()) {
            throw new LngdStateException(
                    "averaging is off: switch it on with LngdOptions.Builder.averaging(true)");
        }
        checkNotSwapped("asking for them again");
        if (steps > 0) {
            plans.swapAverages();
        }
        averaged = new AveragedWeights(this);
        return averaged;
    }

    void release(AveragedWeights weights) {
        if (averaged == weights) {
            averaged = null;
            if (steps > 0) {
                plans.swapAverages();
            }
        }
    }

    void leaveAverages(boolean leave) {
        leaveAverages = leave;
    }

    // ---- saving, the end ----

    void saveState(OutputStream out) throws IOException {
        checkNotSwapped("saving");
        new StateHeader(steps, epoch, told, optimizer.extension()).write(out);
        optimizer.saveState(out);
    }

    void restoreState(InputStream state) throws IOException {
        checkNotSwapped("restoring");
        if (parallel != null) {
            parallel.restored();
        }
        StateHeader header = StateHeader.read(state, told);
        passes.forget();
        optimizer.restoreState(state, header.extension());
        steps = header.steps();
        epoch = header.epoch();
        stepsPastEnd = 0;
        endTold = false;
        watch.restored(steps);
        prepare();
    }

    void close() {
        try {
            tellAtClose();
            boolean leave = leaveAverages && options().averaging();
            if (averaged != null && !leave) {
                averaged.close();
            } else if (averaged == null && leave && steps > 0) {
                plans.swapAverages();
            }
        } finally {
            averaged = null;
            captures.forEach(LayerCapture::detach);
            passes.forget();
            optimizer.close();
            if (parallel != null) {
                parallel.close();
            }
        }
    }

    private void tellAtClose() {
        try {
            watch.tell();
        } catch (LngdException e) { // a device that is lost: closing goes on
            LOGGER.log(
                    System.Logger.Level.WARNING,
                    "the health of the layers cannot be read: " + e.getMessage());
        }
        if (stepsPastEnd > 0) {
            LOGGER.log(
                    System.Logger.Level.WARNING,
                    "{0} steps after the end of the schedule {1} have moved nothing",
                    Long.toString(stepsPastEnd),
                    options().schedule());
        }
    }

    // ---- what it knows ----

    Map<String, LayerHealth> health() {
        Map<String, LayerHealth> health = new LinkedHashMap<>();
        for (int i = 0; i < layers.size(); i++) {
            health.put(optimizer.layers().get(i).name(), optimizer.health(i));
        }
        return health;
    }

    Module model() {
        return model;
    }

    LngdOptimizer optimizer() {
        return optimizer;
    }

    LngdOptions options() {
        return optimizer.options();
    }

    RegistrationReport report() {
        return report;
    }

    PlacementDecision inverses() {
        if (inverses == null) {
            throw new LngdStateException(
                    "inverses are computed on one of several ranks, or on all of them, but LNGD was"
                            + " attached without ranks");
        }
        return inverses.decision();
    }

    double gradientNorm() {
        checkThread();
        return plans.gradientNorm();
    }

    long steps() {
        return steps;
    }

    long stepsPastEnd() {
        return stepsPastEnd;
    }

    void epoch(int value) {
        epoch = value;
    }
}
