// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.compare;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.compare.Target.Measure;
import org.lngd4j.cli.train.MetricsRow;

class TargetTest {
    @Test
    void theFirstEvaluationThatReachesIt() {
        List<MetricsRow> rows = List.of(row(1, 0.5, 0.8), row(2, 0.3, 0.9), row(3, 0.4, 0.88));

        assertThat(Target.parse("acc=0.88").firstIn(rows)).contains(rows.get(1));
        assertThat(Target.parse("acc=0.9").firstIn(rows)).contains(rows.get(1));
        assertThat(Target.parse("acc=0.91").firstIn(rows)).isEmpty();
        assertThat(Target.parse("loss=0.5").firstIn(rows)).contains(rows.get(0));
        assertThat(Target.parse("loss=0.1").firstIn(rows)).isEmpty();
        // The training loss is a tenth above the test loss in these rows.
        assertThat(Target.parse("train-loss=0.45").firstIn(rows)).contains(rows.get(1));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "0.9",
                "acc",
                "acc=",
                "acc=0",
                "acc=90",
                "bleu=101",
                "acc=NaN",
                "loss=-1",
                "top5=1"
            })
    void refusesWhatIsNoTarget(String text) {
        assertThatThrownBy(() -> Target.parse(text))
                .isInstanceOf(CliException.class)
                .hasMessageStartingWith("--target " + text + ": expected acc=X");
    }

    @Test
    void byDefaultWhatTheWeakestRunReached() {
        List<MetricsRow> strong = List.of(row(1, 41.2, 0.90), row(2, 40.1, 0.91));
        List<MetricsRow> weak = List.of(row(1, 52.7, 0.879), row(2, 66.0, 0.86));

        assertThat(Target.reachedByAll(Measure.ACC, List.of(strong, weak)))
                .contains(new Target(Measure.ACC, 0.875));
        assertThat(Target.reachedByAll(Measure.LOSS, List.of(strong, weak)))
                .contains(new Target(Measure.LOSS, 53));
        assertThat(Target.reachedByAll(Measure.ACC, List.of())).isEmpty();
    }

    @Test
    void moreBleuIsBetter() {
        List<MetricsRow> rows =
                List.of(
                        new MetricsRow(1, 1, 1, 3, 3, Double.NaN, 30.2),
                        new MetricsRow(2, 2, 2, 3, 3, Double.NaN, 32.9));
        assertThat(Target.parse("bleu=31").firstIn(rows)).contains(rows.get(1));
        assertThat(Target.reachedByAll(Measure.BLEU, List.of(rows)))
                .contains(new Target(Measure.BLEU, 32.5));
    }

    @Test
    void isToldInWords() {
        assertThat(Target.parse("acc=0.885")).hasToString("test accuracy 88.50 %");
        assertThat(Target.parse("train-loss=80")).hasToString("training loss 80.00");
        assertThat(Target.parse("bleu=31.5")).hasToString("test BLEU 31.50");
    }

    private static MetricsRow row(long step, double loss, double accuracy) {
        return new MetricsRow(step, step, step, loss + 0.1, loss, accuracy);
    }
}
