// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.InputArchive;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.OutputArchive;
import org.lngd4j.cli.optimizer.CosineSchedule;
import org.lngd4j.cli.support.FloatVectors;
import org.lngd4j.cli.train.FirstOrderSettings;
import org.lngd4j.cli.train.TrainSettings;
import org.lngd4j.cli.train.TrainingMethod;
import org.nd4j.linalg.schedule.ISchedule;

/**
 * One of PyTorch's own optimizers with a cosine schedule to 0 and, where wanted, averaged weights:
 * the settings and their defaults are those of the engine DL4J.
 */
@SuppressWarnings("try") // scopes that are only opened and closed
final class TorchFirstOrder implements TrainingMethod {
    private final FirstOrderSettings settings;
    private final TorchNetwork net;
    private final Optimizer optimizer;
    private final ISchedule rate;
    private final TorchAverage average; // null: none
    private long steps;

    TorchFirstOrder(TorchNetwork net, TrainSettings settings, long totalSteps) {
        this.settings = new FirstOrderSettings(settings);
        this.net = net;
        this.rate = new CosineSchedule(this.settings.learningRate(), totalSteps);
        this.optimizer =
                TorchOptimizers.of(
                        settings.optimizer(),
                        net.model().parameters(),
                        this.settings.learningRate(),
                        this.settings.momentum(),
                        this.settings.weightDecay());
        this.average =
                settings.averagedWeights() == Boolean.FALSE
                        ? null
                        : new TorchAverage(net.model().parameters());
    }

    @Override
    public String describe() {
        return "PyTorch " + settings.describe();
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
            optimizer
                    .param_groups()
                    .get(0)
                    .options()
                    .set_lr(rate.valueAt(Math.toIntExact(steps), 0));
            optimizer.step();
            optimizer.zero_grad();
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

    /** PyTorch's archive of the optimizer, then the averages. */
    @Override
    public void save(Path file) throws IOException {
        Path state = Files.createTempFile("lngd-torch", ".tmp");
        try (DataOutputStream out =
                        new DataOutputStream(
                                new BufferedOutputStream(Files.newOutputStream(file)));
                OutputArchive archive = new OutputArchive()) {
            optimizer.save(archive);
            archive.save_to(state.toString());
            out.writeLong(steps);
            out.writeInt(Math.toIntExact(Files.size(state)));
            Files.copy(state, out);
            out.writeBoolean(average != null);
            if (average != null) {
                FloatVectors.write(average.vector(), out);
            }
        } finally {
            Files.deleteIfExists(state);
        }
    }

    @Override
    public void restore(Path file) throws IOException {
        Path state = Files.createTempFile("lngd-torch", ".tmp");
        try (DataInputStream in =
                        new DataInputStream(new BufferedInputStream(Files.newInputStream(file)));
                InputArchive archive = new InputArchive()) {
            steps = in.readLong();
            Files.write(state, in.readNBytes(in.readInt()));
            archive.load_from(state.toString());
            optimizer.load(archive);
            if (in.readBoolean() != (average != null)) {
                throw new IOException(
                        String.format(
                                Locale.ROOT,
                                "the checkpoint and the options disagree about averaged weights"));
            }
            if (average != null) {
                average.restore(FloatVectors.read(in), steps);
            }
        } finally {
            Files.deleteIfExists(state);
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
