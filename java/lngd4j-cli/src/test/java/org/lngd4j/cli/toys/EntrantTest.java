// SPDX-License-Identifier: Apache-2.0
package org.lngd4j.cli.toys;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.lngd4j.cli.CliException;
import org.lngd4j.cli.train.OptimizerKind;
import org.lngd4j.cli.train.TrainSettings;

class EntrantTest {
    private static final Problem CLASSES = Problems.named("three-classes");
    private static final Problem REALS = Problems.named("sine");

    @Test
    void theNumberIsWhatComparisonsTuneFirst() {
        assertThat(settings("adam@0.01", CLASSES).learningRate()).isEqualTo(0.01);
        assertThat(settings("adam@1e-3/raw", CLASSES).averagedWeights()).isFalse();
        assertThat(settings("adam@1e-3/raw", CLASSES).learningRate()).isEqualTo(0.001);
        assertThat(settings("lngd@0.02", CLASSES).trustRatio()).isEqualTo(0.02);
        assertThat(settings("lngd@0.02", CLASSES).learningRate()).isNull();
        assertThat(settings("kfac", CLASSES).optimizer()).isEqualTo(OptimizerKind.KFAC);
    }

    @Test
    void lngdsPresetIsThatOfTheKindUnlessSaid() {
        assertThat(settings("lngd", CLASSES).preset())
                .isEqualTo(Entrant.defaultPreset(Problem.Kind.CLASSIFICATION));
        assertThat(settings("lngd", REALS).preset())
                .isEqualTo(Entrant.defaultPreset(Problem.Kind.REGRESSION));
        assertThat(entrant("lngd").settings(REALS, "paper", 1).preset()).isEqualTo("paper");
        assertThat(entrant("lngd/recipe").settings(REALS, "paper", 1).preset()).isEqualTo("recipe");
        assertThat(entrant("adam").settings(REALS, "paper", 1).preset()).isNull();
    }

    @Test
    void theProblemDecidesTheRest() {
        TrainSettings settings =
                entrant("sgd").settings(Problems.named("sixteen-steps"), "auto", 7);

        assertThat(settings.batch()).isEqualTo(128);
        assertThat(settings.epochs()).isEqualTo(1);
        assertThat(settings.evalEvery()).isEqualTo(0.25);
        assertThat(settings.seed()).isEqualTo(7);
        assertThat(settings.device()).isEqualTo("cpu");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "'' | --optimizers",
                "nobody | --optimizers nobody",
                "adam@ | --optimizers adam@",
                "adam@fast | fast is not a number",
                "adam@0.1@0.2 | --optimizers adam@0.1@0.2",
                "adam/raw@0.1 | --optimizers adam/raw@0.1",
                "adam/recipe | /recipe is not known"
            })
    void refusesWhatItCannotRead(String text, String message) {
        assertThatThrownBy(() -> entrant(text))
                .isInstanceOf(CliException.class)
                .hasMessageContaining(message);
    }

    @Test
    void refusesValuesThatTheOptimizerDoesNotTake() {
        assertThatThrownBy(() -> settings("adam@-1", CLASSES))
                .isInstanceOf(CliException.class)
                .hasMessageContaining("--learning-rate -1");
        assertThatThrownBy(() -> entrant("lngd").settings(CLASSES, "magic", 1))
                .isInstanceOf(CliException.class)
                .hasMessageContaining("--preset magic");
    }

    private static Entrant entrant(String text) {
        return Entrant.parse("--optimizers", text);
    }

    private static TrainSettings settings(String text, Problem problem) {
        return entrant(text).settings(problem, Entrant.PRESET_BY_KIND, 1);
    }
}
