// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Module;
import org.lngd4j.LngdOptions;
import org.lngd4j.ParameterRule;
import org.lngd4j.cli.pytorch.transformer.Transformer;
import org.lngd4j.cli.train.HealthCounts;
import org.lngd4j.cli.train.LngdChoice;
import org.lngd4j.cli.train.LngdDescription;
import org.lngd4j.cli.train.RunLength;
import org.lngd4j.cli.train.TrainSettings;
import org.lngd4j.cli.train.TrainingMethod;
import org.lngd4j.pytorch.AveragedWeights;
import org.lngd4j.pytorch.LngdTorch;

/** LNGD or a KFAC of the same library, attached to a module by one line, as a user would. */
final class TorchLngd implements TrainingMethod {
    // Batch norm learns well at this rate; it is that of the engine DL4J, not tuned either.
    private static final double OTHERS_RATE = 0.03;

    // Of a Transformer's norms: what the tuning of Muon on Multi30k found for its AdamW, which
    // moves the same. At 0.003, 0.01 and 0.03 test losses after four epochs were 2.97, 2.48 and
    // 2.37 (one seed).
    private static final double NORMS_RATE = 0.03;

    private final LngdTorch training;
    private final LngdDescription told;
    private final ParameterRule others;
    private final String device;

    TorchLngd(TorchNetwork net, TrainSettings settings, RunLength length) {
        LngdOptions options =
                LngdChoice.options(
                        settings,
                        () -> LngdTorch.recommended(net.module(), length.steps(), length.rows()),
                        length.steps());
        others = others(net.module());
        training = LngdTorch.attach(net.module(), options, others);
        told = new LngdDescription(options, training.report());
        device = LngdChoice.device(settings);
    }

    /** What moves the parameters that LNGD leaves. */
    private static ParameterRule others(Module model) {
        return model instanceof Transformer
                ? ParameterRule.adamW().learningRate(NORMS_RATE)
                : othersOfImages();
    }

    static ParameterRule othersOfImages() {
        return ParameterRule.nesterov(OTHERS_RATE);
    }

    @Override
    public String describe() {
        return told.describe() + ", PyTorch";
    }

    @Override
    public List<String> notices() {
        return told.notices();
    }

    @Override
    public Map<String, Object> details() {
        Map<String, Object> details = told.details();
        details.put("otherParameters", others.toString());
        return details;
    }

    @Override
    public String device() {
        return device;
    }

    @Override
    public void afterStep() {
        training.step();
        training.zeroGrad();
    }

    @Override
    public boolean averages() {
        return training.options().averaging();
    }

    @Override
    @SuppressWarnings("try") // the averages are in the model as long as it is open
    public <T> T withAveragedWeights(Supplier<T> action) {
        if (!averages()) {
            return action.get();
        }
        try (AveragedWeights swapped = training.averagedWeights()) {
            return action.get();
        }
    }

    @Override
    public void save(Path file) throws IOException {
        Files.write(file, training.saveState());
    }

    @Override
    public void restore(Path file) throws IOException {
        training.restoreState(Files.readAllBytes(file));
    }

    @Override
    public Map<String, Double> kernelSeconds() {
        return LngdDescription.seconds(training.times());
    }

    @Override
    public HealthCounts health() {
        return HealthCounts.of(training.health().values());
    }

    @Override
    public void close() {
        training.close();
    }
}
