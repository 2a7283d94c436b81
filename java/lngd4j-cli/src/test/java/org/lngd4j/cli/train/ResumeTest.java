// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.util.ModelSerializer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.lngd4j.cli.Engines;
import org.lngd4j.cli.data.IdxWriter;

/**
 * A run that is stopped and resumed, again and again, against the same run left alone: every bit
 * must agree.
 */
class ResumeTest {
    @TempDir Path folder;

    private final ByteArrayOutputStream told = new ByteArrayOutputStream();
    private Path data;

    @BeforeEach
    void writeDataset() throws IOException {
        data = folder.resolve("data");
        IdxWriter.dataset(data, 200, 60, 6, 4);
    }

    @ParameterizedTest
    @EnumSource
    void stoppedAfterEveryStepAndResumed(OptimizerKind optimizer) throws IOException {
        stoppedAndResumed(settings(optimizer, null));
    }

    /** What is recommended is asked again at each resume. */
    @ParameterizedTest
    @ValueSource(strings = {"block-kronecker-fit", "recommended"})
    void presetsAreResumedToo(String preset) throws IOException {
        stoppedAndResumed(settings(OptimizerKind.LNGD, preset));
    }

    @ParameterizedTest
    @EnumSource(names = {"LNGD", "ADAMW", "MUON_DECAY", "SOAP"})
    void thePyTorchEngineIsResumedToo(OptimizerKind optimizer) throws IOException {
        Map<String, Object> options = settings(optimizer, null).toMap();
        options.put("engine", "pytorch");
        stoppedAndResumed(TrainSettings.of(options));
    }

    /** With dropout, which depends on seed and step alone. */
    @ParameterizedTest
    @EnumSource(names = {"LNGD", "ADAMW"})
    void translationsAreResumedToo(OptimizerKind optimizer) throws IOException {
        Path sentences = Files.createDirectory(folder.resolve("sentences"));
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 60; i++) {
            text.append("a b c d e ".repeat(1 + i % 3)).append((char) ('f' + i % 7)).append('\n');
        }
        for (String file : List.of("train", "val", "test")) {
            Files.writeString(sentences.resolve(file + ".en"), text);
            Files.writeString(sentences.resolve(file + ".de"), text);
        }
        Map<String, Object> options = settings(optimizer, null).toMap();
        options.put("data", sentences.toString());
        options.put("model", "transformer:1-8-2-8");
        options.put("engine", "pytorch");
        options.put("dropout", 0.2);
        options.put("vocabulary", 300);
        options.put("batch", 20);
        stoppedAndResumed(TrainSettings.of(options), 6);
    }

    // 13 batches of 16 (the last of 8) an epoch, two epochs.
    private void stoppedAndResumed(TrainSettings settings) throws IOException {
        stoppedAndResumed(settings, 26);
    }

    private void stoppedAndResumed(TrainSettings settings, int steps) throws IOException {
        PrintStream stream = new PrintStream(told, true);
        int status =
                TrainRun.fresh(
                                settings,
                                path("whole"),
                                stream,
                                stream,
                                StopSignal::new,
                                Engines::of)
                        .execute();
        assertThat(status).isZero();

        // A signal that is there from the start stops a run after its first step.
        Supplier<StopSignal> atOnce =
                () -> {
                    StopSignal signal = new StopSignal();
                    signal.request();
                    return signal;
                };
        status =
                TrainRun.fresh(settings, path("pieces"), stream, stream, atOnce, Engines::of)
                        .execute();
        int stops = 0;
        while (status == StopSignal.EXIT_STATUS) {
            stops++;
            status =
                    TrainRun.resumed(
                                    path("pieces"), null, null, stream, stream, atOnce, Engines::of)
                            .execute();
        }

        assertThat(status).isZero();
        assertThat(stops).isEqualTo(steps - 1); // after every step but the last
        assertThat(withoutSeconds("pieces")).isEqualTo(withoutSeconds("whole"));
        if (settings.engine() == null) {
            assertThat(model("pieces").params().toFloatVector())
                    .isEqualTo(model("whole").params().toFloatVector());
        } else {
            assertThat(folder.resolve("pieces/model.pt"))
                    .hasSameBinaryContentAs(folder.resolve("whole/model.pt"));
        }
        assertThat(told.toString()).contains("go on with: lngd train --resume " + path("pieces"));
    }

    @Test
    void aKilledRunGoesOnFromItsLastEvaluation() throws IOException {
        PrintStream stream = new PrintStream(told, true);
        TrainSettings settings = settings(OptimizerKind.SGD, null);
        TrainRun.fresh(settings, path("whole"), stream, stream, StopSignal::new, Engines::of)
                .execute();
        // As if killed after the evaluation of step 26 wrote its row and before it wrote its
        // checkpoint.
        Supplier<StopSignal> never = StopSignal::new;
        TrainRun.fresh(settings, path("killed"), stream, stream, never, Engines::of).execute();
        byte[] rows = Files.readAllBytes(folder.resolve("killed/metrics.csv"));
        Files.delete(folder.resolve("killed/checkpoint.zip"));
        for (String file : List.of("metrics.csv", "model.zip", "summary.json", "curves.png")) {
            Files.delete(folder.resolve("killed").resolve(file));
        }
        Supplier<StopSignal> atOnce =
                () -> {
                    StopSignal signal = new StopSignal();
                    signal.request();
                    return signal;
                };
        TrainRun.fresh(settings, path("killed"), stream, stream, atOnce, Engines::of).execute();
        Files.write(folder.resolve("killed/metrics.csv"), rows);

        assertThat(
                        TrainRun.resumed(
                                        path("killed"),
                                        null,
                                        null,
                                        stream,
                                        stream,
                                        never,
                                        Engines::of)
                                .execute())
                .isZero();
        assertThat(withoutSeconds("killed")).isEqualTo(withoutSeconds("whole"));
    }

    @Test
    void aFinishedRunIsDeliveredAgainUnchanged() throws IOException {
        PrintStream stream = new PrintStream(told, true);
        TrainRun.fresh(
                        settings(OptimizerKind.ADAM, null),
                        path("run"),
                        stream,
                        stream,
                        StopSignal::new,
                        Engines::of)
                .execute();
        List<String> before = withoutSeconds("run");
        float[] weights = model("run").params().toFloatVector();

        CommandResult result = CommandResult.of("train", "--resume", path("run"));

        assertThat(result.status()).isZero();
        assertThat(withoutSeconds("run")).isEqualTo(before);
        assertThat(model("run").params().toFloatVector()).isEqualTo(weights);
    }

    @Test
    void refusesWhatCannotBeResumed() throws IOException {
        CommandResult absent = CommandResult.of("train", "--resume", path("none"));
        assertThat(absent.status()).isEqualTo(2);
        assertThat(absent.err()).contains("no such folder");

        Files.createDirectory(folder.resolve("empty"));
        CommandResult empty = CommandResult.of("train", "--resume", path("empty"));
        assertThat(empty.status()).isEqualTo(2);
        assertThat(empty.err()).contains("checkpoint.zip: no such checkpoint");

        CommandResult changed =
                CommandResult.of("train", "--resume", path("empty"), "--epochs", "3");
        assertThat(changed.status()).isEqualTo(2);
        assertThat(changed.err()).contains("--epochs: a resumed run keeps the options");
    }

    private TrainSettings settings(OptimizerKind optimizer, String preset) {
        return new TrainSettings(
                data.toString(),
                "mlp:8",
                null,
                optimizer,
                preset,
                2,
                16,
                3,
                "auto",
                1,
                0.4,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                LngdSettings.NONE,
                TextSettings.NONE);
    }

    private String path(String run) {
        return folder.resolve(run).toString();
    }

    private MultiLayerNetwork model(String run) throws IOException {
        return ModelSerializer.restoreMultiLayerNetwork(
                folder.resolve(run).resolve("model.zip").toFile());
    }

    private List<String> withoutSeconds(String run) throws IOException {
        return Files.readAllLines(folder.resolve(run).resolve("metrics.csv")).stream()
                .map(line -> line.replaceFirst("^([^,]*,[^,]*),[^,]*", "$1"))
                .toList();
    }
}
