// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.lngd4j.cli.train.MetricsRow;
import org.lngd4j.cli.train.OptimizerKind;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.learning.config.Sgd;

class ToyRunTest {
    static List<Problem> problems() {
        return Problems.ALL;
    }

    @ParameterizedTest
    @ValueSource(strings = {"lngd", "adam@0.01", "kfac"})
    void aRunIsTheSameToTheBit(String entrant) {
        ToyRun.Result once = run("sixteen-steps", entrant, 1);
        ToyRun.Result again = run("sixteen-steps", entrant, 1);

        assertThat(losses(again)).isEqualTo(losses(once)).hasSize(4);
        assertThat(losses(run("sixteen-steps", entrant, 2))).isNotEqualTo(losses(once));
    }

    @ParameterizedTest
    @EnumSource(OptimizerKind.class)
    void everyOptimizerRuns(OptimizerKind kind) {
        ToyRun.Result result = run("sixteen-steps", kind.toString(), 1);

        assertThat(result.diverged()).isFalse();
        assertThat(result.rows()).extracting(MetricsRow::step).containsExactly(4L, 8L, 12L, 16L);
        assertThat(result.rows()).extracting(MetricsRow::testAccuracy).allMatch(a -> a > 0);
        assertThat(result.seconds()).isPositive();
        assertThat(result.bestLoss()).isLessThanOrEqualTo(result.finalLoss());
    }

    @Test
    void aNetworkLearns() {
        ToyRun.Result result = run("48-steps", "adam@0.01", 1);

        // Guessing gives ln 10 = 2.3 and a tenth.
        assertThat(result.finalLoss()).isLessThan(1);
        assertThat(result.finalAccuracy()).isGreaterThan(0.7);
        assertThat(result.rows().get(5).trainLoss()).isLessThan(result.rows().get(0).trainLoss());
    }

    @Test
    void aDivergedLossIsAResult() {
        ToyRun.Result result = run("prices", "sgd@100/raw", 1);

        assertThat(result.diverged()).isTrue();
        assertThat(result.finalLoss()).isInfinite();
        assertThat(result.finalAccuracy()).isNaN();
    }

    @ParameterizedTest
    @MethodSource("problems")
    void theMeasuredLossIsThatWhichIsTrained(Problem problem) {
        Samples samples = problem.data(1).test().slice(0, 100);
        MultiLayerNetwork net =
                (MultiLayerNetwork) problem.network().build(1, new Sgd(0.1)).model();
        int[] order = new int[100];
        for (int i = 0; i < order.length; i++) {
            order[i] = i;
        }
        // DL4J clips probabilities at 1e-10, which an untrained network falls below where features
        // are in the hundreds.
        INDArray features = samples.features(order, 0, 100).divi(100);

        Output.Measure measure = problem.network().output().measure(net.output(features), samples);

        double score = net.score(new DataSet(features, samples.targets(order, 0, 100)));
        // DL4J adds in float, this in double.
        assertThat(measure.loss()).isCloseTo(score, within(1e-4 * score));
        assertThat(problem.network().parameters()).isEqualTo(net.numParams());
    }

    private static List<Double> losses(ToyRun.Result result) {
        return result.rows().stream().map(MetricsRow::testLoss).toList();
    }

    private static ToyRun.Result run(String name, String entrant, long seed) {
        Problem problem = Problems.named(name);
        return ToyRun.of(
                problem,
                problem.data(seed),
                Entrant.parse("--optimizers", entrant)
                        .settings(problem, Entrant.PRESET_BY_KIND, seed));
    }
}
