// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.pytorch;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.assertj.core.data.Offset;
import org.bytedeco.pytorch.InputArchive;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lngd4j.cli.data.IdxWriter;
import org.lngd4j.cli.model.MlpSpec;
import org.lngd4j.cli.train.CommandResult;
import org.lngd4j.cli.train.HealthCounts;
import org.lngd4j.cli.train.MetricsRow;
import org.lngd4j.cli.train.Quality;
import org.lngd4j.cli.train.RunLength;
import org.lngd4j.cli.train.TrainSettings;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** {@code lngd train --engine pytorch}. */
class TorchEngineTest {
    @TempDir private Path folder;
    private Path data;

    @BeforeEach
    void writeDataset() throws IOException {
        data = folder.resolve("data");
        IdxWriter.dataset(data, 320, 100, 20, 4);
    }

    private CommandResult train(String run, String... more) {
        List<String> arguments =
                new ArrayList<>(List.of("train", "--engine", "pytorch", "--data", data.toString()));
        arguments.addAll(List.of("--out", folder.resolve(run).toString(), "--batch", "32"));
        arguments.addAll(List.of(more));
        return CommandResult.of(arguments.toArray(String[]::new));
    }

    private List<MetricsRow> rows(String run) throws IOException {
        return Files.readAllLines(folder.resolve(run).resolve("metrics.csv")).stream()
                .skip(1)
                .map(MetricsRow::parse)
                .toList();
    }

    @ParameterizedTest
    @CsvSource({
        "mlp:16, lngd, recipe",
        "mlp:16, lngd, recommended",
        "mlp:16, kfac-trust-decay,",
        "mlp:16, ngplus,",
        "mlp:16, sgd,",
        "mlp:16, adam,",
        "mlp:16, adamw,",
        "mlp:16, muon,",
        "mlp:16, muon-decay,",
        "lenet, soap,",
        "lenet, lngd, recipe",
        "lenet, lngd, recommended",
        "resnet8, lngd, recommended",
        "resnet8, sgd,"
    })
    void learnsTheClasses(String model, String optimizer, String preset) throws IOException {
        List<String> more = new ArrayList<>(List.of("--model", model, "--optimizer", optimizer));
        more.addAll(List.of("--epochs", "6", "--eval-every", "3"));
        if (optimizer.startsWith("muon") || optimizer.equals("soap")) {
            // Their steps do not grow with the gradient: 60 of the default rate are not enough.
            more.addAll(List.of("--learning-rate", "0.01"));
        }
        if (preset != null) {
            more.addAll(List.of("--preset", preset));
        }
        CommandResult result = train("run", more.toArray(String[]::new));

        assertThat(result.err()).doesNotContain("Warning");
        assertThat(result.status()).isZero();
        assertThat(result.out()).contains("PyTorch");
        // The data set is made so that guessing gives 25 %.
        assertThat(rows("run").get(1).testAccuracy()).isGreaterThan(0.9);
        assertThat(folder.resolve("run/summary.json")).content().contains("\"pytorch\"");
        try (InputArchive archive = new InputArchive()) {
            archive.load_from(folder.resolve("run/model.pt").toString());
            assertThat(archive.keys().size()).isPositive();
        }
    }

    @Test
    void tellsWhatAdamWTrainsAndWhy() {
        CommandResult muon = train("muon", "--model=lenet", "--optimizer=muon", "--epochs=1");
        assertThat(muon.err())
                .contains("PyTorch muon, learning rate 0.003, cosine to 0")
                .contains("by AdamW and not by muon: conv1: the first convolution")
                .contains("by AdamW and not by muon: fc2: an output layer");
        CommandResult soap = train("soap", "--model=lenet", "--optimizer=soap", "--epochs=1");
        assertThat(soap.err())
                .contains("PyTorch soap, learning rate 0.003, cosine to 0, weight decay 0.01")
                .doesNotContain("not by soap");
    }

    @Test
    void lngdCountsWhatItLeavesOut() {
        Nd4j.getBackend();
        TorchImages net = new TorchImages(TorchModel.of(new MlpSpec(List.of(6, 5, 3)), 1), false);
        Map<String, Object> options = new LinkedHashMap<>(Map.of("data", "none", "model", "mlp"));
        options.putAll(Map.of("optimizer", "lngd", "preset", "recipe", "engine", "pytorch"));
        options.putAll(Map.of("batch", 8, "epochs", 1, "seed", 1, "eval-every", 1));
        options.putAll(Map.of("device", "cpu", "threads", 1));
        try (TorchLngd method =
                new TorchLngd(net, TrainSettings.of(options), new RunLength(10, 8))) {
            INDArray labels = Nd4j.zeros(8, 3);
            labels.getColumn(0).assign(1);
            net.fit(Nd4j.rand(8, 6), labels);
            method.afterStep();
            assertThat(method.health()).isEqualTo(new HealthCounts(0, 0, 0));
            INDArray bad = Nd4j.rand(8, 6);
            bad.putScalar(0, 0, Double.NaN);
            net.fit(bad, labels);
            method.afterStep();
            assertThat(method.health()).isEqualTo(new HealthCounts(2, 0, 0));
        }
    }

    @Test
    void learnsToReconstruct() throws IOException {
        CommandResult result =
                train(
                        "run",
                        "--model=ae:400-30-8",
                        "--preset=recipe-fit",
                        "--epochs=6",
                        "--eval-every=3");
        assertThat(result.status()).isZero();
        List<MetricsRow> rows = rows("run");
        assertThat(rows.get(1).trainLoss()).isLessThan(rows.get(0).trainLoss());
        assertThat(rows.get(1).quality()).isEqualTo(Quality.NONE);
    }

    @Test
    void parametersGoThroughOneVectorAndBack() {
        Nd4j.getBackend();
        TorchImages net = new TorchImages(TorchModel.of(new MlpSpec(List.of(6, 5, 3)), 1), false);
        TorchImages other = new TorchImages(TorchModel.of(new MlpSpec(List.of(6, 5, 3)), 2), false);
        INDArray weights = net.params();
        assertThat(weights.length()).isEqualTo(6 * 5 + 5 + 5 * 3 + 3);
        assertThat(other.params()).isNotEqualTo(weights);
        other.setParams(weights);
        assertThat(other.params()).isEqualTo(weights);
        INDArray x = Nd4j.rand(4, 6);
        assertThat(other.output(x)).isEqualTo(net.output(x));
        for (float sum : net.output(x).sum(1).toFloatVector()) {
            assertThat(sum).isCloseTo(1f, Offset.offset(1e-6f));
        }
    }

    @Test
    void whatTheEngineLacksIsNamed() {
        CommandResult optimizer = train("run", "--optimizer", "lars");
        assertThat(optimizer.status()).isEqualTo(2);
        assertThat(optimizer.err()).contains("--optimizer lars").contains("adamw");
        CommandResult engine = CommandResult.of("train", "--engine", "jax");
        assertThat(engine.status()).isEqualTo(2);
        assertThat(engine.err()).contains("--engine jax: must be dl4j, pytorch");
        assertThat(folder.resolve("run")).doesNotExist();
    }
}
