// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.dl4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.deeplearning4j.datasets.iterator.utilty.ListDataSetIterator;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.util.ModelSerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.LngdOptions;
import org.lngd4j.Schedule;
import org.lngd4j.nativelib.LngdArgumentException;
import org.lngd4j.nativelib.LngdStateException;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.learning.config.Adam;

/** Checkpoints that are written in the course of a training, and what goes on from them. */
@SuppressWarnings("try") // attachments that are only opened and closed
class CheckpointListenerTest {
    private static final int BATCHES = 3; // an epoch
    private static final LngdOptions OPTIONS =
            LngdOptions.recipe(40)
                    .statisticsInterval(2)
                    .inverseInterval(4)
                    // By epochs too: the count of epochs is a part of what is saved.
                    .schedule(Schedule.steps(1, 0.7))
                    .build();

    @TempDir private Path folder;

    private static MultiLayerNetwork mixed() {
        return Nets.of(
                new Adam(1e-2),
                Nets.dense(Nets.INPUTS, 16, Activation.TANH),
                new BatchNormalization.Builder().nOut(16).build(),
                Nets.softmax(16));
    }

    private static ComputationGraph graph() {
        ComputationGraph graph =
                new ComputationGraph(
                        new NeuralNetConfiguration.Builder()
                                .seed(7)
                                .updater(new Adam(1e-2))
                                .graphBuilder()
                                .addInputs("in")
                                .addLayer(
                                        "hidden",
                                        Nets.dense(Nets.INPUTS, 16, Activation.TANH),
                                        "in")
                                .addLayer(
                                        "norm",
                                        new BatchNormalization.Builder().nOut(16).build(),
                                        "hidden")
                                .addLayer("out", Nets.softmax(16), "norm")
                                .setOutputs("out")
                                .build());
        graph.init();
        return graph;
    }

    private static ListDataSetIterator<DataSet> epoch() {
        List<DataSet> samples = new ArrayList<>();
        Nets.batches(BATCHES, 16).forEach(batch -> samples.addAll(batch.asList()));
        return new ListDataSetIterator<>(samples, 16);
    }

    private static List<String> names(Path folder) throws IOException {
        return LngdCheckpointListener.all(folder).stream()
                .map(f -> f.getFileName().toString())
                .toList();
    }

    /** The network, LNGD, the fallback updater, averages and all counters. */
    @Test
    void aResumedRunHasTheBitsOfOneThatWasNotStopped() throws IOException {
        AttachOptions attach = AttachOptions.defaults().leaveAverages(false);
        MultiLayerNetwork straight = mixed();
        float[] average;
        try (LngdTraining lngd = Lngd.attach(straight, OPTIONS, attach)) {
            straight.addListeners(
                    LngdCheckpointListener.builder(lngd, folder).everyEpochs(2).build());
            straight.fit(epoch(), 3);
            straight.fit(epoch(), 2);
            try (AveragedWeights averaged = lngd.averagedWeights()) {
                average = straight.params().toFloatVector();
            }
        }
        assertThat(names(folder)).containsExactly("checkpoint-6.zip", "checkpoint-12.zip");
        for (Path file : LngdCheckpointListener.all(folder)) {
            try (LngdTraining lngd = Lngd.resume(file, OPTIONS, attach)) {
                MultiLayerNetwork net = (MultiLayerNetwork) lngd.network();
                assertThat(net.getEpochCount()).isEqualTo((int) lngd.steps() / BATCHES);
                assertThat(net.getIterationCount()).isEqualTo((int) lngd.steps());
                net.fit(epoch(), 5 - net.getEpochCount());
                assertThat(net.params().toFloatVector())
                        .isEqualTo(straight.params().toFloatVector());
                try (AveragedWeights averaged = lngd.averagedWeights()) {
                    assertThat(net.params().toFloatVector()).isEqualTo(average);
                }
                assertThat(net.getUpdater().getStateViewArray())
                        .isEqualTo(straight.getUpdater().getStateViewArray());
            }
        }
    }

    @Test
    void graphsAreResumedToo() throws IOException {
        ComputationGraph straight = graph();
        try (LngdTraining lngd = Lngd.attach(straight, OPTIONS)) {
            straight.addListeners(
                    LngdCheckpointListener.builder(lngd, folder).everyEpochs(1).build());
            straight.fit(epoch(), 4);
        }
        assertThat(names(folder))
                .containsExactly("checkpoint-6.zip", "checkpoint-9.zip", "checkpoint-12.zip");
        Path second = LngdCheckpointListener.all(folder).get(0);
        try (LngdTraining lngd = Lngd.resume(second, OPTIONS)) {
            ComputationGraph net = (ComputationGraph) lngd.network();
            net.fit(epoch(), 2);
        }
        try (LngdTraining lngd = Lngd.resume(second, OPTIONS)) {
            ComputationGraph net = (ComputationGraph) lngd.network();
            assertThat(net.getEpochCount()).isEqualTo(2);
            net.fit(epoch(), 2);
            lngd.close();
            assertThat(net.params().toFloatVector()).isEqualTo(straight.params().toFloatVector());
        }
    }

    /** In the middle of an epoch the rest of it is the user's to feed. */
    @Test
    void everyIterationsAndTheLastOnesAreKept() throws IOException {
        MultiLayerNetwork straight = mixed();
        List<DataSet> batches = Nets.batches(9, 16);
        try (LngdTraining lngd = Lngd.attach(straight, OPTIONS)) {
            straight.addListeners(
                    LngdCheckpointListener.builder(lngd, folder)
                            .everyIterations(2)
                            .keepLast(2)
                            .build());
            batches.forEach(straight::fit);
        }
        assertThat(names(folder)).containsExactly("checkpoint-6.zip", "checkpoint-8.zip");
        assertThat(LngdCheckpointListener.last(folder))
                .hasValue(folder.resolve("checkpoint-8.zip"));
        assertThat(
                        ModelSerializer.restoreMultiLayerNetwork(
                                        folder.resolve("checkpoint-8.zip").toFile())
                                .numParams())
                .isEqualTo(straight.numParams());
        try (LngdTraining lngd = Lngd.resume(folder.resolve("checkpoint-6.zip"), OPTIONS)) {
            MultiLayerNetwork net = (MultiLayerNetwork) lngd.network();
            batches.subList(6, 9).forEach(net::fit);
            lngd.close();
            assertThat(net.params().toFloatVector()).isEqualTo(straight.params().toFloatVector());
        }
        try (var files = Files.list(folder)) {
            assertThat(files).hasSize(2);
        }
    }

    @Test
    void everyMinutes() throws IOException {
        AtomicLong minutes = new AtomicLong();
        MultiLayerNetwork net = mixed();
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            net.addListeners(
                    LngdCheckpointListener.builder(lngd, folder)
                            .everyMinutes(5)
                            .build(() -> TimeUnit.MINUTES.toNanos(minutes.get())));
            for (int step = 1; step <= 7; step++) {
                minutes.set(2L * step);
                net.fit(Nets.data(16, step, 1));
            }
        }
        assertThat(names(folder)).containsExactly("checkpoint-3.zip", "checkpoint-6.zip");
    }

    @Test
    void nothingIsSavedPastTheEndOrAfterClose() throws IOException {
        MultiLayerNetwork net = mixed();
        LngdOptions two = LngdOptions.recipe(2).build();
        try (LngdTraining lngd = Lngd.attach(net, two)) {
            net.addListeners(
                    LngdCheckpointListener.builder(lngd, folder).everyIterations(1).build());
            net.fit(Nets.data(16, 1, 1));
            net.fit(Nets.data(16, 2, 1));
            Files.delete(folder.resolve("checkpoint-2.zip"));
            net.fit(Nets.data(16, 3, 1));
        }
        net.fit(Nets.data(16, 4, 1));
        assertThat(names(folder)).containsExactly("checkpoint-1.zip");
    }

    @Test
    void aFailureEndsTheTrainingAndLeavesNoDrafts() throws IOException {
        MultiLayerNetwork net = mixed();
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            net.addListeners(
                    LngdCheckpointListener.builder(lngd, folder).everyIterations(1).build());
            net.fit(Nets.data(16, 1, 1));
            // A folder with something in it cannot be replaced by a file.
            Path block = Files.createDirectory(folder.resolve("checkpoint-2.zip"));
            Files.createFile(block.resolve("x"));
            assertThatThrownBy(() -> net.fit(Nets.data(16, 2, 1)))
                    .isInstanceOf(UncheckedIOException.class)
                    .hasMessageContaining("checkpoint-2.zip");
        }
        try (var files = Files.list(folder)) {
            assertThat(files.map(f -> f.getFileName().toString()))
                    .containsExactlyInAnyOrder("checkpoint-1.zip", "checkpoint-2.zip");
        }
        try (LngdTraining lngd = Lngd.resume(folder.resolve("checkpoint-1.zip"), OPTIONS)) {
            assertThat(lngd.steps()).isEqualTo(1);
        }
    }

    @Test
    void whatCannotBeIsRefusedByName() throws IOException {
        MultiLayerNetwork net = mixed();
        try (LngdTraining lngd = Lngd.attach(net, OPTIONS)) {
            LngdCheckpointListener.Builder builder = LngdCheckpointListener.builder(lngd, folder);
            assertThatThrownBy(builder::build)
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("everyIterations");
            assertThatThrownBy(() -> builder.everyIterations(0))
                    .hasMessageContaining("everyIterations is 0");
            assertThatThrownBy(() -> builder.everyMinutes(-1))
                    .hasMessageContaining("everyMinutes is -1");
            assertThatThrownBy(() -> builder.everyEpochs(0))
                    .hasMessageContaining("everyEpochs is 0");
            assertThatThrownBy(() -> builder.keepLast(0)).hasMessageContaining("keepLast is 0");
            builder.everyIterations(1);
            net.addListeners(lngd.averaging(builder.build()));
            assertThatThrownBy(() -> net.fit(Nets.data(16, 1, 1)))
                    .isInstanceOf(LngdStateException.class)
                    .hasMessageContaining("averaged weights");
            net.setListeners(builder.build());
            net.fit(Nets.data(16, 1, 1));
        }
        assertThat(names(folder)).containsExactly("checkpoint-2.zip");
        Files.createFile(folder.resolve("checkpoint-3.zip123.tmp"));
        MultiLayerNetwork other = mixed();
        try (LngdTraining lngd = Lngd.attach(other, OPTIONS)) {
            LngdCheckpointListener.Builder again =
                    LngdCheckpointListener.builder(lngd, folder).everyEpochs(1);
            assertThatThrownBy(again::build)
                    .isInstanceOf(LngdArgumentException.class)
                    .hasMessageContaining("checkpoint-2.zip")
                    .hasMessageContaining("at step 0");
            lngd.restore(folder.resolve("checkpoint-2.zip"));
            again.build();
            assertThat(folder.resolve("checkpoint-3.zip123.tmp")).doesNotExist();
        }
        Path plain = folder.resolve("plain.zip");
        ModelSerializer.writeModel(net, plain.toFile(), true);
        assertThatThrownBy(() -> Lngd.resume(plain, OPTIONS))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("LngdTraining.save");
        assertThat(LngdCheckpointListener.last(folder.resolve("none"))).isEmpty();
    }
}
