// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lngd4j.cli.toys.Judgement.Verdict;
import org.lngd4j.cli.train.MetricsRow;

class JudgementTest {
    private static final Problem JUDGED_TO_THE_END = Problems.named("three-classes");
    private static final Problem OVERTRAINS = Problems.named("label-noise");

    @ParameterizedTest
    @CsvSource({
        "1.00, 1.00, HOLDS, HOLDS",
        "1.10, 1.10, HOLDS, HOLDS",
        "1.11, 1.00, WORSE, WORSE",
        "1.11, 1.50, WORSE, WORSE",
        "1.10, 1.11, WORSE_AT_THE_END, HOLDS",
        "0.80, 1.11, WORSE_AT_THE_END, BETTER",
        "0.90, 0.90, BETTER, BETTER",
        "0.91, 0.50, HOLDS, HOLDS",
        "0.50, 0.91, HOLDS, BETTER",
        "1.00, Infinity, DIVERGED, DIVERGED",
        "Infinity, Infinity, DIVERGED, DIVERGED",
        "NaN, NaN, NONE, NONE"
    })
    void verdictOfTwoRatios(double best, double last, Verdict judged, Verdict ifOvertrains) {
        assertThat(Judgement.verdict(best, last, false)).isEqualTo(judged);
        assertThat(Judgement.verdict(best, last, true)).isEqualTo(ifOvertrains);
    }

    @Test
    void onlyBetterAndHoldsAreGood() {
        assertThat(Verdict.values())
                .filteredOn(Verdict::isGood)
                .containsExactly(Verdict.BETTER, Verdict.HOLDS);
    }

    @Test
    void theBetterReferenceIsFoundForEachOfTheTwoLosses() {
        Outcome early = outcome(JUDGED_TO_THE_END, run(0.5, 2.0));
        Outcome late = outcome(JUDGED_TO_THE_END, run(0.8, 0.8));
        Outcome mine = outcome(JUDGED_TO_THE_END, run(0.6, 0.7, 0.84));

        Judgement judgement = Judgement.of(mine, List.of(early, late));

        assertThat(judgement.best()).isCloseTo(0.6 / 0.5, within(1e-12));
        assertThat(judgement.last()).isCloseTo(0.84 / 0.8, within(1e-12));
        assertThat(judgement.verdict()).isEqualTo(Verdict.WORSE);
    }

    @Test
    void meansOverTheSeedsAreCompared() {
        Outcome reference = outcome(JUDGED_TO_THE_END, run(1.0), run(3.0));
        Outcome mine = outcome(JUDGED_TO_THE_END, run(2.0), run(2.1));

        assertThat(Judgement.of(mine, List.of(reference)).best())
                .isCloseTo(2.05 / 2, within(1e-12));
    }

    @Test
    void theEndOfPureOvertrainingIsNotJudged() {
        Outcome reference = outcome(OVERTRAINS, run(0.6, 0.6));
        Outcome mine = outcome(OVERTRAINS, run(0.6, 6.0));

        Judgement judgement = Judgement.of(mine, List.of(reference));

        assertThat(judgement.last()).isCloseTo(10, within(1e-9));
        assertThat(judgement.verdict()).isEqualTo(Verdict.HOLDS);
    }

    @Test
    void oneDivergedRunOfSeveralIsADivergence() {
        Outcome reference = outcome(OVERTRAINS, run(0.6), run(0.6));
        Outcome mine = outcome(OVERTRAINS, run(0.5), diverged(0.5));

        assertThat(Judgement.of(mine, List.of(reference)).verdict()).isEqualTo(Verdict.DIVERGED);
    }

    @Test
    void aDivergedReferenceIsNotTheBetterOne() {
        Outcome gone = outcome(JUDGED_TO_THE_END, diverged());
        Outcome there = outcome(JUDGED_TO_THE_END, run(0.5));
        Outcome mine = outcome(JUDGED_TO_THE_END, run(0.6));

        assertThat(Judgement.of(mine, List.of(gone, there)).best()).isCloseTo(1.2, within(1e-12));
        assertThat(Judgement.of(mine, List.of(gone)).verdict()).isEqualTo(Verdict.NONE);
    }

    @Test
    void withoutReferencesThereIsNoJudgement() {
        Outcome mine = outcome(JUDGED_TO_THE_END, run(0.6));

        assertThatThrownBy(() -> Judgement.of(mine, List.of()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("references");
    }

    private static Outcome outcome(Problem problem, ToyRun.Result... runs) {
        return new Outcome(problem, Entrant.parse("--optimizers", "lngd"), List.of(runs));
    }

    private static ToyRun.Result run(double... losses) {
        return new ToyRun.Result(1, rows(losses), false, 1);
    }

    private static ToyRun.Result diverged(double... losses) {
        return new ToyRun.Result(1, rows(losses), true, 1);
    }

    private static List<MetricsRow> rows(double... losses) {
        List<MetricsRow> rows = new ArrayList<>();
        for (double loss : losses) {
            rows.add(new MetricsRow(1, 1, 1, 1, loss, 0.5));
        }
        return rows;
    }
}
