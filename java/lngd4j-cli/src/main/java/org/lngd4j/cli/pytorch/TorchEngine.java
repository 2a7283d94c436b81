// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.OutputArchive;
import org.bytedeco.pytorch.global.torch;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.model.ImageModelSpec;
import org.lngd4j.cli.model.ImageNetwork;
import org.lngd4j.cli.model.ModelSpec;
import org.lngd4j.cli.model.Network;
import org.lngd4j.cli.model.TransformerSpec;
import org.lngd4j.cli.model.TranslationNetwork;
import org.lngd4j.cli.pytorch.transformer.Transformer;
import org.lngd4j.cli.support.Natives;
import org.lngd4j.cli.train.Engine;
import org.lngd4j.cli.train.LngdChoice;
import org.lngd4j.cli.train.RunLength;
import org.lngd4j.cli.train.TrainSettings;
import org.lngd4j.cli.train.TrainingMethod;
import org.nd4j.linalg.api.ndarray.INDArray;

/** JavaCPP's PyTorch. */
public final class TorchEngine implements Engine {
    @Override
    public void check(TrainSettings settings) {
        if (settings.optimizer().isOfLibrary()) {
            LngdChoice.device(settings);
        } else if (!TorchOptimizers.has(settings.optimizer())) {
            throw CliException.badInput(
                    "--optimizer "
                            + settings.optimizer()
                            + " is not there with --engine pytorch; there are those of LNGD's library, "
                            + TorchOptimizers.names());
        }
        load();
        torch.set_num_threads(settings.threads());
    }

    private static void load() {
        try {
            Natives.load(torch::get_num_threads);
        } catch (LinkageError e) {
            throw CliException.failure(
                    "--engine pytorch: PyTorch's natives cannot be loaded ("
                            + e.getMessage()
                            + "); the command lngd fetches them",
                    e);
        }
    }

    @Override
    public ImageNetwork network(TrainSettings settings, ImageModelSpec spec, long totalSteps) {
        return new TorchImages(TorchModel.of(spec, settings.seed()), spec.reconstructs());
    }

    @Override
    public TranslationNetwork translation(TrainSettings settings, TransformerSpec spec) {
        return new TorchTranslation(
                transformer(settings, spec),
                settings.text().labelSmoothingOrDefault(),
                settings.seed());
    }

    private static Transformer transformer(TrainSettings settings, TransformerSpec spec) {
        torch.manual_seed(settings.seed());
        return new Transformer(spec, settings.text().dropoutOrDefault());
    }

    @Override
    public TrainingMethod method(TrainSettings settings, Network net, RunLength length) {
        TorchNetwork network = (TorchNetwork) net;
        return settings.optimizer().isOfLibrary()
                ? new TorchLngd(network, settings, length)
                : new TorchFirstOrder(network, settings, length.steps());
    }

    @Override
    public String modelFile() {
        return "model.pt";
    }

    /** An archive of named tensors, which {@code Module.load} reads. */
    @Override
    public void write(Path file, TrainSettings settings, ModelSpec spec, INDArray weights)
            throws IOException {
        Module plain =
                spec instanceof TransformerSpec sentences
                        ? transformer(settings, sentences)
                        : TorchModel.of((ImageModelSpec) spec, settings.seed());
        ModuleState.assign(plain, weights);
        // The archive has the file's name inside of it: the same weights, the same bytes.
        Path folder = Files.createTempDirectory(file.toAbsolutePath().getParent(), ".model");
        Path made = folder.resolve(file.getFileName());
        try (OutputArchive archive = new OutputArchive()) {
            plain.save(archive);
            archive.save_to(made.toString());
            Files.move(
                    made,
                    file,
                    StandardCopyOption.REPLACE_EXISTING,
                    StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(made);
            Files.delete(folder);
        }
    }
}
