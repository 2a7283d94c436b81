// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lngd4j.LngdOptions;
import org.lngd4j.Treatment;
import org.lngd4j.cli.data.Dataset;
import org.lngd4j.cli.data.ImageShape;
import org.lngd4j.cli.data.LabelledImages;
import org.lngd4j.dl4j.Lngd;
import org.lngd4j.dl4j.LngdTraining;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.config.NoOp;
import org.nd4j.linalg.learning.config.Sgd;

class ModelCatalogTest {
    private static final ImageShape GREY = new ImageShape(1, 28, 28);
    private static final ImageShape COLOUR = new ImageShape(3, 32, 32);

    // The counts are those of the literature: Caffe's LeNet 431,080; ResNet-18 for CIFAR
    // 11,173,962; ResNet-20 with 1x1
    // shortcuts 272,474; the autoencoder 842,340 by hand (420,781 to the code, 421,559 back).
    @ParameterizedTest(name = "{0} has {1} parameters")
    @CsvSource({
        "mlp, false, 235146",
        "ae, false, 842340",
        "lenet, false, 431080",
        "resnet8, true, 78042",
        "resnet20, true, 272474",
        "resnet18-cifar, true, 11173962",
    })
    void theNetworksHaveTheSizesOfTheLiterature(String model, boolean colour, long parameters) {
        ImageModelSpec spec = ModelCatalog.parse(model, data(colour ? COLOUR : GREY, 10));
        Dl4jNetwork net = spec.build(1, new Sgd());

        assertThat(spec.parameters()).isEqualTo(parameters);
        assertThat(trained(net)).isEqualTo(parameters);
    }

    // Running means and variances of batch norm are parameters for DL4J, which nothing trains.
    private static long trained(Dl4jNetwork net) {
        return net.updaterBlocks().stream()
                .filter(block -> !(block.getGradientUpdater().getConfig() instanceof NoOp))
                .mapToLong(block -> block.getParamOffsetEnd() - block.getParamOffsetStart())
                .sum();
    }

    @Test
    void aResidualNetHalvesTheImageTwice() {
        ImageModelSpec spec = ModelCatalog.parse("resnet8", data(COLOUR, 10));
        ComputationGraph graph = (ComputationGraph) spec.build(1, new Sgd()).model();
        INDArray image = Nd4j.rand(DataType.FLOAT, 2, COLOUR.features());

        INDArray last = graph.feedForward(image, false).get("s3b1-relu");

        assertThat(last.shape()).containsExactly(2, 64, 8, 8);
        assertThat(graph.outputSingle(image).sumNumber().doubleValue())
                .isBetween(2 - 1e-5, 2 + 1e-5); // rows of a softmax sum to 1, in float
        assertThat(spec.toString()).isEqualTo("resnet8 3x32x32 to 10");
    }

    // The network and the layout of the pixels: a net that sees the planes in another order would
    // not learn this, since only one channel tells the class.
    @SuppressWarnings("try") // LNGD is attached for the time of the block
    @ParameterizedTest
    @CsvSource({"lenet, false", "resnet8, false", "lenet, true", "resnet8, true"})
    void convolutionalNetsLearnWhichChannelIsLit(String model, boolean lngd) {
        ImageShape shape = new ImageShape(3, 16, 16);
        ImageModelSpec spec = ModelCatalog.parse(model, data(shape, 3));
        Dl4jNetwork net = spec.build(1, new Sgd(0.1));
        INDArray images = Nd4j.rand(DataType.FLOAT, 12, shape.features()).muli(0.5);
        INDArray targets = Nd4j.zeros(DataType.FLOAT, 12, 3);
        for (int i = 0; i < 12; i++) {
            targets.putScalar(i, i % 3, 1);
            int from = i % 3 * shape.plane();
            for (int k = from; k < from + shape.plane(); k++) {
                images.putScalar(i, k, images.getFloat(i, k) + 0.5f);
            }
        }
        int steps = 25;
        try (LngdTraining training = lngd ? attach(net, steps) : null) {
            for (int step = 0; step < steps; step++) {
                net.fit(images, targets);
            }

            // Guessing is log 3 = 1.1.
            assertThat(net.score()).isLessThan(0.3);
        }
    }

    private static LngdTraining attach(Dl4jNetwork net, int steps) {
        LngdOptions options = LngdOptions.recipe(steps).build();
        LngdTraining training =
                net instanceof Dl4jNetwork.Graph graph
                        ? Lngd.attach(graph.model(), options)
                        : Lngd.attach(((Dl4jNetwork.Chain) net).model(), options);
        assertThat(training.report().parameters(Treatment.LNGD))
                .isGreaterThan(net.model().numParams() * 9 / 10);
        return training;
    }

    @Test
    void anAutoencoderGivesPixelsBack() {
        ImageModelSpec spec = ModelCatalog.parse("ae:784-30-6", data(GREY, Dataset.NO_CLASSES));

        assertThat(spec.reconstructs()).isTrue();
        assertThat(spec.toString()).isEqualTo("ae 784-30-6");
        INDArray out = spec.build(1, new Sgd()).output(Nd4j.rand(DataType.FLOAT, 2, 784));
        assertThat(out.shape()).containsExactly(2, 784);
        assertThat(Arrays.stream(out.ravel().toDoubleVector())).allMatch(p -> p > 0 && p < 1);
    }

    @Test
    void refusesWhatDoesNotFit() {
        Dataset colour = data(COLOUR, 10);
        assertThatThrownBy(() -> ModelCatalog.parse("ae:3072-6", colour))
                .hasMessageContaining("grey images");
        assertThatThrownBy(() -> ModelCatalog.parse("lenet", data(new ImageShape(1, 8, 8), 2)))
                .hasMessageContaining("too small, at least 16x16");
        assertThatThrownBy(() -> ModelCatalog.parse("vgg", colour))
                .hasMessageContaining("lenet, resnet8, resnet20, resnet18-cifar");
    }

    @Test
    void whatFitsTheData() {
        assertThat(ModelCatalog.fitting(null)).isEqualTo("mlp");
        assertThat(ModelCatalog.fitting("cifar10")).isEqualTo("mlp");
        assertThat(ModelCatalog.fitting("curves")).isEqualTo("ae");
        assertThat(ModelCatalog.fittingPreset("curves", null)).isEqualTo("recommended");
        assertThat(ModelCatalog.fittingPreset("glyphs", "ae:784-6")).isEqualTo("recommended");
        assertThat(ModelCatalog.fitting("multi30k")).isEqualTo("transformer");
        assertThat(ModelCatalog.fittingPreset("multi30k", null)).isEqualTo("recommended");
        assertThat(ModelCatalog.fittingPreset("some/folder", "transformer:1-16-2-32"))
                .isEqualTo("recommended");
        assertThat(ModelCatalog.fittingPreset("cifar10", "resnet8")).isNull();
    }

    @Test
    void aTransformerIsReadAndTold() {
        TransformerSpec spec = TransformerSpec.parse("transformer:2-8-2-12", 20);
        assertThat(spec).hasToString("transformer:2-8-2-12 of 20 subwords");
        assertThat(TransformerSpec.parse("transformer", 9))
                .isEqualTo(new TransformerSpec(4, 128, 4, 256, 9));
    }

    private static Dataset data(ImageShape shape, int classes) {
        byte[] labels = new byte[Math.max(1, classes)];
        for (int i = 0; i < classes; i++) {
            labels[i] = (byte) i;
        }
        LabelledImages images =
                new LabelledImages(new byte[labels.length * shape.features()], labels, shape);
        return new Dataset("a test", images, images, classes);
    }
}
