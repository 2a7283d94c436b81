// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.optimize.api.BaseTrainingListener;
import org.deeplearning4j.util.ModelSerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.lngd4j.LngdOptions;
import org.lngd4j.Preset;
import org.lngd4j.Schedule;
import org.lngd4j.nativelib.LngdStateDataException;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.learning.config.Nesterovs;

/** Stopping and going on gives the bits of not stopping; saved models are plain DL4J. */
@SuppressWarnings("try") // attachments that are only opened and closed
class ResumeTest {
    private static final LngdOptions OPTIONS =
            LngdOptions.recipeEmpirical(40)
                    .statisticsInterval(3)
                    .inverseInterval(5)
                    .schedule(Schedule.cosine(40).warmup(4))
                    .build();

    @TempDir private Path folder;

    private static MultiLayerNetwork mixed() {
        return Nets.of(
                new Adam(1e-2),
                Nets.dense(Nets.INPUTS, 16, Activation.TANH),
                new BatchNormalization.Builder().nOut(16).build(),
                Nets.dense(16, 8, Activation.RELU),
                new BatchNormalization.Builder().nOut(8).build(),
                Nets.softmax(8));
    }

    private static void fit(MultiLayerNetwork net, int from, int to) {
        for (int t = from; t < to; t++) {
            net.fit(Nets.data(32, t, 1));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 4, 6, 11})
    void resumeIsBitwise(int stop) throws IOException {
        for (IUpdater fallback : new IUpdater[] {null, new Nesterovs(0.01, 0.9)}) {
            AttachOptions attach = AttachOptions.defaults().fallback(fallback).leaveAverages(false);
            Path file = folder.resolve("run" + stop + (fallback == null) + ".zip");
            MultiLayerNetwork straight = mixed();
            float[] average;
            try (LngdTraining lngd = Lngd.attach(straight, OPTIONS, attach)) {
                fit(straight, 0, stop);
                lngd.save(file);
                fit(straight, stop, 20);
                try (AveragedWeights averaged = lngd.averagedWeights()) {
                    average = straight.params().toFloatVector();
                }
            }
            // Restored into a network that has gone elsewhere meanwhile.
            MultiLayerNetwork resumed = mixed();
            fit(resumed, 50, 53);
            try (LngdTraining lngd = Lngd.attach(resumed, OPTIONS, attach)) {
                fit(resumed, 60, 62);
                lngd.restore(file);
                assertThat(lngd.steps()).isEqualTo(stop);
                assertThat(resumed.getIterationCount()).isEqualTo(stop);
                fit(resumed, stop, 20);
                try (AveragedWeights averaged = lngd.averagedWeights()) {
                    assertThat(resumed.params().toFloatVector()).isEqualTo(average);
                }
            }
            assertThat(resumed.params().toFloatVector())
                    .isEqualTo(straight.params().toFloatVector());
            assertThat(resumed.getUpdater().getStateViewArray())
                    .isEqualTo(straight.getUpdater().getStateViewArray());
        }
    }

    /** S0, the mean squares, ||W_0|| and the average of ||D||^2 are in the state too. */
    @ParameterizedTest
    @EnumSource(names = {"BLOCK_KRONECKER", "BLOCK_KRONECKER_FIT", "NGPLUS"})
    void resumeIsBitwiseWithSampledTargets(Preset preset) throws IOException {
        LngdOptions options =
                LngdOptions.preset(preset, 40)
                        .statisticsInterval(2)
                        .inverseInterval(3)
                        .statisticsSamples(16)
                        .build();
        AttachOptions attach = AttachOptions.defaults().leaveAverages(false);
        for (int stop : new int[] {1, 4, 7}) {
            Path file = folder.resolve(preset + "-" + stop + ".zip");
            MultiLayerNetwork straight = mixed();
            try (LngdTraining lngd = Lngd.attach(straight, options, attach)) {
                fit(straight, 0, stop);
                lngd.save(file);
                fit(straight, stop, 20);
            }
            MultiLayerNetwork resumed = mixed();
            try (LngdTraining lngd = Lngd.attach(resumed, options, attach)) {
                fit(resumed, 60, 64);
                lngd.restore(file);
                fit(resumed, stop, 20);
            }
            assertThat(resumed.params().toFloatVector())
                    .isEqualTo(straight.params().toFloatVector());
        }
    }

    @Test
    void savingInAListenerCountsTheStepThatWasJustDone() throws IOException {
        Path file = folder.resolve("listener.zip");
        MultiLayerNetwork straight = mixed();
        try (LngdTraining lngd = Lngd.attach(straight, OPTIONS)) {
            straight.setListeners(
                    new BaseTrainingListener() {
                        @Override
                        public void iterationDone(Model model, int iteration, int epoch) {
                            if (iteration == 6) {
                                try {
                                    lngd.save(file);
                                } catch (IOException e) {
                                    throw new java.io.UncheckedIOException(e);
                                }
                            }
                        }
                    });
            fit(straight, 0, 15);
        }
        MultiLayerNetwork resumed = mixed();
        try (LngdTraining lngd = Lngd.attach(resumed, OPTIONS)) {
            lngd.restore(file);
            assertThat(lngd.steps()).isEqualTo(7);
            fit(resumed, 7, 15);
        }
        assertThat(resumed.params().toFloatVector()).isEqualTo(straight.params().toFloatVector());
    }

    private static String withoutCounter(MultiLayerNetwork net) {
        return net.getLayerWiseConfigurations()
                .toJson()
                .replaceAll("\"iterationCount\" : \\d+", "");
    }

    @Test
    void aModelSavedWhileAttachedIsPlainDl4j() throws IOException {
        Path plain = folder.resolve("model.zip");
        Path checkpoint = folder.resolve("checkpoint.zip");
        MultiLayerNetwork net = mixed();
        String json = withoutCounter(net);
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            fit(net, 0, 5);
            ModelSerializer.writeModel(net, plain.toFile(), true);
            lngd.save(checkpoint);
            for (Path file : new Path[] {plain, checkpoint}) {
                MultiLayerNetwork loaded =
                        ModelSerializer.restoreMultiLayerNetwork(file.toFile(), true);
                assertThat(loaded.params()).isEqualTo(net.params());
                assertThat(withoutCounter(loaded)).isEqualTo(json);
                assertThat(loaded.getIterationCount()).isEqualTo(5);
                // Adam's moments of the batch normalisations are in the file, those of LNGD's
                // layers as they were.
                assertThat(loaded.getUpdater().getStateViewArray())
                        .isEqualTo(net.getUpdater().getStateViewArray());
                assertThat(loaded.getUpdater().getStateViewArray().amaxNumber().doubleValue())
                        .isPositive();
            }
        }
        try (ZipFile zip = new ZipFile(plain.toFile())) {
            byte[] bytes = zip.getInputStream(new ZipEntry("configuration.json")).readAllBytes();
            assertThat(new String(bytes, java.nio.charset.StandardCharsets.UTF_8))
                    .contains("BatchNormalization", "ActivationTanH")
                    .doesNotContain("lngd4j");
        }
    }

    @Test
    void afterCloseTheFallbackUpdaterGoesOnFromItsState() {
        // With a factor of 0 and Adam on the batch normalisations, plain DL4J is matched where LNGD
        // does nothing.
        MultiLayerNetwork net = mixed();
        fit(net, 0, 3);
        float[] before = net.getUpdater().getStateViewArray().toFloatVector();
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            assertThat(net.getUpdater().getStateViewArray().toFloatVector()).isEqualTo(before);
            fit(net, 3, 5);
        }
        assertThat(net.getUpdater().getStateViewArray().toFloatVector()).isNotEqualTo(before);
    }

    @Test
    void filesThatDoNotFitAreRefusedAndNothingChanges() throws IOException {
        Path good = folder.resolve("good.zip");
        MultiLayerNetwork net = mixed();
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            fit(net, 0, 4);
            lngd.save(good);
            byte[] bytes = Files.readAllBytes(good);
            Path cut =
                    Files.write(
                            folder.resolve("cut.zip"),
                            java.util.Arrays.copyOf(bytes, bytes.length / 2));
            Path plain = folder.resolve("plain.zip");
            ModelSerializer.writeModel(net, plain.toFile(), true);
            float[] weights = net.params().toFloatVector();
            assertThatThrownBy(() -> lngd.restore(cut)).isInstanceOf(IOException.class);
            assertThatThrownBy(() -> lngd.restore(folder.resolve("none.zip")))
                    .isInstanceOf(IOException.class);
            assertThatThrownBy(() -> lngd.restore(plain)).hasMessageContaining("LngdTraining.save");
            assertThat(net.params().toFloatVector()).isEqualTo(weights);
            assertThat(lngd.steps()).isEqualTo(4);
        }
        MultiLayerNetwork other = Nets.mlp();
        try (LngdTraining lngd = Lngd.attach(other, OPTIONS)) {
            assertThatThrownBy(() -> lngd.restore(good))
                    .isInstanceOf(LngdStateDataException.class)
                    .hasMessageContaining("parameters");
        }
        try (java.util.stream.Stream<Path> files = Files.list(folder)) {
            assertThat(files)
                    .as("no temporary files")
                    .noneMatch(f -> f.toString().endsWith(".tmp"));
        }
    }

    /** One byte of the file after another, all over it: refused, or of no weight. */
    @Test
    void damagedFilesAreRefusedAndNothingChanges() throws IOException {
        Path good = folder.resolve("good.zip");
        Path bad = folder.resolve("bad.zip");
        MultiLayerNetwork net = mixed();
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            fit(net, 0, 4);
            lngd.save(good);
            fit(net, 4, 6);
            float[] weights = net.params().toFloatVector();
            byte[] bytes = Files.readAllBytes(good);
            int refused = 0;
            for (int at = 0; at < bytes.length; at += 1 + bytes.length / 150) {
                byte[] damaged = bytes.clone();
                damaged[at] ^= 0x10;
                Files.write(bad, damaged);
                try {
                    lngd.restore(bad);
                    // Headers have fields that nobody reads: then it is the good file.
                    assertThat(lngd.steps()).isEqualTo(4);
                    lngd.restore(good);
                    fit(net, 4, 6);
                } catch (IOException | LngdStateDataException e) {
                    refused++;
                }
                assertThat(lngd.steps()).isEqualTo(6);
                assertThat(net.params().toFloatVector()).as("byte %d", at).isEqualTo(weights);
            }
            // Nearly all of the file is compressed content.
            assertThat(refused).isGreaterThan(100);
        }
    }
}
