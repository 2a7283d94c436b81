// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.lngd4j.cli.data.IdxWriter;

/** The optimizers of the library through the command. */
class LibraryUpdatersTest {
    @TempDir Path folder;

    private Path data;

    @BeforeEach
    void writeDataset() throws IOException {
        data = folder.resolve("data");
        IdxWriter.dataset(data, 200, 60, 16, 4);
    }

    @ParameterizedTest
    @ValueSource(strings = {"adamw", "muon", "muon-decay", "soap"})
    void trainsConvolutionsAndResidualGraphs(String optimizer) {
        for (String model : new String[] {"lenet", "resnet8"}) {
            CommandResult result = train(optimizer, model, "--momentum", "0.8");
            assertThat(result.err()).contains(optimizer + ", learning rate 0.003, cosine to 0");
            assertThat(result.status()).as(result.err()).isZero();
        }
    }

    @Test
    void tellsWhatAdamWTrainsAndWhy() {
        assertThat(train("muon", "lenet").err())
                .contains("by AdamW and not by muon: layer0: the first convolution")
                .contains("by AdamW and not by muon: layer5: an output layer");
        assertThat(train("soap", "resnet8").err()).contains("no weight matrix known in Batch");
        assertThat(train("adamw", "lenet").err()).doesNotContain("not by adamw");
    }

    private CommandResult train(String optimizer, String model, String... more) {
        String[] base = {
            "train",
            "--data",
            data.toString(),
            "--model",
            model,
            "--optimizer",
            optimizer,
            "--epochs",
            "1",
            "--batch",
            "50",
            "--out",
            folder.resolve(optimizer + model).toString()
        };
        String[] all = java.util.Arrays.copyOf(base, base.length + more.length);
        System.arraycopy(more, 0, all, base.length, more.length);
        return CommandResult.of(all);
    }
}
