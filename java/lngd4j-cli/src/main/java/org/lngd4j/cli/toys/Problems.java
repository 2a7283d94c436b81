// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import static org.lngd4j.cli.toys.Problem.Kind.CLASSIFICATION;
import static org.lngd4j.cli.toys.Problem.Kind.REGRESSION;
import static org.nd4j.linalg.activations.Activation.RELU;
import static org.nd4j.linalg.activations.Activation.TANH;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.data.ImageShape;
import org.lngd4j.cli.toys.Problem.Kind;

/** All small problems: the one list that the command, its documentation and the tests go by. */
final class Problems {
    /** In the order of the tables. */
    static final List<Problem> ALL =
            List.of(
                    problem(
                            "sparse-words",
                            "bags of words: 1000 features, some 16 of them not zero, 5 classes",
                            CLASSIFICATION,
                            WordData::bags,
                            sizes(1000, 2000, 32, 15),
                            ToyNetwork.dense(RELU, Output.SOFTMAX, 1000, 64, 5)),
                    problem(
                            "sparse-logistic",
                            "the same distribution without a hidden layer",
                            CLASSIFICATION,
                            WordData::bags,
                            sizes(1000, 2000, 32, 15),
                            ToyNetwork.dense(RELU, Output.SOFTMAX, 1000, 5)),
                    problem(
                                    "label-noise",
                                    "2 classes, 25 % of the labels are wrong",
                                    CLASSIFICATION,
                                    (r, n, all) -> ClassData.noisyLabels(r, n, all, 10),
                                    sizes(1000, 2000, 32, 20),
                                    ToyNetwork.dense(RELU, Output.SOFTMAX, 10, 64, 64, 2))
                            .overtraining(),
                    problem(
                            "rare-positives",
                            "one label, true for 2 % of the samples",
                            CLASSIFICATION,
                            (r, n, all) -> ClassData.rarePositives(r, n, all, 20),
                            sizes(2000, 4000, 64, 12),
                            ToyNetwork.dense(RELU, Output.SIGMOID, 20, 32, 1)),
                    problem(
                            "multi-label",
                            "8 labels that do not exclude each other",
                            CLASSIFICATION,
                            (r, n, all) -> ClassData.multiLabel(r, n, all, 30, 8),
                            sizes(1000, 2000, 32, 15),
                            ToyNetwork.dense(RELU, Output.SIGMOID, 30, 64, 8)),
                    problem(
                            "ordinal",
                            "5 classes in an order, of 60, 25, 10, 4 and 1 %",
                            CLASSIFICATION,
                            (r, n, all) -> ClassData.ordinal(r, n, all, 15),
                            sizes(1500, 2000, 32, 10),
                            ToyNetwork.dense(RELU, Output.SOFTMAX, 15, 32, 5)),
                    problem(
                            "three-classes",
                            "3 classes of a teacher network, an ordinary problem",
                            CLASSIFICATION,
                            ClassData.classes(10, 3),
                            sizes(1000, 2000, 32, 15),
                            ToyNetwork.dense(RELU, Output.SOFTMAX, 10, 32, 32, 3)),
                    problem(
                            "deep-tanh",
                            "8 hidden layers of tanh, 4 classes",
                            CLASSIFICATION,
                            ClassData.classes(10, 4),
                            sizes(1000, 2000, 32, 10),
                            ToyNetwork.dense(
                                    TANH, Output.SOFTMAX, 10, 32, 32, 32, 32, 32, 32, 32, 32, 4)),
                    problem(
                            "bad-scales",
                            "features in units from 0.01 to 100, 3 classes",
                            CLASSIFICATION,
                            ClassData.badlyScaled(12, 3),
                            sizes(1000, 2000, 32, 15),
                            ToyNetwork.dense(RELU, Output.SOFTMAX, 12, 32, 3)),
                    problem(
                            "correlated",
                            "features whose covariance has condition number 10^4, 4 classes",
                            CLASSIFICATION,
                            ClassData.correlated(20, 4),
                            sizes(1000, 2000, 32, 15),
                            ToyNetwork.dense(RELU, Output.SOFTMAX, 20, 32, 4)),
                    problem(
                            "batch-of-one",
                            "3 classes, one sample a step",
                            CLASSIFICATION,
                            ClassData.classes(8, 3),
                            sizes(300, 2000, 1, 2),
                            ToyNetwork.dense(RELU, Output.SOFTMAX, 8, 16, 3)),
                    problem(
                                    "sixteen-steps",
                                    "noisy patterns of 8 x 8, 10 classes, one short epoch",
                                    CLASSIFICATION,
                                    ImageData::patterns,
                                    sizes(2048, 2000, 128, 1),
                                    ToyNetwork.dense(RELU, Output.SOFTMAX, 64, 64, 32, 10))
                            .evaluated(4),
                    problem(
                                    "48-steps",
                                    "the same distribution, three epochs",
                                    CLASSIFICATION,
                                    ImageData::patterns,
                                    sizes(2048, 2000, 128, 3),
                                    ToyNetwork.dense(RELU, Output.SOFTMAX, 64, 64, 32, 10))
                            .evaluated(2),
                    problem(
                            "bars",
                            "bars of 4 directions on 12 x 12, convolutions",
                            CLASSIFICATION,
                            ImageData::bars,
                            sizes(640, 1000, 32, 10),
                            ToyNetwork.convolutional(
                                    new ImageShape(1, ImageData.BAR_SIDE, ImageData.BAR_SIDE),
                                    List.of(8, 16),
                                    Output.SOFTMAX,
                                    4)),
                    problem(
                            "sine",
                            "a noisy sine of one variable",
                            REGRESSION,
                            RealData::sine,
                            sizes(500, 1000, 32, 30),
                            ToyNetwork.dense(TANH, Output.LINEAR, 1, 32, 32, 1)),
                    problem(
                            "friedman",
                            "Friedman's first function, standardised",
                            REGRESSION,
                            RealData::friedman,
                            sizes(500, 1000, 32, 30),
                            ToyNetwork.dense(RELU, Output.LINEAR, 10, 64, 1)),
                    problem(
                            "friedman-raw",
                            "the same with its targets as they are, from 0 to 30",
                            REGRESSION,
                            RealData::friedmanRaw,
                            sizes(500, 1000, 32, 30),
                            ToyNetwork.dense(RELU, Output.LINEAR, 10, 64, 1)),
                    problem(
                            "prices",
                            "targets of some hundreds that nobody has scaled",
                            REGRESSION,
                            (r, n, all) -> RealData.prices(r, n, all, 8),
                            sizes(1000, 1000, 32, 15),
                            ToyNetwork.dense(RELU, Output.LINEAR, 8, 32, 16, 1)),
                    problem(
                            "multi-output",
                            "5 real targets at once",
                            REGRESSION,
                            (r, n, all) -> RealData.multiOutput(r, n, all, 10, 5),
                            sizes(800, 1000, 32, 20),
                            ToyNetwork.dense(TANH, Output.LINEAR, 10, 32, 32, 5)),
                    problem(
                            "outliers",
                            "a real target, far off in one of 20 samples",
                            REGRESSION,
                            (r, n, all) -> RealData.outliers(r, n, all, 10),
                            sizes(800, 2000, 32, 20),
                            ToyNetwork.dense(RELU, Output.LINEAR, 10, 32, 1)),
                    problem(
                            "spots",
                            "images of 8 x 8 through a code of 6, an autoencoder",
                            REGRESSION,
                            ImageData::spots,
                            sizes(1000, 1000, 50, 20),
                            ToyNetwork.dense(TANH, Output.SIGMOID, 64, 32, 16, 6, 16, 32, 64)));

    private Problems() {}

    /** The problem of a name. */
    static Problem named(String name) {
        return ALL.stream()
                .filter(problem -> problem.name().equals(name))
                .findFirst()
                .orElseThrow(
                        () ->
                                CliException.badInput(
                                        "--problems "
                                                + name
                                                + ": there is no such problem; there are "
                                                + names()));
    }

    /** The problems of a list of names with commas, in their order. */
    static List<Problem> listed(String names) {
        List<Problem> listed =
                Arrays.stream(names.split(",", -1)).map(name -> named(name.strip())).toList();
        if (listed.stream().distinct().count() < listed.size()) {
            throw CliException.badInput("--problems " + names + ": one is there twice");
        }
        return listed;
    }

    /** All names, for messages. */
    static String names() {
        return ALL.stream().map(Problem::name).collect(Collectors.joining(", "));
    }

    private record Sizes(int training, int test, int batch, int epochs) {}

    private static Sizes sizes(int training, int test, int batch, int epochs) {
        return new Sizes(training, test, batch, epochs);
    }

    private static Problem problem(
            String name,
            String summary,
            Kind kind,
            Generator generator,
            Sizes sizes,
            ToyNetwork network) {
        return new Problem(
                name,
                summary,
                kind,
                generator,
                sizes.training(),
                sizes.test(),
                network,
                sizes.batch(),
                sizes.epochs(),
                1,
                false);
    }
}
