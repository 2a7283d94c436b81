// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.bytedeco.javacpp.PointerScope;
import org.lngd4j.cli.support.FloatVectors;
import org.lngd4j.cli.train.FirstOrderSettings;
import org.lngd4j.cli.train.TrainSettings;
import org.lngd4j.cli.train.TrainingMethod;
import org.nd4j.linalg.schedule.ISchedule;

/**
 * One of {@link TorchOptimizers} with a cosine schedule to 0 and, where wanted, averaged weights:
 * the settings and their defaults are those of the engine DL4J.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class TorchFirstOrder implements TrainingMethod {
    private final FirstOrderSettings settings;
    private final TorchStep optimizer;
    private final ISchedule rate;
    private final TorchAverage average; // null: none
    private long steps;

    TorchFirstOrder(TorchNetwork net, TrainSettings settings, long totalSteps) {
        this.settings = new FirstOrderSettings(settings);
        this.rate = this.settings.schedule(totalSteps);
        this.optimizer = TorchOptimizers.of(this.settings, net.module());
        this.average =
                settings.averagedWeights() == Boolean.FALSE
                        ? null
                        : new TorchAverage(net.module().parameters());
    }

    @Override
    public String describe() {
        return "PyTorch " + settings.describe();
    }

    @Override
    public List<String> notices() {
        return optimizer.notices();
    }

    @Override
    public Map<String, Object> details() {
        return settings.details();
    }

    @Override
    public String device() {
        return "cpu";
    }

    @Override
    public void afterStep() {
        try (PointerScope scope = new PointerScope()) {
            optimizer.step(rate.valueAt(Math.toIntExact(steps), 0));
            if (average != null) {
                average.afterStep();
            }
        }
        steps++;
    }

    @Override
    public boolean averages() {
        return average != null;
    }

    @Override
    public <T> T withAveragedWeights(Supplier<T> action) {
        return average == null ? action.get() : average.callWithAverage(action);
    }

    /** Steps, the optimizer's state, then the averages. */
    @Override
    public void save(Path file) throws IOException {
        try (DataOutputStream out =
                new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(file)))) {
            byte[] state = optimizer.save();
            out.writeLong(steps);
            out.writeInt(state.length);
            out.write(state);
            out.writeBoolean(average != null);
            if (average != null) {
                FloatVectors.write(average.vector(), out);
            }
        }
    }

    @Override
    public void restore(Path file) throws IOException {
        try (DataInputStream in =
                new DataInputStream(new BufferedInputStream(Files.newInputStream(file)))) {
            steps = in.readLong();
            optimizer.restore(in.readNBytes(in.readInt()));
            if (in.readBoolean() != (average != null)) {
                throw new IOException(
                        "the checkpoint and the options disagree about averaged weights");
            }
            if (average != null) {
                average.restore(FloatVectors.read(in), steps);
            }
        }
    }

    @Override
    public Map<String, Double> kernelSeconds() {
        return Map.of();
    }

    @Override
    public void close() {
        optimizer.close();
    }
}
