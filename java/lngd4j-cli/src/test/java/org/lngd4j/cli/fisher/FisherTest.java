// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.fisher;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.lngd4j.cli.data.IdxWriter;
import org.lngd4j.cli.support.Json;
import org.lngd4j.cli.train.CommandResult;

/** {@code lngd fisher}: its matrices on a tiny network, and the command. */
class FisherTest {
    // Central differences of a double function: h^2 and eps / h, both near 1e-9 here.
    private static final double DIFFERENCE = 1e-7;
    // Phi and psi are float, of sums over seven samples.
    private static final double FLOAT = 1e-5;

    @TempDir Path folder;

    private final SplittableRandom random = new SplittableRandom(4);
    private final double[][][] weights = {matrix(4, 6), matrix(3, 5), matrix(3, 4)};
    private final SmallNet net = new SmallNet(weights);
    private final List<double[]> samples = samples();

    private double[][] matrix(int rows, int columns) {
        double[][] matrix = new double[rows][columns];
        for (double[] row : matrix) {
            for (int j = 0; j < columns; j++) {
                row[j] = random.nextDouble() * 2 - 0.7;
            }
        }
        return matrix;
    }

    private List<double[]> samples() {
        List<double[]> rows = new ArrayList<>();
        for (int n = 0; n < 7; n++) {
            rows.add(matrix(1, 5)[0]);
        }
        return rows;
    }

    /** By the definition: the gradient of each class's log-probability by central differences. */
    private double[][] explicit(int layer) {
        int m = weights[layer].length;
        int d = weights[layer][0].length;
        double[][] fisher = new double[d * m][d * m];
        double h = 1e-5;
        for (double[] sample : samples) {
            double[] p = net.forward(sample).probabilities();
            for (int y = 0; y < p.length; y++) {
                double[] gradient = new double[d * m];
                for (int i = 0; i < d; i++) {
                    for (int o = 0; o < m; o++) {
                        double old = weights[layer][o][i];
                        weights[layer][o][i] = old + h;
                        double up = Math.log(net.forward(sample).probabilities()[y]);
                        weights[layer][o][i] = old - h;
                        double down = Math.log(net.forward(sample).probabilities()[y]);
                        weights[layer][o][i] = old;
                        gradient[i * m + o] = (up - down) / (2 * h);
                    }
                }
                Matrices.addOuter(fisher, p[y] / samples.size(), gradient);
            }
        }
        return fisher;
    }

    @Test
    void theBlockOfTheModelIsTheOneOfTheDefinition() {
        for (int layer = 0; layer < 3; layer++) {
            double[][] exact = FisherBlocks.of(net, layer, samples).model();
            double[][] expected = explicit(layer);
            assertThat(Matrices.norm(expected)).isGreaterThan(1e-3);
            assertThat(Matrices.norm(Matrices.distance(exact, expected)))
                    .isLessThan(DIFFERENCE * Math.max(1, Matrices.norm(expected)));
        }
    }

    @Test
    void lngdKeepsTheTraceOfWhatItApproximates() {
        for (int layer = 0; layer < 3; layer++) {
            FisherBlocks blocks = FisherBlocks.of(net, layer, samples);
            double own = Matrices.trace(blocks.layerwise());
            assertThat(Matrices.trace(blocks.lngd())).isCloseTo(own, within(FLOAT * own));
            double model = Matrices.trace(blocks.model());
            assertThat(Matrices.trace(blocks.lngdLr())).isCloseTo(model, within(FLOAT * model));
        }
    }

    @Test
    void theOutputLayersOwnModelIsTheModels() {
        // There g is p - e_y for both; the layer-wise block has its diagonal only.
        FisherBlocks blocks = FisherBlocks.of(net, 2, samples);
        int m = 3;
        for (int row = 0; row < blocks.model().length; row++) {
            for (int column = 0; column < blocks.model().length; column++) {
                if (row % m == column % m) {
                    assertThat(blocks.layerwise()[row][column])
                            .isCloseTo(blocks.model()[row][column], within(1e-12));
                }
            }
        }
    }

    @Test
    void oneSampleIsAKroneckerProduct() {
        FisherBlocks one = FisherBlocks.of(net, 1, samples.subList(0, 1));
        assertThat(Matrices.norm(Matrices.distance(one.model(), one.kfac())))
                .isLessThan(1e-12 * Math.max(1, Matrices.norm(one.model())));
        assertThat(Matrices.norm(Matrices.distance(one.layerwise(), one.lngd())))
                .isLessThan(FLOAT * Matrices.norm(one.layerwise()));
        FisherBlocks all = FisherBlocks.of(net, 1, samples);
        assertThat(FisherError.of("", all.model(), "", all.kfac(), 1).frobenius())
                .isGreaterThan(0.01);
    }

    @Test
    void theBestScaleIsTheBest() {
        FisherBlocks b = FisherBlocks.of(net, 1, samples);
        double best = FisherError.bestScale(b.model(), b.lngd());
        double least = FisherError.of("", b.model(), "", b.lngd(), best).frobenius();
        for (double factor : new double[] {0.9, 1.1}) {
            assertThat(FisherError.of("", b.model(), "", b.lngd(), factor * best).frobenius())
                    .isGreaterThan(least);
        }
    }

    @Test
    void coloursRunOverFourDecades() {
        assertThat(FisherPicture.level(2.0, 2.0)).isEqualTo(95);
        assertThat(FisherPicture.level(-0.02, 2.0)).isEqualTo(48);
        assertThat(FisherPicture.level(1e-5, 2.0)).isZero();
        assertThat(FisherPicture.level(0, 2.0)).isZero();
        assertThat(FisherPicture.level(Double.NaN, 2.0)).isZero();
    }

    @Test
    void theCommandDrawsAndTells() throws IOException {
        Path data = folder.resolve("data");
        IdxWriter.dataset(data, 300, 60, 6, 4);
        Path picture = folder.resolve("f.png");
        CommandResult result = fisher(data, picture, "--json", "--steps", "20");
        assertThat(result.status()).as(result.err()).isZero();
        Map<String, Object> json = Json.readObject(result.out());
        assertThat((List<?>) json.get("errors")).hasSize(8);
        assertThat(json.get("network")).isEqualTo("9-4-3-" + classes(json));
        // Five maps of 15 x 15 elements, 20 pixels each.
        assertThat(ImageIO.read(picture.toFile()).getWidth()).isEqualTo(14 + 5 * (300 + 14));
        CommandResult table = fisher(data, picture, "--steps", "0");
        assertThat(table.out()).contains("layer-wise  LNGD", "model       KFAC", "picture in ");
    }

    private static String classes(Map<String, Object> json) {
        String network = json.get("network").toString();
        return network.substring(network.lastIndexOf('-') + 1);
    }

    private CommandResult fisher(Path data, Path picture, String... more) {
        List<String> arguments =
                new ArrayList<>(
                        List.of("fisher", "--data", data.toString(), "--out", picture.toString()));
        arguments.addAll(List.of("--shrink", "2", "--widths", "4-3", "--samples", "40"));
        arguments.addAll(List.of(more));
        return CommandResult.of(arguments.toArray(String[]::new));
    }

    @Test
    void badOptionsAreOneLineAndWriteNothing() throws IOException {
        Path data = folder.resolve("data");
        IdxWriter.dataset(data, 300, 60, 6, 4);
        Path picture = folder.resolve("f.png");
        String[][] wrong = {
            {"--layer", "4"},
            {"--layer", "0"},
            {"--shrink", "5"},
            {"--shrink", "0"},
            {"--widths", "4-x"},
            {"--widths", "4-0"},
            {"--widths", "2000-2000"},
            {"--steps", "-1"},
            {"--samples", "0"}
        };
        for (String[] words : wrong) {
            CommandResult result = fisher(data, picture, words);
            assertThat(result.status()).as(String.join(" ", words)).isEqualTo(2);
            assertThat(result.err().lines()).as(String.join(" ", words)).hasSize(1);
            assertThat(result.err()).contains(words[0]);
        }
        assertThat(Files.exists(picture)).isFalse();
    }
}
