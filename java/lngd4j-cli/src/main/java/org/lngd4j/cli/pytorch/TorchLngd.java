// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Module;
import org.lngd4j.Approximation;
import org.lngd4j.LngdOptions;
import org.lngd4j.ParameterRule;
import org.lngd4j.cli.pytorch.transformer.Transformer;
import org.lngd4j.cli.train.HealthCounts;
import org.lngd4j.cli.train.LngdChoice;
import org.lngd4j.cli.train.LngdDescription;
import org.lngd4j.cli.train.TrainSettings;
import org.lngd4j.cli.train.TrainingMethod;
import org.lngd4j.pytorch.AveragedWeights;
import org.lngd4j.pytorch.LngdTorch;

/** LNGD or a KFAC of the same library, attached to a module by one line, as a user would. */
final class TorchLngd implements TrainingMethod {
    // Batch norm learns well at this rate; it is that of the engine DL4J, not tuned either.
    private static final double OTHERS_RATE = 0.03;

    // Of a Transformer, not tuned: AdamW's start in the comparisons for norms alone; with
    // embeddings
    // the rate of Muon's AdamW as it was tuned there.
    private static final double NORMS_RATE = 0.003;
    private static final double WORDS_RATE = 0.03;

    private final LngdTorch training;
    private final LngdDescription told;
    private final String device;

    TorchLngd(TorchNetwork net, TrainSettings settings, long totalSteps) {
        LngdOptions options =
                LngdChoice.options(
                        settings,
                        () -> LngdTorch.recommended(net.module(), totalSteps, settings.batch()),
                        totalSteps);
        training = LngdTorch.attach(net.module(), options, others(net.module(), options));
        told = new LngdDescription(options, training.report());
        device = LngdChoice.device(settings);
    }

    /** What moves the parameters that LNGD leaves. */
    private static ParameterRule others(Module model, LngdOptions options) {
        if (!(model instanceof Transformer)) {
            return ParameterRule.nesterov(OTHERS_RATE);
        }
        // The gradients of embeddings, where LNGD leaves them, are far too uneven for SGD.
        boolean leavesWords = options.approximation() != Approximation.LNGD;
        return ParameterRule.adamW().learningRate(leavesWords ? WORDS_RATE : NORMS_RATE);
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
        return told.details();
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
