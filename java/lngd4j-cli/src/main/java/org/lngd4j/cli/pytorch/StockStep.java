// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.bytedeco.pytorch.InputArchive;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.OutputArchive;

/** One of torch::optim; its state is PyTorch's archive, which is written to files only. */
record StockStep(Optimizer optimizer) implements TorchStep {
    @Override
    public void step(double learningRate) {
        optimizer.param_groups().get(0).options().set_lr(learningRate);
        optimizer.step();
        optimizer.zero_grad();
    }

    @Override
    public List<String> notices() {
        return List.of();
    }

    @Override
    public byte[] save() throws IOException {
        Path state = Files.createTempFile("lngd-torch", ".tmp");
        try (OutputArchive archive = new OutputArchive()) {
            optimizer.save(archive);
            archive.save_to(state.toString());
            return Files.readAllBytes(state);
        } finally {
            Files.deleteIfExists(state);
        }
    }

    @Override
    public void restore(byte[] saved) throws IOException {
        Path state = Files.createTempFile("lngd-torch", ".tmp");
        try (InputArchive archive = new InputArchive()) {
            Files.write(state, saved);
            archive.load_from(state.toString());
            optimizer.load(archive);
        } finally {
            Files.deleteIfExists(state);
        }
    }

    @Override
    public void close() {
        optimizer.close();
    }
}
