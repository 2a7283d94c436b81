// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.TaskContext;
import org.deeplearning4j.nn.conf.NeuralNetConfiguration;
import org.deeplearning4j.nn.conf.inputs.InputType;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.InversePlacement;
import org.lngd4j.LngdOptions;
import org.lngd4j.Preset;
import org.lngd4j.dl4j.Lngd;
import org.lngd4j.dl4j.LngdTraining;
import org.nd4j.linalg.activations.Activation;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.lossfunctions.LossFunctions.LossFunction;

/** A network of DL4J on executors that are processes of their own. */
@Tag("dl4j")
@ExtendWith(TestCluster.class)
@Timeout(180)
class Dl4jTrainingTest {
    private static final int BATCH = 24;

    @TempDir Path folder;

    /** A convolution and an output; rank 1 dies once where a marker is given. */
    private static final class Graph implements Dl4jNetwork<ComputationGraph, Sample> {
        private static final long serialVersionUID = 1L;
        private final String marker; // null: nobody dies
        private transient int steps;

        Graph(Path marker) {
            this.marker = marker == null ? null : marker.toString();
        }

        @Override
        public ComputationGraph create() {
            return new ComputationGraph(
                    new NeuralNetConfiguration.Builder()
                            .seed(5)
                            .updater(new Adam(1e-3))
                            .graphBuilder()
                            .addInputs("x")
                            .addLayer(
                                    "conv",
                                    new ConvolutionLayer.Builder(3, 3)
                                            .nOut(4)
                                            .activation(Activation.RELU)
                                            .build(),
                                    "x")
                            .addLayer(
                                    "out",
                                    new OutputLayer.Builder(LossFunction.MCXENT)
                                            .nOut(Sample.CLASSES)
                                            .activation(Activation.SOFTMAX)
                                            .build(),
                                    "conv")
                            .setOutputs("out")
                            .setInputTypes(InputType.convolutional(5, 6, 2))
                            .build());
        }

        @Override
        public DataSet batch(List<Sample> samples) {
            if (marker != null && TaskContext.getPartitionId() == 1 && ++steps == 13) {
                dieOnce();
            }
            float[] x = new float[samples.size() * 60];
            INDArray labels = Nd4j.zeros(samples.size(), Sample.CLASSES);
            for (int i = 0; i < samples.size(); i++) {
                System.arraycopy(samples.get(i).x(), 0, x, 60 * i, 60);
                labels.putScalar(i, samples.get(i).label(), 1);
            }
            return new DataSet(Nd4j.createFromArray(x).reshape(samples.size(), 2, 5, 6), labels);
        }

        private void dieOnce() {
            try {
                Files.createFile(Path.of(marker));
                Runtime.getRuntime().halt(9);
            } catch (FileAlreadyExistsException e) {
                // it has
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        @Override
        public LngdOptions options(ComputationGraph network, long totalSteps, int batch) {
            return LngdOptions.preset(Preset.RECIPE, totalSteps)
                    .statisticsInterval(3)
                    .inverseInterval(3)
                    .build();
        }
    }

    private static List<List<Sample>> partitions() {
        return List.of(
                Sample.some(117, SparkNets.Job.CONV_SIZE, 1),
                Sample.some(93, SparkNets.Job.CONV_SIZE, 2));
    }

    private SparkOptions options(String checkpoints, InversePlacement inverses) {
        return SparkOptions.builder(2, BATCH, 3)
                .keepPartitions(true)
                .timeout(Duration.ofSeconds(10))
                .inverses(inverses)
                .checkpoint(folder.resolve(checkpoints).toUri().toString(), 5)
                .build();
    }

    private static float[] alone(Graph network) {
        Sampling sampling = new Sampling(new long[] {117, 93}, BATCH, 1);
        ComputationGraph graph = Dl4jRank.create(network, 1);
        long steps = sampling.stepsPerEpoch() * 3;
        LngdOptions options =
                network.options(graph, steps, sampling.batch()).toBuilder().threads(1).build();
        try (LngdTraining training = Lngd.attach(graph, options)) {
            for (long step = 0; step < steps; step++) {
                List<Sample> batch = new ArrayList<>();
                for (int rank = 0; rank < 2; rank++) {
                    for (int i : sampling.indexes(rank, step)) {
                        batch.add(partitions().get(rank).get(i));
                    }
                }
                graph.fit(network.batch(batch));
            }
            assertThat(training.steps()).isEqualTo(steps);
        }
        return graph.params().toFloatVector();
    }

    /**
     * Sums in float32 in another order, amplified by the inverses: 1e-5 is what is promised. Where
     * the executor dies each rank inverts layers of its own, with the same bits.
     */
    @Test
    void trainsAsOneProcessDoesAlsoWhereAnExecutorDies() {
        Graph network = new Graph(null);
        TrainedNetwork<ComputationGraph> trained =
                SparkDl4j.train(
                        SparkTrainingTest.rdd(partitions()),
                        network,
                        options("plain", InversePlacement.AUTO),
                        null);
        float[] two = trained.model().params().toFloatVector();
        float[] one = alone(network);
        float[] start = Dl4jRank.create(network, 1).params().toFloatVector();
        double length = SparkTrainingTest.norm(one, new float[one.length]);
        assertThat(SparkTrainingTest.norm(one, start)).isGreaterThan(0.05 * length);
        assertThat(SparkTrainingTest.norm(two, one)).isLessThan(1e-5 * length);
        assertThat(trained.epochs()).extracting(EpochMetrics::samples).containsOnly(210L);
        assertThat(trained.epochs().get(2).loss()).isLessThan(trained.epochs().get(0).loss());
        assertThat(trained.report()).contains("conv").contains("by AUTO");

        Path marker = folder.resolve("died");
        TrainedNetwork<ComputationGraph> again =
                SparkDl4j.train(
                        SparkTrainingTest.rdd(partitions()),
                        new Graph(marker),
                        options("died at 13", InversePlacement.OWNED),
                        null);
        assertThat(marker).exists();
        assertThat(again.ranks()).extracting(RankReport::steps).containsExactly(17L, 17L);
        assertThat(again.report()).contains("inverses OWNED, as asked for");
        assertThat(again.model().params().toFloatVector()).containsExactly(two);
    }
}
